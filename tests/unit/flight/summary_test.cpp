// SPDX-License-Identifier: Apache-2.0
// Summaries: they tell what a block holds, leave out only what is not wanted, and never hide what is.
#include "tests/unit/flight/support.h"
#include "userspace/flight/hash.h"

namespace flightrec::flight::test {
namespace {

constexpr size_t calls_a_block = 600;

// Calls of one process with two threads; every tenth failed with this error.
std::vector<Bytes> calls_of(uint32_t pid, uint64_t from_ns, int error, size_t count = calls_a_block) {
    std::vector<Bytes> out;
    for (size_t i = 0; i < count; ++i) {
        Call c;
        c.pid = pid;
        c.tid = pid + i / 50 % 2;
        c.enter = from_ns + i * 1000;
        c.time = c.enter + 100 + (i == 7 ? 5000 : 0);
        c.nr = i % 2 ? 0 : 257;
        c.result = i % 10 == 0 ? -error : 3;
        out.push_back(syscall_record(c));
    }
    return out;
}

constexpr uint64_t block_ns = 1'000'000;

// Blocks of processes 100, 200, 300, 100.
Bytes dump_of_four() {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    uint64_t at = block_ns;
    for (const uint32_t pid : {100u, 200u, 300u, 100u}) {
        EXPECT_TRUE(recorder.append_syscalls(calls_of(pid, at, pid == 300 ? 13 : 2)));
        at += block_ns;
    }
    EXPECT_TRUE(recorder.append_ledger(at));
    return recorder.dump();
}

struct Read {
    size_t events = 0;
    BlockCounts blocks;
    uint64_t damage = 0;
};

Read read_where(std::span<const std::byte> bytes, const std::function<bool(const BlockSummary&)>& wanted) {
    const auto file = value_of(FlightFile::from_memory(bytes, "test"));
    ReadOptions options;
    options.vital = false;
    options.wanted = [&](const BlockInfo&, const BlockSummary& s) { return wanted(s); };
    auto reader = file.read(options);
    Read out;
    while (reader.next()) ++out.events;
    out.blocks = reader.blocks();
    out.damage = reader.damage().count;
    return out;
}

bool has_pid(const BlockSummary& summary, uint32_t pid) {
    return std::any_of(summary.threads.begin(), summary.threads.end(), [&](const auto& t) { return t.pid == pid; });
}

BlockInfo call_block(const FlightFile& file, size_t index) {
    for (const auto& segment : file.segments())
        if (segment.header.track == FR_TRACK_SYSCALL && index < segment.blocks.size()) return segment.blocks[index];
    throw std::runtime_error("no such block");
}

// Makes the hashes of a block that was changed fit again, its summary's too.
void seal(Bytes& bytes, const BlockInfo& block) {
    fr_block_header header = block.header;
    const auto payload = std::span(bytes).subspan(block.file_offset + sizeof header, header.stored_size);
    const auto content = payload.subspan(8, summary_size(payload) - 16);
    const std::array<uint64_t, 4> of{header.events, header.first_ns, header.last_ns, header.raw_size};
    const uint64_t hash = hash64(std::as_bytes(std::span(of)), content);
    std::memcpy(content.data() + content.size(), &hash, sizeof hash);
    header.payload_hash = hash64(payload);
    header.hash = header_hash(header);
    std::memcpy(bytes.data() + block.file_offset, &header, sizeof header);
}

TEST(Summary, TellsThreadsNumbersErrorsAndTheLongestDuration) {
    const Bytes dump = dump_of_four();
    const auto file = value_of(FlightFile::from_memory(dump, "test"));
    const auto summary = file.summary(call_block(file, 2));
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->threads, (std::vector<BlockSummary::Thread>{{300, 300}, {301, 300}}));
    EXPECT_EQ(summary->numbers, (std::vector<uint32_t>{257, 0}));
    EXPECT_EQ(summary->errors, (std::vector<uint16_t>{13}));
    EXPECT_TRUE(summary->has_error(13));
    EXPECT_FALSE(summary->has_error(2));
    EXPECT_EQ(summary->longest_ns, 5100u);
    EXPECT_EQ(summary->flags, 0);
    EXPECT_EQ(value_of(verify(file)).summaries, 4u);
}

TEST(Summary, TellsEntriesAndUnknownDurations) {
    auto encoder = value_of(SyscallBlockEncoder::make(1000, 4096));
    encoder.run(0);
    for (auto& record : calls_of(7, 1, 2)) ASSERT_TRUE(encoder.add(record));
    Call entry;
    entry.cls = FR_CLASS_SYSCALL_ENTER;
    entry.time = block_ns;
    ASSERT_TRUE(encoder.add(syscall_record(entry)));
    auto block = encoder.finish();
    EXPECT_EQ(read_summary(block.header, block.payload)->flags, FR_SUMMARY_ENTRIES);
    encoder.run(0);
    for (auto& record : calls_of(7, 1, 2)) ASSERT_TRUE(encoder.add(record));
    entry.cls = FR_CLASS_SYSCALL;
    ASSERT_TRUE(encoder.add(syscall_record(entry)));
    block = encoder.finish();
    EXPECT_EQ(read_summary(block.header, block.payload)->flags, FR_SUMMARY_DURATION_UNKNOWN);
}

TEST(Summary, BlocksWithoutWhatIsWantedAreNotRead) {
    const Bytes dump = dump_of_four();
    const Read one = read_where(dump, [](const auto& s) { return has_pid(s, 100); });
    EXPECT_EQ(one.events, 2 * calls_a_block);
    EXPECT_EQ(one.blocks.read, 2u);
    EXPECT_EQ(one.blocks.left_out, 2u);
    const Read none = read_where(dump, [](const auto& s) { return has_pid(s, 101); });
    EXPECT_EQ(none.blocks.read, 0u);
    const Read error = read_where(dump, [](const auto& s) { return s.has_error(13); });
    EXPECT_EQ(error.events, calls_a_block);
    EXPECT_EQ(error.blocks.left_out, 3u);
}

TEST(Summary, SmallBlocksAndOverlongListsHaveNone) {
    auto encoder = value_of(SyscallBlockEncoder::make(16384, 4096));
    encoder.run(0);
    for (auto& record : calls_of(7, 1, 2, 100)) ASSERT_TRUE(encoder.add(record));
    auto block = encoder.finish();
    EXPECT_EQ(summary_size(block.payload), 0u);
    encoder.run(0);
    Call c;
    for (uint32_t i = 0; i < 4000; ++i) {
        c.tid = c.pid = i * 1000;
        c.time = i;
        ASSERT_TRUE(encoder.add(syscall_record(c)));
    }
    block = encoder.finish();
    EXPECT_EQ(summary_size(block.payload), 0u);
}

// Whichever bit of it is turned: either its block is read, and found to be damaged, or nothing is wrong at all.
TEST(Summary, DamageToItNeverHidesEvents) {
    const Bytes whole = dump_of_four();
    const auto block = call_block(value_of(FlightFile::from_memory(whole, "test")), 0);
    const size_t at = block.file_offset + sizeof block.header;
    const size_t size = summary_size(std::span(whole).subspan(at));
    ASSERT_GT(size, 20u);
    for (size_t bit = 0; bit < size * 8; ++bit) {
        Bytes bytes = whole;
        bytes[at + bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
        const Read read = read_where(bytes, [](const auto& s) { return has_pid(s, 100); });
        EXPECT_EQ(read.blocks.read, 2u) << bit;
        EXPECT_EQ(read.damage, 1u) << bit;
        EXPECT_EQ(read.events, calls_a_block) << bit;
    }
}

TEST(Summary, OneThatContradictsItsBlockIsDamage) {
    const Bytes whole = dump_of_four();
    const auto block = call_block(value_of(FlightFile::from_memory(whole, "test")), 0);
    const size_t content = block.file_offset + sizeof block.header + 8;
    // of the content: flags, duration, the first number, the error, the first thread
    for (const size_t byte : {1u, 2u, 5u, 9u, 11u}) {
        Bytes bytes = whole;
        bytes[content + byte] ^= std::byte{4};
        seal(bytes, block);
        const auto file = value_of(FlightFile::from_memory(bytes, "test"));
        ASSERT_TRUE(file.summary(block)) << byte;
        const auto v = value_of(verify(file));
        EXPECT_EQ(v.damage.count, 1u) << byte;
        EXPECT_EQ(v.syscall_events, 4 * calls_a_block) << byte;
        const Read read = read_where(bytes, [](const auto&) { return true; });
        EXPECT_EQ(read.events, 4 * calls_a_block) << byte;
        EXPECT_EQ(read.damage, 1u) << byte;
    }
}

TEST(Summary, LengthsOutOfRangeAreNone) {
    const Bytes whole = dump_of_four();
    const auto block = call_block(value_of(FlightFile::from_memory(whole, "test")), 0);
    const size_t content = block.file_offset + sizeof block.header + 8;
    for (const size_t byte : {0u, 4u, 8u, 10u})  // version; counts of numbers, errors, threads
        for (const uint8_t value : {uint8_t{0x7f}, uint8_t{0xff}}) {
            Bytes bytes = whole;
            bytes[content + byte] = std::byte{value};
            seal(bytes, block);
            const auto file = value_of(FlightFile::from_memory(bytes, "test"));
            EXPECT_FALSE(file.summary(block)) << byte;
            EXPECT_EQ(read_where(bytes, [](const auto& s) { return has_pid(s, 100); }).events, 2 * calls_a_block);
        }
}

}  // namespace
}  // namespace flightrec::flight::test
