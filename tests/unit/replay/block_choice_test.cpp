// SPDX-License-Identifier: Apache-2.0
// A filtered replay reads only the blocks it needs, and shows what a replay of everything would have shown.
#include <fstream>

#include "tests/unit/replay/story.h"
#include "userspace/replay/replay.h"

namespace flightrec::replay::test {
namespace {

constexpr uint64_t us = 1000;
constexpr size_t calls_a_block = 600;

Record forked(uint64_t time_ns, uint32_t maker, uint32_t child) {
    return record<fr_fork>(FR_CLASS_FORK, time_ns, maker, maker, [&](fr_fork& e) {
        e.child_pid = e.child_tid = child;
        e.parent_pid = maker;
        e.start_ns = time_ns;
    });
}

Record exec(uint64_t time_ns, uint32_t pid, std::string_view comm) {
    return record<fr_exec>(FR_CLASS_EXEC, time_ns, pid, pid, [&](fr_exec& e) {
        e.start_ns = time_ns;
        set_comm(e.comm, comm);
    });
}

// Six blocks of calls. The parent 7100 opens a file and forks 7200, which reads it, then 7300 works alone, fails in
// another way and is slow once; 7100 goes on in the last block, 7400 waits in a call that was recorded at its entry,
// too.
Story six_blocks() {
    Story story;
    story.block_events = calls_a_block;
    uint64_t at = 10 * s;
    const auto fill = [&](uint32_t pid, size_t count, int64_t fd) {
        for (size_t i = 0; i < count; ++i)
            story.add(call(at += us, pid, pid, "read", static_cast<int64_t>(i), {.args = {static_cast<uint64_t>(fd)}}));
    };
    const auto open = [&](uint32_t pid, const std::string& path, int64_t fd) {
        story.add(
            call(at += us, pid, pid, "openat", fd, {.args = {0xffffff9c, 1, 0}, .blobs = {{FR_BLOB_ARG0 + 1, path}}}));
    };
    story.add(exec(9 * s, 7100, "parent"));
    open(7100, "/of/parent", 5);
    fill(7100, calls_a_block - 1, 5);  // block 0
    story.add(forked(at += us, 7100, 7200));
    story.add(forked(at += us, 1, 7300));
    story.add(exec(at += us, 7300, "alone"));
    fill(7200, calls_a_block, 5);  // block 1
    open(7300, "/of/alone", 7);
    fill(7300, calls_a_block - 1, 7);  // block 2
    fill(7300, calls_a_block - 2, 7);  // block 3: fails, is slow
    story.add(call(at += us, 7300, 7300, "read", -13, {.args = {7}}));
    story.add(call(at += 60 * ms, 7300, 7300, "read", 1, {.args = {7}, .took_ns = 50 * ms}));
    fill(7100, calls_a_block, 5);  // block 4
    open(7100, "/later", 6);
    fill(7100, calls_a_block - 1, 6);  // block 5
    return story;
}

struct Shown {
    std::vector<std::string> lines;
    ReplaySummary summary;
};

Shown shown(flight::FlightFile& file, const FilterOptions& filter, Format format = Format::text) {
    ReplayOptions options;
    options.filter = filter;
    options.format = format;
    options.time = TimeStyle::boot;
    Shown out;
    out.lines = lines_of(replayed(file, options, &out.summary));
    return out;
}

bool says(const std::string& line, std::string_view text) { return line.find(text) != std::string::npos; }

std::vector<std::string> with(const std::vector<std::string>& lines, std::string_view text) {
    std::vector<std::string> out;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(out), [&](const auto& l) { return says(l, text); });
    return out;
}

// What a filter shows is what everything shows, word by word and in this order, less what it leaves out; of these lines
// nothing.
void expect_part(flight::FlightFile& file, const Shown& part, std::string_view whole_of) {
    const auto all = shown(file, {}).lines;
    EXPECT_EQ(with(part.lines, whole_of), with(all, whole_of));
    EXPECT_FALSE(part.lines.empty());
    auto at = all.begin();
    for (const auto& line : part.lines) {
        at = std::find(at, all.end(), line);
        ASSERT_NE(at, all.end()) << line;
        ++at;
    }
}

TEST(BlockChoice, OnlyBlocksOfTheProcessAreRead) {
    auto story = six_blocks();
    auto file = story.store();
    const Shown alone = shown(file, {.pids = {7300}});
    EXPECT_EQ(alone.summary.call_blocks.read, 2u);
    EXPECT_EQ(alone.summary.call_blocks.left_out, 4u);
    expect_part(file, alone, "alone[7300]");
    EXPECT_GT(alone.lines.size(), 2 * calls_a_block);
    EXPECT_EQ(shown(file, {.pids = {999}}).summary.call_blocks.read, 0u);
    EXPECT_EQ(shown(file, {}).summary.call_blocks.read, 6u);
}

// 7200 has its descriptor from 7100, which opened it before the fork: that block is needed, those after the fork are
// not.
TEST(BlockChoice, WhatAProcessInheritedIsStillNamed) {
    auto story = six_blocks();
    auto file = story.store();
    const Shown child = shown(file, {.pids = {7200}});
    EXPECT_EQ(child.summary.call_blocks.read, 2u);
    expect_part(file, child, "[7200]");
    ASSERT_GT(child.lines.size(), calls_a_block);
    EXPECT_TRUE(says(child.lines.back(), "read(5</of/parent>")) << child.lines.back();
}

TEST(BlockChoice, NamesCommandsAndDescentChooseBlocksToo) {
    auto story = six_blocks();
    auto file = story.store();
    const Shown by_comm = shown(file, {.comms = {"alo*"}});
    EXPECT_EQ(by_comm.summary.call_blocks.read, 2u);
    expect_part(file, by_comm, "alone[7300]");
    const Shown by_tid = shown(file, {.tids = {7300}});
    EXPECT_EQ(by_tid.summary.call_blocks.read, 2u);
    expect_part(file, by_tid, "alone[7300]");
    const Shown by_tree = shown(file, {.trees = {7100}});
    EXPECT_EQ(by_tree.summary.call_blocks.left_out, 2u);
    EXPECT_EQ(by_tree.summary.matched, shown(file, {.pids = {7100, 7200}}).summary.matched);
}

TEST(BlockChoice, ErrorsDurationsAndNumbersChooseBlocks) {
    auto story = six_blocks();
    auto file = story.store();
    const Shown failed = shown(file, {.errnos = {"EACCES"}});
    ASSERT_EQ(failed.lines.size(), 1u);
    EXPECT_TRUE(says(failed.lines[0], "read(7</of/alone>")) << failed.lines[0];
    EXPECT_EQ(failed.summary.call_blocks.read, 2u) << "the one with the call, and the one that names its descriptor";
    EXPECT_EQ(shown(file, {.failed = true}).lines, failed.lines);
    const Shown slow = shown(file, {.slower_than = "40ms"});
    ASSERT_EQ(slow.lines.size(), 1u);
    EXPECT_EQ(slow.summary.call_blocks.read, 2u);
    EXPECT_EQ(shown(file, {.slower_than = "1s"}).summary.call_blocks.read, 0u);
    const Shown opened = shown(file, {.syscalls = {"openat"}});
    EXPECT_EQ(opened.lines.size(), 3u);
    EXPECT_EQ(opened.summary.call_blocks.read, 3u);
    EXPECT_EQ(shown(file, {.syscalls = {"read"}}).lines.size(), 6 * calls_a_block - 3);
}

TEST(BlockChoice, StatsSayHowManyBlocksWereRead) {
    auto story = six_blocks();
    auto file = story.store();
    const Shown text = shown(file, {.pids = {7300}}, Format::stats);
    EXPECT_TRUE(says(text.lines.back(), "2 of 6 blocks of system calls were read")) << text.lines.back();
    const Shown json = shown(file, {.pids = {7300}}, Format::stats_json);
    EXPECT_TRUE(says(json.lines.at(0), R"("call_blocks":{"read":2,"left_out":4})")) << json.lines.at(0);
    EXPECT_FALSE(says(shown(file, {}, Format::stats).lines.back(), "blocks"));
}

// The entry of a call stands in one block, its return in another that has the error asked for.
TEST(BlockChoice, AnEntryIsReadForItsReturn) {
    Story story;
    story.block_events = calls_a_block;
    uint64_t at = 10 * s;
    for (size_t i = 0; i + 1 < calls_a_block; ++i) story.add(call(at += us, 7400, 7400, "getppid", 1, {}));
    auto entry =
        call(at += us, 7400, 7400, "pselect6", 0, {.args = {77, 0, 0, 0, 0, 0}, .cls = FR_CLASS_SYSCALL_ENTER});
    story.add(entry);
    for (size_t i = 0; i < calls_a_block; ++i) story.add(call(at += us, 7500, 7500, "getppid", 1, {}));
    story.add(call(at += us, 7400, 7400, "pselect6", -4, {.args = {1, 0, 0, 0, 0, 0}}));
    for (size_t i = 0; i < calls_a_block; ++i) story.add(call(at += us, 7400, 7400, "getppid", 1, {}));
    auto file = story.store();
    const Shown failed = shown(file, {.errnos = {"EINTR"}});
    ASSERT_EQ(failed.lines.size(), 1u);
    EXPECT_TRUE(says(failed.lines[0], "pselect6(77")) << failed.lines[0];
    EXPECT_GT(failed.summary.call_blocks.left_out, 0u);
}

}  // namespace
}  // namespace flightrec::replay::test
