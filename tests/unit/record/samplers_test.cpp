// SPDX-License-Identifier: Apache-2.0
// Samples of the machine, of processes and of cgroups, from trees that hold known numbers and from this machine.
#include "userspace/record/samplers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/record/fake_tree.h"
#include "userspace/base/clock.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

std::string slurp(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
}

void write_machine(const FakeTree& tree) {
    tree.write("proc/meminfo",
               "MemTotal:       1000 kB\nMemFree:  400 kB\nMemAvailable:  500 kB\nBuffers: 10 kB\nCached: 20 kB\n"
               "SwapCached: 99 kB\nMlocked: 3 kB\nSwapTotal: 70 kB\nSwapFree: 60 kB\nDirty: 5 kB\nWriteback: 6 kB\n"
               "AnonPages: 200 kB\nMapped: 30 kB\nShmem: 40 kB\nSlab: 50 kB\nSReclaimable: 20 kB\nSUnreclaim: 31 kB\n"
               "KernelStack: 7 kB\nPageTables: 8 kB\nCommitLimit: 900 kB\nCommitted_AS: 800 kB\n");
    tree.write("proc/pressure/cpu", "some avg10=1.50 avg60=0.00 avg300=0.00 total=111\n");
    tree.write("proc/pressure/memory",
               "some avg10=12.34 avg60=0.00 avg300=0.00 total=222\nfull avg10=0.05 avg60=0.00 avg300=0.00 total=333\n");
    tree.write("proc/loadavg", "1.25 0.18 0.12 3/456 11206\n");
    tree.write("proc/stat",
               "cpu  100 10 50 1000 20 3 2 5 0 0\ncpu0 1 1 1 1\nintr 5 6 7\nctxt 9\nbtime 8\nprocesses 777\n"
               "procs_running 4\nprocs_blocked 2\nsoftirq 1\n");
    tree.write(
        "proc/vmstat",
        "nr_free_pages 1\npswpin 3\npswpout 4\npgfault 55\npgmajfault 6\nallocstall_dma32 1\nallocstall_normal 2\n"
        "allocstall_movable 7\noom_kill 9\n");
    tree.write("proc/sys/fs/file-nr", "1504\t0\t9223372036854775807\n");
    tree.write("proc/sys/kernel/pid_max", "4194304\n");
    tree.write("proc/sys/kernel/threads-max", "1000\n");
}

TEST(SystemSampler, TakesEveryNumber) {
    const FakeTree tree;
    write_machine(tree);
    for (const char* pid : {"1", "20", "300"}) tree.write(fmt::format("proc/{}/stat", pid), "");
    auto sampler = SystemSampler::make(tree.paths());
    ASSERT_TRUE(sampler);
    tree.write("proc/4000/stat", "");
    Collector got;
    sampler->sample(got.emit());
    const auto s = got.as<fr_system_sample>(0);
    EXPECT_EQ(s.mem_total, 1000u * 1024);
    EXPECT_EQ(s.mem_free, 400u * 1024);
    EXPECT_EQ(s.mem_available, 500u * 1024);
    EXPECT_EQ(s.buffers, 10u * 1024);
    EXPECT_EQ(s.cached, 20u * 1024);
    EXPECT_EQ(s.anon, 200u * 1024);
    EXPECT_EQ(s.shmem, 40u * 1024);
    EXPECT_EQ(s.slab, 50u * 1024);
    EXPECT_EQ(s.slab_unreclaimable, 31u * 1024);
    EXPECT_EQ(s.page_tables, 8u * 1024);
    EXPECT_EQ(s.kernel_stack, 7u * 1024);
    EXPECT_EQ(s.mlocked, 3u * 1024);
    EXPECT_EQ(s.dirty, 5u * 1024);
    EXPECT_EQ(s.writeback, 6u * 1024);
    EXPECT_EQ(s.swap_total, 70u * 1024);
    EXPECT_EQ(s.swap_free, 60u * 1024);
    EXPECT_EQ(s.commit_limit, 900u * 1024);
    EXPECT_EQ(s.committed, 800u * 1024);
    EXPECT_EQ(s.mapped, 30u * 1024);
    EXPECT_EQ(s.psi_cpu_some_us, 111u);
    EXPECT_EQ(s.psi_cpu_some_avg10, 150u);
    EXPECT_EQ(s.psi_memory_some_us, 222u);
    EXPECT_EQ(s.psi_memory_some_avg10, 1234u);
    EXPECT_EQ(s.psi_memory_full_us, 333u);
    EXPECT_EQ(s.psi_memory_full_avg10, 5u);
    EXPECT_EQ(s.psi_io_some_us, FR_UNKNOWN) << "there is no pressure/io";
    EXPECT_EQ(s.psi_io_full_avg10, UINT32_MAX);
    EXPECT_EQ(s.load1, 125u);
    EXPECT_EQ(s.threads, 456u);
    EXPECT_EQ(s.processes, 4u);
    EXPECT_EQ(s.running, 4u);
    EXPECT_EQ(s.blocked, 2u);
    EXPECT_EQ(s.forks, 777u);
    EXPECT_EQ(s.threads_max, 1000u);
    EXPECT_EQ(s.pid_max, 4194304u);
    EXPECT_EQ(s.files_open, 1504u);
    EXPECT_EQ(s.files_max, 9223372036854775807u);
    EXPECT_EQ(s.pgfault, 55u);
    EXPECT_EQ(s.pgmajfault, 6u);
    EXPECT_EQ(s.oom_kills, 9u);
    EXPECT_EQ(s.alloc_stall, 10u);
    EXPECT_EQ(s.swap_in, 3u);
    EXPECT_EQ(s.swap_out, 4u);
    EXPECT_EQ(s.cpu_user_ms, 1100u);
    EXPECT_EQ(s.cpu_system_ms, 550u);
    EXPECT_EQ(s.cpu_idle_ms, 10000u);
    EXPECT_EQ(s.cpu_iowait_ms, 200u);
    EXPECT_EQ(s.cpu_steal_ms, 50u);
    EXPECT_GT(s.disk_total, 0u);
    EXPECT_TRUE(sampler->stalled());
}

TEST(SystemSampler, WithoutFilesEverythingIsUnknown) {
    const FakeTree tree;
    tree.write("proc/empty", "");
    auto sampler = SystemSampler::make(tree.paths());
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    const auto s = got.as<fr_system_sample>(0);
    EXPECT_EQ(s.mem_total, FR_UNKNOWN);
    EXPECT_EQ(s.forks, FR_UNKNOWN);
    EXPECT_EQ(s.pgfault, FR_UNKNOWN);
    EXPECT_EQ(s.load1, UINT32_MAX);
    EXPECT_FALSE(sampler->stalled());
    EXPECT_FALSE(SystemSampler::make({.proc = tree.path("none")}));
}

TEST(SystemSampler, ThisMachineAgreesWithProc) {
    auto sampler = SystemSampler::make({});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    const auto s = got.as<fr_system_sample>(0);
    EXPECT_EQ(s.mem_total, value_of(slurp("/proc/meminfo"), "MemTotal:").value_or(0) * 1024);
    EXPECT_EQ(std::to_string(s.pid_max) + "\n", slurp("/proc/sys/kernel/pid_max"));
    EXPECT_GT(s.forks, 0u);
    EXPECT_GT(s.cpu_user_ms, 0u);
    uint64_t processes = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
        processes += std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])) != 0;
    EXPECT_NEAR(static_cast<double>(s.processes), static_cast<double>(processes), 20);
}

TEST(SystemSampler, ACountOfProcessesFollowsForks) {
    auto sampler = SystemSampler::make({});
    ASSERT_TRUE(sampler);
    // Others come and go; of a few tries one is undisturbed.
    for (int attempt = 0; attempt < 20; ++attempt) {
        Collector got;
        sampler->sample(got.emit());
        std::array<pid_t, 8> children{};
        for (auto& child : children)
            if ((child = ::fork()) == 0) {
                ::pause();
                ::_exit(0);
            }
        sampler->sample(got.emit());
        for (const auto child : children) {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
        }
        if (got.as<fr_system_sample>(1).processes == got.as<fr_system_sample>(0).processes + 8) return;
    }
    FAIL() << "eight new processes never raised the count by eight";
}

TEST(SystemSampler, DoesNotAllocate) {
    auto sampler = SystemSampler::make({});
    ASSERT_TRUE(sampler);
    uint64_t events = 0;
    const Emit count = [&events](std::span<const std::byte>) { ++events; };
    const uint64_t before = allocations();
    for (int i = 0; i < 10; ++i) sampler->sample(count);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(events, 10u);
}

// ---- processes -------------------------------------------------------------------------------------------------

Result<ProcessSampler> sampler_of(const FakeTree& tree, const ProcessSamplerConfig& config,
                                  std::vector<std::string> scope = {}) {
    FR_ASSIGN(const auto layout, find_cgroups(tree.paths()));
    FR_ASSIGN(const auto checked, Scope::make(std::move(scope)));
    return ProcessSampler::make(tree.paths(), layout, checked, config);
}

std::vector<uint32_t> pids_of(const Collector& got) {
    std::vector<uint32_t> pids;
    for (size_t i = 0; i < got.size(); ++i) pids.push_back(got.as<fr_process_sample>(i).event.pid);
    return pids;
}

constexpr uint64_t kPlenty = 60'000'000'000;

TEST(ProcessSampler, LargestFirstThenThoseThatGrow) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (uint32_t pid = 1; pid <= 20; ++pid) tree.add_process({.pid = pid, .rss_pages = pid * 100});
    auto sampler = sampler_of(tree, {.top = 3, .budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{20, 19, 18}));
    tree.add_process({.pid = 2, .rss_pages = 700});
    tree.add_process({.pid = 19, .rss_pages = 1910});
    tree.add_process({.pid = 4, .rss_pages = 300});
    got.clear();
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{20, 19, 18, 2}));
    const auto page = static_cast<int64_t>(::sysconf(_SC_PAGESIZE));
    EXPECT_EQ(got.as<fr_process_sample>(3).growth, 500 * page);
    EXPECT_EQ(got.as<fr_process_sample>(1).growth, 10 * page);
    EXPECT_EQ(got.as<fr_process_sample>(0).growth, 0);
}

TEST(ProcessSampler, FactsOfAProcess) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_process({.pid = 7,
                      .comm = "hog",
                      .threads = 2,
                      .start = 300,
                      .rss_pages = 50,
                      .status_more =
                          "VmRSS:\t 200 kB\nRssAnon:\t 100 kB\nRssFile:\t 60 kB\nRssShmem:\t 40 kB\nVmPTE:\t 12 "
                          "kB\nVmSwap:\t 8 kB\n"});
    auto sampler = sampler_of(tree, {.top = 3, .budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    ASSERT_EQ(got.size(), 1u);
    const auto s = got.as<fr_process_sample>(0);
    EXPECT_EQ(s.start_ns, 3'000'000'000u);
    EXPECT_EQ(s.rss, 200u * 1024);
    EXPECT_EQ(s.anon, 100u * 1024);
    EXPECT_EQ(s.file, 60u * 1024);
    EXPECT_EQ(s.shmem, 40u * 1024);
    EXPECT_EQ(s.page_tables, 12u * 1024);
    EXPECT_EQ(s.swap, 8u * 1024);
    EXPECT_EQ(s.total_vm, 8192000u);
    EXPECT_EQ(s.utime_ms, 2500u);
    EXPECT_EQ(s.stime_ms, 1500u);
    EXPECT_EQ(s.min_faults, 11u);
    EXPECT_EQ(s.maj_faults, 13u);
    EXPECT_EQ(s.threads, 2u);
    EXPECT_EQ(s.oom_score_adj, -500);
    EXPECT_EQ(s.state, 'S');
    EXPECT_STREQ(s.comm, "hog");
    EXPECT_EQ(got.blob(0, FR_BLOB_TEXT), std::nullopt);
}

TEST(ProcessSampler, BlockedTasksAreAllTold) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (uint32_t pid = 1; pid <= 5; ++pid) tree.add_process({.pid = pid, .rss_pages = 1000});
    for (uint32_t pid = 10; pid < 14; ++pid) tree.add_process({.pid = pid, .state = 'D', .rss_pages = 1});
    tree.add_process({.pid = 30, .threads = 2, .rss_pages = 1});
    tree.write("proc/30/task/30/stat", slurp(tree.path("proc/30/stat")));
    tree.write("proc/30/task/31/stat", "31 (worker) D 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 2 0 100 0 1 1\n");
    tree.write("proc/30/task/31/wchan", "rwsem_down_write_slowpath");
    auto sampler = sampler_of(tree, {.top = 2, .budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    auto pids = pids_of(got);
    for (uint32_t pid = 10; pid < 14; ++pid) EXPECT_EQ(std::count(pids.begin(), pids.end(), pid), 1) << pid;
    EXPECT_EQ(std::count(pids.begin(), pids.end(), 30u), 0);
    for (size_t i = 0; i < got.size(); ++i)
        if (got.as<fr_process_sample>(i).event.pid >= 10) {
            EXPECT_EQ(got.as<fr_process_sample>(i).state, 'D');
            EXPECT_EQ(got.blob(i, FR_BLOB_TEXT), "io_schedule");
        }
    got.clear();
    sampler->sample(got.emit(), true);
    bool thread = false;
    for (size_t i = 0; i < got.size(); ++i)
        if (got.as<fr_process_sample>(i).event.tid == 31) {
            thread = true;
            EXPECT_EQ(got.as<fr_process_sample>(i).event.pid, 30u);
            EXPECT_EQ(got.blob(i, FR_BLOB_TEXT), "rwsem_down_write_slowpath");
        }
    EXPECT_TRUE(thread);
}

TEST(ProcessSampler, TheTaskListTellsEveryProcessWhateverTheBudget) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (uint32_t pid = 1; pid <= 200; ++pid) tree.add_process({.pid = pid, .rss_pages = pid});
    tree.write("proc/30/task/31/stat", "31 (worker) D 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 2 0 100 0 1 1\n");
    auto sampler = sampler_of(tree, {.top = 2, .budget_ns = 1});
    ASSERT_TRUE(sampler);
    uint64_t grown = 0;
    bool works = true;
    sampler->use([&](FunctionRef<void(const fr_task_look&)> look) {
        for (uint32_t pid = 1; pid <= 200; ++pid)
            look({.tid = pid,
                  .pid = pid,
                  .start_ns = 5,
                  .rss_pages = pid + (pid == 7 ? grown : 0),
                  .blocked = 0,
                  .pad = 0});
        look({.tid = 31, .pid = 30, .start_ns = 6, .rss_pages = 0, .blocked = 1, .pad = 0});
        return works;
    });
    Collector got;
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{200, 199, 30}));
    EXPECT_EQ(got.as<fr_process_sample>(2).event.tid, 31u);
    EXPECT_EQ(sampler->stats().processes, 200u);
    grown = 50;
    got.clear();
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{200, 199, 7, 30}));
    EXPECT_EQ(got.as<fr_process_sample>(2).growth, 50 * ::sysconf(_SC_PAGESIZE));
    // Refused for a while: /proc is read, within the budget; then the list again.
    works = false;
    sampler->sample(got.emit());
    EXPECT_EQ(sampler->stats().passes, 2u);
    for (int i = 0; i < 20; ++i) sampler->sample(got.emit());
    EXPECT_GE(sampler->stats().passes, 3u);
    works = true;
    grown = 90;
    got.clear();
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{200, 199, 7, 30}));
}

TEST(ProcessSampler, ABudgetSpreadsAPassOverSamplesAndSeesEveryProcess) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (uint32_t pid = 1; pid <= 200; ++pid) tree.add_process({.pid = pid, .rss_pages = pid});
    auto sampler = sampler_of(tree, {.top = 1, .budget_ns = 1});
    ASSERT_TRUE(sampler);
    Collector got;
    int samples = 0;
    while (sampler->stats().passes == 0 && samples < 100) {
        sampler->sample(got.emit());
        ++samples;
    }
    EXPECT_EQ(sampler->stats().processes, 200u);
    EXPECT_GE(samples, 200 / 16);
    EXPECT_LT(samples, 20);
    EXPECT_EQ(pids_of(got).back(), 200u);
}

TEST(ProcessSampler, AReusedPidHasNoGrowth) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_process({.pid = 5, .start = 100, .rss_pages = 10});
    auto sampler = sampler_of(tree, {.budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    tree.add_process({.pid = 5, .start = 200, .rss_pages = 1000});
    sampler->sample(got.emit());
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(got.as<fr_process_sample>(1).growth, 0);
}

TEST(ProcessSampler, AProcessThatEndedIsForgotten) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_process({.pid = 5, .rss_pages = 10});
    tree.add_process({.pid = 6, .rss_pages = 20});
    auto sampler = sampler_of(tree, {.budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    tree.remove("proc/6");
    got.clear();
    sampler->sample(got.emit());
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{5}));
}

TEST(ProcessSampler, InAScopeNothingOutsideIsRead) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/in", "5\n6\n");
    tree.add_cgroup("/out", "7\n");
    tree.add_process({.pid = 5, .rss_pages = 1, .cgroup = "/in"});
    tree.add_process({.pid = 6, .rss_pages = 1, .cgroup = "/out"});  // has just moved out
    tree.add_process({.pid = 7, .state = 'D', .rss_pages = 1000, .cgroup = "/out"});
    auto sampler = sampler_of(tree, {.budget_ns = kPlenty}, {"/in"});
    ASSERT_TRUE(sampler);
    Collector got;
    for (int i = 0; i < 3; ++i) sampler->sample(got.emit(), true);
    EXPECT_EQ(pids_of(got), (std::vector<uint32_t>{5, 5, 5}));
}

TEST(ProcessSampler, AScopeLargerThanTheBudgetIsSeenInTurns) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    std::string procs;
    for (uint32_t pid = 1; pid <= 100; ++pid) {
        tree.add_process({.pid = pid, .rss_pages = pid, .cgroup = "/in"});
        procs += fmt::format("{}\n", pid);
    }
    tree.add_cgroup("/in", procs);
    auto sampler = sampler_of(tree, {.top = 1, .budget_ns = 1}, {"/in"});
    ASSERT_TRUE(sampler);
    Collector got;
    for (int i = 0; i < 50 && sampler->stats().passes == 0; ++i) sampler->sample(got.emit());
    EXPECT_EQ(sampler->stats().processes, 100u);
    EXPECT_EQ(pids_of(got).back(), 100u);
}

TEST(ProcessSampler, DoesNotAllocate) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (uint32_t pid = 1; pid <= 100; ++pid)
        tree.add_process({.pid = pid, .state = pid % 9 == 0 ? 'D' : 'S', .rss_pages = pid});
    auto sampler = sampler_of(tree, {.budget_ns = kPlenty});
    ASSERT_TRUE(sampler);
    uint64_t events = 0;
    const Emit count = [&events](std::span<const std::byte>) { ++events; };
    const uint64_t before = allocations();
    for (int i = 0; i < 3; ++i) sampler->sample(count, true);
    EXPECT_EQ(allocations(), before);
    EXPECT_GT(events, 30u);
}

// ---- control groups --------------------------------------------------------------------------------------------

void write_memory(const FakeTree& tree, const std::string& cgroup, uint64_t current, const std::string& max) {
    const std::string dir = "cg2" + cgroup + "/";
    tree.write(dir + "memory.current", fmt::format("{}\n", current));
    tree.write(dir + "memory.max", max + "\n");
    tree.write(dir + "memory.swap.current", "4096\n");
    tree.write(dir + "memory.events", "low 0\nhigh 1\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n");
    tree.write(dir + "memory.stat", "anon 100\nfile 200\nkernel 5\nslab_reclaimable 1\nslab 300\n");
    tree.write(dir + "pids.current", "17\n");
    tree.write(dir + "pids.max", "max\n");
    tree.write(dir + "pids.events", "max 5\n");
}

TEST(CgroupSampler, VersionTwo) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    write_memory(tree, "/a", 5000, "1048576");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    auto sampler = CgroupSampler::make(*layout, Scope{});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    ASSERT_EQ(got.size(), 1u) << "the root has no memory.current";
    const auto s = got.as<fr_cgroup_sample>(0);
    EXPECT_EQ(got.blob(0, FR_BLOB_TEXT), "/a");
    EXPECT_EQ(s.cgroup_id, cgroup_id_of(layout->v2, "/a"));
    EXPECT_EQ(s.hierarchy, 0u);
    EXPECT_EQ(s.memory_current, 5000u);
    EXPECT_EQ(s.memory_max, 1048576u);
    EXPECT_EQ(s.memory_swap, 4096u);
    EXPECT_EQ(s.memory_anon, 100u);
    EXPECT_EQ(s.memory_file, 200u);
    EXPECT_EQ(s.memory_slab, 300u);
    EXPECT_EQ(s.memory_failures, 12u);
    EXPECT_EQ(s.oom_kills, 2u);
    EXPECT_EQ(s.pids_current, 17u);
    EXPECT_EQ(s.pids_max, FR_NO_LIMIT);
    EXPECT_EQ(s.pids_failures, 5u);
}

TEST(CgroupSampler, VersionOneHasARecordForEachHierarchy) {
    const FakeTree tree;
    tree.write(
        "proc/self/mountinfo",
        fmt::format("31 27 0:27 / {0}/m rw - cgroup cgroup rw,memory\n32 27 0:28 / {0}/p rw - cgroup cgroup rw,pids\n",
                    tree.path()));
    tree.write("proc/self/cgroup", "8:pids:/\n4:memory:/\n");
    tree.write("m/a/memory.usage_in_bytes", "7000\n");
    tree.write("m/a/memory.limit_in_bytes", "9223372036854771712\n");
    tree.write("m/a/memory.failcnt", "6\n");
    tree.write("m/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
    tree.write("m/a/memory.stat", "cache 1\nrss 2\nswap 3\ntotal_cache 10\ntotal_rss 20\ntotal_swap 30\n");
    tree.write("p/a/pids.current", "3\n");
    tree.write("p/a/pids.max", "100\n");
    tree.write("p/a/pids.events", "max 1\n");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    auto sampler = CgroupSampler::make(*layout, Scope{});
    ASSERT_TRUE(sampler);
    Collector got;
    sampler->sample(got.emit());
    ASSERT_EQ(got.size(), 2u);
    const auto m = got.as<fr_cgroup_sample>(0), p = got.as<fr_cgroup_sample>(1);
    EXPECT_EQ(m.hierarchy, 4u);
    EXPECT_EQ(m.memory_current, 7000u);
    EXPECT_EQ(m.memory_max, FR_NO_LIMIT);
    EXPECT_EQ(m.memory_failures, 6u);
    EXPECT_EQ(m.oom_kills, 4u);
    EXPECT_EQ(m.memory_anon, 20u);
    EXPECT_EQ(m.memory_file, 10u);
    EXPECT_EQ(m.memory_swap, 30u);
    EXPECT_EQ(m.pids_current, FR_UNKNOWN);
    EXPECT_EQ(p.hierarchy, 8u);
    EXPECT_EQ(p.pids_current, 3u);
    EXPECT_EQ(p.pids_max, 100u);
    EXPECT_EQ(p.pids_failures, 1u);
    EXPECT_EQ(p.memory_current, FR_UNKNOWN);
}

TEST(CgroupSampler, TheLargestWithinTheLimitAndTheScope) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (int i = 0; i < 20; ++i) write_memory(tree, fmt::format("/in/c{}", i), static_cast<uint64_t>(i) * 1000, "max");
    write_memory(tree, "/out", 1'000'000, "max");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    auto sampler =
        CgroupSampler::make(*layout, *Scope::make({"/in"}), {.limit = 3, .rescan_every = 2, .scan_limit = 100});
    ASSERT_TRUE(sampler);
    const auto paths = [&] {
        Collector got;
        sampler->sample(got.emit());
        std::vector<std::string> out;
        for (size_t i = 0; i < got.size(); ++i) out.push_back(*got.blob(i, FR_BLOB_TEXT));
        std::sort(out.begin(), out.end());
        return out;
    };
    EXPECT_EQ(paths(), (std::vector<std::string>{"/in/c17", "/in/c18", "/in/c19"}));
    EXPECT_EQ(sampler->not_sampled(), 17u);
    write_memory(tree, "/in/c1", 500'000, "max");
    EXPECT_EQ(paths(), (std::vector<std::string>{"/in/c17", "/in/c18", "/in/c19"})) << "not looked at again yet";
    EXPECT_EQ(paths(), (std::vector<std::string>{"/in/c1", "/in/c18", "/in/c19"}));
    EXPECT_EQ(sampler->tracked(), 3u);
}

// Made after the start, with an id above all that were known then.
std::string newer_cgroup(const FakeTree& tree, const CgroupMount& mount, uint64_t newest, uint64_t size) {
    for (int i = 0; i < 1000; ++i) {
        const std::string name = fmt::format("/new{}", i);
        write_memory(tree, name, size, "max");
        if (cgroup_id_of(mount, name) > newest) return name;
        std::filesystem::remove_all(tree.path("cg2" + name));
        tree.write(fmt::format("elsewhere{}/x", i), "takes the number");
    }
    return {};
}

TEST(CgroupSampler, HitsOfAGroupThatLeavesTheLargestAndComesBackAreToldOnce) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    write_memory(tree, "/a", 5000, "max");
    write_memory(tree, "/b", 4000, "max");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    auto sampler = CgroupSampler::make(*layout, Scope{}, {.limit = 1, .rescan_every = 1, .scan_limit = 100});
    ASSERT_TRUE(sampler);
    // Hits that one sample tells of a limit, by the group's name.
    const auto told = [&] {
        Collector got;
        sampler->sample(got.emit());
        std::vector<std::pair<std::string, uint64_t>> out;
        for (size_t i = 0; i < got.size(); ++i)
            if (got.ref(i).head().cls == FR_CLASS_ALLOC_FAILURE &&
                got.as<fr_alloc_failure>(i).cause == FR_MEMORY_CGROUP_MAX)
                out.emplace_back(*got.blob(i, FR_BLOB_CGROUP), got.as<fr_alloc_failure>(i).size);
        return out;
    };
    using Told = std::vector<std::pair<std::string, uint64_t>>;
    EXPECT_EQ(told(), Told{}) << "hits from before the start are not news";
    const uint64_t newest = std::max(cgroup_id_of(layout->v2, "/a"), cgroup_id_of(layout->v2, "/b"));
    const std::string name = newer_cgroup(tree, layout->v2, newest, 9000);
    ASSERT_FALSE(name.empty());
    EXPECT_EQ(told(), (Told{{name, 12}})) << "all hits of a group made since are news";
    tree.write("cg2" + name + "/memory.current", "10\n");
    EXPECT_EQ(told(), Told{});
    tree.write("cg2" + name + "/memory.current", "9000\n");
    tree.write("cg2" + name + "/memory.events", "low 0\nhigh 1\nmax 15\noom 3\noom_kill 2\noom_group_kill 1\n");
    EXPECT_EQ(told(), (Told{{name, 3}})) << "only those since it was sampled last";
    // The same of one that was there at the start and left before anything happened to it.
    tree.write("cg2/b/memory.current", "90000\n");
    EXPECT_EQ(told(), Told{});
    tree.write("cg2/a/memory.current", "900000\n");
    tree.write("cg2/a/memory.events", "low 0\nhigh 1\nmax 13\noom 3\noom_kill 2\noom_group_kill 1\n");
    EXPECT_EQ(told(), (Told{{"/a", 1}}));
}

TEST(CgroupSampler, DoesNotAllocate) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    for (int i = 0; i < 20; ++i) write_memory(tree, fmt::format("/c{}", i), 1000, "max");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    auto sampler = CgroupSampler::make(*layout, Scope{}, {.limit = 8, .rescan_every = 1, .scan_limit = 100});
    ASSERT_TRUE(sampler);
    uint64_t events = 0;
    const Emit count = [&events](std::span<const std::byte>) { ++events; };
    const uint64_t before = allocations();
    for (int i = 0; i < 3; ++i) sampler->sample(count);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(events, 24u);
}

}  // namespace
}  // namespace flightrec::record
