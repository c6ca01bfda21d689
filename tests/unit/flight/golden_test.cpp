// SPDX-License-Identifier: Apache-2.0
// Files written by earlier versions stay readable: tests/golden/format-1.bin was written by this writer at format
// version 1 and is never written again. FLIGHTREC_WRITE_GOLDEN=1 writes the file of a new version.
#include <cstdlib>

#include "tests/unit/flight/support.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"

namespace flightrec::flight::test {
namespace {

const std::filesystem::path golden = std::filesystem::path(FLIGHTREC_SOURCE_DIR) / "tests/golden/format-1.bin";

// What stands in the file, in order of time; the keyframe apart.
std::vector<Bytes> golden_vital() {
    std::vector<Bytes> out{marker(1'000'000'100, "first"),
                           marker(1'000'000'300, "second \x01\xff", FR_MARKER_TRIGGER, 4)};
    EventBuilder builder;
    auto& e = builder.begin<fr_exec>(FR_CLASS_EXEC);
    e.event.time_ns = 1'000'000'250;
    e.event.pid = e.event.tid = 77;
    e.start_ns = 999;
    e.argc = 2;
    std::memcpy(e.comm, "prog", 4);
    builder.blob(FR_BLOB_FILENAME, "./prog");
    builder.blob(FR_BLOB_ARGV, std::string_view("./prog\0-v\0", 10));
    out.emplace_back(builder.bytes().begin(), builder.bytes().end());
    return out;
}

std::vector<Bytes> golden_calls() {
    std::vector<Bytes> out;
    uint64_t now = 1'000'000'110;
    for (uint32_t i = 0; i < 40; ++i) {
        Call call;
        call.tid = 77 + i / 10 % 2;
        call.pid = 77;
        call.enter = i == 7 ? 0 : now + i * 13 % 29;
        call.time = now += 40 + i * 37 % 101;
        call.flags = i == 7 ? FR_EVENT_NO_ENTRY : i == 9 ? FR_EVENT_COMPAT : 0;
        call.nr = i % 3 == 0 ? 257 : i % 3 == 1 ? 0 : 3;
        call.args = {
            i % 3 == 0 ? 0xffffffffffffff9cull : 3, 0x7f0012340000ull + i * 64, 4096 + i, 0, i == 20 ? ~0ull : 0, 0};
        call.result = i % 5 == 0 ? -2 : static_cast<int64_t>(i) * 100;
        if (i % 3 == 0) call.path = "/etc/file" + std::to_string(i % 4);
        call.cls = i == 39 ? FR_CLASS_SYSCALL_ENTER : FR_CLASS_SYSCALL;
        out.push_back(syscall_record(call));
    }
    return out;
}

Bytes golden_keyframe() {
    EventBuilder builder;
    auto& p = builder.begin<fr_process>(FR_CLASS_PROCESS);
    p.event.time_ns = 1'000'000'000;
    p.event.pid = p.event.tid = 1;
    p.flags = FR_PROCESS_PARENT_KNOWN | FR_PROCESS_BEFORE;
    std::memcpy(p.comm, "init", 4);
    builder.blob(FR_BLOB_ARGV, std::string_view("/sbin/init\0", 11));
    return {builder.bytes().begin(), builder.bytes().end()};
}

void put(Bytes& out, uint64_t at, std::span<const std::byte> bytes) {
    if (out.size() < at + bytes.size()) out.resize(at + bytes.size());
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(at));
}

// Writes by the specification alone, without the Window: with fixed identities and clocks.
Bytes write_golden() {
    Bytes out;
    auto rows = value_of(EventBlockEncoder::make(1 << 16));
    auto columns = value_of(SyscallBlockEncoder::make(100, 4096));
    uint64_t at = dump_data_offset;
    const auto segment = [&](uint64_t sequence, uint8_t track, const std::vector<Stored>& blocks) {
        at = align_up<uint64_t>(at, FR_PAGE);
        fr_segment_header header{};
        header.magic = FR_SEGMENT_MAGIC;
        std::memset(header.recording_id, 0xab, sizeof header.recording_id);
        header.sequence = sequence;
        header.track = track;
        header.header_size = FR_SEGMENT_HEADER_SIZE;
        header.boot_ns = 1'000'000'000;
        header.realtime_ns = 1'700'000'000'000'000'000;
        header.segment_size = FR_SEGMENT_SIZE_MIN;
        uint64_t offset = FR_SEGMENT_HEADER_SIZE;
        uint32_t index = 0;
        for (const auto& block : blocks) {
            fr_block_header h = block.header;
            h.index = index++;
            h.segment_sequence = sequence;
            h.offset = offset;
            h.hash = header_hash(h);
            put(out, at + offset, bytes_of(h));
            put(out, at + offset + sizeof h, block.payload);
            offset = next_block(offset, h);
        }
        out.resize(at + offset);
        header.used = offset;
        header.hash = header_hash(header);
        put(out, at, bytes_of(header));
        at += offset;
    };
    EXPECT_TRUE(rows.add(golden_keyframe(), 0));
    const Stored keyframe = keep(rows.finish(FR_BLOCK_KEYFRAME));
    for (const auto& r : golden_vital()) EXPECT_TRUE(rows.add(r, 3));
    segment(1, FR_TRACK_VITAL, {keyframe, keep(rows.finish())});
    columns.run(2);
    for (const auto& r : golden_calls()) EXPECT_TRUE(columns.add(r));
    segment(2, FR_TRACK_SYSCALL, {keep(columns.finish())});

    fr_file_header file{};
    std::memcpy(file.magic, FR_FILE_MAGIC, sizeof file.magic);
    file.version = FR_FORMAT_VERSION;
    file.header_size = sizeof file;
    std::memset(file.recording_id, 0xab, sizeof file.recording_id);
    std::memset(file.file_id, 0xcd, sizeof file.file_id);
    file.kind = FR_FILE_DUMP;
    file.segment_count = 2;
    file.file_size = out.size();
    file.data_offset = dump_data_offset;
    file.segment_size = FR_SEGMENT_SIZE_MIN;
    file.info_offset[0] = info_offset_a;
    file.info_slot_size = FR_INFO_SLOT_SIZE;
    for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) file.fixed_size[c] = fixed_size_of(c);
    file.created_realtime_ns = 1'700'000'000'000'000'000;
    file.hash = header_hash(file);
    put(out, 0, bytes_of(file));
    const std::string json = "{\"golden\":1}";
    fr_info_header info{};
    info.magic = FR_INFO_MAGIC;
    info.generation = 1;
    info.size = static_cast<__u32>(json.size());
    info.hash = header_hash(info, std::as_bytes(std::span(json)));
    put(out, info_offset_a, bytes_of(info));
    put(out, info_offset_a + sizeof info, std::as_bytes(std::span(json)));
    return out;
}

void expect_golden(const FlightFile& file) {
    EXPECT_TRUE(file.damage().none());
    EXPECT_EQ(file.info_json(), "{\"golden\":1}");
    EXPECT_EQ(file.realtime_of(1'000'000'500), 1'700'000'000'000'000'500u);
    std::vector<Bytes> keyframe, vital, calls;
    auto reader = file.read();
    while (const auto event = reader.next()) {
        if (reader.in_keyframe()) {
            keyframe.push_back(copy(*event));
        } else if (track_of(event->head().cls) == FR_TRACK_VITAL) {
            vital.push_back(copy(*event));
            EXPECT_EQ(event->cpu, 3);
        } else {
            calls.push_back(copy(*event));
            EXPECT_EQ(event->cpu, 2);
        }
    }
    EXPECT_TRUE(reader.damage().none());
    EXPECT_EQ(keyframe, std::vector<Bytes>{golden_keyframe()});
    auto expected = golden_vital();
    std::swap(expected[1], expected[2]);  // in order of time
    EXPECT_EQ(vital, expected);
    EXPECT_EQ(calls, golden_calls());
}

TEST(Golden, FileOfFormat1IsReadExactly) {
    if (std::getenv("FLIGHTREC_WRITE_GOLDEN") != nullptr) {
        const Bytes bytes = write_golden();
        std::ofstream(golden, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    expect_golden(value_of(FlightFile::open(golden)));
}

TEST(Golden, WriterOfTodayWritesWhatItReads) {
    const Bytes bytes = write_golden();
    expect_golden(value_of(FlightFile::from_memory(bytes, "today")));
}

}  // namespace
}  // namespace flightrec::flight::test
