// SPDX-License-Identifier: Apache-2.0
// The process tree at a moment: parents that are known, that ended, that there are none of, and that nobody told.
#include <gtest/gtest.h>

#include "tests/unit/replay/story.h"
#include "userspace/replay/process_tree.h"

namespace flightrec::replay::test {
namespace {

using namespace std::string_literals;

constexpr uint64_t s = 1'000'000'000;

Record process(uint32_t pid, uint32_t ppid, std::string_view comm, const std::string& argv, uint32_t flags) {
    return record<fr_process>(FR_CLASS_PROCESS, 1 * s, pid, pid,
                              [&](fr_process& e) {
                                  e.ppid = ppid;
                                  e.start_ns = pid;
                                  e.flags = flags;
                                  e.threads = 1;
                                  set_comm(e.comm, comm);
                              },
                              {{FR_BLOB_ARGV, argv}});
}
Record fork(uint64_t at, uint32_t parent, uint32_t child, std::string_view comm) {
    return record<fr_fork>(FR_CLASS_FORK, at, parent, parent, [&](fr_fork& e) {
        e.child_pid = e.child_tid = child;
        e.parent_pid = parent;
        e.start_ns = at;
        set_comm(e.comm, comm);
    });
}
Record exec(uint64_t at, uint32_t pid, uint32_t ppid, std::string_view comm, const std::string& argv,
            uint64_t start_ns) {
    return record<fr_exec>(FR_CLASS_EXEC, at, pid, pid,
                           [&](fr_exec& e) {
                               e.ppid = ppid;
                               e.start_ns = start_ns;
                               set_comm(e.comm, comm);
                           },
                           {{FR_BLOB_ARGV, argv}});
}
Record exit(uint64_t at, uint32_t pid, uint32_t code) {
    return record<fr_exit>(FR_CLASS_EXIT, at, pid, pid, [&](fr_exit& e) {
        e.exit_code = code;
        e.flags = FR_EXIT_GROUP_DEAD;
    });
}

std::string tree(Story& story, const TreeOptions& options) {
    auto file = story.store();
    FILE* sink = std::tmpfile();
    Output out(::fileno(sink));
    const auto shown = show_tree(file, options, out);
    EXPECT_TRUE(shown.has_value()) << (shown ? "" : shown.error().message);
    std::string text(1 << 20, '\0');
    std::rewind(sink);
    text.resize(std::fread(text.data(), 1, text.size(), sink));
    std::fclose(sink);
    return text.substr(std::min(text.size(), options.json ? 0 : text.find('\n') + 1));
}

Story family() {
    Story story;
    story.keyframe = {process(1, 0, "init", "init\0"s, FR_PROCESS_PARENT_KNOWN), process(7, 0, "lost", "lost\0"s, 0)};
    story.add(fork(10 * s, 1, 20, "init"));
    story.add(exec(11 * s, 20, 1, "sh", "sh\0-c\0x\x1b[31m\0"s, 10 * s));
    story.add(fork(12 * s, 20, 21, "sh"));
    story.add(exec(12 * s, 21, 20, "worker", "worker\0"s, 12 * s));
    story.add(exit(13 * s, 20, 0x300));
    story.add(fork(14 * s, 21, 22, "worker"));
    story.add(exit(15 * s, 22, 9));
    return story;
}

TEST(Tree, AtAMomentWhoIsWhoseChild) {
    auto story = family();
    EXPECT_EQ(tree(story, {.at = "@12.5"}),
              "init[1] init\n"
              "└─sh[20] sh -c x\\33[31m  (began 2.50 s before)\n"
              "  └─worker[21] worker  (began 500 ms before)\n"
              "(parent not known)\n"
              "lost[7] lost\n");
}

TEST(Tree, AnEndedParentOfALivingProcessIsShownAsEnded) {
    auto story = family();
    EXPECT_EQ(tree(story, {.at = "@16"}),
              "init[1] init\n"
              "└─sh[20] sh -c x\\33[31m  (began 6.00 s before, exited with 3 3.00 s before)\n"
              "  └─worker[21] worker  (began 4.00 s before)\n"
              "(parent not known)\n"
              "lost[7] lost\n");
    EXPECT_NE(tree(story, {.at = "@16", .ended = true}).find("killed by SIGKILL 1.00 s before"), std::string::npos);
    EXPECT_EQ(tree(story, {.at = "@9"}), "init[1] init\n(parent not known)\nlost[7] lost\n") << "not yet begun";
}

// A parent outside of what was recorded: it may live or not.
TEST(Tree, AProcessOfWhichOnlyTheNumberIsKnownIsNotCountedAsLiving) {
    auto story = family();
    story.add(fork(12 * s, 4711, 23, "child"));
    auto file = story.store();
    std::FILE* sink = std::tmpfile();
    Output out(::fileno(sink));
    ASSERT_TRUE(show_tree(file, {.at = "@12.5"}, out).has_value());
    std::string text(4096, '\0');
    std::rewind(sink);
    text.resize(std::fread(text.data(), 1, text.size(), sink));
    std::fclose(sink);
    EXPECT_NE(text.find(": 5 processes, 0 kernel threads, 1 known by number alone\n"), std::string::npos) << text;
    EXPECT_NE(text.find("?[4711]  (nothing else is known of it)"), std::string::npos) << text;
}

TEST(Tree, OfOnePidItsAncestorsAndDescendants) {
    auto story = family();
    const auto shown = tree(story, {.at = "@12.5", .pids = {20}});
    EXPECT_NE(shown.find("init[1]"), std::string::npos);
    EXPECT_NE(shown.find("worker[21]"), std::string::npos);
    EXPECT_EQ(shown.find("lost[7]"), std::string::npos);
    auto file = story.store();
    Output nowhere(-1);
    EXPECT_EQ(show_tree(file, {.at = "@12.5", .pids = {4711}}, nowhere).error().code, Code::not_found);
    EXPECT_EQ(show_tree(file, {.at = "soon"}, nowhere).error().code, Code::usage);
}

TEST(Tree, UnknownParentIsNotNoParent) {
    auto story = family();
    const auto lines = lines_of(tree(story, {.at = "@12.5", .json = true}));
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_NE(lines[0].find(R"("pid":1,"depth":0,"parent":"none","parent_pid":null)"), std::string::npos) << lines[0];
    EXPECT_NE(lines[3].find(R"("pid":7,"depth":0,"parent":"unknown","parent_pid":null)"), std::string::npos);
    EXPECT_NE(lines[2].find(R"("depth":2,"parent":"known","parent_pid":20)"), std::string::npos);
}

TEST(Tree, DamageInABlockThatTheTreeDoesNotNeedIsTold) {
    Story story = family();
    story.add(call(20 * s, 21, 21, "getpid", 21));
    story.store();
    story.change_last_call_block();
    const auto file = flight::FlightFile::open(story.path());
    ASSERT_TRUE(file.has_value());
    FILE* sink = std::tmpfile();
    Output out(::fileno(sink));
    const auto damage = show_tree(*file, {.at = "@15"}, out);
    std::fclose(sink);
    ASSERT_TRUE(damage.has_value());
    EXPECT_EQ(damage->count, 1u);
}

TEST(Tree, AncestryThatBitesItsTailEnds) {
    Story story;
    story.keyframe = {process(5, 6, "a", "a\0"s, FR_PROCESS_PARENT_KNOWN),
                      process(6, 5, "b", "b\0"s, FR_PROCESS_PARENT_KNOWN)};
    story.add(fork(10 * s, 5, 50, "a"));
    const auto shown = tree(story, {.at = "@11"});
    EXPECT_NE(shown.find("a[5]"), std::string::npos);
    EXPECT_NE(shown.find("b[6]"), std::string::npos);
}

}  // namespace
}  // namespace flightrec::replay::test
