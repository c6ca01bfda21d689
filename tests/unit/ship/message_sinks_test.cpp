// SPDX-License-Identifier: Apache-2.0
// Sinks that send a message instead of the dump: syslog and console.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "tests/unit/ship/support.h"
#include "userspace/ship/console_sink.h"
#include "userspace/ship/make_sink.h"
#include "userspace/ship/syslog_sink.h"

namespace flightrec::ship::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using Answer = Delivery::Answer;

const Cancel no_cancel;

DumpFile some_dump() {
    DumpFile dump;
    dump.incident = make_incident(1);
    dump.incident.host = "web 1";
    dump.incident.summary = "OOM kill of \x1b[31mevil\n\"]\\";
    dump.incident.reason = "oom]\"kill";
    dump.name = dump.incident.file_name();
    dump.size = 5 << 20;
    return dump;
}

TEST(SyslogLine, IsOneLineOfRfc5424WithTheIncidentsId) {
    const std::string line = syslog_line(some_dump());
    EXPECT_EQ(line.find('\n'), std::string::npos);
    EXPECT_EQ(line,
              "<26>1 2026-11-18T11:06:41.123456Z web_1 flightrec - incident [flightrec@32473 "
              "incident=\"00112233445566778899aabbccddeeff-1\" reason=\"oom\\]\\\"kill\" file=\"" +
                  some_dump().name +
                  "\"] OOM kill of \\33[31mevil\\n\"]\\ (incident 00112233445566778899aabbccddeeff-1, 5.0 MiB)");
}

TEST(SyslogSink, SendsByUdp) {
    Server server({"syslog-udp"});
    const auto sink = sink_for("syslog://127.0.0.1:" + std::to_string(server.port()));
    const auto delivery = sink->deliver(some_dump(), no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_THAT(server.line(), HasSubstr("b'<26>1 2026"));
}

TEST(SyslogSink, SendsByTcpWithOctetCounting) {
    Server server({"syslog-tcp"});
    const auto sink = sink_for("syslog+tcp://127.0.0.1:" + std::to_string(server.port()));
    const auto delivery = sink->deliver(some_dump(), no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_THAT(server.line(), HasSubstr("b'" + std::to_string(syslog_line(some_dump()).size()) + " <26>1 2026"));
}

TEST(SyslogSink, NobodyThereIsAnError) {
    const auto sink = sink_for("syslog+tcp://127.0.0.1:" + std::to_string(free_port()));
    const auto delivery = sink->deliver(some_dump(), no_cancel);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().code, Code::network);
    EXPECT_THAT(delivery.error().message, HasSubstr("refused"));
}

TEST(SyslogSink, SendsToTheLocalSocket) {
    const TempDir tree;
    const std::string path = tree / "log";
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
        unlink(path.c_str());
        const Fd receiver(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(bind(receiver.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        if (type == SOCK_STREAM) {
            ASSERT_EQ(listen(receiver.get(), 1), 0);
        }
        const auto sink = sink_for("syslog://" + path);
        const auto delivery = sink->deliver(some_dump(), no_cancel);
        ASSERT_TRUE(delivery) << delivery.error().message;
        char buffer[2048];
        const Fd connection(type == SOCK_STREAM ? accept(receiver.get(), nullptr, nullptr) : dup(receiver.get()));
        const ssize_t n = recv(connection.get(), buffer, sizeof buffer, 0);
        ASSERT_GT(n, 0);
        EXPECT_THAT(std::string(buffer, static_cast<size_t>(n)), HasSubstr("<26>flightrec: OOM kill of"));
    }
    unlink(path.c_str());
    EXPECT_FALSE(sink_for("syslog://" + path)->deliver(some_dump(), no_cancel));
}

TEST(ConsoleSink, WritesTheFactsSafelyForATerminal) {
    const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_TRUE(terminal.valid());
    ASSERT_EQ(grantpt(terminal.get()), 0);
    ASSERT_EQ(unlockpt(terminal.get()), 0);
    const std::string device = ptsname(terminal.get());
    const Fd other_end(open(device.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios raw{};
    tcgetattr(other_end.get(), &raw);
    cfmakeraw(&raw);
    tcsetattr(other_end.get(), TCSANOW, &raw);
    const auto sink = sink_for("console://" + device);
    const auto delivery = sink->deliver(some_dump(), no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    char buffer[4096];
    const ssize_t n = read(terminal.get(), buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    const std::string text(buffer, static_cast<size_t>(n));
    EXPECT_THAT(text, HasSubstr("flightrec: 20261118T110641Z OOM kill of \\33[31mevil\\n"));
    EXPECT_THAT(text, HasSubstr("flightrec:   victim: pid 4242 python3\r\n"));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(ConsoleSink, AStuckConsoleIsLeftWhenAsked) {
    const Fd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_EQ(grantpt(terminal.get()), 0);
    ASSERT_EQ(unlockpt(terminal.get()), 0);
    const auto sink = sink_for("console://" + std::string(ptsname(terminal.get())));
    const Fd other_end(open(ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    DumpFile dump = some_dump();
    dump.incident.facts.assign(90, std::string(1000, 'x'));  // more than the terminal's buffer
    Cancel cancel;
    cancel.request();
    const auto delivery = sink->deliver(dump, cancel);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().code, Code::interrupted);
}

TEST(ConsoleSink, OnlyATerminalDeviceWillDo) {
    const TempDir tree;
    write_file(tree / "file", "precious");
    const auto file = make_sink(*parse_destination("console://" + (tree / "file").string()), {});
    ASSERT_FALSE(file);
    EXPECT_THAT(file.error().message, HasSubstr("not a terminal device"));
    EXPECT_FALSE(make_sink(*parse_destination("console:///dev/none"), {}));
}

}  // namespace
}  // namespace flightrec::ship::test
