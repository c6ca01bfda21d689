// SPDX-License-Identifier: Apache-2.0
// Names and identities of dumps.
#include "userspace/ship/dump_file.h"

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

TEST(DumpName, TellsTimeReasonRecordingAndNumber) {
    Incident incident = make_incident(7);
    EXPECT_EQ(incident.id(), "00112233445566778899aabbccddeeff-7");
    EXPECT_EQ(incident.file_name(), "20261118T110647Z-oom-kill-00112233445566778899aabbccddeeff-7.flight");
    incident.reason = "OOM: kill / ../etc/passwd\n";
    EXPECT_EQ(incident.file_name(), "20261118T110647Z-oom-kill-etc-passwd-00112233445566778899aabbccddeeff-7.flight");
    incident.reason = "";
    EXPECT_EQ(incident.file_name(), "20261118T110647Z-incident-00112233445566778899aabbccddeeff-7.flight");
}

TEST(DumpName, ReadsBackWhatItWrote) {
    for (const char* reason : {"oom-kill", "crash", "request", "20261118t110647z", "a-1-2"}) {
        const Incident incident = make_incident(123456, reason);
        const auto back = incident_of_file_name(incident.file_name());
        ASSERT_TRUE(back) << reason;
        EXPECT_EQ(back->id(), incident.id());
        EXPECT_EQ(back->file_name(), incident.file_name());
        EXPECT_EQ(back->reason, reason);
    }
}

TEST(DumpName, RefusesWhatIsNotOurs) {
    for (const char* name :
         {"", ".flight", "notes.flight", "20261118T110647Z-oom-kill-00112233445566778899aabbccddeeff-7.flight.part",
          "20261118T110647Z-oom-kill-00112233445566778899AABBCCDDEEFF-7.flight",
          "20261118T110647Z-oom-kill-00112233445566778899aabbccddeeff-07.flight",
          "20261118T110647Z-oom-kill-00112233445566778899aabbccddeeff-99999999999999999999999.flight",
          "20261318T110647Z-oom-kill-00112233445566778899aabbccddeeff-7.flight",
          "20261131T110647Z-oom-kill-00112233445566778899aabbccddeeff-7.flight",
          "20261118T110647Z--00112233445566778899aabbccddeeff-7.flight",
          "../0261118T110647Z-x-00112233445566778899aabbccddeeff-7.flight",
          "20261118T110647Z-oom/kill-00112233445566778899aabbccddeeff-7.flight"})
        EXPECT_FALSE(incident_of_file_name(name)) << name;
}

TEST(SafePart, NeverLeavesItsPathPart) {
    EXPECT_EQ(safe_part("web-1.example"), "web-1.example");
    EXPECT_EQ(safe_part(".."), "__");
    EXPECT_EQ(safe_part("."), "_");
    EXPECT_EQ(safe_part(""), "unknown");
    EXPECT_EQ(safe_part("../../etc/cron.d"),
              "__"
              "_.."
              "_etc_cron.d");
    EXPECT_EQ(safe_part("a\\b"), "a_b");
    for (int byte = 0; byte < 256; ++byte) {
        const std::string part = safe_part(std::string("x") + static_cast<char>(byte) + "y");
        for (const char c : part) {
            EXPECT_NE(c, '/') << byte;
            EXPECT_GE(static_cast<unsigned char>(c), 0x20) << byte;
            EXPECT_NE(c, 0x7f) << byte;
        }
    }
    EXPECT_LE(safe_part(std::string(5000, '\x01')).size(), 128u);
    EXPECT_EQ(safe_part("Zürich"), "Zürich");
    EXPECT_EQ(percent_encoded(safe_part("Zürich 1%")), "Z%C3%BCrich%201%25");
}

}  // namespace
}  // namespace flightrec::ship::test
