// SPDX-License-Identifier: Apache-2.0
// SYSCALLS blocks: any record survives the columns.
#include "tests/unit/flight/support.h"
#include "userspace/flight/zstd_context.h"

namespace flightrec::flight::test {
namespace {

struct CpuRun {
    uint16_t cpu;
    std::vector<Bytes> records;
};

uint64_t time_of(const Bytes& r) {
    fr_event head;
    std::memcpy(&head, r.data(), sizeof head);
    return head.time_ns;
}

// Encodes the runs in as many blocks as it takes and compares what comes back, block by block.
void expect_round_trip(SyscallBlockEncoder& encoder, const std::vector<CpuRun>& runs) {
    BlockDecoder decoder;
    std::vector<std::pair<Bytes, uint16_t>> pending;
    const auto check = [&] {
        const auto block = encoder.finish();
        ASSERT_LE(block.payload.size(), encoder.payload_bound());
        ASSERT_LE(block.header.raw_size, FR_BLOCK_RAW_MAX);
        std::stable_sort(pending.begin(), pending.end(),
                         [](auto& a, auto& b) { return time_of(a.first) < time_of(b.first); });
        const auto out = decoder.decode(block.header, block.payload, fixed_sizes());
        ASSERT_TRUE(out.has_value()) << out.error().message;
        ASSERT_EQ(out->size(), pending.size());
        uint64_t first_enter = UINT64_MAX;
        for (size_t i = 0; i < pending.size(); ++i) {
            ASSERT_EQ(copy((*out)[i]), stored(pending[i].first)) << i;
            ASSERT_EQ((*out)[i].cpu, pending[i].second) << i;
            const auto call = (*out)[i].as<fr_syscall>();
            if (call.enter_ns != 0) first_enter = std::min<uint64_t>(first_enter, call.enter_ns);
        }
        if (!pending.empty()) {
            EXPECT_EQ(block.header.first_ns, time_of(pending.front().first));
            EXPECT_EQ(block.header.last_ns, time_of(pending.back().first));
            EXPECT_EQ(block.header.first_enter_ns, first_enter == UINT64_MAX ? block.header.first_ns : first_enter);
        }
        pending.clear();
    };
    for (const auto& run : runs) {
        encoder.run(run.cpu);
        for (const auto& r : run.records) {
            if (!encoder.add(r)) {
                check();
                if (::testing::Test::HasFatalFailure()) return;
                encoder.run(run.cpu);
                ASSERT_TRUE(encoder.add(r));
            }
            pending.emplace_back(r, run.cpu);
        }
    }
    check();
}

// A thread that opens, reads and closes files: most of what real traces are made of.
std::vector<CpuRun> file_reader(Random& random, size_t events) {
    std::vector<CpuRun> runs;
    uint64_t now = 1'000'000'000;
    for (size_t done = 0; done < events;) {
        CpuRun run{static_cast<uint16_t>(random() % 4), {}};
        const auto tid = static_cast<uint32_t>(100 + random() % 5);
        for (int i = 0; i < 50; ++i) {
            Call c;
            c.tid = tid;
            c.pid = 100;
            c.enter = now += 200 + random() % 300;
            c.time = now += 400 + random() % 2000;
            const size_t step = done % 3;
            c.nr = step == 0 ? 257 : step == 1 ? 0 : 3;
            if (step == 0) c.path = "/usr/include/file" + std::to_string(random() % 50) + ".h";
            c.args = {step == 0 ? 0xffffffffffffff9cull : 3, 0x7ffc12345678ull, 4096, 0, 0, 0};
            c.result = step == 0 ? (random() % 3 ? 3 : -2) : step == 1 ? static_cast<int64_t>(random() % 4096) : 0;
            run.records.push_back(syscall_record(c));
            ++done;
        }
        runs.push_back(std::move(run));
    }
    return runs;
}

TEST(SyscallBlock, OrdinaryCallsSurvive) {
    Random random(2);
    auto encoder = value_of(SyscallBlockEncoder::make(4096, 1 << 16));
    expect_round_trip(encoder, file_reader(random, 20000));
}

TEST(SyscallBlock, RandomBytesSurvive) {
    Random random(3);
    auto encoder = value_of(SyscallBlockEncoder::make(2000, 1 << 16));
    std::vector<CpuRun> runs;
    for (int i = 0; i < 200; ++i) {
        CpuRun run{static_cast<uint16_t>(random()), {}};
        for (size_t n = random() % 60; n > 0; --n)
            run.records.push_back(random_bytes(random, sizeof(fr_syscall) + 8 * (random() % 30)));
        runs.push_back(run);
    }
    expect_round_trip(encoder, runs);
}

// Fields that are often alike but sometimes anything: every mask, candidate and table comes into play.
TEST(SyscallBlock, HalfRandomFieldsSurvive) {
    Random random(4);
    auto encoder = value_of(SyscallBlockEncoder::make(8192, 1 << 17));
    const auto pick = [&](uint64_t usual) { return random() % 4 ? usual + random() % 3 : random() >> (random() % 64); };
    for (int round = 0; round < 5; ++round) {
        std::vector<CpuRun> runs;
        uint64_t now = random();
        for (int i = 0; i < 300; ++i) {
            CpuRun run{static_cast<uint16_t>(random() % 3), {}};
            for (size_t n = random() % 80; n > 0; --n) {
                EventBuilder builder;
                auto& s = builder.begin<fr_syscall>(random() % 9 ? FR_CLASS_SYSCALL : FR_CLASS_SYSCALL_ENTER);
                s.event.flags = static_cast<uint8_t>(random() % 5 ? 0 : random());
                s.event.tid = static_cast<uint32_t>(random() % 50 ? 10 + random() % 4 : random());
                s.event.pid = static_cast<uint32_t>(random() % 50 ? s.event.tid : random());
                s.event.stamp = random();
                s.event.class_seq = static_cast<uint32_t>(random());
                s.enter_ns = random() % 7 ? (now += random() % 1000) : random() % 2 ? 0 : random();
                s.event.time_ns = random() % 30 ? (now += random() % 1000) : random();
                s.nr = static_cast<uint32_t>(random() % 60 ? random() % 12 : random());
                s.pad = random() % 100 ? 0 : static_cast<uint32_t>(random());
                s.result = static_cast<int64_t>(pick(random() % 2 ? 3 : static_cast<uint64_t>(-2)));
                for (auto& a : s.args) a = pick(1000);
                for (size_t b = random() % 4; b > 1; --b) {
                    const auto text = random_bytes(random, random() % 3 ? random() % 5 : random() % 200);
                    builder.blob(static_cast<uint8_t>(1 + random() % 45),
                                 {reinterpret_cast<const char*>(text.data()), text.size()},
                                 static_cast<uint8_t>(random() % 5 ? 0 : random()));
                }
                run.records.emplace_back(builder.bytes().begin(), builder.bytes().end());
            }
            runs.push_back(run);
        }
        expect_round_trip(encoder, runs);
    }
}

TEST(SyscallBlock, LargestRecordsAndMostBlobsSurvive) {
    auto encoder = value_of(SyscallBlockEncoder::make(1000, 1 << 16));
    Random random(5);
    std::vector<CpuRun> runs(1);
    for (int i = 0; i < 300; ++i) {
        EventBuilder builder;
        builder.begin<fr_syscall>(FR_CLASS_SYSCALL).event.time_ns = static_cast<uint64_t>(i);
        while (builder.bytes().size() + 8 <= FR_SYSCALL_EVENT_MAX)
            builder.blob(static_cast<uint8_t>(1 + random() % 250),
                         std::string(random() % 4, static_cast<char>('a' + random() % 26)));
        runs[0].records.emplace_back(builder.bytes().begin(), builder.bytes().end());
        runs[0].records.push_back(random_bytes(random, FR_SYSCALL_EVENT_MAX));
    }
    expect_round_trip(encoder, runs);
}

TEST(SyscallBlock, ManyThreadsNumbersAndRunsOnlyEndTheBlock) {
    auto encoder = value_of(SyscallBlockEncoder::make(131072, 1 << 20));
    std::vector<CpuRun> runs;
    for (uint32_t i = 0; i < 40000; ++i) {
        Call c;
        c.time = i;
        c.tid = i;
        c.nr = i % 3000;
        c.path = std::to_string(i);
        runs.push_back({static_cast<uint16_t>(i), {syscall_record(c)}});
    }
    expect_round_trip(encoder, runs);
}

TEST(SyscallBlock, EmptyBlockIsValid) {
    auto encoder = value_of(SyscallBlockEncoder::make(100, 4096));
    encoder.run(3);
    EXPECT_TRUE(encoder.empty());
    expect_round_trip(encoder, {});
}

TEST(SyscallBlock, RecordOfAnImpossibleSizeIsRefused) {
    auto encoder = value_of(SyscallBlockEncoder::make(100, 4096));
    EXPECT_FALSE(encoder.add(Bytes(sizeof(fr_event))));
    EXPECT_FALSE(encoder.add(Bytes(sizeof(fr_syscall) + 4)));
    EXPECT_FALSE(encoder.add(Bytes(FR_SYSCALL_EVENT_MAX + 8)));
    EXPECT_TRUE(encoder.empty());
}

TEST(SyscallBlock, RegularCallsTakeLittleSpace) {
    Random random(6);
    auto encoder = value_of(SyscallBlockEncoder::make(32768, 1 << 18));
    size_t events = 0;
    for (const auto& run : file_reader(random, 32000)) {
        encoder.run(run.cpu);
        for (const auto& r : run.records) events += encoder.add(r) ? 1 : 0;
    }
    const auto block = encoder.finish();
    EXPECT_LT(static_cast<double>(block.payload.size()) / static_cast<double>(events), 4.5);
}

// Times as a clock gives them that steps by 10.0149 ns; now and then one it cannot have given.
std::vector<CpuRun> coarse_clock(Random& random, size_t events, uint64_t odd_one_in) {
    std::vector<CpuRun> runs(1);
    uint64_t ticks = 1'000'000'000;
    const auto now = [&] { return static_cast<uint64_t>(static_cast<double>(ticks) * 10.0149); };
    for (size_t i = 0; i < events; ++i) {
        Call c;
        c.tid = c.pid = static_cast<uint32_t>(100 + random() % 3);
        ticks += 20 + random() % 100;
        c.enter = now();
        ticks += random() % 1000 ? 30 + random() % 300 : random() % 100'000'000;
        c.time = now();
        if (random() % odd_one_in == 0) c.time += random() % 13;
        if (random() % (odd_one_in * 3) == 0) c.enter = random() % 2 ? 0 : c.time + random() % 50;
        runs[0].records.push_back(syscall_record(c));
    }
    return runs;
}

TEST(SyscallBlock, TimesOfACoarseClockSurviveInTicks) {
    Random random(8);
    auto encoder = value_of(SyscallBlockEncoder::make(4096, 1 << 14));
    for (const uint64_t odd : {1000000, 20, 3, 1000000}) expect_round_trip(encoder, coarse_clock(random, 30000, odd));
}

TEST(SyscallBlock, TimesOfACoarseClockTakeLess) {
    Random random(9);
    auto encoder = value_of(SyscallBlockEncoder::make(16384, 1 << 14));
    std::vector<size_t> sizes;
    for (int block = 0; block < 3; ++block) {
        const auto runs = coarse_clock(random, 16000, 1000000);
        for (const auto& r : runs[0].records) ASSERT_TRUE(encoder.add(r));
        sizes.push_back(encoder.finish().payload.size());
    }
    // The first block is where the tick is found.
    EXPECT_LT(sizes[1] * 6, sizes[0] * 5) << sizes[0];
    EXPECT_LT(sizes[2] * 6, sizes[0] * 5);
}

TEST(SyscallBlock, DamagedColumnsAreAnErrorNeverMore) {
    Random random(7);
    auto encoder = value_of(SyscallBlockEncoder::make(1000, 1 << 14));
    const auto runs = file_reader(random, 300);
    for (const auto& run : runs) {
        encoder.run(run.cpu);
        for (const auto& r : run.records) ASSERT_TRUE(encoder.add(r));
    }
    const auto block = keep(encoder.finish());
    BlockDecoder decoder;
    // Reached below zstd: the raw columns with every byte changed in some ways.
    Bytes raw(block.header.raw_size);
    {
        Decompressor zstd;
        ASSERT_TRUE(zstd.decompress(raw, block.payload));
    }
    auto header = block.header;
    header.codec = FR_CODEC_NONE;
    header.stored_size = header.raw_size;
    ASSERT_TRUE(decoder.decode(header, raw, fixed_sizes()).has_value());
    size_t errors = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
        for (const int change : {1, 0x80, 0xff}) {
            Bytes bad = raw;
            bad[i] ^= static_cast<std::byte>(change);
            errors += decoder.decode(header, bad, fixed_sizes()).has_value() ? 0 : 1;
        }
    }
    EXPECT_GT(errors, 0u);
    for (size_t n = 0; n < raw.size(); n += 7) {
        auto h = header;
        h.raw_size = h.stored_size = static_cast<__u32>(n);
        EXPECT_FALSE(decoder.decode(h, std::span(raw).first(n), fixed_sizes()).has_value()) << n;
    }
}

}  // namespace
}  // namespace flightrec::flight::test
