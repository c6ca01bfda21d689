// SPDX-License-Identifier: Apache-2.0
// Growth of samples, and the kernel's OOM lines: the pure parts of the OOM verdict.
#include "userspace/replay/growth.h"

#include <gtest/gtest.h>

#include <vector>

#include "userspace/replay/digest.h"
#include "userspace/replay/kernel_oom_report.h"

namespace flightrec::replay {
namespace {

constexpr uint64_t s = 1'000'000'000;

std::vector<Point> series(std::initializer_list<uint64_t> values) {
    std::vector<Point> out;
    for (const auto value : values) out.push_back({(out.size() + 1) * s, value});
    return out;
}

TEST(Growth, ComparesTheSamplesAroundTheSpan) {
    const auto points = series({10, 20, 30, 40, 50});
    const auto growth = growth_of(points, 5 * s, 2 * s);
    ASSERT_TRUE(growth);
    EXPECT_EQ(growth->before, 30u);
    EXPECT_EQ(growth->after, 50u);
    EXPECT_TRUE(growth->whole_span);
    EXPECT_FALSE(growth_of(points, 5 * s, 60 * s)->whole_span) << "the first sample is younger than the span";
    EXPECT_EQ(growth_of(points, 3 * s + 1, 60 * s)->after, 30u) << "what came after the moment does not count";
}

TEST(Growth, TwoSamplesAtLeast) {
    EXPECT_FALSE(growth_of(series({10}), 5 * s, s).has_value());
    EXPECT_FALSE(growth_of({}, 5 * s, s).has_value());
    EXPECT_FALSE(growth_of(series({10, 20}), s / 2, s).has_value());
}

TEST(Growth, SteadyOrSudden) {
    const auto shape = [](const std::vector<Point>& points) { return growth_of(points, 100 * s, 100 * s)->shape; };
    EXPECT_EQ(shape(series({10, 20, 30, 40, 50})), Shape::steady);
    EXPECT_EQ(shape(series({10, 11, 11, 60, 61})), Shape::sudden);
    EXPECT_EQ(shape(series({10, 10, 10, 10})), Shape::none);
    EXPECT_EQ(shape(series({10, 90})), Shape::unknown);
    EXPECT_EQ(shape(series({10, 14, 14, 18, 19, 20})), Shape::stepwise);
}

// Lines of real reports: Linux 6.1 (Debian 12) and 6.18.
TEST(KernelOomReport, KilledLine) {
    const auto line = parse_killed_line(
        "Out of memory: Killed process 217 (hog) total-vm:204812kB, anon-rss:180224kB, file-rss:896kB, shmem-rss:4kB, "
        "UID:33 pgtables:404kB oom_score_adj:-17");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->pid, 217u);
    EXPECT_EQ(line->comm, "hog");
    EXPECT_FALSE(line->cgroup);
    EXPECT_EQ(line->total_vm, 204812u * 1024);
    EXPECT_EQ(line->anon, 180224u * 1024);
    EXPECT_EQ(line->file, 896u * 1024);
    EXPECT_EQ(line->shmem, 4u * 1024);
    EXPECT_EQ(line->page_tables, 404u * 1024);
    EXPECT_EQ(line->uid, 33u);
    EXPECT_EQ(line->oom_score_adj, -17);
    EXPECT_TRUE(
        parse_killed_line("Memory cgroup out of memory: Killed process 1 (a) total-vm:1kB, anon-rss:0kB")->cgroup);
}

TEST(KernelOomReport, ACommMayHoldAnything) {
    const auto line = parse_killed_line(
        "Out of memory: Killed process 5 (a) total-vm:9kB) total-vm:1kB, anon-rss:2kB, "
        "file-rss:3kB, shmem-rss:4kB");
    ASSERT_TRUE(line);
    EXPECT_EQ(line->comm, "a) total-vm:9kB");
    EXPECT_EQ(line->total_vm, 1024u);
    EXPECT_FALSE(parse_killed_line("Killed process").has_value());
    EXPECT_FALSE(parse_killed_line("Killed process x (a) total-vm:1kB").has_value());
    EXPECT_FALSE(parse_killed_line("Killed process 5 a total-vm:1kB").has_value());
}

TEST(KernelOomReport, TheOtherLines) {
    const auto invoked = parse_invoked_line(
        "stress ng invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=2, "
        "oom_score_adj=0");
    ASSERT_TRUE(invoked);
    EXPECT_EQ(invoked->comm, "stress ng");
    EXPECT_EQ(invoked->gfp_mask, 0x140dcau);
    EXPECT_EQ(invoked->order, 2);
    const auto constraint = parse_constraint_line(
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/user.slice,"
        "task=hog,pid=217,uid=0");
    ASSERT_TRUE(constraint);
    EXPECT_EQ(constraint->constraint, "CONSTRAINT_NONE");
    EXPECT_EQ(constraint->oom_cgroup, "");
    EXPECT_EQ(constraint->task_cgroup, "/user.slice");
    EXPECT_EQ(constraint->pid, 217u);
    const auto usage = parse_usage_line("memory: usage 65536kB, limit 65536kB, failcnt 23");
    ASSERT_TRUE(usage);
    EXPECT_EQ(usage->limit, 65536u * 1024);
    EXPECT_EQ(usage->failures, 23u);
}

TEST(Container, IsNamedWhereThePathNamesIt) {
    const std::string id(64, 'f');
    EXPECT_EQ(container_of("/system.slice/docker-" + id + ".scope"), "container docker ffffffffffff");
    EXPECT_EQ(container_of("/docker/" + id), "container docker ffffffffffff");
    EXPECT_EQ(container_of("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope"),
              "container containerd ffffffffffff");
    EXPECT_EQ(container_of("/system.slice/shop.service"), "unit shop.service");
    EXPECT_EQ(container_of("/user.slice"), "");
    EXPECT_EQ(container_of(""), "");
}

}  // namespace
}  // namespace flightrec::replay
