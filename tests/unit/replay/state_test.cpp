// SPDX-License-Identifier: Apache-2.0
// The state: who is whose child, what a descriptor stands for, through pid reuse, exec and exit.
#include "userspace/replay/state.h"

#include "tests/unit/replay/story.h"

namespace flightrec::replay::test {
namespace {

class StateTest : public ::testing::Test {
  protected:
    void apply(const Record& event) {
        state.begin(event.ref());
        state.end(event.ref());
    }
    void fork(uint32_t parent, uint32_t child, uint64_t start_ns) {
        apply(record<fr_fork>(FR_CLASS_FORK, start_ns, parent, parent, [&](fr_fork& e) {
            e.child_pid = e.child_tid = child;
            e.parent_pid = parent;
            e.start_ns = start_ns;
        }));
    }
    void exit(uint32_t pid, uint64_t at) {
        apply(record<fr_exit>(FR_CLASS_EXIT, at, pid, pid, [](fr_exit& e) { e.flags = FR_EXIT_GROUP_DEAD; }));
    }
    void open(uint32_t pid, int fd, const std::string& path, uint64_t flags = 0, uint64_t dirfd = 0xffffff9c) {
        apply(
            call(1 * s, pid, pid, "openat", fd, {.args = {dirfd, 0x1000, flags}, .blobs = {{FR_BLOB_ARG0 + 1, path}}}));
    }
    ReplayState state{schemas::Arch::x86_64};
};

TEST_F(StateTest, UnknownParentDiffersFromNoParent) {
    apply(process(1, 0, "init", "", 1));
    apply(process(50, 0, "lost", "", 2, 0));
    EXPECT_EQ(state.find(1)->parent_kind, Parent::none);
    EXPECT_EQ(state.find(50)->parent_kind, Parent::unknown);
    EXPECT_EQ(state.find(51), nullptr);
}

TEST_F(StateTest, ReusedPidIsAnotherProcess) {
    fork(1, 100, 10 * s);
    fork(100, 101, 11 * s);
    exit(100, 12 * s);
    fork(1, 100, 20 * s);
    ASSERT_NE(state.find(100, 10 * s), nullptr);
    EXPECT_NE(state.find(100, 10 * s), state.find(100, 20 * s));
    EXPECT_EQ(&state.process(state.find(101)->parent), state.find(100, 10 * s));
    EXPECT_TRUE(state.find(100, 10 * s)->ended);
    EXPECT_FALSE(state.find(100)->ended);
}

TEST_F(StateTest, ParentStaysWhoForkedAfterReparenting) {
    fork(1, 100, 10 * s);
    fork(100, 101, 11 * s);
    exit(100, 12 * s);
    apply(process(101, 1, "orphan", "", 11 * s));
    EXPECT_EQ(state.process(state.find(101)->parent).pid, 100u);
    EXPECT_EQ(state.find(101)->ppid, 1u);
}

TEST_F(StateTest, StartTimesOfProcAndKernelAreOneProcess) {
    apply(process(100, 1, "x", "x\0"s, 10 * s));  // clock ticks of /proc
    apply(record<fr_exec>(FR_CLASS_EXEC, 11 * s, 100, 100, [](fr_exec& e) { e.start_ns = 10 * s + 3 * ms; }));
    const auto& all = state.processes();
    EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const Process& p) { return p.pid == 100; }), 1);
}

TEST_F(StateTest, ExecOfAThreadTakesTheLeadersPlace) {
    fork(1, 100, 10 * s);
    apply(record<fr_exec>(FR_CLASS_EXEC, 11 * s, 100, 100, [](fr_exec& e) {
        e.start_ns = 10 * s;
        e.old_tid = 105;
        set_comm(e.comm, "new");
    }));
    EXPECT_EQ(state.comm_of(100, 100), "new");
    EXPECT_EQ(state.comm_of(105, 100), "new");
}

TEST_F(StateTest, DescriptorsFollowOpenDupAndClose) {
    open(100, 3, "/etc/passwd");
    EXPECT_EQ(state.fd_name(100, 3), "/etc/passwd");
    apply(call(1 * s, 100, 100, "dup2", 9, {.args = {3, 9}}));
    apply(call(1 * s, 100, 100, "close", 0, {.args = {3}}));
    EXPECT_EQ(state.fd_name(100, 3), "");
    EXPECT_EQ(state.fd_name(100, 9), "/etc/passwd");
    EXPECT_EQ(state.fd_name(100, -1), "");
    EXPECT_EQ(state.fd_name(100, 1 << 30), "");
}

TEST_F(StateTest, FailedOpenNamesNothing) {
    open(100, -2, "/etc/nothing");
    EXPECT_EQ(state.fd_name(100, 0), "");
}

TEST_F(StateTest, RelativePathsNeedTheDirectory) {
    open(100, 3, "x");
    EXPECT_EQ(state.fd_name(100, 3), "x");
    apply(call(1 * s, 100, 100, "chdir", 0, {.args = {0x1000}, .blobs = {{FR_BLOB_ARG0, "/srv"}}}));
    open(100, 4, "./x");
    EXPECT_EQ(state.fd_name(100, 4), "/srv/x");
    open(100, 5, "/data");
    open(100, 6, "y", 0, 5);
    EXPECT_EQ(state.fd_name(100, 6), "/data/y");
}

TEST_F(StateTest, ForkCopiesDescriptorsAndExecDropsCloseOnExec) {
    fork(1, 100, 10 * s);
    open(100, 3, "/keep");
    open(100, 4, "/drop", 02000000);
    fork(100, 101, 11 * s);
    EXPECT_EQ(state.fd_name(101, 4), "/drop");
    apply(record<fr_exec>(FR_CLASS_EXEC, 12 * s, 101, 101, [](fr_exec& e) { e.start_ns = 11 * s; }));
    EXPECT_EQ(state.fd_name(101, 3), "/keep");
    EXPECT_EQ(state.fd_name(101, 4), "");
    EXPECT_EQ(state.fd_name(100, 4), "/drop");
}

TEST_F(StateTest, SocketsAndPipesAreNamedByWhatMadeThem) {
    apply(call(1 * s, 100, 100, "socket", 3, {.args = {2, 1, 0}}));
    EXPECT_EQ(state.fd_name(100, 3), "TCP");
    const std::string address("\2\0\0\120\177\0\0\1\0\0\0\0\0\0\0\0", 16);
    apply(call(1 * s, 100, 100, "connect", 0, {.args = {3, 0, 16}, .blobs = {{FR_BLOB_SOCKADDR0 + 1, address}}}));
    EXPECT_EQ(state.fd_name(100, 3), "TCP->127.0.0.1:80");
    apply(call(1 * s, 100, 100, "pipe2", 0, {.args = {0, 0}, .blobs = {{FR_BLOB_DATA0, "\5\0\0\0\6\0\0\0"s}}}));
    EXPECT_EQ(state.fd_name(100, 6), "pipe");
}

TEST_F(StateTest, ShortRecordsAreNotReadPastTheirEnd) {
    auto event = call(1 * s, 100, 100, "openat", 3);
    auto ref = event.ref();
    ref.fixed_size = sizeof(fr_event);
    ref.bytes = ref.bytes.first(sizeof(fr_event));
    state.begin(ref);
    state.end(ref);
    EXPECT_EQ(state.processes().size(), 0u);
}

}  // namespace
}  // namespace flightrec::replay::test
