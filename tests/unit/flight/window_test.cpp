// SPDX-License-Identifier: Apache-2.0
// The window: creation and its refusals, wrapping, eviction, pins, dumps.
#include <sys/resource.h>
#include <sys/stat.h>

#include <thread>

#include "tests/unit/flight/support.h"

namespace flightrec::flight::test {
namespace {

// Blocks of about 20 KiB that zstd cannot shrink.
std::vector<Bytes> bulky(Random& random, uint64_t time_ns) {
    std::vector<Bytes> out;
    for (uint64_t i = 0; i < 2; ++i) {
        const Bytes noise = random_bytes(random, 10000);
        out.push_back(marker(time_ns + i, {reinterpret_cast<const char*>(noise.data()), noise.size()}));
    }
    return out;
}

TEST(Window, HasTheSizeAndModeItWasAskedFor) {
    const TempDir dir;
    WindowConfig config;
    config.path = dir / "w.flight";
    config.size = 64u << 20;
    auto window = value_of(Window::create(config, "{}"));
    EXPECT_EQ(window.segment_size(), 2u << 20);
    struct stat st {};
    ASSERT_EQ(::stat(config.path.c_str(), &st), 0);
    EXPECT_EQ(static_cast<uint64_t>(st.st_size), window.size());
    EXPECT_LE(window.size(), config.size);
    EXPECT_GE(static_cast<uint64_t>(st.st_blocks) * 512, window.size()) << "not every block is allocated";
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    EXPECT_EQ(window.slots(), 31u);
    EXPECT_EQ(window.header().vital_slots, 8u);
    EXPECT_FALSE(std::filesystem::exists(dir / "w.flight.new"));
}

TEST(Window, SmallShareStillLeavesTwoSegmentsToEachTrack) {
    const TempDir dir;
    auto config = small_window(dir / "w.flight");
    config.vital_share = 0;
    EXPECT_EQ(value_of(Window::create(config, "{}")).header().vital_slots, 2u);
    config.path = dir / "w2.flight";
    config.vital_share = 1;
    auto window = value_of(Window::create(config, "{}"));
    EXPECT_EQ(window.header().vital_slots, window.slots() - 2);
}

TEST(Window, TooSmallASizeNamesTheMinimum) {
    const TempDir dir;
    WindowConfig config;
    config.path = dir / "w.flight";
    config.size = 1u << 20;
    const auto result = Window::create(config, "{}");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::usage);
    EXPECT_NE(result.error().message.find("at least 4.0 MiB"), std::string::npos) << result.error().message;
    EXPECT_FALSE(std::filesystem::exists(dir / "w.flight"));
}

TEST(Window, FolderThatIsNotThereIsNamed) {
    const TempDir dir;
    const auto result = Window::create(small_window(dir / "no/such/w.flight"), "{}");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::not_found);
    EXPECT_NE(result.error().message.find("no/such/w.flight"), std::string::npos) << result.error().message;
}

TEST(Window, FullDiskNamesTheSizeNeededAndLeavesNothing) {
    const TempDir dir;
    auto config = small_window(dir / "w.flight");
    config.size = 1ull << 46;
    config.segment_size = 64u << 20;
    const auto result = Window::create(config, "{}");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::no_space) << result.error().message;
    EXPECT_NE(result.error().message.find("TiB"), std::string::npos) << result.error().message;
    EXPECT_FALSE(std::filesystem::exists(dir / "w.flight"));
    EXPECT_FALSE(std::filesystem::exists(dir / "w.flight.new"));
}

TEST(Window, SecondRecorderOnTheSameWindowIsRefused) {
    const TempDir dir;
    auto config = small_window(dir / "w.flight");
    auto first = value_of(Window::create(config, "{}"));
    config.replace_existing = true;
    const auto second = Window::create(config, "{}");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::busy);
    EXPECT_NE(second.error().message.find("another recorder"), std::string::npos) << second.error().message;
}

TEST(Window, OldWindowIsKeptUnlessItMayBeReplaced) {
    const TempDir dir;
    auto config = small_window(dir / "w.flight");
    {
        Recorder old(config, "{\"old\":1}");
        ASSERT_TRUE(old.append_vital({marker(5)}));
    }
    const Bytes before = read_file(config.path);
    const auto refused = Window::create(config, "{}");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::busy);
    EXPECT_NE(refused.error().message.find("old window"), std::string::npos) << refused.error().message;
    EXPECT_EQ(read_file(config.path), before);
    config.replace_existing = true;
    { auto fresh = value_of(Window::create(config, "{}")); }
    EXPECT_TRUE(all_events(value_of(FlightFile::open(config.path))).empty());
}

TEST(Window, PathThatIsNoFileIsRefused) {
    const TempDir dir;
    std::filesystem::create_directory(dir / "d");
    auto config = small_window(dir / "d");
    config.replace_existing = true;
    const auto result = Window::create(config, "{}");
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().message.find("not a regular file"), std::string::npos) << result.error().message;
    // A link is not followed to what it points to.
    std::filesystem::create_symlink(dir / "target", dir / "link");
    config.path = dir / "link";
    EXPECT_FALSE(Window::create(config, "{}"));
    EXPECT_FALSE(std::filesystem::exists(dir / "target"));
}

TEST(Window, WrapsAroundAndCountsWhatItEvicts) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    for (uint64_t i = 0; i < 300; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, i * 10)));
    const auto stored = recorder.window.stored()[FR_CLASS_MARKER];
    const auto evicted = recorder.window.evicted()[FR_CLASS_MARKER];
    EXPECT_EQ(stored, 600u);
    EXPECT_GT(evicted, 0u);
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    EXPECT_TRUE(file.damage().none()) << file.damage().items.front().what;
    const auto events = all_events(file);
    EXPECT_EQ(events.size(), stored - evicted);
    EXPECT_EQ(file.segments().front().header.stored_before[FR_CLASS_MARKER], evicted);
    EXPECT_EQ(file.segments().size(), recorder.window.header().vital_slots);
    EXPECT_EQ(file.last_ns(), 2991u);
}

TEST(Window, EachVitalSegmentBeginsWithItsKeyframe) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    uint64_t keyframes = 0;
    recorder.window.on_segment_started([&](uint8_t track) {
        EXPECT_EQ(track, FR_TRACK_VITAL);
        ++keyframes;
        EXPECT_TRUE(recorder.keyframe.add(marker(keyframes, "state"), 0));
        EXPECT_TRUE(recorder.window.append(track, recorder.keyframe.finish(FR_BLOCK_KEYFRAME)));
    });
    Random random(1);
    for (uint64_t i = 0; i < 30; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, 1000 + i * 10)));
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    EXPECT_GT(keyframes, 3u);
    for (const auto& segment : file.segments()) {
        ASSERT_GT(segment.blocks.size(), 1u);
        EXPECT_EQ(segment.blocks[0].header.kind, FR_BLOCK_KEYFRAME);
        EXPECT_EQ(segment.blocks[1].header.kind, FR_BLOCK_EVENTS);
    }
    EXPECT_EQ(recorder.window.stored()[FR_CLASS_MARKER], 60u) << "keyframes are not counted";
}

TEST(Window, EndlessKeyframeStopsAtHalfASegment) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    int refused = 0;
    recorder.window.on_segment_started([&](uint8_t track) {
        for (int i = 0; i < 20; ++i) {
            for (const auto& r : bulky(random, 1)) ASSERT_TRUE(recorder.keyframe.add(r, 0));
            const auto done = recorder.window.append(track, recorder.keyframe.finish(FR_BLOCK_KEYFRAME));
            if (!done) {
                EXPECT_EQ(done.error().code, Code::no_space);
                ++refused;
            }
        }
    });
    ASSERT_TRUE(recorder.append_vital(bulky(random, 7)));
    EXPECT_GT(refused, 0);
    EXPECT_EQ(all_events(value_of(FlightFile::open(recorder.window.path()))).size(), 2u);
}

TEST(Window, BlockThatCanNeverFitIsRefused) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    const Bytes large(recorder.window.max_payload() + 1);
    EncodedBlock block;
    block.header.header_size = FR_BLOCK_HEADER_SIZE;
    block.payload = large;
    EXPECT_EQ(recorder.window.append(FR_TRACK_VITAL, block).error().code, Code::usage);
}

TEST(Window, PinKeepsTheOldestSegmentUntilItIsReleased) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    uint64_t now = 0;
    for (; now < 100; ++now) ASSERT_TRUE(recorder.append_vital(bulky(random, now * 10)));
    const auto pinned = recorder.window.pin();
    ASSERT_FALSE(pinned.empty());
    const Bytes before(recorder.window.segment_bytes(pinned.front()).begin(),
                       recorder.window.segment_bytes(pinned.front()).end());
    // The open segment takes what still fits, then the writer is told to wait.
    Result<void> done;
    for (int i = 0; i < 200 && done; ++i) done = recorder.append_vital(bulky(random, now++ * 10));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::busy);
    const auto after = recorder.window.segment_bytes(pinned.front());
    EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin(), after.end()));
    recorder.window.unpin(pinned.front().slot);
    EXPECT_TRUE(recorder.append_vital(bulky(random, now * 10)));
    for (const auto& segment : pinned) recorder.window.unpin(segment.slot);
}

TEST(Window, DumpHoldsWhatTheWindowHolds) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"), "{\"a\":1}");
    Random random(1);
    for (uint64_t i = 0; i < 150; ++i) {
        ASSERT_TRUE(recorder.append_vital(bulky(random, i * 10)));
        Call call;
        call.enter = i * 10 + 1;
        call.time = i * 10 + 3;
        call.path = "/etc/passwd";
        ASSERT_TRUE(recorder.append_syscalls({syscall_record(call)}));
    }
    const auto live = value_of(FlightFile::open(recorder.window.path()));
    EXPECT_TRUE(live.live());
    const Bytes bytes = recorder.dump("{\"b\":2}");
    const auto dump = value_of(FlightFile::from_memory(bytes, "dump"));
    EXPECT_TRUE(dump.damage().none()) << dump.damage().items.front().what;
    EXPECT_FALSE(dump.live());
    EXPECT_EQ(dump.info_json(), "{\"b\":2}");
    EXPECT_EQ(live.info_json(), "{\"a\":1}");
    EXPECT_EQ(all_events(dump), all_events(live));
    EXPECT_EQ(dump.header().kind, uint32_t{FR_FILE_DUMP});
    EXPECT_EQ(0, std::memcmp(dump.header().recording_id, live.header().recording_id, 16));
    EXPECT_NE(0, std::memcmp(dump.header().file_id, live.header().file_id, 16));
    // Every pin is gone: the window goes on.
    for (uint64_t i = 0; i < 150; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, 5000 + i)));
}

TEST(Window, DumpThatCannotBeWrittenReleasesItsPins) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, i)));
    int pieces = 0;
    const auto result = write_dump(recorder.window, "{}", [&](std::span<const std::byte>) -> Result<void> {
        if (++pieces == 5) return fail(Code::io, "disk gone");
        return {};
    });
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message, "disk gone");
    EXPECT_EQ(pieces, 5);
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, 5000 + i)));
}

TEST(Window, DumpWhileRecordingHasNoHole) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(recorder.append_vital(bulky(random, i * 10)));
    Bytes bytes;
    std::atomic<bool> started = false;
    std::thread dumper([&] {
        const auto size = write_dump(recorder.window, "{}", [&](std::span<const std::byte> piece) -> Result<void> {
            started = true;
            bytes.insert(bytes.end(), piece.begin(), piece.end());
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            return {};
        });
        EXPECT_TRUE(size.has_value());
    });
    while (!started) std::this_thread::yield();
    uint64_t now = 100;
    for (int busy = 0; now < 300;) {
        const auto done = recorder.append_vital({marker(now * 10, "x")});
        if (done) {
            ++now;
            continue;
        }
        ASSERT_EQ(done.error().code, Code::busy);
        ASSERT_LT(++busy, 100000);
        std::this_thread::yield();
    }
    dumper.join();
    const auto dump = value_of(FlightFile::from_memory(bytes, "dump"));
    EXPECT_TRUE(dump.damage().none()) << dump.damage().items.front().what;
    uint64_t sequence = dump.segments().front().header.track_sequence;
    for (const auto& segment : dump.segments()) EXPECT_EQ(segment.header.track_sequence, sequence++);
}

TEST(Window, InformationIsReplacedAndTooMuchIsRefused) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"), "{\"n\":0}");
    for (int i = 1; i <= 5; ++i) {
        const std::string json = "{\"n\":" + std::to_string(i) + "}";
        ASSERT_TRUE(recorder.window.set_info(json));
        EXPECT_EQ(value_of(FlightFile::open(recorder.window.path())).info_json(), json);
    }
    EXPECT_EQ(recorder.window.set_info(std::string(FR_INFO_SLOT_SIZE, ' ')).error().code, Code::usage);
    EXPECT_EQ(value_of(FlightFile::open(recorder.window.path())).info_json(), "{\"n\":5}");
}

TEST(Window, FlushAndLockSucceedOnAnOrdinaryFile) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    ASSERT_TRUE(recorder.append_vital({marker(5)}));
    EXPECT_TRUE(recorder.window.flush(false));
    ASSERT_TRUE(recorder.append_vital({marker(6)}));
    EXPECT_TRUE(recorder.window.flush(true));
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    const auto locked = recorder.window.lock_memory();
    EXPECT_TRUE(locked || locked.error().message.find("cannot lock") != std::string::npos);
}

}  // namespace
}  // namespace flightrec::flight::test
