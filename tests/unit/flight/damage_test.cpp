// SPDX-License-Identifier: Apache-2.0
// Damage is skipped, counted and reported; the rest is still read.
#include "tests/unit/flight/support.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"

namespace flightrec::flight::test {
namespace {

// A dump of three vital segments and one of syscalls, several blocks each.
Bytes small_dump() {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    for (uint64_t i = 0; i < 6; ++i) {
        const Bytes noise = random_bytes(random, 14000);
        EXPECT_TRUE(
            recorder.append_vital({marker(i * 10, {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
        EXPECT_TRUE(recorder.append_vital({marker(i * 10 + 5, "small")}));
        Call call;
        call.enter = i * 10 + 6;
        call.time = i * 10 + 7;
        call.path = "/some/file";
        EXPECT_TRUE(recorder.append_syscalls({syscall_record(call)}));
    }
    return recorder.dump();
}

struct Reading {
    bool opened = false;
    std::vector<Bytes> events;
    uint64_t damage = 0;
    std::string what;
};

Reading read_all(std::span<const std::byte> bytes) {
    Reading out;
    const auto file = FlightFile::from_memory(bytes, "test");
    if (!file) {
        out.what = file.error().message;
        return out;
    }
    out.opened = true;
    auto reader = file->read();
    while (const auto event = reader.next()) out.events.push_back(copy(*event));
    out.damage = file->damage().count + reader.damage().count;
    for (const auto* d : {&file->damage(), &reader.damage()})
        for (const auto& item : d->items) out.what += item.what + "; ";
    return out;
}

// Whether `part` is what is left of `whole` after some events were taken out.
bool is_subset(const std::vector<Bytes>& part, const std::vector<Bytes>& whole) {
    size_t at = 0;
    for (const auto& event : part) {
        while (at < whole.size() && whole[at] != event) ++at;
        if (at++ == whole.size()) return false;
    }
    return true;
}

TEST(Damage, FileCutAnywhereIsReportedAndTheRestRead) {
    const Bytes whole = small_dump();
    const Reading all = read_all(whole);
    ASSERT_TRUE(all.opened);
    ASSERT_EQ(all.damage, 0u) << all.what;
    ASSERT_EQ(all.events.size(), 18u);
    size_t last = 0;
    // The zeros between information and data need not be cut at each byte.
    for (size_t n = 0; n < whole.size(); n += n >= 4300 && n < dump_data_offset - 8 ? 997
                                              : n > dump_data_offset + 2000         ? 7
                                                                                    : 1) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n));
        const Reading part = read_all(cut);
        if (!part.opened) {
            EXPECT_LT(n, sizeof(fr_file_header)) << n;
            continue;
        }
        ASSERT_GT(part.damage, 0u) << "cut at " << n;
        ASSERT_TRUE(is_subset(part.events, all.events)) << n;
        ASSERT_GE(part.events.size(), last) << n;
        last = part.events.size();
    }
    EXPECT_EQ(last, 17u);
}

// Flips every bit of [from, to) in turn.
template <class Check>
void flip_every_bit(Bytes bytes, uint64_t from, uint64_t to, Check check) {
    for (uint64_t i = from; i < to; ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            bytes[i] ^= static_cast<std::byte>(1 << bit);
            check(bytes, i, bit);
            if (::testing::Test::HasFatalFailure()) return;
            bytes[i] ^= static_cast<std::byte>(1 << bit);
        }
    }
}

TEST(Damage, ASmallFileCutAtEveryByteGivesNoMoreThanItHas) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    for (uint64_t i = 0; i < 4; ++i) EXPECT_TRUE(recorder.append_vital({marker(i * 10, "small")}));
    Call call;
    call.path = "/some/file";
    EXPECT_TRUE(recorder.append_syscalls({syscall_record(call)}));
    const Bytes whole = recorder.dump();
    const Reading all = read_all(whole);
    ASSERT_TRUE(all.opened);
    ASSERT_EQ(all.damage, 0u) << all.what;
    size_t last = 0;
    // From the second information slot to the data there is nothing but zeros.
    for (size_t n = 0; n < whole.size(); n += n >= 4300 && n < dump_data_offset - 8 ? 997 : 1) {
        const Reading part = read_all(std::span(whole).first(n));
        ASSERT_LE(part.events.size(), all.events.size()) << n;
        ASSERT_GE(part.events.size(), last) << n;
        for (const Bytes& event : part.events)
            ASSERT_NE(std::find(all.events.begin(), all.events.end(), event), all.events.end()) << n;
        EXPECT_TRUE(!part.opened || part.damage != 0) << n;
        last = part.events.size();
    }
}

TEST(Damage, EveryBitOfTheFileHeaderIsReportedAndAllEventsRead) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    flip_every_bit(whole, 0, sizeof(fr_file_header), [&](const Bytes& bytes, uint64_t i, int bit) {
        const Reading r = read_all(bytes);
        ASSERT_TRUE(r.opened) << i << " " << bit << " " << r.what;
        ASSERT_GT(r.damage, 0u) << i << " " << bit;
        ASSERT_TRUE(r.events == all) << i << " " << bit;
    });
}

TEST(Damage, EveryBitOfTheInformationHeaderIsReported) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    flip_every_bit(whole, info_offset_a, info_offset_a + sizeof(fr_info_header) + 10,
                   [&](const Bytes& bytes, uint64_t i, int bit) {
                       const Reading r = read_all(bytes);
                       ASSERT_EQ(r.damage, 1u) << i << " " << bit;
                       ASSERT_TRUE(r.events == all) << i << " " << bit;
                   });
}

TEST(Damage, EveryBitOfASegmentHeaderIsReportedAndItsBlocksStillRead) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    const auto file = value_of(FlightFile::from_memory(whole, "dump"));
    for (const auto& segment : file.segments().subspan(0, 2)) {
        flip_every_bit(whole, segment.file_offset, segment.file_offset + sizeof(fr_segment_header),
                       [&](const Bytes& bytes, uint64_t i, int bit) {
                           const Reading r = read_all(bytes);
                           ASSERT_GT(r.damage, 0u) << i - segment.file_offset << " " << bit;
                           ASSERT_TRUE(r.events == all) << i - segment.file_offset << " " << bit << " " << r.what;
                       });
    }
}

TEST(Damage, EveryBitOfABlockHeaderCostsThatBlockOnly) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    const auto file = value_of(FlightFile::from_memory(whole, "dump"));
    for (const auto& segment : file.segments().subspan(0, 2)) {
        for (const auto& block : segment.blocks) {
            flip_every_bit(whole, block.file_offset, block.file_offset + sizeof(fr_block_header),
                           [&](const Bytes& bytes, uint64_t i, int bit) {
                               const Reading r = read_all(bytes);
                               ASSERT_GT(r.damage, 0u) << i - block.file_offset << " " << bit;
                               ASSERT_EQ(r.events.size(), all.size() - 1)
                                   << i - block.file_offset << " " << bit << r.what;
                               ASSERT_TRUE(is_subset(r.events, all));
                           });
        }
    }
}

TEST(Damage, ChangedPayloadCostsThatBlockOnly) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    const auto file = value_of(FlightFile::from_memory(whole, "dump"));
    for (const auto& segment : file.segments()) {
        for (const auto& block : segment.blocks) {
            Bytes bytes = whole;
            bytes[block.file_offset + FR_BLOCK_HEADER_SIZE + block.header.stored_size / 2] ^= std::byte{4};
            const Reading r = read_all(bytes);
            EXPECT_EQ(r.damage, 1u) << r.what;
            EXPECT_EQ(r.events.size(), all.size() - 1);
        }
    }
}

TEST(Damage, EveryBitOfAWindowsSegmentAndBlockHeadersIsReported) {
    const TempDir dir;
    Bytes whole;
    {
        Recorder recorder(small_window(dir / "w.flight"));
        for (uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(recorder.append_vital({marker(i)}));
        whole = read_file(recorder.window.path());
    }
    const auto all = read_all(whole).events;
    ASSERT_EQ(all.size(), 3u);
    const auto file = value_of(FlightFile::from_memory(whole, "window"));
    const auto& segment = file.segments().front();
    const uint64_t end = segment.blocks.back().file_offset;
    flip_every_bit(whole, segment.file_offset, segment.file_offset + sizeof(fr_segment_header) - 0,
                   [&](const Bytes& bytes, uint64_t i, int bit) {
                       const Reading r = read_all(bytes);
                       const uint64_t at = i - segment.file_offset;
                       // `used` says nothing in a window.
                       const bool used =
                           at >= offsetof(fr_segment_header, used) && at < offsetof(fr_segment_header, used) + 8;
                       ASSERT_EQ(r.damage, used ? 0u : 1u) << at << " " << bit;
                       ASSERT_TRUE(r.events == all) << at << " " << r.what;
                   });
    flip_every_bit(whole, end, end + sizeof(fr_block_header), [&](const Bytes& bytes, uint64_t i, int bit) {
        const Reading r = read_all(bytes);
        ASSERT_EQ(r.damage, 1u) << i - end << " " << bit;
        ASSERT_EQ(r.events.size(), 2u) << i - end << " " << bit;
    });
}

TEST(Damage, TornBlockAtTheEndOfAWindowIsNoBlock) {
    const TempDir dir;
    Bytes whole;
    uint64_t at = 0;
    {
        Recorder recorder(small_window(dir / "w.flight"));
        ASSERT_TRUE(recorder.append_vital({marker(1)}));
        ASSERT_TRUE(recorder.append_vital({marker(2)}));
        whole = read_file(recorder.window.path());
        at = value_of(FlightFile::from_memory(whole, "w")).segments().front().blocks[1].file_offset;
    }
    // The payload is there, the header was not written yet.
    std::fill_n(whole.begin() + static_cast<ptrdiff_t>(at), FR_BLOCK_HEADER_SIZE, std::byte{0});
    const Reading r = read_all(whole);
    EXPECT_EQ(r.events.size(), 1u);
    EXPECT_EQ(r.damage, 0u) << r.what;
}

TEST(Damage, BlocksOfAFormerLapAreNoBlocks) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    Random random(1);
    // Whole laps, so that the open slot is full of blocks of the lap before, at the same places.
    std::vector<uint64_t> kept;
    for (uint64_t i = 0; i < 70; ++i) ASSERT_TRUE(recorder.append_vital({marker(i, std::string(100, 'a'))}));
    for (uint64_t i = 0; i < 200; ++i) {
        const Bytes noise = random_bytes(random, 14000);
        ASSERT_TRUE(
            recorder.append_vital({marker(100 + i, {reinterpret_cast<const char*>(noise.data()), noise.size()})}));
    }
    const Reading r = read_all(read_file(recorder.window.path()));
    EXPECT_EQ(r.damage, 0u) << r.what;
    EXPECT_EQ(r.events.size(), recorder.window.stored()[FR_CLASS_MARKER] - recorder.window.evicted()[FR_CLASS_MARKER]);
}

TEST(Damage, NewerVersionIsRefusedNamingBoth) {
    Bytes bytes = small_dump();
    fr_file_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.version = 7;
    header.hash = header_hash(header);
    std::memcpy(bytes.data(), &header, sizeof header);
    const auto result = FlightFile::from_memory(bytes, "x.flight");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::unsupported);
    EXPECT_NE(result.error().message.find("version 7"), std::string::npos) << result.error().message;
    EXPECT_NE(result.error().message.find("version 1"), std::string::npos) << result.error().message;
}

TEST(Damage, FileOfZerosOrNoiseIsRefused) {
    EXPECT_FALSE(read_all(Bytes(1 << 20)).opened);
    Random random(9);
    EXPECT_FALSE(read_all(random_bytes(random, 1 << 18)).opened);
}

TEST(Damage, RandomDamageNeverDoesMoreThanLoseEvents) {
    const Bytes whole = small_dump();
    const auto all = read_all(whole).events;
    Random random(11);
    for (int round = 0; round < 400; ++round) {
        Bytes bytes = whole;
        for (size_t n = 1 + random() % 20; n > 0; --n) {
            const size_t at = random() % bytes.size();
            const size_t length = std::min<size_t>(1 + random() % 600, bytes.size() - at);
            for (size_t i = 0; i < length; ++i) bytes[at + i] = static_cast<std::byte>(random() % 3 ? random() : 0);
        }
        const Reading r = read_all(bytes);
        if (!r.opened) continue;
        ASSERT_TRUE(is_subset(r.events, all)) << round;
        ASSERT_TRUE(r.events.size() == all.size() || r.damage > 0) << round;
    }
}

// Found by fuzzing: such a block was read out of order, and nothing was said.
TEST(Damage, ABlockWhoseEventsLieOutsideItsTimesIsDamaged) {
    const Bytes whole = small_dump();
    const Reading good = read_all(whole);
    ASSERT_EQ(good.damage, 0u);
    const auto opened = value_of(FlightFile::from_memory(whole, "test"));
    const SegmentInfo& segment = opened.segments().front();
    const auto block = std::find_if(segment.blocks.begin(), segment.blocks.end(), [](const BlockInfo& b) {
        return b.header.kind != FR_BLOCK_KEYFRAME && b.header.events > 0 && b.header.first_ns > 0;
    });
    ASSERT_NE(block, segment.blocks.end());
    for (const bool first : {true, false}) {
        Bytes changed = whole;
        fr_block_header header = block->header;
        if (first)
            ++header.first_ns;
        else
            --header.last_ns;
        header.hash = header_hash(header);
        std::memcpy(changed.data() + block->file_offset, &header, sizeof header);
        const Reading reading = read_all(changed);
        EXPECT_EQ(reading.damage, 1u);
        EXPECT_NE(reading.what.find("outside the times"), std::string::npos) << reading.what;
        EXPECT_EQ(reading.events.size(), good.events.size() - block->header.events);
        EXPECT_TRUE(is_subset(reading.events, good.events));
        const auto file = value_of(FlightFile::from_memory(changed, "test"));
        EXPECT_FALSE(value_of(verify(file)).intact());
    }
}

}  // namespace
}  // namespace flightrec::flight::test
