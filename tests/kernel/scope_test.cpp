// SPDX-License-Identifier: Apache-2.0
// The test scope itself: commands run inside it, limits hold, nothing is left behind.
#include "tests/kernel/scope.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace flightrec::test {
namespace {

bool is_directory(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

TEST(Scope, CommandRunsInsideIt) {
    auto scope = Scope::make({.name = "inside"});
    ASSERT_TRUE(scope) << scope.error().message;
    const auto done = scope->run({"cat", "/proc/self/cgroup"});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->status, 0);
    EXPECT_NE(done->out.find("0::" + scope->relative_path() + "\n"), std::string::npos) << done->out;
    struct stat status {};
    ASSERT_EQ(::stat(scope->path().c_str(), &status), 0);
    EXPECT_EQ(scope->id(), status.st_ino);
}

TEST(Scope, OutputErrorStatusAndUsageComeBack) {
    auto scope = Scope::make();
    ASSERT_TRUE(scope) << scope.error().message;
    const auto done = scope->run({"sh", "-c", "echo $WORD; echo wrong >&2; exit 7"}, {"WORD=right"});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->out, "right\n");
    EXPECT_EQ(done->err, "wrong\n");
    ASSERT_TRUE(WIFEXITED(done->status));
    EXPECT_EQ(WEXITSTATUS(done->status), 7);
    EXPECT_GT(done->usage.ru_maxrss, 0);
}

TEST(Scope, MemoryLimitKills) {
    auto scope = Scope::make({.name = "memory", .memory_bytes = 16U << 20});
    ASSERT_TRUE(scope) << scope.error().message;
    const auto done = scope->run({FLIGHTREC_WORKLOADS "/oom_hog", "--step", "4", "--sleep", "0", "--limit", "256"});
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_TRUE(WIFSIGNALED(done->status)) << done->err;
    EXPECT_EQ(WTERMSIG(done->status), SIGKILL);
}

TEST(Scope, PidsLimitRefusesFork) {
    auto scope = Scope::make({.name = "pids", .pids = 8});
    ASSERT_TRUE(scope) << scope.error().message;
    const auto done = scope->run({FLIGHTREC_WORKLOADS "/fork_bomb", "--max", "50", "--hold", "0"});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->out, "children 7 errno 11 (Resource temporarily unavailable)\n");
}

TEST(Scope, ChildHasItsOwnLimit) {
    auto scope = Scope::make({.name = "outer"});
    ASSERT_TRUE(scope) << scope.error().message;
    auto child = scope->child({.name = "inner", .pids = 5});
    ASSERT_TRUE(child) << child.error().message;
    EXPECT_EQ(child->relative_path().rfind(scope->relative_path() + "/", 0), 0U);
    const auto done = child->run({FLIGHTREC_WORKLOADS "/fork_bomb", "--max", "50", "--hold", "0"});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(done->out.rfind("children 4 errno 11", 0), 0U) << done->out;
}

TEST(Scope, EndsWhatStillRunsAndLeavesNothingBehind) {
    std::string v2, memory, pids;
    Started sleeper;
    {
        auto scope = Scope::make({.name = "gone"});
        ASSERT_TRUE(scope) << scope.error().message;
        v2 = scope->path();
        memory = scope->memory_path();
        pids = scope->pids_path();
        auto started = scope->start({"sleep", "1000"});
        ASSERT_TRUE(started) << started.error().message;
        sleeper = std::move(*started);
        EXPECT_TRUE(is_directory(v2));
        // Until the exec has put it there, it is not the scope's to end.
        for (int i = 0; i < 400 && Scope::read(v2, "cgroup.procs").value_or("").empty(); ++i) ::usleep(5000);
    }
    const auto done = Scope::wait(std::move(sleeper));
    ASSERT_TRUE(done) << done.error().message;
    ASSERT_TRUE(WIFSIGNALED(done->status));
    EXPECT_EQ(WTERMSIG(done->status), SIGKILL);
    EXPECT_FALSE(is_directory(v2));
    EXPECT_FALSE(is_directory(memory));
    EXPECT_FALSE(is_directory(pids));
}

TEST(Scope, UnknownCommandIsStatus127) {
    auto scope = Scope::make();
    ASSERT_TRUE(scope) << scope.error().message;
    const auto done = scope->run({"no-such-command-anywhere"});
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(WEXITSTATUS(done->status), 127);
}

}  // namespace
}  // namespace flightrec::test
