// SPDX-License-Identifier: Apache-2.0
// Replaying whole files: golden output, selections, gaps, damage, a live window.
#include "userspace/replay/replay.h"

#include <csignal>
#include <thread>

#include "tests/unit/replay/story.h"

namespace flightrec::replay::test {
namespace {

std::vector<std::string> containing(const std::vector<std::string>& lines, std::string_view text) {
    std::vector<std::string> out;
    std::copy_if(lines.begin(), lines.end(), std::back_inserter(out),
                 [&](const std::string& line) { return line.find(text) != std::string::npos; });
    return out;
}

TEST(Replay, OomStoryAsInTheGoldenFile) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    ReplaySummary summary;
    expect_golden("oom.txt", replayed(file, {}, &summary));
    EXPECT_TRUE(summary.damage.none());
}

TEST(Replay, JsonOfTheStoryAsInTheGoldenFile) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    ReplayOptions options;
    options.format = Format::json;
    options.last = 12;
    // The window's clock pairs are of this moment: times of the wall clock are taken out.
    std::string text = replayed(file, options);
    for (size_t at = 0; (at = text.find("\"time\":\"", at)) != std::string::npos; at += 8)
        text.replace(at + 8, 30, "TIME");
    expect_golden("oom_last.json", text);
}

TEST(Replay, TimesRelativeToTheTrigger) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    ReplayOptions options;
    options.filter.since = "-5ms";
    options.filter.until = "+2ms";
    const auto lines = lines_of(replayed(file, options));
    ASSERT_FALSE(lines.empty());
    EXPECT_NE(lines.front().find("-0.005000"), std::string::npos) << lines.front();
    EXPECT_EQ(containing(lines, "OOM kill of python3[812]").size(), 1u);
    EXPECT_TRUE(containing(lines, "+++").empty()) << "the exit came 5 ms after";
}

TEST(Replay, LastNIsTheSameAsTheEndOfEverything) {
    Story story;
    story.block_events = 50;
    for (uint64_t i = 0; i < 5000; ++i)
        story.add(call(10 * s + i * ms, 100, 100, "pread64", static_cast<int64_t>(i), {.args = {3, 0, i, i}}));
    for (uint64_t i = 0; i < 30; ++i) story.add(kmsg(10 * s + i * 200 * ms, 6, "tick " + std::to_string(i)));
    auto file = story.store();
    const auto all = lines_of(replayed(file, {}));
    ASSERT_EQ(all.size(), 5030u);
    for (const uint64_t n : {1u, 7u, 400u, 3000u, 9000u}) {
        ReplayOptions options;
        options.last = n;
        const auto last = lines_of(replayed(file, options));
        const std::vector<std::string> expected(
            all.end() - static_cast<std::ptrdiff_t>(std::min<size_t>(n, all.size())), all.end());
        EXPECT_EQ(last, expected) << n;
    }
    ReplayOptions rare;  // few match: it has to go back further than the first guess
    rare.last = 5;
    rare.filter.grep = "tick 2";
    EXPECT_EQ(lines_of(replayed(file, rare)).size(), 5u);
}

TEST(Replay, OnlyTheBlocksInTimeAreRead) {
    Story story;
    story.block_events = 100;
    for (uint64_t i = 0; i < 5000; ++i) story.add(call(10 * s + i * ms, 100, 100, "getpid", 100));
    auto file = story.store();
    ReplayOptions options;
    options.filter.since = "@14.9";
    ReplaySummary summary;
    EXPECT_EQ(lines_of(replayed(file, options, &summary)).size(), 100u);
    EXPECT_LE(summary.events, 202u);
}

TEST(Replay, StateBeforeTheTimesAskedForIsKnown) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    ReplayOptions options;
    options.filter.since = "-1s";
    options.filter.cgroups = {"/shop.slice"};
    const auto lines = lines_of(replayed(file, options));
    EXPECT_EQ(containing(lines, "python3[812]").size(), lines.size() - containing(lines, "===").size());
    EXPECT_GE(containing(lines, "openat").size(), 2u);
}

TEST(Replay, GapsAreNeverSilent) {
    Story story;
    story.add(call(1 * s, 100, 100, "getpid", 100));
    story.add(marker(2 * s, FR_MARKER_GAP, {1, FR_TRACK_SYSCALL, 1234, 1 * s + 500 * ms}));
    story.add(call(3 * s, 100, 100, "getpid", 100));
    auto file = story.store();
    ReplayOptions options;
    options.filter.pids = {100};
    options.filter.syscalls = {"getpid"};
    const auto lines = lines_of(replayed(file, options));
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_NE(lines[1].find("1234 events of cpu 1 (syscalls track) were overwritten"), std::string::npos) << lines[1];
    options.last = 1;
    EXPECT_EQ(lines_of(replayed(file, options)).size(), 1u);
}

TEST(Replay, HiddenClassesAreShownWhenNamed) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    EXPECT_EQ(containing(lines_of(replayed(file, {})), "rss 3").size(), 0u);
    ReplayOptions options;
    options.filter.classes = {"process_sample"};
    EXPECT_EQ(lines_of(replayed(file, options)).size(), 20u);
    options.filter.classes = {"process", "fd"};
    EXPECT_EQ(lines_of(replayed(file, options)).size(), 3u);
    EXPECT_EQ(lines_of(replayed(file, {.everything = true})).size(), story.events.size() + story.keyframe.size() + 1);
}

TEST(Replay, StatsCountCallsErrorsAndTime) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    const auto text = replayed(file, {.format = Format::stats});
    EXPECT_NE(text.find("         3        2  openat"), std::string::npos) << text;
    EXPECT_NE(text.find("           1  oom_kill"), std::string::npos) << text;
}

TEST(Replay, DamageIsReportedAndTheRestIsShown) {
    Story story;
    story.block_events = 100;
    for (uint64_t i = 0; i < 1000; ++i) story.add(call(10 * s + i * ms, 100, 100, "getpid", 100));
    auto file = story.store();
    uint64_t offset = 0;
    for (const auto& segment : file.segments())
        if (segment.header.track == FR_TRACK_SYSCALL) offset = segment.blocks[4].file_offset + sizeof(fr_block_header);
    ASSERT_NE(offset, 0u);
    {
        std::fstream raw(story.path(), std::ios::in | std::ios::out | std::ios::binary);
        raw.seekp(static_cast<std::streamoff>(offset + 10));
        raw.put('\x5a').put('\xa5');
    }
    auto damaged = flight::FlightFile::open(story.path());
    ASSERT_TRUE(damaged.has_value());
    ReplaySummary summary;
    const auto lines = lines_of(replayed(*damaged, {}, &summary));
    EXPECT_EQ(summary.damage.count, 1u);
    EXPECT_EQ(containing(lines, "getpid").size(), 900u);
}

TEST(Replay, FollowShowsWhatALiveWindowGets) {
    const TempDir dir;
    LiveWindow live(dir / "live.flight", "{}");
    live.calls({call(1 * s, 100, 100, "getpid", 1)});
    auto file = flight::FlightFile::open(dir / "live.flight");
    ASSERT_TRUE(file.has_value());
    FILE* sink = std::tmpfile();
    Output out(::fileno(sink));
    std::atomic<bool> stop{false};
    std::thread reader([&] {
        ReplayOptions options;
        options.follow = true;
        EXPECT_TRUE(replay(*file, options, out, stop).has_value());
    });
    const auto size = [&] { return lseek(::fileno(sink), 0, SEEK_CUR); };
    const auto wait_for = [&](auto&& done) {
        for (int i = 0; i < 500 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return done();
    };
    EXPECT_TRUE(wait_for([&] { return size() > 0; }));
    const auto before = size();
    live.calls({call(2 * s, 100, 100, "getuid", 2)});
    live.vital({kmsg(2 * s - ms, 6, "earlier")});
    EXPECT_TRUE(wait_for([&] { return size() > before + 60; }));
    stop = true;
    reader.join();
    std::rewind(sink);
    char text[4096] = {};
    const size_t n = std::fread(text, 1, sizeof text - 1, sink);
    std::fclose(sink);
    const auto lines = lines_of({text, n});
    ASSERT_EQ(lines.size(), 3u) << text;
    EXPECT_NE(lines[0].find("getpid"), std::string::npos);
}

TEST(Replay, AReaderThatGoesAwayEndsItQuietly) {
    Story story;
    for (uint64_t i = 0; i < 20000; ++i) story.add(call(10 * s + i, 100, 100, "getpid", 100));
    auto file = story.store();
    std::signal(SIGPIPE, SIG_IGN);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::close(ends[0]);
    Output out(ends[1]);
    const std::atomic<bool> stop{false};
    const auto done = replay(file, {}, out, stop);
    EXPECT_TRUE(done.has_value());
    EXPECT_LT(done->shown, 20000u);
    ::close(ends[1]);
}

TEST(Replay, AnExecIsShownOnce) {
    Story story;
    const auto exec = [&](uint64_t at, uint32_t tid) {
        story.add(record<fr_exec>(FR_CLASS_EXEC, at, tid, tid, [](fr_exec& e) { set_comm(e.comm, "ls"); },
                                  {{FR_BLOB_FILENAME, "/bin/ls"}}));
    };
    const auto refused = [&](uint64_t at, uint32_t tid) {
        story.add(record<fr_exec_failed>(FR_CLASS_EXEC_FAILED, at, tid, tid, [](fr_exec_failed& e) { e.error = -2; },
                                         {{FR_BLOB_FILENAME, "/no"}}));
    };
    exec(10 * s, 100);
    story.add(call(10 * s + 10, 100, 100, "execve", 0));
    refused(11 * s, 101);  // its event first
    story.add(call(11 * s + 10, 101, 101, "execve", -ENOENT));
    for (uint64_t i = 0; i < 2; ++i) {  // the call first
        story.add(call(12 * s + i * ms, 102, 102, "execve", -ENOENT));
        refused(12 * s + i * ms + 10, 102);
    }
    story.add(call(13 * s, 103, 103, "execve", 0));  // its event is not in the file
    auto file = story.store();
    const auto count = [&](const ReplayOptions& options) { return lines_of(replayed(file, options)).size(); };
    EXPECT_EQ(count({}), 5u) << replayed(file, {});
    EXPECT_EQ(count({.everything = true}), 10u) << "and the ledger";
    EXPECT_EQ(count({.filter = {.syscalls = {"execve"}}}), 5u);
    EXPECT_EQ(count({.filter = {.classes = {"exec"}}}), 1u);
    EXPECT_EQ(count({.format = Format::json}), 10u);
}

TEST(Replay, AThreadIsCalledWhatItIsCalledLaterWhereNothingNamedItBefore) {
    Story story;
    story.add(call(10 * s, 100, 100, "read", 0));
    story.add(call(10 * s, 200, 201, "read", 0));
    story.add(record<fr_rename>(FR_CLASS_RENAME, 11 * s, 100, 100, [](fr_rename& e) {
        e.target_pid = e.target_tid = 100;
        set_comm(e.old_comm, "python3");
        set_comm(e.new_comm, "sleep");
    }));
    story.add(call(12 * s, 100, 100, "read", 0));
    story.add(record<fr_exit>(FR_CLASS_EXIT, 13 * s, 200, 201, [](fr_exit& e) { set_comm(e.comm, "worker"); }));
    auto file = story.store();
    const auto lines = lines_of(replayed(file, {.filter = {.syscalls = {"read"}}}));
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_NE(lines[0].find("python3[100]"), std::string::npos) << lines[0];
    EXPECT_NE(lines[1].find("worker[200/201]"), std::string::npos) << lines[1];
    EXPECT_NE(lines[2].find("sleep[100]"), std::string::npos) << lines[2];
}

TEST(Replay, FollowingAFileThatNobodyWritesEnds) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    EXPECT_FALSE(replayed(file, {.follow = true, .path = story.path()}).empty());
}

TEST(Replay, FollowGoesOnWithTheNextRecorderAndEndsWithTheLast) {
    TempDir dir;
    const auto path = dir / "window.flight";
    auto first = std::make_unique<LiveWindow>(path, "{}");
    first->vital({kmsg(10 * s, 6, "of the first")});
    auto file = flight::FlightFile::open(path);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->live());
    std::string text;
    std::thread follower([&] { text = replayed(*file, {.follow = true, .path = path}); });
    first->vital({kmsg(11 * s, 6, "more of the first")});
    first.reset();
    std::filesystem::remove(path);
    {
        LiveWindow second(path, "{}");
        second.vital({kmsg(12 * s, 6, "of the second")});
        // Until the follower has it open: its descriptor beside ours.
        const auto open_twice = [&] {
            size_t count = 0;
            for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
                std::error_code ignored;
                count += std::filesystem::read_symlink(fd, ignored) == path ? 1 : 0;
            }
            return count >= 2;
        };
        while (!open_twice()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    follower.join();
    for (const auto* part : {"of the first", "more of the first", "of the second"})
        EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Replay, AnIncidentThatIsNotThereIsSaidSo) {
    auto story = cgroup_oom_story();
    auto file = story.store();
    Output out(-1);
    const std::atomic<bool> stop{false};
    const auto done = replay(file, {.incident = 7}, out, stop);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, Code::not_found);
    EXPECT_NE(done.error().message.find("the only one in this file is 1"), std::string::npos);
}

}  // namespace
}  // namespace flightrec::replay::test
