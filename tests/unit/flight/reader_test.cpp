// SPDX-License-Identifier: Apache-2.0
// Reading: order over tracks and blocks, ranges, keyframes, live windows, the clock.
#include "tests/unit/flight/support.h"
#include "userspace/flight/clock_map.h"

namespace flightrec::flight::test {
namespace {

uint64_t time_of(const Bytes& r) {
    fr_event head;
    std::memcpy(&head, r.data(), sizeof head);
    return head.time_ns;
}

Bytes call_at(uint64_t time) {
    Call call;
    call.enter = time - 1;
    call.time = time;
    return syscall_record(call);
}

TEST(EventReader, MergesTracksAndOverlappingBlocksByTime) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    size_t total = 0;
    for (int block = 0; block < 60; ++block) {
        std::vector<Bytes> vital, calls;
        for (int i = 0; i < 50; ++i) vital.push_back(marker(1 + random() % 10000));
        std::vector<uint64_t> times(50);
        for (auto& t : times) t = 1 + random() % 10000;
        std::sort(times.begin(), times.end());
        for (const auto t : times) calls.push_back(call_at(t));
        ASSERT_TRUE(recorder.append_vital(vital));
        ASSERT_TRUE(recorder.append_syscalls(calls));
        total += 100;
    }
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    const auto events = all_events(file);
    ASSERT_EQ(events.size(), total);
    EXPECT_TRUE(std::is_sorted(events.begin(), events.end(), [](auto& a, auto& b) { return time_of(a) < time_of(b); }));
    EXPECT_EQ(file.first_ns(), time_of(events.front()));
    EXPECT_EQ(file.last_ns(), time_of(events.back()));

    ReadOptions options;
    options.from_ns = 2000;
    options.to_ns = 3000;
    std::vector<Bytes> expected;
    for (const auto& e : events)
        if (time_of(e) >= 2000 && time_of(e) <= 3000) expected.push_back(e);
    EXPECT_EQ(all_events(file, options), expected);
    options.syscalls = false;
    std::erase_if(expected, [](const Bytes& e) { return e.size() != sizeof(fr_marker); });
    EXPECT_EQ(all_events(file, options), expected);
    options.vital = false;
    EXPECT_TRUE(all_events(file, options).empty());
}

TEST(EventReader, EqualTimesKeepTheOrderOfTheFile) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(recorder.append_vital({marker(7, "a" + std::to_string(i)), marker(7, "b" + std::to_string(i))}));
    std::string order;
    for (const auto& e : all_events(value_of(FlightFile::open(recorder.window.path())))) order += text_of(e);
    EXPECT_EQ(order, "a0b0a1b1a2b2a3b3a4b4");
}

TEST(EventReader, ReadsOnlyTheBlocksOfTheRange) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    for (uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(recorder.append_vital({marker(i * 100), marker(i * 100 + 50)}));
    Bytes bytes = recorder.dump();
    // Every payload but that of the sixth block is destroyed: a reading of its range does not notice.
    const auto whole = value_of(FlightFile::from_memory(bytes, "dump"));
    const auto blocks = whole.segments().front().blocks;
    for (size_t i = 0; i < blocks.size(); ++i)
        if (i != 6) bytes[blocks[i].file_offset + FR_BLOCK_HEADER_SIZE + 3] ^= std::byte{1};
    const auto file = value_of(FlightFile::from_memory(bytes, "dump"));
    ReadOptions options;
    options.from_ns = 600;
    options.to_ns = 650;
    auto reader = file.read(options);
    size_t count = 0;
    while (reader.next()) ++count;
    EXPECT_EQ(count, 2u);
    EXPECT_TRUE(reader.damage().none());
    auto all = file.read();
    count = 0;
    while (all.next()) ++count;
    EXPECT_EQ(count, 2u);
    EXPECT_EQ(all.damage().count, 9u);
}

TEST(EventReader, YieldsTheKeyframeOfTheRangeFirst) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    int keyframes = 0;
    recorder.window.on_segment_started([&](uint8_t track) {
        ++keyframes;
        for (const char* half : {"x", "y"}) {
            EXPECT_TRUE(recorder.keyframe.add(marker(1, half + std::to_string(keyframes)), 0));
            EXPECT_TRUE(recorder.window.append(track, recorder.keyframe.finish(FR_BLOCK_KEYFRAME)));
        }
    });
    Random random(1);
    for (uint64_t i = 0; i < 12; ++i) {
        const Bytes noise = random_bytes(random, 14000);
        ASSERT_TRUE(
            recorder.append_vital({marker(boot_ns(), {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
    }
    ASSERT_GE(keyframes, 3);
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    const auto keyframe_of = [&](uint64_t from) {
        ReadOptions options;
        options.from_ns = from;
        auto reader = file.read(options);
        std::string text;
        while (const auto event = reader.next()) {
            if (!reader.in_keyframe()) break;
            text += text_of(copy(*event));
        }
        EXPECT_FALSE(reader.in_keyframe());
        return text;
    };
    EXPECT_EQ(keyframe_of(0), "x1y1");
    EXPECT_EQ(keyframe_of(file.segments()[1].header.boot_ns), "x2y2");
    EXPECT_EQ(keyframe_of(UINT64_MAX), "x" + std::to_string(keyframes) + "y" + std::to_string(keyframes));
}

TEST(FlightFile, RefreshReturnsWhatIsNewInALiveWindow) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    ASSERT_TRUE(recorder.append_vital({marker(1, "one")}));
    auto file = value_of(FlightFile::open(recorder.window.path()));
    EXPECT_TRUE(file.live());
    EXPECT_TRUE(file.refresh().empty());
    ASSERT_TRUE(recorder.append_vital({marker(3, "three")}));
    ASSERT_TRUE(recorder.append_syscalls({call_at(2)}));
    const auto fresh = file.refresh();
    ASSERT_EQ(fresh.size(), 2u);
    EXPECT_EQ(fresh[0].header.first_ns, 2u);
    EXPECT_EQ(fresh[1].header.first_ns, 3u);
    const auto events = file.decode(fresh[1]);
    ASSERT_TRUE(events.has_value());
    EXPECT_EQ(text_of(copy(events->front())), "three");
    EXPECT_TRUE(file.refresh().empty());
    // Through several laps nothing is seen twice.
    Random random(1);
    std::vector<uint64_t> seen;
    for (uint64_t i = 0; i < 100; ++i) {
        const Bytes noise = random_bytes(random, 14000);
        ASSERT_TRUE(
            recorder.append_vital({marker(10 + i, {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
        if (i % 4 == 3)
            for (const auto& block : file.refresh()) seen.push_back(block.header.first_ns);
    }
    EXPECT_EQ(seen.size(), 100u);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    EXPECT_TRUE(file.damage().none());
}

TEST(EventReader, BlockOvertakenByTheWriterIsLostNotDamaged) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    const auto append = [&](uint64_t time) {
        const Bytes noise = random_bytes(random, 14000);
        ASSERT_TRUE(recorder.append_vital({marker(time, {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
    };
    for (uint64_t i = 0; i < 40; ++i) append(i);
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    auto reader = file.read();
    ASSERT_TRUE(reader.next().has_value());
    for (uint64_t i = 40; i < 100; ++i) append(i);
    size_t count = 1;
    while (reader.next()) ++count;
    EXPECT_GT(reader.blocks_lost(), 0u);
    EXPECT_EQ(count + reader.blocks_lost(), 40u);
    EXPECT_TRUE(reader.damage().none()) << reader.damage().items.front().what;
}

TEST(FlightFile, WallClockFollowsSteps) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    // After the segment's own clock pair, which is taken at the first append.
    ClockPair now = clock_pair();
    now.boot += 60'000'000'000;
    now.realtime += 60'000'000'000;
    ASSERT_TRUE(recorder.append_vital({marker(now.boot + 1000)}));
    const uint64_t hour = 3'600'000'000'000;
    ASSERT_TRUE(recorder.append_vital({marker(now.boot + 5000, {}, FR_MARKER_CLOCK, now.realtime + 5000 + hour)}));
    const auto file = value_of(FlightFile::open(recorder.window.path()));
    const auto near = [](uint64_t a, uint64_t b) { return std::min(a - b, b - a) < 100'000'000; };
    EXPECT_TRUE(near(file.realtime_of(now.boot + 1000), now.realtime + 1000));
    EXPECT_EQ(file.realtime_of(now.boot + 6000), now.realtime + 6000 + hour);
    EXPECT_EQ(file.boot_of_realtime(now.realtime + 6000 + hour), now.boot + 6000);
    EXPECT_EQ(file.boot_of_realtime(now.realtime + hour / 2), now.boot + 5000) << "the moment of the step";
}

TEST(ClockMap, ATimeThatCameTwiceHasAFirstAndALastMoment) {
    ClockMap clock;
    clock.add(1000, 100'000);
    clock.add(1500, 200'000);  // forward
    clock.add(2000, 100'200);  // back
    EXPECT_EQ(clock.first_boot_of(100'300), 1300u);
    EXPECT_EQ(clock.boot_of(100'300), 2100u);
    EXPECT_EQ(clock.first_boot_of(150'000), 1500u) << "jumped over: the moment of the step";
    EXPECT_EQ(clock.first_boot_of(200'100), 1600u);
    EXPECT_EQ(clock.first_boot_of(99'900), 900u) << "before the first pair";
    EXPECT_EQ(clock.realtime_of(1999), 200'499u);
    EXPECT_EQ(clock.realtime_of(2001), 100'201u);
}

TEST(FlightFile, RefusalsSayWhatIsWrong) {
    const TempDir dir;
    EXPECT_EQ(FlightFile::open(dir / "none").error().code, Code::not_found);
    std::filesystem::create_directory(dir / "d");
    EXPECT_EQ(FlightFile::open(dir / "d").error().code, Code::usage);
    std::ofstream(dir / "empty").flush();
    EXPECT_EQ(FlightFile::open(dir / "empty").error().code, Code::corrupt);
    std::ofstream(dir / "text") << std::string(100000, 'x');
    const auto text = FlightFile::open(dir / "text");
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, Code::corrupt);
    EXPECT_NE(text.error().message.find("not a flight file"), std::string::npos);
}

}  // namespace
}  // namespace flightrec::flight::test
