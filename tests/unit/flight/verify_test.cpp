// SPDX-License-Identifier: Apache-2.0
// The ledger check: balances what is right, finds what is not.
#include "tests/unit/flight/support.h"
#include "userspace/flight/hash.h"

namespace flightrec::flight::test {
namespace {

Bytes call_at(uint64_t time) {
    Call call;
    call.enter = time;
    call.time = time + 1;
    return syscall_record(call);
}

void record_some(Recorder& recorder, uint64_t blocks, uint64_t ledger_every) {
    Random random(1);
    for (uint64_t i = 0; i < blocks; ++i) {
        const Bytes noise = random_bytes(random, 14000);
        ASSERT_TRUE(
            recorder.append_vital({marker(i * 10, {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
        ASSERT_TRUE(recorder.append_syscalls({call_at(i * 10 + 1), call_at(i * 10 + 3)}));
        if (i % ledger_every == ledger_every - 1) {
            ASSERT_TRUE(recorder.append_ledger(i * 10 + 5, {marker(i * 10 + 4)}));
        }
    }
}

TEST(Verify, BalancesAWindowAndItsDumpAfterWrapping) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    recorder.window.on_segment_started([&](uint8_t track) {
        EXPECT_TRUE(recorder.keyframe.add(marker(1), 0));
        EXPECT_TRUE(recorder.window.append(track, recorder.keyframe.finish(FR_BLOCK_KEYFRAME)));
    });
    record_some(recorder, 200, 7);
    const Bytes dump = recorder.dump();
    for (const bool live : {true, false}) {
        const auto file =
            value_of(live ? FlightFile::open(recorder.window.path()) : FlightFile::from_memory(dump, "d"));
        const auto v = value_of(verify(file));
        EXPECT_TRUE(v.intact());
        EXPECT_TRUE(v.has_ledger);
        EXPECT_TRUE(v.balanced());
        const auto& calls = v.line[FR_CLASS_SYSCALL];
        EXPECT_EQ(calls.found + calls.after, 400u);
        EXPECT_EQ(calls.after, 8u) << "four rounds after the last ledger";
        EXPECT_EQ(calls.skipped, 5u);
        const auto& markers = v.line[FR_CLASS_MARKER];
        EXPECT_GT(markers.evicted, 0u);
        EXPECT_EQ(markers.found + markers.evicted, markers.stored);
        EXPECT_EQ(markers.after, 4u);
        EXPECT_EQ(v.missing_segments[FR_TRACK_VITAL], 0u);
        EXPECT_GT(v.keyframe_records, 0u);
        EXPECT_EQ(v.syscall_events, 400u);
    }
}

TEST(Verify, WithoutALedgerNothingBalances) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    record_some(recorder, 3, 100);
    const auto v = value_of(verify(value_of(FlightFile::open(recorder.window.path()))));
    EXPECT_FALSE(v.has_ledger);
    EXPECT_FALSE(v.balanced());
    EXPECT_TRUE(v.intact());
    EXPECT_EQ(v.line[FR_CLASS_SYSCALL].found, 6u);
}

TEST(Verify, FindsACountThatWasTamperedWith) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    record_some(recorder, 3, 3);
    // A later ledger that claims one event more than there is.
    EventBuilder builder;
    auto& l = builder.begin<fr_ledger>(FR_CLASS_LEDGER);
    l.event.time_ns = 1000;
    l.lines = FR_CLASS_COUNT;
    const auto stored = recorder.window.stored();
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c)
        l.line[c].produced = l.line[c].stored = stored[c] + (c == FR_CLASS_LEDGER || c == FR_CLASS_SYSCALL ? 1 : 0);
    recorder.window.fill_ledger_position(l);
    ASSERT_TRUE(recorder.vital.add(builder.bytes(), 0));
    ASSERT_TRUE(recorder.window.append(FR_TRACK_VITAL, recorder.vital.finish()));
    const auto v = value_of(verify(value_of(FlightFile::open(recorder.window.path()))));
    EXPECT_TRUE(v.intact());
    EXPECT_FALSE(v.balanced());
    EXPECT_FALSE(v.line[FR_CLASS_SYSCALL].balanced);
    EXPECT_TRUE(v.line[FR_CLASS_MARKER].balanced);
}

TEST(Verify, FindsProducedEventsThatWentNowhere) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    EventBuilder builder;
    auto& l = builder.begin<fr_ledger>(FR_CLASS_LEDGER);
    l.line[FR_CLASS_LEDGER].produced = l.line[FR_CLASS_LEDGER].stored = 1;
    l.line[FR_CLASS_EXEC].produced = 3;
    l.line[FR_CLASS_EXEC].overwritten = 2;
    ASSERT_TRUE(recorder.vital.add(builder.bytes(), 0));
    ASSERT_TRUE(recorder.window.append(FR_TRACK_VITAL, recorder.vital.finish()));
    const auto v = value_of(verify(value_of(FlightFile::open(recorder.window.path()))));
    EXPECT_FALSE(v.line[FR_CLASS_EXEC].balanced);
    EXPECT_TRUE(v.line[FR_CLASS_LEDGER].balanced);
}

TEST(Verify, FindsALostBlockAndALostSegment) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    record_some(recorder, 20, 5);
    const Bytes whole = recorder.dump();
    const auto file = value_of(FlightFile::from_memory(whole, "d"));
    Bytes bytes = whole;
    const auto& block = file.segments()[1].blocks[0];
    bytes[block.file_offset + 100] ^= std::byte{1};
    auto v = value_of(verify(value_of(FlightFile::from_memory(bytes, "d"))));
    EXPECT_EQ(v.damage.count, 1u);
    EXPECT_FALSE(v.intact());
    EXPECT_FALSE(v.balanced());
    // A whole segment gone: the third of the vital track.
    std::vector<const SegmentInfo*> vital;
    for (const auto& segment : file.segments())
        if (segment.header.track == FR_TRACK_VITAL) vital.push_back(&segment);
    ASSERT_GE(vital.size(), 4u);
    bytes = whole;
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(vital[2]->file_offset), vital[2]->header.used, std::byte{0});
    v = value_of(verify(value_of(FlightFile::from_memory(bytes, "d"))));
    EXPECT_EQ(v.missing_segments[FR_TRACK_VITAL], 1u);
    EXPECT_FALSE(v.intact());
    EXPECT_FALSE(v.balanced());
}

}  // namespace
}  // namespace flightrec::flight::test
