// SPDX-License-Identifier: Apache-2.0
// The kernel log: its format, lost lines, the backlog, and lines that others printed.
#include "userspace/record/kmsg.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <deque>

#include "tests/unit/record/fake_tree.h"
#include "userspace/base/clock.h"

namespace flightrec::record {
namespace {

TEST(ParseKmsg, LevelFacilitySequenceStampAndText) {
    const auto line =
        parse_kmsg("30,339,5140900,-,caller=T1;NET: Registered; all of it\n SUBSYSTEM=acpi\n DEVICE=+acpi:1\n");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->level, 6u);
    EXPECT_EQ(line->facility, 3u);
    EXPECT_EQ(line->seq, 339u);
    EXPECT_EQ(line->stamp_us, 5140900u);
    EXPECT_EQ(line->text, "NET: Registered; all of it");
    EXPECT_TRUE(parse_kmsg("6,1,0,-;"));
    for (const char* bad : {"", "6,1,0,-", "x,1,2,-;t", "6;t", "6,1;t", ",,,;t", "6,99999999999999999999,1,-;t"})
        EXPECT_FALSE(parse_kmsg(bad)) << bad;
}

TEST(UnescapeKmsg, HexadecimalBytesOnly) {
    std::array<char, 64> out;
    EXPECT_EQ(unescape_kmsg(R"(a\x0ab\x5cx\xff\xg1\x4)", out), "a\nb\\x\xff\\xg1\\x4");
    EXPECT_EQ(unescape_kmsg("\\x4a", out), "J");
}

// A log that a test fills; read_fake() gives one record a call as the device does.
struct FakeLog {
    std::deque<std::string> records;  // "EPIPE" stands for an overrun
    std::deque<std::string> rewound;  // what comes again after a rewind
};
FakeLog* log_of_test = nullptr;

ssize_t read_fake(int, void* buffer, size_t size) {
    auto& records = log_of_test->records;
    if (records.empty()) {
        // Reading to the end and once more from the start, as with a backlog.
        if (!log_of_test->rewound.empty()) records.swap(log_of_test->rewound);
        errno = EAGAIN;
        return -1;
    }
    const std::string record = records.front();
    records.pop_front();
    if (record == "EPIPE") {
        errno = EPIPE;
        return -1;
    }
    const size_t n = std::min(size, record.size());
    record.copy(static_cast<char*>(buffer), n);
    return static_cast<ssize_t>(n);
}

class Kmsg : public ::testing::Test {
  protected:
    void SetUp() override { log_of_test = &log_; }
    void put(uint64_t seq, std::string_view text, uint64_t stamp_us = 1000) {
        log_.records.push_back(fmt::format("4,{},{},-;{}\n", seq, stamp_us, text));
    }
    KmsgReader reader(const KmsgConfig& config = {}) {
        return std::move(*KmsgReader::from(Fd(::dup(0)), config, read_fake));
    }
    std::vector<std::string> texts() const {
        std::vector<std::string> out;
        for (size_t i = 0; i < got_.size(); ++i) out.push_back(got_.blob(i, FR_BLOB_TEXT).value_or("?"));
        return out;
    }
    static void expect_balance(const KmsgReader::Counts& c) {
        EXPECT_EQ(c.produced, c.emitted + c.overwritten + c.skipped + c.waiting);
    }
    FakeLog log_;
    Collector got_;
};

TEST_F(Kmsg, LinesBecomeEvents) {
    auto kmsg = reader();
    put(7, "one\\x0atwo", 5'000'000);
    EXPECT_EQ(kmsg.read(got_.emit()), 1u);
    ASSERT_EQ(got_.size(), 1u);
    const auto event = got_.as<fr_kmsg>(0);
    EXPECT_EQ(event.seq, 7u);
    EXPECT_EQ(event.level, 4u);
    EXPECT_EQ(event.facility, 0u);
    EXPECT_EQ(got_.blob(0, FR_BLOB_TEXT), "one\ntwo");
    const double offset = static_cast<double>(boot_ns()) - static_cast<double>(clock_ns(CLOCK_MONOTONIC));
    EXPECT_NEAR(static_cast<double>(event.event.time_ns), 5e9 + offset, 1e7);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, AnOverrunIsCountedExactly) {
    auto kmsg = reader();
    put(1, "a");
    log_.records.emplace_back("EPIPE");
    put(11, "b");
    kmsg.read(got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(kmsg.counts().overwritten, 9u);
    EXPECT_EQ(kmsg.counts().produced, 11u);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, ABacklogStartsAsManyLinesBeforeTheEnd) {
    for (uint64_t seq = 100; seq < 200; ++seq) put(seq, fmt::format("line {}", seq));
    log_.rewound = log_.records;
    auto kmsg = reader({.backlog = 3});
    kmsg.read(got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"line 197", "line 198", "line 199"}));
    EXPECT_EQ(kmsg.counts().overwritten, 0u);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, TheLimitOfACallIsKept) {
    auto kmsg = reader();
    for (uint64_t seq = 0; seq < 10; ++seq) put(seq, "x");
    EXPECT_EQ(kmsg.read(got_.emit(), 4), 4u);
    EXPECT_EQ(kmsg.read(got_.emit(), 100), 6u);
}

TEST_F(Kmsg, WhatIsNotARecordIsCountedAsSkipped) {
    auto kmsg = reader();
    log_.records.emplace_back("rubbish");
    put(3, "good");
    kmsg.read(got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"good"}));
    EXPECT_EQ(kmsg.counts().skipped, 1u);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, InAScopeOnlyAnnouncedLinesPassWhicheverComesFirst) {
    auto kmsg = reader({.only_announced = true});
    kmsg.announce("mine, told before", false, boot_ns(), got_.emit());
    put(1, "of others");
    put(2, "mine, told before");
    put(3, "mine, told after");
    kmsg.read(got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"mine, told before"}));
    EXPECT_EQ(kmsg.counts().waiting, 2u);
    kmsg.announce("mine, told after\n", false, boot_ns(), got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"mine, told before", "mine, told after"}));
    EXPECT_EQ(got_.as<fr_kmsg>(1).seq, 3u);
    expect_balance(kmsg.counts());
    ::usleep(1'100'000);
    kmsg.read(got_.emit());
    EXPECT_EQ(got_.size(), 2u);
    EXPECT_EQ(kmsg.counts().waiting, 0u);
    EXPECT_EQ(kmsg.counts().skipped, 1u);
    expect_balance(kmsg.counts());
    kmsg.announce("of others", false, boot_ns(), got_.emit());
    EXPECT_EQ(got_.size(), 2u) << "too late: it is gone";
}

TEST_F(Kmsg, AnAnnouncementServesOneLineOnly) {
    auto kmsg = reader({.only_announced = true});
    kmsg.announce("same", false, boot_ns(), got_.emit());
    put(1, "same");
    put(2, "same");
    kmsg.read(got_.emit());
    EXPECT_EQ(got_.size(), 1u);
}

TEST_F(Kmsg, OfEqualLinesTheOlderOneIsAnnouncedFirst) {
    auto kmsg = reader({.only_announced = true});
    put(1, "another");
    put(2, "same");
    kmsg.read(got_.emit());
    kmsg.announce("another", false, boot_ns(), got_.emit());  // its place is free for the next line
    put(3, "same");
    kmsg.read(got_.emit());
    kmsg.announce("same", false, boot_ns(), got_.emit());
    kmsg.announce("same", false, boot_ns(), got_.emit());
    ASSERT_EQ(got_.size(), 3u);
    EXPECT_EQ(got_.as<fr_kmsg>(1).seq, 2u);
    EXPECT_EQ(got_.as<fr_kmsg>(2).seq, 3u);
}

TEST_F(Kmsg, PiecesOfALineAndCutAnnouncementsFindIt) {
    auto kmsg = reader({.only_announced = true});
    kmsg.announce("CPU: 1 ", false, boot_ns(), got_.emit());
    kmsg.announce("PID: 5", false, boot_ns(), got_.emit());
    put(1, "CPU: 1 PID: 5");
    put(2, "a long line of which the probe took a part");
    put(3, "CPU: 1 PID: 6");
    kmsg.read(got_.emit());
    kmsg.announce("a long line of", true, boot_ns(), got_.emit());
    EXPECT_EQ(texts(), (std::vector<std::string>{"CPU: 1 PID: 5", "a long line of which the probe took a part"}));
    kmsg.announce("CPU: 1 PID", false, boot_ns(), got_.emit());
    EXPECT_EQ(got_.size(), 2u) << "a part that is not cut is not the line";
}

TEST_F(Kmsg, AFloodOfOthersLinesIsSkippedAndCounted) {
    auto kmsg = reader({.only_announced = true});
    for (uint64_t seq = 0; seq < 1000; ++seq) put(seq, fmt::format("other {}", seq));
    kmsg.read(got_.emit(), 2000);
    EXPECT_EQ(got_.size(), 0u);
    EXPECT_EQ(kmsg.counts().produced, 1000u);
    EXPECT_GT(kmsg.counts().waiting, 0u);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, AStampAheadOfTheClockNeverGivesALineOfTheFuture) {
    auto kmsg = reader();
    put(1, "x", (clock_ns(CLOCK_MONOTONIC) + 5'000'000'000u) / 1000);
    kmsg.read(got_.emit());
    EXPECT_LE(got_.as<fr_kmsg>(0).event.time_ns, boot_ns());
}

TEST_F(Kmsg, AClockThatRunsSlowIsLearnedFromLiveLines) {
    auto kmsg = reader();
    kmsg.read(got_.emit());
    for (uint64_t seq = 0; seq < 20; ++seq) {
        put(seq, "x", (clock_ns(CLOCK_MONOTONIC) - 3'000'000'000u) / 1000);
        kmsg.read(got_.emit());
    }
    const double error = static_cast<double>(boot_ns()) - static_cast<double>(got_.as<fr_kmsg>(19).event.time_ns);
    EXPECT_LT(error, 1e8);
    const double first = static_cast<double>(boot_ns()) - static_cast<double>(got_.as<fr_kmsg>(0).event.time_ns);
    EXPECT_GT(first, 2.9e9);
}

TEST_F(Kmsg, AnAnnouncedLineStandsWhereItWasPrintedAndPlacesTheNext) {
    auto kmsg = reader({.announced = true});
    kmsg.read(got_.emit());
    // The log's own clock is four seconds behind.
    const uint64_t printed = boot_ns() - 2'000'000'000, stamp_us = printed / 1000 - 4'000'000;
    put(1, "told", stamp_us);
    kmsg.read(got_.emit());
    EXPECT_EQ(got_.size(), 0u) << "it waits for the announcement";
    EXPECT_EQ(kmsg.counts().waiting, 1u);
    kmsg.announce("told", false, printed, got_.emit());
    put(2, "not told", stamp_us + 1'000'000);
    kmsg.read(got_.emit());
    kmsg.release(got_.emit());
    ASSERT_EQ(texts(), (std::vector<std::string>{"told", "not told"}));
    EXPECT_EQ(got_.as<fr_kmsg>(0).event.time_ns, printed);
    EXPECT_EQ(got_.as<fr_kmsg>(0).stamp_ns, stamp_us * 1000);
    const auto second = static_cast<int64_t>(got_.as<fr_kmsg>(1).event.time_ns - printed);
    EXPECT_NEAR(static_cast<double>(second), 1e9, 1000);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, AScopeNeverReleasesALineThatWasNotTold) {
    auto kmsg = reader({.announced = true, .only_announced = true});
    kmsg.read(got_.emit());
    put(1, "of others");
    kmsg.read(got_.emit());
    kmsg.release(got_.emit());
    EXPECT_EQ(got_.size(), 0u);
    expect_balance(kmsg.counts());
}

TEST_F(Kmsg, DoesNotAllocate) {
    auto kmsg = reader({.only_announced = true});
    for (uint64_t seq = 0; seq < 50; ++seq) put(seq, "line");
    uint64_t events = 0;
    const Emit count = [&events](std::span<const std::byte>) { ++events; };
    // The fake log itself allocates a string a record; announce() and what it emits must not.
    kmsg.read(count);
    const uint64_t before = allocations();
    for (int i = 0; i < 50; ++i) kmsg.announce("line", false, boot_ns(), count);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(events, 50u);
}

TEST(KmsgDevice, OpensHereOrSaysWhy) {
    const auto none = KmsgReader::open("/nonexistent/kmsg", {});
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::not_found);
    EXPECT_NE(none.error().message.find("/nonexistent/kmsg"), std::string::npos);
    auto device = KmsgReader::open("/dev/kmsg", {.only_announced = true});
    if (!device) GTEST_SKIP() << device.error().message;
    Collector got;
    device->read(got.emit());
    EXPECT_EQ(got.size(), 0u) << "nothing was announced";
}

}  // namespace
}  // namespace flightrec::record
