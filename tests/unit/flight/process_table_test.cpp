// SPDX-License-Identifier: Apache-2.0
// The process and cgroup tables.
#include "userspace/flight/process_table.h"
#include "tests/unit/flight/support.h"
#include "userspace/flight/cgroup_table.h"

namespace flightrec::flight::test {
namespace {

using namespace std::string_literals;

void set_comm(char (&to)[FR_COMM_LEN], std::string_view from) { std::memcpy(to, from.data(), from.size()); }

class Tables : public ::testing::Test {
  protected:
    void apply() { table.apply({builder.bytes(), 0, fixed_size_of(builder.head().cls)}); }
    void fork(uint32_t parent, uint32_t child, uint64_t start, bool thread = false) {
        auto& f = builder.begin<fr_fork>(FR_CLASS_FORK);
        f.event.time_ns = start + 1;
        f.event.pid = f.event.tid = parent;
        f.start_ns = start;
        f.child_tid = child;
        f.child_pid = thread ? parent : child;
        f.parent_pid = thread ? 1 : parent;
        f.uid = 7;
        set_comm(f.comm, "sh");
        apply();
    }
    void exec(uint32_t pid, uint64_t start, std::string_view argv, std::string_view exe, uint64_t after = 10) {
        auto& e = builder.begin<fr_exec>(FR_CLASS_EXEC);
        e.event.time_ns = start + after;
        e.event.pid = e.event.tid = pid;
        e.start_ns = start;
        e.ppid = 1;
        set_comm(e.comm, "prog");
        builder.blob(FR_BLOB_FILENAME, "prog");
        builder.blob(FR_BLOB_ARGV, argv);
        builder.blob(FR_BLOB_EXE, exe);
        apply();
    }
    void exit(uint32_t pid, uint64_t time, uint32_t flags = FR_EXIT_GROUP_DEAD) {
        auto& x = builder.begin<fr_exit>(FR_CLASS_EXIT);
        x.event.time_ns = time;
        x.event.pid = x.event.tid = pid;
        x.flags = flags;
        x.exit_code = 9;
        apply();
    }
    EventBuilder builder;
    ProcessTable table = value_of(ProcessTable::make({16, 16}));
};

TEST_F(Tables, ForkExecExitAreFollowed) {
    fork(1, 50, 1000);
    const Process* p = table.find(50);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(p->ppid, 1u);
    EXPECT_TRUE(p->parent_known);
    EXPECT_EQ(p->comm(), "sh");
    EXPECT_EQ(p->uid, 7u);
    exec(50, 1000, "prog\0-x\0"s, "prog\0bin\0usr\0"s);
    p = table.find(50);
    EXPECT_EQ(p->argv(), "prog\0-x\0"s);
    EXPECT_EQ(p->exe(), "/usr/bin/prog");
    EXPECT_EQ(p->exec_ns, 1010u);
    exit(50, 5000);
    p = table.find(50);
    ASSERT_NE(p, nullptr);
    EXPECT_TRUE(p->exited);
    EXPECT_EQ(p->exit_ns, 5000u);
    EXPECT_EQ(p->exit_code, 9u);
    EXPECT_EQ(table.alive(), 0u);
}

TEST_F(Tables, ChildRunsItsParentsProgramUntilItExecutes) {
    fork(1, 50, 1000);
    exec(50, 1000, "server\0"s, "server\0"s);
    fork(50, 51, 2000);
    EXPECT_EQ(table.find(51)->argv(), "server\0"s);
    EXPECT_TRUE(table.find(51)->inherited);
    exec(51, 2000, "child\0"s, "child\0"s);
    EXPECT_FALSE(table.find(51)->inherited);
}

TEST_F(Tables, ThreadsAreCountedNotListed) {
    fork(1, 50, 1000);
    fork(50, 51, 1500, true);
    fork(50, 52, 1600, true);
    EXPECT_EQ(table.find(50)->threads, 3u);
    EXPECT_EQ(table.find(51), nullptr);
    exit(50, 1700, 0);
    EXPECT_EQ(table.find(50)->threads, 2u);
}

TEST_F(Tables, ReusedPidIsToldByItsStart) {
    fork(1, 50, 1'000'000'000);
    exit(50, 2'000'000'000);
    fork(1, 50, 3'000'000'000);
    EXPECT_EQ(table.find(50)->start_ns, 3'000'000'000u);
    EXPECT_TRUE(table.find_at(50, 1'000'000'000)->exited);
    EXPECT_FALSE(table.find_at(50, 3'000'000'000)->exited);
    EXPECT_EQ(table.find_at(50, 2'000'000'123), nullptr);
    EXPECT_EQ(table.find_alive(50, 1'500'000'000)->start_ns, 1'000'000'000u);
    EXPECT_EQ(table.find_alive(50, 2'500'000'000), nullptr);
    // An exit that was never seen.
    fork(1, 50, 4'000'000'000);
    EXPECT_TRUE(table.find_at(50, 3'000'000'000)->exited);
    EXPECT_EQ(table.alive(), 1u);
}

TEST_F(Tables, StartTimeInClockTicksIsTheSameProcess) {
    auto& r = builder.begin<fr_process>(FR_CLASS_PROCESS);
    r.event.pid = 60;
    r.start_ns = 1'230'000'000;  // of /proc/PID/stat
    r.flags = FR_PROCESS_BEFORE;
    apply();
    EXPECT_FALSE(table.find(60)->parent_known);
    exec(60, 1'234'567'891, "x\0"s, "x\0"s);
    EXPECT_EQ(table.size(), 1u);
    EXPECT_EQ(table.find(60)->start_ns, 1'234'567'891u);
    EXPECT_TRUE(table.find(60)->before);
    EXPECT_FALSE(same_start(1'234'567'891, 1'234'567'892));
    EXPECT_TRUE(same_start(0, 5));
}

TEST_F(Tables, OldestExitedGoFirstThenNewOnesAreCounted) {
    for (uint32_t i = 0; i < 16; ++i) fork(1, 100 + i, 1000 + i);
    exit(103, 5000);
    exit(101, 6000);
    fork(1, 200, 7000);
    EXPECT_EQ(table.find(103), nullptr);
    EXPECT_NE(table.find(101), nullptr);
    fork(1, 201, 7001);
    EXPECT_EQ(table.find(101), nullptr);
    EXPECT_EQ(table.dropped(), 0u);
    fork(1, 202, 7002);
    EXPECT_EQ(table.find(202), nullptr);
    EXPECT_EQ(table.dropped(), 1u);
    EXPECT_EQ(table.size(), 16u);
}

// The recorder applies one CPU's events after another's: what began on one may have ended on an earlier one.
TEST_F(Tables, AnEndAppliedBeforeItsBeginningStaysTheEnd) {
    exit(50, 2000);
    fork(1, 50, 1000);
    exec(50, 1000, "prog\0"s, "prog\0"s);
    EXPECT_EQ(table.alive(), 0u);
    EXPECT_TRUE(table.find(50)->exited);
    EXPECT_EQ(table.find(50)->argv(), "prog\0"s);
    fork(1, 50, 3000);  // the number again, for another process
    EXPECT_EQ(table.alive(), 1u);
    EXPECT_EQ(table.find(50)->start_ns, 3000u);
}

TEST_F(Tables, AForkAppliedAfterTheExecItLedToChangesNothingOfIt) {
    exec(50, 1000, "prog\0"s, "prog\0"s);
    const std::string comm(table.find(50)->comm());
    fork(7, 50, 1000);
    EXPECT_EQ(table.find(50)->comm(), comm);
    EXPECT_EQ(table.find(50)->argv(), "prog\0"s);
    EXPECT_EQ(table.find(50)->ppid, 7u);
    EXPECT_EQ(table.alive(), 1u);
}

TEST_F(Tables, AnOlderExecAppliedAfterANewerOneChangesNothing) {
    exec(50, 1000, "second\0"s, "second\0"s, 20);
    exec(50, 1000, "first\0"s, "first\0"s, 10);  // from another CPU's ring
    EXPECT_EQ(table.find(50)->argv(), "second\0"s);
    EXPECT_EQ(table.find(50)->exe(), "/second");
    EXPECT_EQ(table.find(50)->exec_ns, 1020u);
}

TEST_F(Tables, OnlySoManyExitedOnesAreKept) {
    table = value_of(ProcessTable::make({16, 2}));
    for (uint32_t pid = 50; pid < 60; ++pid) {
        fork(1, pid, 1000 * pid);
        exit(pid, 1000 * pid + 1);
    }
    EXPECT_EQ(table.size(), 2u);
    EXPECT_EQ(table.find(57), nullptr);
    EXPECT_NE(table.find(58), nullptr);
}

TEST_F(Tables, RecordersTableForgetsTheDead) {
    table = value_of(ProcessTable::make({16, 0}));
    for (uint32_t i = 0; i < 1000; ++i) {
        fork(1, i + 2, 1000 + i);
        exit(i + 2, 2000 + i);
    }
    EXPECT_EQ(table.size(), 0u);
    EXPECT_EQ(table.dropped(), 0u);
}

TEST_F(Tables, KeyframeRestoresTheTable) {
    fork(1, 50, 1000);
    exec(50, 1000, std::string(2000, 'a'), "prog\0bin\0"s);
    fork(50, 51, 2000);
    fork(50, 52, 2500);
    exit(52, 3000);
    auto encoder = value_of(EventBlockEncoder::make(FR_EVENT_MAX + 8));
    int blocks = 0;
    EXPECT_EQ(table.write_keyframe(encoder, 9000, [&] { return ++blocks < 0; }), 2u);
    const auto block = keep(encoder.finish(FR_BLOCK_KEYFRAME));
    BlockDecoder decoder;
    auto copy_table = value_of(ProcessTable::make({16, 16}));
    for (const auto& e : value_of(decoder.decode(block.header, block.payload, fixed_sizes()))) {
        EXPECT_EQ(e.head().time_ns, 9000u);
        copy_table.apply(e);
    }
    EXPECT_EQ(copy_table.alive(), 2u);
    const Process* p = copy_table.find(50);
    ASSERT_NE(p, nullptr);
    EXPECT_EQ(p->argv(), std::string(512, 'a'));
    EXPECT_TRUE(p->argv_cut);
    EXPECT_EQ(p->exe(), "/bin/prog");
    EXPECT_EQ(p->exec_ns, 1010u);
    EXPECT_EQ(copy_table.find(51)->ppid, 50u);
    EXPECT_TRUE(copy_table.find(51)->parent_known);
}

TEST_F(Tables, KeyframeAsksForMoreRoomWhenABlockIsFull) {
    table = value_of(ProcessTable::make({256, 0}));
    for (uint32_t i = 0; i < 200; ++i) fork(1, 100 + i, 1000 + i);
    auto encoder = value_of(EventBlockEncoder::make(FR_EVENT_MAX + 8));
    int blocks = 0;
    EXPECT_EQ(table.write_keyframe(encoder, 1, [&] { return encoder.finish().header.events > 0 && ++blocks > 0; }),
              200u);
    EXPECT_GT(blocks, 0);
}

TEST_F(Tables, CgroupsAreFoundByIdAndHierarchy) {
    auto cgroups = value_of(CgroupTable::make({16, true}));
    const auto tell = [&](uint64_t id, uint32_t op, std::string_view path, uint64_t hierarchy = 0) {
        auto& c = builder.begin<fr_cgroup>(FR_CLASS_CGROUP);
        c.cgroup_id = id;
        c.op = op;
        c.hierarchy = hierarchy;
        if (!path.empty()) builder.blob(FR_BLOB_TEXT, path);
        cgroups.apply({builder.bytes(), 0, sizeof(fr_cgroup)});
    };
    tell(5, FR_CGROUP_MKDIR, "/a");
    tell(5, FR_CGROUP_EXISTS, "/v1", 3);
    ASSERT_NE(cgroups.find(5), nullptr);
    EXPECT_EQ(cgroups.find(5)->path(), "/a");
    EXPECT_EQ(cgroups.find(5, 3)->path(), "/v1");
    tell(5, FR_CGROUP_RENAME, "/b");
    EXPECT_EQ(cgroups.find(5)->path(), "/b");
    tell(5, FR_CGROUP_RMDIR, "");
    EXPECT_TRUE(cgroups.find(5)->removed);
    for (uint64_t i = 0; i < 15; ++i) tell(100 + i, FR_CGROUP_MKDIR, "/x");
    EXPECT_EQ(cgroups.find(5), nullptr) << "the removed one makes room";
    EXPECT_EQ(cgroups.dropped(), 0u);
    tell(999, FR_CGROUP_MKDIR, "/y");
    EXPECT_EQ(cgroups.dropped(), 1u);
    auto encoder = value_of(EventBlockEncoder::make(1 << 16));
    EXPECT_EQ(cgroups.write_keyframe(encoder, 1, [] { return false; }), 16u);
    tell(7, FR_CGROUP_MKDIR, std::string(3000, 'p'));
}

TEST_F(Tables, ARemovalAppliedBeforeTheMakingRemoves) {
    auto cgroups = value_of(CgroupTable::make({16, false}));
    const auto tell = [&](uint64_t id, uint32_t op, uint64_t hierarchy) {
        auto& c = builder.begin<fr_cgroup>(FR_CLASS_CGROUP);
        c.cgroup_id = id;
        c.op = op;
        c.hierarchy = hierarchy;
        builder.blob(FR_BLOB_TEXT, "/a");
        cgroups.apply({builder.bytes(), 0, sizeof(fr_cgroup)});
    };
    tell(5, FR_CGROUP_RMDIR, 0);
    tell(5, FR_CGROUP_MKDIR, 0);
    EXPECT_EQ(cgroups.size(), 0u);
    tell(5, FR_CGROUP_MKDIR, 3);  // another hierarchy gives its own numbers
    EXPECT_EQ(cgroups.size(), 1u);
}

}  // namespace
}  // namespace flightrec::flight::test
