// SPDX-License-Identifier: Apache-2.0
// What encoding and decoding cost per event, and how many bytes an event takes: on two made-up traces shaped like real
// ones, or on the system calls of a flight file: FLIGHTREC_TRACE=FILE codec_bench. Rivals in the same run: copying the
// records, and zstd alone on them.
#define ZSTD_STATIC_LINKING_ONLY
#include <benchmark/benchmark.h>
#include <zstd.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "userspace/flight/block.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/reader.h"

namespace flightrec::flight {
namespace {

// Records one after the other, as a ring holds them.
struct Trace {
    struct Item {
        size_t offset;
        uint16_t size, cpu;
    };
    std::vector<std::byte> bytes;
    std::vector<Item> items;
    void add(std::span<const std::byte> record, uint16_t cpu) {
        items.push_back({bytes.size(), static_cast<uint16_t>(record.size()), cpu});
        bytes.insert(bytes.end(), record.begin(), record.end());
    }
    [[nodiscard]] std::span<const std::byte> operator[](size_t i) const {
        return std::span(bytes).subspan(items[i].offset, items[i].size);
    }
};

class Maker {
  public:
    explicit Maker(double tick_ns) : tick_(tick_ns) {}
    // A call that comes `gap` ns after the last one and takes about `duration` ns.
    fr_syscall& call(uint32_t nr, double gap, double duration, int64_t result, std::array<uint64_t, 6> args) {
        std::lognormal_distribution<double> noise(0.0, 0.25);
        now_ += gap * noise(random);
        auto& s = builder.begin<fr_syscall>(FR_CLASS_SYSCALL);
        s.enter_ns = stamp();
        now_ += duration * noise(random);
        s.event.time_ns = stamp();
        s.event.tid = s.event.pid = pid;
        s.nr = nr;
        s.result = result;
        std::copy(args.begin(), args.end(), s.args);
        return s;
    }
    void done() { trace.add(builder.bytes(), 0); }
    std::mt19937_64 random{1};
    EventBuilder builder;
    Trace trace;
    uint32_t pid = 1000;

  private:
    [[nodiscard]] uint64_t stamp() const {
        return static_cast<uint64_t>(static_cast<double>(static_cast<uint64_t>(now_ / tick_)) * tick_);
    }
    double tick_, now_ = 1e12;
};

Trace web_server(size_t events) {
    Maker m(10.0149);
    while (m.trace.items.size() < events) {
        m.call(232, 300, 900, 8, {9, 0x55d0c0de, 512, ~0ull, 0, 8}), m.done();
        for (int i = 0; i < 8; ++i) {
            const uint64_t fd = 10 + m.random() % 32;
            const uint64_t buffer = 0x55d0c0000 + fd * 4096;
            m.call(45, 250, 600, 86, {fd, buffer, 1024, 0, 0, 0}), m.done();
            m.call(262, 400, 700, 0, {0xffffff9c, 0x55d0beef, 0x7ffd0010, 0, 0, 0});
            m.builder.blob(FR_BLOB_ARG0 + 1, "/var/www/html/index.html"), m.done();
            m.call(257, 300, 1500, 11, {0xffffff9c, 0x55d0beef, 0x800, 0, 0, 0});
            m.builder.blob(FR_BLOB_ARG0 + 1, "/var/www/html/index.html"), m.done();
            m.call(20, 500, 4000, 238, {fd, 0x7ffd0100, 1, 0, 0, 0}), m.done();
            m.call(40, 200, 5000, 612, {fd, 11, 0x7ffd0200, 612, 0, 0}), m.done();
            m.call(3, 200, 400, 0, {11, 0, 0, 0, 0, 0}), m.done();
        }
    }
    return std::move(m.trace);
}

Trace compiler(size_t events) {
    Maker m(10.0149);
    while (m.trace.items.size() < events) {
        ++m.pid;
        const uint64_t heap = 0x550000000000 + (m.random() & 0xfffffff000),
                       stack = 0x7ffc00000000 + (m.random() & 0xfffffff0);
        for (int header = 0; header < 60; ++header) {
            const std::string path = "/usr/include/c++/12/bits/header_" + std::to_string((header * 7) % 60) + ".h";
            const uint64_t name = heap + m.random() % 65536 * 16;
            const bool there = header % 4 != 0;
            m.call(257, 900, 2000, there ? 3 : -2, {0xffffff9c, name, 0x100, 0, 0, 0});
            m.builder.blob(FR_BLOB_ARG0 + 1, path), m.done();
            if (!there) continue;
            m.call(262, 500, 600, 0, {3, stack, stack + 0x40, 0x1000, 0, 0}), m.done();
            const auto size = static_cast<int64_t>(1000 + (header * 7919) % 50000);
            m.call(0, 700, 1500, size, {3, name + 4096, static_cast<uint64_t>(size), 0, 0, 0}), m.done();
            m.call(3, 600, 500, 0, {3, 0, 0, 0, 0, 0}), m.done();
            if (header % 5 == 0)
                m.call(12, 4000, 900, static_cast<int64_t>(heap + static_cast<uint64_t>(header) * 135168),
                       {heap, 0, 0, 0, 0, 0}),
                    m.done();
        }
    }
    return std::move(m.trace);
}

const Trace& trace_of(int64_t which) {
    static const Trace web = web_server(200000), cc = compiler(200000);
    static const Trace file = [] {
        Trace out;
        const char* path = std::getenv("FLIGHTREC_TRACE");
        if (path == nullptr) return out;
        const auto opened = FlightFile::open(path);
        if (!opened) return out;
        ReadOptions options;
        options.vital = options.keyframes = false;
        auto reader = opened->read(options);
        while (const auto event = reader.next()) out.add(event->bytes, event->cpu);
        return out;
    }();
    return which == 0 ? web : which == 1 ? cc : file;
}

constexpr size_t block_events = 16384;

template <class Each>
void encode_all(SyscallBlockEncoder& encoder, const Trace& trace, Each each) {
    for (size_t i = 0; i < trace.items.size(); ++i) {
        encoder.run(trace.items[i].cpu);
        if (encoder.add(trace[i])) continue;
        each(encoder.finish());
        encoder.run(trace.items[i].cpu);
        if (!encoder.add(trace[i])) std::abort();
    }
    each(encoder.finish());
}

void report(benchmark::State& state, const Trace& trace, size_t bytes) {
    const auto events = static_cast<double>(trace.items.size());
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(trace.items.size()));
    state.counters["ns/event"] =
        benchmark::Counter(events * 1e-9, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
    if (bytes > 0) state.counters["B/event"] = static_cast<double>(bytes) / events;
}

bool skip(benchmark::State& state, const Trace& trace) {
    if (!trace.items.empty()) return false;
    state.SkipWithError("set FLIGHTREC_TRACE to a flight file");
    return true;
}

void encode(benchmark::State& state) {
    const Trace& trace = trace_of(state.range(0));
    if (skip(state, trace)) return;
    auto encoder = SyscallBlockEncoder::make(block_events, 1 << 20);
    size_t bytes = 0;
    for (auto _ : state) {
        bytes = 0;
        encode_all(*encoder, trace, [&](const EncodedBlock& b) { bytes += sizeof b.header + b.payload.size(); });
    }
    report(state, trace, bytes);
}

void decode(benchmark::State& state) {
    const Trace& trace = trace_of(state.range(0));
    if (skip(state, trace)) return;
    auto encoder = SyscallBlockEncoder::make(block_events, 1 << 20);
    std::vector<std::pair<fr_block_header, std::vector<std::byte>>> blocks;
    encode_all(*encoder, trace, [&](const EncodedBlock& b) {
        blocks.emplace_back(b.header, std::vector<std::byte>(b.payload.begin(), b.payload.end()));
    });
    BlockDecoder decoder;
    const std::array<uint16_t, 64> sizes{};
    for (auto _ : state)
        for (const auto& [header, payload] : blocks) {
            const auto events = decoder.decode(header, payload, sizes);
            if (!events) std::abort();
            benchmark::DoNotOptimize(events->data());
        }
    report(state, trace, 0);
}

void copy_records(benchmark::State& state) {
    const Trace& trace = trace_of(state.range(0));
    if (skip(state, trace)) return;
    std::vector<std::byte> out(trace.bytes.size());
    for (auto _ : state) {
        for (size_t i = 0; i < trace.items.size(); ++i)
            std::memcpy(out.data() + trace.items[i].offset, trace[i].data(), trace.items[i].size);
        benchmark::ClobberMemory();
    }
    report(state, trace, trace.bytes.size());
}

void zstd_rows(benchmark::State& state) {
    const Trace& trace = trace_of(state.range(0));
    if (skip(state, trace)) return;
    std::vector<std::byte> out(ZSTD_compressBound(trace.bytes.size()));
    ZSTD_CCtx* context = ZSTD_createCCtx();
    size_t bytes = 0;
    for (auto _ : state)
        bytes = ZSTD_compressCCtx(context, out.data(), out.size(), trace.bytes.data(), trace.bytes.size(), 1);
    ZSTD_freeCCtx(context);
    report(state, trace, bytes);
}

void each_trace(benchmark::internal::Benchmark* b) {
    b->ArgName("trace(0=web,1=compiler,2=FLIGHTREC_TRACE)")->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond);
}
BENCHMARK(copy_records)->Apply(each_trace);
BENCHMARK(zstd_rows)->Apply(each_trace);
BENCHMARK(encode)->Apply(each_trace);
BENCHMARK(decode)->Apply(each_trace);

}  // namespace
}  // namespace flightrec::flight

BENCHMARK_MAIN();
