// SPDX-License-Identifier: Apache-2.0
// Control groups: layouts, paths and ids, the scope, container ids.
#include "userspace/record/cgroups.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/unit/record/fake_tree.h"

namespace flightrec::record {
namespace {

TEST(FindCgroups, VersionTwoWithItsControllers) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->v2.directory, tree.path("cg2"));
    EXPECT_EQ(layout->memory.directory, tree.path("cg2"));
    EXPECT_EQ(layout->pids.directory, tree.path("cg2"));
    EXPECT_EQ(layout->memory.hierarchy, 0u);
}

TEST(FindCgroups, HybridLayoutWithOddMountPoints) {
    const FakeTree tree;
    tree.write("proc/self/mountinfo",
               "30 27 0:26 / /cg/with\\040blank rw - cgroup2 none rw\n"
               "31 27 0:27 /docker/abc /cg/memory rw - cgroup cgroup rw,memory\n"
               "32 27 0:28 / /cg/pids rw shared:4 master:1 - cgroup cgroup rw,pids\n"
               "33 27 0:29 / /cg/systemd rw - cgroup cgroup rw,name=systemd\ngarbage\n");
    tree.write("proc/self/cgroup", "9:name=systemd:/\n8:pids:/\n4:memory:/docker/abc\n0::/\n");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->v2.directory, "/cg/with blank");
    EXPECT_EQ(layout->memory.directory, "/cg/memory");
    EXPECT_EQ(layout->memory.root, "/docker/abc");
    EXPECT_EQ(layout->memory.hierarchy, 4u);
    EXPECT_EQ(layout->pids.hierarchy, 8u);
    std::array<char, 256> out;
    ASSERT_TRUE(layout->memory.directory_of("/docker/abc/x", out));
    EXPECT_STREQ(out.data(), "/cg/memory/x");
    ASSERT_TRUE(layout->memory.directory_of("/docker/abc", out));
    EXPECT_STREQ(out.data(), "/cg/memory");
    EXPECT_FALSE(layout->memory.directory_of("/docker/abcd", out));
    EXPECT_FALSE(layout->memory.directory_of("/docker/abc/../../etc", out));
    ASSERT_TRUE(layout->pids.directory_of("/", out));
    EXPECT_STREQ(out.data(), "/cg/pids");
}

TEST(FindCgroups, ThisMachine) {
    const auto layout = find_cgroups(SystemPaths{});
    ASSERT_TRUE(layout);
    if (!layout->v2.present()) GTEST_SKIP() << "no cgroup version 2 here";
    struct stat st {};
    ASSERT_EQ(::stat(layout->v2.directory.c_str(), &st), 0);
    EXPECT_EQ(cgroup_id_of(layout->v2, "/"), st.st_ino);
    std::array<char, 4096> out;
    EXPECT_EQ(cgroup_path_of(layout->v2, st.st_ino, out), "/");
    // One of our own, found again by its id.
    const std::string name = fmt::format("/flightrec-unit-{}", ::getpid());
    if (::mkdir((layout->v2.directory + name).c_str(), 0755) != 0) GTEST_SKIP() << "cgroups cannot be made here";
    const uint64_t id = cgroup_id_of(layout->v2, name);
    EXPECT_NE(id, 0u);
    const auto path = cgroup_path_of(layout->v2, id, out);
    EXPECT_EQ(path, name);
    ::rmdir((layout->v2.directory + name).c_str());
    EXPECT_EQ(cgroup_id_of(layout->v2, name), 0u);
    EXPECT_EQ(cgroup_path_of(layout->v2, id, out), std::nullopt);
}

TEST(Scope, CoversWhatLiesBelowAndNothingBeside) {
    const auto scope = Scope::make({"/a/b/", "/c"});
    ASSERT_TRUE(scope);
    EXPECT_TRUE(scope->covers("/a/b"));
    EXPECT_TRUE(scope->covers("/a/b/x"));
    EXPECT_FALSE(scope->covers("/a/bc"));
    EXPECT_FALSE(scope->covers("/a"));
    EXPECT_FALSE(scope->covers("/"));
    EXPECT_FALSE(scope->covers(""));
    EXPECT_TRUE(Scope{}.covers("/anything"));
    EXPECT_TRUE(Scope::make({"/"})->whole_machine());
}

TEST(Scope, RefusesWhatIsNoCgroupPath) {
    for (const auto* bad : {"", "web", "/a/../b", "/a/..", "/a//b"}) {
        const auto scope = Scope::make({bad});
        ASSERT_FALSE(scope) << bad;
        EXPECT_EQ(scope.error().code, Code::usage);
    }
}

TEST(WalkCgroups, ParentsFirstWithinScopeAndLimit) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/a/b/c", "");
    tree.add_cgroup("/d", "");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    std::vector<std::string> seen;
    const auto visit = [&](const CgroupEntry& entry) {
        seen.push_back(fmt::format("{} {}", entry.path, entry.level));
        EXPECT_EQ(entry.id, cgroup_id_of(layout->v2, entry.path));
        return true;
    };
    EXPECT_EQ(walk_cgroups(layout->v2, Scope{}, 100, visit), 5u);
    EXPECT_EQ(seen.front(), "/ 0");
    EXPECT_NE(std::find(seen.begin(), seen.end(), "/a/b/c 3"), seen.end());
    EXPECT_LT(std::find(seen.begin(), seen.end(), "/a 1"), std::find(seen.begin(), seen.end(), "/a/b 2"));
    EXPECT_EQ(walk_cgroups(layout->v2, Scope{}, 3, visit), 3u);
    seen.clear();
    EXPECT_EQ(walk_cgroups(layout->v2, *Scope::make({"/a/b"}), 100, visit), 2u);
    EXPECT_EQ(seen, (std::vector<std::string>{"/a/b 2", "/a/b/c 3"}));
    EXPECT_EQ(walk_cgroups(layout->v2, *Scope::make({"/gone"}), 100, visit), 0u);
}

TEST(WalkCgroups, EmitsExistingOnes) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    tree.add_cgroup("/a/b", "");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    flight::EventBuilder builder;
    Collector got;
    const Scope scope = *Scope::make({"/a"});
    EXPECT_EQ(emit_cgroups(layout->v2, scope, 100, builder, got.emit()), 2u);
    EXPECT_EQ(got.as<fr_cgroup>(1).op, FR_CGROUP_EXISTS);
    EXPECT_EQ(got.as<fr_cgroup>(1).level, 2u);
    EXPECT_EQ(got.as<fr_cgroup>(1).cgroup_id, cgroup_id_of(layout->v2, "/a/b"));
    EXPECT_EQ(got.blob(1, FR_BLOB_TEXT), "/a/b");
    uint64_t events = 0;
    const Emit count = [&events](std::span<const std::byte>) { ++events; };
    const uint64_t before = allocations();
    emit_cgroups(layout->v2, scope, 100, builder, count);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(events, 2u);
}

TEST(WalkCgroups, ADeepTreeEndsAtItsLimitOfLevels) {
    const FakeTree tree;
    tree.add_cgroup2(true);
    std::string deep;
    for (int i = 0; i < 60; ++i) deep += "/d";
    tree.add_cgroup(deep, "");
    const auto layout = find_cgroups(tree.paths());
    ASSERT_TRUE(layout);
    EXPECT_EQ(walk_cgroups(layout->v2, Scope{}, 1000, [](const CgroupEntry&) { return true; }), 33u);
}

TEST(Components, LeafFirst) {
    std::array<char, 16> out;
    EXPECT_EQ(components_of("/a/bc", out), std::string_view("bc\0a\0", 5));
    EXPECT_EQ(components_of("/", out), "");
    EXPECT_EQ(components_of("/0123456789abcdef", out), std::nullopt);
}

}  // namespace
}  // namespace flightrec::record
