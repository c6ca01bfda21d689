// SPDX-License-Identifier: Apache-2.0
// Reading /proc: hostile names, cut files, the scope, and this very process.
#include "userspace/record/procfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "tests/unit/record/fake_tree.h"
#include "userspace/base/clock.h"

namespace flightrec::record {
namespace {

constexpr std::string_view kFields =
    " S 1 2 3 4 5 4194560 111 0 222 0 333 444 0 0 20 0 7 0 12345 1048576 99 18446744073709551615 1 2 3\n";

TEST(ParseStat, CommWithParenthesesBlanksAndNewlines) {
    const std::string text = "42 (a) b (x)\n) R (c))" + std::string(kFields);
    const auto stat = parse_stat(text);
    ASSERT_TRUE(stat);
    EXPECT_EQ(stat->comm, "a) b (x)\n) R (c)");
    EXPECT_EQ(stat->pid, 42u);
    EXPECT_EQ(stat->state, 'S');
    EXPECT_EQ(stat->ppid, 1u);
    EXPECT_EQ(stat->min_faults, 111u);
    EXPECT_EQ(stat->maj_faults, 222u);
    EXPECT_EQ(stat->utime, 333u);
    EXPECT_EQ(stat->stime, 444u);
    EXPECT_EQ(stat->threads, 7u);
    EXPECT_EQ(stat->start, 12345u);
    EXPECT_EQ(stat->vsize, 1048576u);
    EXPECT_EQ(stat->rss, 99u);
    EXPECT_FALSE(stat->kernel_thread());
}

TEST(ParseStat, EveryCutOfALineIsRefusedOrWhole) {
    const std::string text = "42 (comm)" + std::string(kFields);
    const size_t rss_end = text.find(" 18446744073709551615");
    for (size_t n = 0; n < rss_end - 1; ++n) EXPECT_FALSE(parse_stat(std::string_view(text).substr(0, n))) << n;
    EXPECT_TRUE(parse_stat(std::string_view(text).substr(0, rss_end)));
}

TEST(ParseStat, KernelThreadIsTold) {
    const auto stat =
        parse_stat("2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 0 0 0 18446744073709551615\n");
    ASSERT_TRUE(stat);
    EXPECT_TRUE(stat->kernel_thread());
}

TEST(ParseStatus, SizesAreBytesAndAbsentOnesUnknown) {
    const auto status = parse_status(
        "Name:\tx\nTgid:\t7\nPid:\t8\nPPid:\t1\nUid:\t1000\t1001\t1000\t1000\nGid:\t5\t6\t5\t5\nFDSize:\t256\n"
        "NSpid:\t8\t3\nVmSize:\t 100 kB\nVmRSS:\t 50 kB\nRssAnon:\t 30 kB\nRssFile:\t 15 kB\nRssShmem:\t 5 kB\n"
        "VmPTE:\t 4 kB\nVmSwap:\t 2 kB\nThreads:\t9\n");
    ASSERT_TRUE(status);
    EXPECT_EQ(status->tgid, 7u);
    EXPECT_EQ(status->pid, 8u);
    EXPECT_EQ(status->uid, 1000u);
    EXPECT_EQ(status->euid, 1001u);
    EXPECT_EQ(status->egid, 6u);
    EXPECT_EQ(status->ns_pid, 3u);
    EXPECT_EQ(status->ns_depth, 2u);
    EXPECT_EQ(status->vm_rss, 50u * 1024);
    EXPECT_EQ(status->rss_anon, 30u * 1024);
    EXPECT_EQ(status->rss_file, 15u * 1024);
    EXPECT_EQ(status->rss_shmem, 5u * 1024);
    EXPECT_EQ(status->page_tables, 4u * 1024);
    EXPECT_EQ(status->swap, 2u * 1024);
    EXPECT_EQ(status->vm_locked, FR_UNKNOWN);
    EXPECT_EQ(status->threads, 9u);
    EXPECT_FALSE(parse_status("Name:\tx\n"));
}

TEST(CgroupPaths, VersionTwoAndOne) {
    const std::string_view text = "9:name=systemd:/sys\n4:cpu,memory:/m:with:colons\n0::/a.slice/b (deleted)\n";
    EXPECT_EQ(cgroup_v2_path(text), "/a.slice/b");
    EXPECT_EQ(cgroup_v1_path(text, "memory"), "/m:with:colons");
    EXPECT_EQ(cgroup_v1_path(text, "pids"), std::nullopt);
    EXPECT_EQ(cgroup_v2_path("4:memory:/x\n"), std::nullopt);
}

TEST(Ticks, AreHundredthsOfASecond) { EXPECT_EQ(ns_of_ticks(12345), 123'450'000'000u); }

TEST(TakeNumber, RefusesWhatDoesNotFit) {
    std::string_view s = " 18446744073709551616 ";
    EXPECT_FALSE(take_number(s));
    s = " \t18446744073709551615x";
    EXPECT_EQ(take_number(s), UINT64_MAX);
    EXPECT_EQ(s, "x");
    s = "";
    EXPECT_FALSE(take_number(s));
}

TEST(DirReader, ListsEveryEntryOnceWithASmallBuffer) {
    const FakeTree tree;
    std::set<std::string> expected;
    for (int i = 0; i < 500; ++i) {
        const std::string name = "file-" + std::to_string(i);
        tree.write("d/" + name, "");
        expected.insert(name);
    }
    const Fd fd(::open(tree.path("d").c_str(), O_RDONLY | O_DIRECTORY));
    std::array<char, 256> buffer;
    DirReader reader(fd.get(), buffer);
    for (int round = 0; round < 2; ++round) {
        std::set<std::string> seen;
        while (const auto entry = reader.next()) EXPECT_TRUE(seen.insert(std::string(entry->name)).second);
        EXPECT_EQ(seen, expected);
        reader.rewind();
    }
}

TEST(KeptFile, GivesFreshTextAndUnknownWhenAbsent) {
    const FakeTree tree;
    tree.write("f", "12\n");
    const KeptFile file = KeptFile::open(AT_FDCWD, tree.path("f").c_str());
    EXPECT_EQ(file.read_number(), 12u);
    tree.write("f", "max\n");
    EXPECT_EQ(file.read_number(), FR_NO_LIMIT);
    EXPECT_EQ(KeptFile::open(AT_FDCWD, tree.path("none").c_str()).read_number(), FR_UNKNOWN);
}

Result<ProcessScanner> scanner_of(const FakeTree& tree, std::vector<std::string> scope = {}) {
    FR_ASSIGN(const auto layout, find_cgroups(tree.paths()));
    FR_ASSIGN(const auto checked, Scope::make(std::move(scope)));
    return ProcessScanner::make(tree.paths(), layout, checked);
}

TEST(ProcessScanner, EmitsEveryProcessWithItsFacts) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/web.slice/nginx", "");
    tree.add_process({.pid = 1});
    tree.add_process({.pid = 7,
                      .ppid = 1,
                      .comm = "nginx",
                      .threads = 3,
                      .start = 250,
                      .cgroup = "/web.slice/nginx",
                      .cmdline = std::string("nginx\0-g\0daemon off;\0", 21)});
    tree.link("proc/7/exe", "/usr/sbin/nginx (deleted)");
    tree.write("proc/self/stat", "not a number, passed over");
    auto scanner = scanner_of(tree);
    ASSERT_TRUE(scanner);
    Collector got;
    EXPECT_EQ(scanner->scan(got.emit()), 2u);
    const size_t i = got.as<fr_process>(0).event.pid == 7 ? 0 : 1;
    const auto p = got.as<fr_process>(i);
    EXPECT_EQ(p.event.cls, FR_CLASS_PROCESS);
    EXPECT_EQ(p.event.flags & FR_EVENT_SYNTHETIC, FR_EVENT_SYNTHETIC);
    EXPECT_EQ(p.event.pid, 7u);
    EXPECT_EQ(p.ppid, 1u);
    EXPECT_EQ(p.flags, FR_PROCESS_PARENT_KNOWN | FR_PROCESS_BEFORE);
    EXPECT_EQ(p.uid, 1000u);
    EXPECT_EQ(p.gid, 100u);
    EXPECT_EQ(p.threads, 3u);
    EXPECT_EQ(p.start_ns, 2'500'000'000u);
    EXPECT_EQ(p.ns_pid, 7u);
    EXPECT_EQ(p.oom_score_adj, -500);
    EXPECT_STREQ(p.comm, "nginx");
    struct stat st {};
    ASSERT_EQ(::stat(tree.path("cg2/web.slice/nginx").c_str(), &st), 0);
    EXPECT_EQ(p.cgroup_id, st.st_ino);
    EXPECT_EQ(got.blob(i, FR_BLOB_ARGV), std::string("nginx\0-g\0daemon off;\0", 21));
    EXPECT_EQ(got.blob(i, FR_BLOB_PATH), "/usr/sbin/nginx");
    EXPECT_EQ(got.blob_flags(i, FR_BLOB_PATH), FR_BLOB_DELETED);
    EXPECT_EQ(got.blob(i, FR_BLOB_CWD), std::string("data\0srv\0", 9));
    EXPECT_EQ(got.blob(i, FR_BLOB_CGROUP), std::string("nginx\0web.slice\0", 16));
}

TEST(ProcessScanner, LongArgumentsAreCutAndSaySo) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_process({.pid = 9, .cmdline = std::string(100'000, 'a')});
    auto scanner = scanner_of(tree);
    ASSERT_TRUE(scanner);
    Collector got;
    ASSERT_EQ(scanner->scan(got.emit()), 1u);
    EXPECT_EQ(got.blob(0, FR_BLOB_ARGV)->size(), 8192u);
    EXPECT_EQ(got.blob_flags(0, FR_BLOB_ARGV), FR_BLOB_CUT);
}

TEST(ProcessScanner, InAScopeNothingOutsideIsOpened) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/in", "5\n");
    tree.add_cgroup("/in/below", "6\n");
    tree.add_cgroup("/inner", "8\n");
    for (const auto& [pid, cgroup] :
         std::vector<std::pair<uint32_t, std::string>>{{5, "/in"}, {6, "/in/below"}, {7, "/"}, {8, "/inner"}})
        tree.add_process({.pid = pid, .cgroup = cgroup});
    auto scanner = scanner_of(tree, {"/in"});
    ASSERT_TRUE(scanner);
    Collector got;
    EXPECT_EQ(scanner->scan(got.emit()), 2u);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(got.as<fr_process>(i).event.pid <= 6);
    EXPECT_FALSE(scanner->emit_process(7, got.emit()));
    EXPECT_EQ(scanner->emit_fds(8, got.emit()), 0u);
    EXPECT_EQ(got.size(), 2u);
}

TEST(ProcessScanner, AProcessThatMovedOutOfTheScopeIsNotRead) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/in", "5\n");
    tree.add_process({.pid = 5, .cgroup = "/elsewhere"});
    auto scanner = scanner_of(tree, {"/in"});
    ASSERT_TRUE(scanner);
    Collector got;
    EXPECT_EQ(scanner->scan(got.emit()), 0u);
}

TEST(ProcessScanner, ThisProcessAsTheKernelShowsIt) {
    const SystemPaths paths;
    const auto layout = find_cgroups(paths);
    ASSERT_TRUE(layout);
    auto scanner = ProcessScanner::make(paths, *layout, Scope{});
    ASSERT_TRUE(scanner);
    Collector got;
    const auto pid = static_cast<uint32_t>(::getpid());
    ASSERT_TRUE(scanner->emit_process(pid, got.emit(), false));
    const auto p = got.as<fr_process>(0);
    EXPECT_EQ(p.ppid, static_cast<uint32_t>(::getppid()));
    EXPECT_EQ(p.uid, ::getuid());
    EXPECT_EQ(p.flags, static_cast<uint32_t>(FR_PROCESS_PARENT_KNOWN));
    EXPECT_NE(p.pidns, 0u);
    EXPECT_LE(p.start_ns, boot_ns());
    EXPECT_GT(p.start_ns + 60'000'000'000u, boot_ns());
    std::array<char, 4096> exe{};
    const ssize_t n = ::readlink("/proc/self/exe", exe.data(), exe.size());
    ASSERT_GT(n, 0);
    EXPECT_EQ(got.blob(0, FR_BLOB_PATH), std::string(exe.data(), static_cast<size_t>(n)));
    const Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    got.clear();
    ASSERT_GT(scanner->emit_fds(pid, got.emit()), 2u);
    bool seen = false;
    for (size_t i = 0; i < got.size(); ++i) {
        const auto fd = got.as<fr_fd>(i);
        if (fd.fd != static_cast<uint32_t>(file.get())) continue;
        seen = true;
        EXPECT_EQ(got.blob(i, FR_BLOB_PATH), "/dev/null");
        EXPECT_TRUE(fd.flags & O_CLOEXEC);
    }
    EXPECT_TRUE(seen);
}

TEST(ProcessScanner, DoesNotAllocate) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/a", "");
    for (uint32_t pid = 1; pid < 40; ++pid) tree.add_process({.pid = pid, .cgroup = "/a"});
    auto scanner = scanner_of(tree);
    ASSERT_TRUE(scanner);
    uint64_t bytes = 0;
    const Emit count = [&bytes](std::span<const std::byte> record) { bytes += record.size(); };
    const uint64_t before = allocations();
    EXPECT_EQ(scanner->scan(count), 39u);
    EXPECT_EQ(allocations(), before);
    EXPECT_GT(bytes, 39u * sizeof(fr_process));
}

TEST(ProcDir, CountsOpenDescriptors) {
    auto proc = ProcDir::open("/proc");
    ASSERT_TRUE(proc);
    alignas(8) std::array<char, 4096> buffer;
    const auto pid = static_cast<uint32_t>(::getpid());
    const uint32_t before = proc->count_fds(pid, 0, buffer);
    const Fd a(::dup(0)), b(::dup(0));
    EXPECT_EQ(proc->count_fds(pid, 0, buffer), before + 2);
}

}  // namespace
}  // namespace flightrec::record
