// SPDX-License-Identifier: Apache-2.0
// Filters and moments: each condition, and what values are refused.
#include "userspace/replay/filter.h"

#include "tests/unit/replay/story.h"
#include "userspace/base/clock.h"

namespace flightrec::replay::test {
namespace {

// Boot time 0 was second 1000 of the epoch.
struct TestClock final : WallClock {
    uint64_t boot_of_realtime(uint64_t realtime_ns) const override { return realtime_ns - 1000 * s; }
    uint64_t realtime_of(uint64_t boot_ns) const override { return boot_ns + 1000 * s; }
};

class FilterTest : public ::testing::Test {
  protected:
    FilterTest() {
        timeline.first_ns = 10 * s;
        timeline.last_ns = 200 * s;
        timeline.reference_ns = 100 * s;
    }
    bool matches(const FilterOptions& options, const Record& event) {
        auto filter = EventFilter::make(options, timeline, clock, schemas::Arch::x86_64);
        EXPECT_TRUE(filter.has_value()) << (filter ? "" : filter.error().message);
        return filter->matches(event.ref(), state);
    }
    Error refused(const FilterOptions& options) {
        auto filter = EventFilter::make(options, timeline, clock, schemas::Arch::x86_64);
        EXPECT_FALSE(filter.has_value());
        return filter ? Error{} : filter.error();
    }
    void apply(const Record& event) { state.begin(event.ref()); }
    Result<uint64_t> moment(std::string_view text) { return parse_moment("--since", text, timeline, clock); }

    Timeline timeline;
    TestClock clock;
    ReplayState state{schemas::Arch::x86_64};
};

TEST_F(FilterTest, Moments) {
    EXPECT_EQ(*moment("-10s"), 90 * s);
    EXPECT_EQ(*moment("+2.5s"), 102 * s + 500 * ms);
    EXPECT_EQ(*moment("-1m"), 40 * s);
    EXPECT_EQ(*moment("0"), 100 * s);
    EXPECT_EQ(*moment("-1h"), 0u);
    EXPECT_EQ(*moment("@123.5"), 123 * s + 500 * ms);
    EXPECT_EQ(*moment("1970-01-01 00:18:20"), 100 * s);
    EXPECT_EQ(*moment("1970-01-01T00:18:20.25Z"), 100 * s + 250 * ms);
    EXPECT_EQ(*moment("1970-01-01T02:18:20+02:00"), 100 * s);
    EXPECT_EQ(*moment("00:18:20"), 100 * s) << "the flight ends at 00:20:00";
    EXPECT_EQ(*moment("00:18:20.5"), 100 * s + 500 * ms);
    EXPECT_EQ(*moment("00:18"), 80 * s);
    EXPECT_EQ(*moment("02:18+02:00"), 80 * s);
    const uint64_t midnight = realtime_ns() / (86400 * s) * (86400 * s) - 1000 * s;
    EXPECT_EQ(*moment("today"), midnight);
    EXPECT_EQ(*moment("today 11:10"), midnight + (11 * 60 + 10) * 60 * s);
    EXPECT_EQ(*moment("yesterday"), midnight - 86400 * s);
    EXPECT_EQ(*moment("2026-11-23"), 1'795'392'000 * s - 1000 * s);
    for (const auto* bad :
         {"", "10s", "soon", "-", "-10 s", "@", "@-1", "@1x", "11", "11:1", "24:00", "today11:10", "today x",
          "2026-13-01 00:00:00", "2026-11-23 25:00:00", "2026-11-23 11:10:02 CET", "+5parsecs"}) {
        const auto result = moment(bad);
        ASSERT_FALSE(result.has_value()) << bad;
        EXPECT_EQ(result.error().code, Code::usage);
    }
}

TEST_F(FilterTest, InARunningRecordersWindowTimesCountFromItsEnd) {
    timeline.from_end = true;
    EXPECT_EQ(*moment("-10s"), 190 * s);
}

TEST_F(FilterTest, AnExclamationMarkLeavesOut) {
    const auto sample = record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, 50 * s, 812, 812,
                                                  [](fr_process_sample& e) { set_comm(e.comm, "hog"); });
    const auto futex = call(50 * s, 812, 812, "futex", 0);
    const auto read = call(50 * s, 812, 812, "read", 0);
    const auto line = kmsg(50 * s, 3, "x");
    for (const auto* samples : {"!samples", "!sample", "!process_sample"}) {
        EXPECT_FALSE(matches({.classes = {samples}}, sample)) << samples;
        EXPECT_TRUE(matches({.classes = {samples}}, read)) << samples;
    }
    EXPECT_FALSE(matches({.classes = {"samples", "!process_sample"}}, sample));
    EXPECT_FALSE(matches({.classes = {"!syscall"}}, read));
    EXPECT_FALSE(matches({.syscalls = {"!futex"}}, futex));
    EXPECT_TRUE(matches({.syscalls = {"!futex"}}, read));
    EXPECT_TRUE(matches({.syscalls = {"!futex"}}, line)) << "only what is named is left out";
    EXPECT_FALSE(matches({.syscalls = {"futex"}}, line));
    EXPECT_FALSE(matches({.comms = {"!h*"}}, sample));
    EXPECT_TRUE(matches({.comms = {"!other"}}, sample));
    EXPECT_FALSE(matches({.comms = {"h*", "!hog"}}, sample));
    apply(record<fr_cgroup>(FR_CLASS_CGROUP, 10 * s, 0, 0, [](fr_cgroup& e) { e.cgroup_id = 7; },
                            {{FR_BLOB_TEXT, "/noisy.slice/a"}}));
    apply(process(812, 1, "hog", "hog", 5 * s, FR_PROCESS_PARENT_KNOWN, 7));
    EXPECT_FALSE(matches({.cgroups = {"!/noisy.slice"}}, read));
    EXPECT_TRUE(matches({.cgroups = {"!/other.slice"}}, read));
    const auto filter = EventFilter::make({.classes = {"!fork"}}, timeline, clock, schemas::Arch::x86_64);
    EXPECT_FALSE(filter->names_class(FR_CLASS_PROCESS_SAMPLE)) << "what text hides stays hidden";
    EXPECT_TRUE(refused({.classes = {"!nope"}}).message.find("nope") != std::string::npos);
}

TEST_F(FilterTest, AMisspeltNameIsAnsweredWithTheNearest) {
    EXPECT_NE(refused({.classes = {"syscal"}}).message.find("did you mean syscall?"), std::string::npos);
    EXPECT_NE(refused({.classes = {"lifecycel"}}).message.find("did you mean lifecycle?"), std::string::npos);
    EXPECT_NE(refused({.syscalls = {"opennat"}}).message.find("did you mean openat?"), std::string::npos);
    EXPECT_NE(refused({.errnos = {"ENOENTT"}}).message.find("did you mean ENOENT?"), std::string::npos);
    EXPECT_EQ(refused({.errnos = {"quite other"}}).message.find("did you mean"), std::string::npos);
}

TEST_F(FilterTest, WithoutATriggerTimesCountFromTheEnd) {
    timeline.reference_ns.reset();
    EXPECT_EQ(*moment("-10s"), 190 * s);
}

TEST_F(FilterTest, PidMatchesWhoAnEventIsAbout) {
    const auto kill = record<fr_oom_kill>(FR_CLASS_OOM_KILL, s, 7, 8, [](fr_oom_kill& e) { e.victim_pid = 812; });
    EXPECT_TRUE(matches({.pids = {812}}, kill));
    EXPECT_TRUE(matches({.pids = {1, 7}}, kill));
    EXPECT_FALSE(matches({.pids = {8}}, kill));
    EXPECT_TRUE(matches({.tids = {8}}, kill));
    const auto signal = record<fr_signal>(FR_CLASS_SIGNAL, s, 7, 7, [](fr_signal& e) {
        e.target_pid = 812;
        e.flags = FR_SIGNAL_FROM_KERNEL;
    });
    EXPECT_TRUE(matches({.pids = {812}}, signal));
    EXPECT_FALSE(matches({.pids = {7}}, signal)) << "who ran when the kernel raised it did not send it";
}

TEST_F(FilterTest, TreeHasAllDescendantsAlsoOfAFormerLifeOfThePid) {
    const auto fork = [&](uint32_t parent, uint32_t child, uint64_t at) {
        apply(record<fr_fork>(FR_CLASS_FORK, at, parent, parent, [&](fr_fork& e) {
            e.child_pid = e.child_tid = child;
            e.parent_pid = parent;
            e.start_ns = at;
        }));
    };
    fork(1, 100, 10 * s);
    fork(100, 101, 11 * s);
    fork(101, 102, 12 * s);
    fork(1, 100, 20 * s);  // pid 100 again
    const auto by = [&](uint32_t pid) { return call(30 * s, pid, pid, "getpid", 1); };
    EXPECT_TRUE(matches({.trees = {100}}, by(102)));
    EXPECT_TRUE(matches({.trees = {100}}, by(100)));
    EXPECT_FALSE(matches({.trees = {101}}, by(100)));
    EXPECT_FALSE(matches({.trees = {100}}, by(1)));
    EXPECT_FALSE(matches({.trees = {100}}, by(4000)));
}

TEST_F(FilterTest, CommAndCgroup) {
    apply(record<fr_cgroup>(FR_CLASS_CGROUP, s, 0, 0, [](fr_cgroup& e) { e.cgroup_id = 5; },
                            {{FR_BLOB_TEXT, "/shop.slice/a"}}));
    apply(process(100, 1, "python3", "", s, FR_PROCESS_PARENT_KNOWN, 5));
    const auto event = call(2 * s, 100, 100, "getpid", 100);
    EXPECT_TRUE(matches({.comms = {"python3"}}, event));
    EXPECT_TRUE(matches({.comms = {"py*"}}, event));
    EXPECT_FALSE(matches({.comms = {"py"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"/shop.slice"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"/shop.slice/"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"/sys/fs/cgroup/shop.slice"}}, event)) << "as record --scope takes it";
    EXPECT_TRUE(matches({.cgroups = {"/sys/fs/cgroup/unified/shop.slice"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"/sys/fs/cgroup"}}, event));
    EXPECT_FALSE(matches({.cgroups = {"/sys/fs/cgroupshop.slice"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"/"}}, event));
    EXPECT_TRUE(matches({.cgroups = {"*/a"}}, event));
    EXPECT_FALSE(matches({.cgroups = {"/shop"}}, event));
    EXPECT_FALSE(matches({.cgroups = {"/shop.slice"}}, call(2 * s, 101, 101, "getpid", 101)));
}

TEST_F(FilterTest, ResultsAndDurations) {
    const auto failed = call(2 * s, 100, 100, "openat", -ENOENT, {.took_ns = 5 * ms});
    const auto good = call(2 * s, 100, 100, "openat", 3, {.took_ns = 50 * ms});
    EXPECT_TRUE(matches({.failed = true}, failed));
    EXPECT_FALSE(matches({.failed = true}, good));
    EXPECT_TRUE(matches({.errnos = {"ENOENT"}}, failed));
    EXPECT_FALSE(matches({.errnos = {"EPERM", "EIO"}}, failed));
    EXPECT_TRUE(matches({.slower_than = "50ms"}, good));
    EXPECT_FALSE(matches({.slower_than = "50ms"}, failed));
    EXPECT_FALSE(matches({.slower_than = "0"}, call(2 * s, 1, 1, "read", 1, {.flags = FR_EVENT_NO_ENTRY})))
        << "an unknown duration is not slower than anything";
    EXPECT_TRUE(matches({.syscalls = {"openat", "read"}}, good));
    EXPECT_FALSE(matches({.syscalls = {"read"}}, good));
    EXPECT_FALSE(matches({.failed = true}, kmsg(s, 3, "x")));
    // mmap returns addresses: a pointer is not an error.
    EXPECT_FALSE(matches({.failed = true}, call(s, 1, 1, "mmap", static_cast<int64_t>(0xffff800000000000))));
}

TEST_F(FilterTest, ClassesAndGroups) {
    EXPECT_TRUE(matches({.classes = {"syscall"}}, call(s, 1, 1, "exit_group", 0, {.cls = FR_CLASS_SYSCALL_ENTER})));
    EXPECT_TRUE(matches({.classes = {"lifecycle"}}, record<fr_exit>(FR_CLASS_EXIT, s, 1, 1, nullptr)));
    EXPECT_FALSE(matches({.classes = {"exec", "fork"}}, record<fr_exit>(FR_CLASS_EXIT, s, 1, 1, nullptr)));
}

TEST_F(FilterTest, GapsPassEveryCondition) {
    const auto gap = marker(s, FR_MARKER_GAP, {0, 1, 5, 0});
    EXPECT_TRUE(matches({.pids = {812}, .classes = {"syscall"}, .failed = true}, gap));
    EXPECT_TRUE(matches({.pids = {812}}, marker(s, FR_MARKER_POLICY, {0, 1, 300})));
    EXPECT_FALSE(matches({.pids = {812}}, marker(s, FR_MARKER_DUMP, {1, 5})));
}

TEST_F(FilterTest, BadValuesAreUsageErrorsThatNameTheOption) {
    EXPECT_NE(refused({.classes = {"syscal"}}).message.find("--class: there is no class \"syscal\""),
              std::string::npos);
    EXPECT_NE(refused({.syscalls = {"opennat"}}).message.find("--syscall"), std::string::npos);
    EXPECT_NE(refused({.errnos = {"ENOPE"}}).message.find("--errno"), std::string::npos);
    EXPECT_NE(refused({.slower_than = "50"}).message.find("write 10ms"), std::string::npos);
    EXPECT_NE(refused({.slower_than = "fast"}).message.find("--slower-than"), std::string::npos);
    EXPECT_NE(refused({.since = "soon"}).message.find("--since"), std::string::npos);
    EXPECT_NE(refused({.since = "+5s", .until = "-5s"}).message.find("later"), std::string::npos);
    EXPECT_EQ(refused({.errnos = {"x\x1b[31m"}}).message.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace flightrec::replay::test
