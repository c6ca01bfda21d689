// SPDX-License-Identifier: Apache-2.0
// SYSCALLS blocks: system calls in columns (flight-format.md, "Columns"). One pass: each event goes straight into the
// streams of its syscall number, which are chains of chunks from one pool; finish() joins and compresses them.
#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>

#include "userspace/flight/block.h"
#include "userspace/flight/block_summary.h"
#include "userspace/flight/bytes.h"
#include "userspace/flight/clock_tick.h"
#include "userspace/flight/syscall_model.h"
#include "userspace/flight/zstd_context.h"

namespace flightrec::flight {
namespace {

constexpr size_t chunk_size = 256;
// No event takes more chunks than this: 12 streams of its number, 7 common ones, and up to 244 blobs of which each puts
// at most 5 bytes to references, 3 to lengths and 2 to shapes.
constexpr size_t chunks_per_event = 40;
// A stream of at least this size gets entropy tables of its own.
constexpr size_t cut_size = 2048;
// A smaller block has no summary: it would be a good part of it, and decoding takes next to no time.
constexpr size_t summary_events = 512;
// Records mostly stand one after the other; three of them.
constexpr size_t read_ahead = 320;

struct Chunk {
    uint8_t bytes[chunk_size - 4];
    uint32_t next;
};

class ChunkPool {
  public:
    explicit ChunkPool(size_t count) : chunks_(count) {}
    void reset() { used_ = 0; }
    [[nodiscard]] size_t free() const { return chunks_.size() - used_; }
    [[nodiscard]] size_t bytes() const { return chunks_.size() * sizeof Chunk::bytes; }
    uint32_t take() { return used_++; }
    Chunk& operator[](uint32_t i) { return chunks_[i]; }

  private:
    std::vector<Chunk> chunks_;
    uint32_t used_ = 0;
};

// A growing stream. Trivial: reset by assignment.
struct Stream {
    uint8_t* at = nullptr;
    uint8_t* end = nullptr;
    uint32_t first = none, last = none;
    uint32_t full = 0;  // chunks before the last

    void grow(ChunkPool& pool) {
        const uint32_t fresh = pool.take();
        if (last == none) {
            first = fresh;
        } else {
            pool[last].next = fresh;
            ++full;
        }
        last = fresh;
        at = pool[fresh].bytes;
        end = at + sizeof Chunk::bytes;
    }
    void put(ChunkPool& pool, uint8_t b) {
        if (at == end) [[unlikely]]
            grow(pool);
        *at++ = b;
    }
    void put_varint(ChunkPool& pool, uint64_t v) {
        if (static_cast<size_t>(end - at) >= varint_max) [[likely]] {
            at = flight::put_varint(at, v);
            return;
        }
        while (v >= 0x80) {
            put(pool, static_cast<uint8_t>(v | 0x80));
            v >>= 7;
        }
        put(pool, static_cast<uint8_t>(v));
    }
    [[nodiscard]] size_t size(ChunkPool& pool) const {
        return last == none ? 0 : full * sizeof Chunk::bytes + static_cast<size_t>(at - pool[last].bytes);
    }
    uint8_t* copy(ChunkPool& pool, uint8_t* to) const {
        if (last == none) return to;
        for (uint32_t i = first; i != last; i = pool[i].next) {
            std::memcpy(to, pool[i].bytes, sizeof Chunk::bytes);
            to += sizeof Chunk::bytes;
        }
        const auto n = static_cast<size_t>(at - pool[last].bytes);
        std::memcpy(to, pool[last].bytes, n);
        return to + n;
    }
};

// An open-addressed table from a 64-bit hash to a small index; emptied in O(1) by a new generation.
class IndexTable {
  public:
    explicit IndexTable(size_t power_of_two) : slots_(power_of_two), mask_(power_of_two - 1) {}
    void reset() {
        if (++generation_ == 0) {
            std::fill(slots_.begin(), slots_.end(), Slot{});
            generation_ = 1;
        }
    }
    // The index stored under this hash for which `same` holds, or none and where to put it.
    template <class Same>
    uint32_t find(uint64_t hash, Same same, size_t& place) const {
        const auto tag = static_cast<uint32_t>(hash >> 32);
        for (size_t i = hash & mask_;; i = (i + 1) & mask_) {
            const Slot& s = slots_[i];
            if (s.generation != generation_) {
                place = i;
                return none;
            }
            if (s.tag == tag && same(s.index)) return s.index;
        }
    }
    void put(size_t place, uint64_t hash, uint32_t index) {
        slots_[place] = {generation_, static_cast<uint32_t>(hash >> 32), index};
    }

  private:
    struct Slot {
        uint32_t generation = 0, tag = 0, index = 0;
    };
    std::vector<Slot> slots_;
    size_t mask_;
    uint32_t generation_ = 0;
};

// (a * b) >> 64.
uint64_t high_half(uint64_t a, uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

struct StringRef {
    uint32_t offset, length;
};

// One blob of the record at hand, its string found or still to be added.
struct BlobAtHand {
    uint8_t kind, flags;
    std::string_view text;
};

}  // namespace

struct SyscallBlockEncoder::Impl {
    size_t max_events;
    size_t string_capacity;
    SyscallModel model;
    ChunkPool pool;
    std::array<Stream, common_streams> common;
    struct Numbered {
        std::array<Stream, numbered_streams> stream;
        uint64_t last_shape = 0;  // shape_key() of its last event
    };
    std::vector<Numbered> numbered{max_numbers};
    IndexTable threads{2 * max_threads}, numbers{2 * max_numbers}, shapes{2 * max_shapes}, strings{2 * max_strings};
    std::vector<StringRef> string_refs{max_strings};
    std::vector<char> text;  // of all strings
    std::vector<StringRef> shape_refs{max_shapes};
    std::vector<uint8_t> shape_bytes;  // of all shapes
    size_t text_used = 0, shape_used = 0;
    std::vector<uint8_t> bits;  // of times
    size_t bits_used = 0;       // whole bytes; the rest, fewer than 8 bits, is in bit_word
    uint64_t bit_word = 0;
    unsigned bit_count = 0;

    struct CpuState {
        uint16_t cpu;
        uint32_t thread;
    };
    std::vector<CpuState> cpus;  // capacity reserved: max_runs
    uint16_t next_cpu = 0;       // of run(), not begun before its first event
    size_t current_cpu = 0;      // index in cpus
    bool in_run = false;
    uint32_t run_events = 0, runs = 0;
    uint32_t current = none;  // thread

    size_t event_count = 0, decoded_bytes = 0;
    bool exhausted = false;  // one of the small limits is reached: the block takes no more
    TickFinder ticks;
    uint64_t tick = 0;      // of this block, 0: none
    uint64_t per_tick = 0;  // 2^64 over the tick: from 2^-20 ns to ticks
    uint64_t tick_misses = 0;
    SummaryCounts counts;
    fr_block_header header{};
    std::array<uint32_t, FR_CLASS_COUNT> by_class{};
    std::vector<uint8_t> raw, out;
    Compressor compressor;

    static constexpr size_t blobs_max = (FR_SYSCALL_EVENT_MAX - sizeof(fr_syscall)) / FR_EVENT_ALIGN + 1;
    std::array<BlobAtHand, blobs_max> blobs;
    size_t blob_count = 0;

    Impl(size_t events, size_t strings_bytes, Compressor zstd)
        : max_events(events),
          string_capacity(strings_bytes),
          pool((events * 12 + (96u << 10)) / sizeof Chunk::bytes),
          text(strings_bytes),
          shape_bytes(64u << 10),
          bits(events * 8 + 512),
          raw(raw_capacity()),
          out(summary_bound + Compressor::bound(raw.size(), 64 + pool.bytes() / cut_size)),
          compressor(std::move(zstd)) {
        cpus.reserve(max_runs);
        restart();
    }
    [[nodiscard]] size_t raw_capacity() const {
        const size_t directory = (common_streams + numbered_streams * size_t{max_numbers}) * 4 + 16;
        return pool.bytes() + text.size() + bits.size() + directory;
    }

    void restart() {
        model.reset();
        pool.reset();
        common = {};
        threads.reset();
        numbers.reset();
        shapes.reset();
        strings.reset();
        text_used = shape_used = bits_used = 0;
        bit_word = bit_count = 0;
        cpus.clear();
        in_run = false;
        run_events = runs = 0;
        current = none;
        event_count = decoded_bytes = 0;
        exhausted = false;
        tick = ticks.tick();
        per_tick = tick != 0 ? std::numeric_limits<uint64_t>::max() / tick : 0;
        tick_misses = 0;
        counts.reset();
        header = {};
        header.first_ns = header.first_enter_ns = std::numeric_limits<uint64_t>::max();
        by_class = {};
    }

    // No branch depends on the value: times differ, and would be foretold badly.
    void put_bits(uint64_t v, unsigned n) {  // n in 0…32, v below 2^n
        bit_word |= v << bit_count;
        bit_count += n;
        std::memcpy(bits.data() + bits_used, &bit_word, sizeof bit_word);
        bits_used += bit_count / 8;
        bit_word >>= bit_count & ~7u;  // 32 at most
        bit_count &= 7;
    }
    // Fills the last word; the bits stand in whole words.
    void end_bits() {
        std::memcpy(bits.data() + bits_used, &bit_word, sizeof bit_word);
        bits_used = align_up<size_t>(bits_used + (bit_count > 0 ? 1 : 0), sizeof(uint64_t));
    }

    uint8_t time_symbol(uint64_t v) {
        const auto n = static_cast<unsigned>(std::bit_width(v | 8));
        if (n <= 33) [[likely]] {
            const unsigned low = n - 4;  // 0 below 16: no bits
            put_bits(v & ((uint64_t{1} << low) - 1), low);
            const auto symbol = static_cast<uint8_t>(8 + 8 * low + ((v >> low) & 7));
            return v < 8 ? static_cast<uint8_t>(v) : symbol;
        }
        const bool negative = (v >> 63) != 0;
        if (negative) v = 0 - v;
        put_bits(v & 0xffffffff, 32);
        put_bits(v >> 32, 32);
        return static_cast<uint8_t>(negative ? time_symbol_negative : time_symbol_long);
    }

    void split_blobs(std::span<const std::byte> rest);
    [[nodiscard]] bool has_room(size_t record_size) const;
    void check_limits();
    void begin_run();
    void end_run();
    [[gnu::always_inline]] void step_to(uint32_t tid, uint32_t pid, uint32_t nr, uint32_t& thread_index,
                                        uint32_t& number_index);
    [[nodiscard]] uint64_t shape_key(const fr_syscall& call) const;
    uint32_t shape_of(const fr_syscall& call, Numbered& to, NumberState& n) {
        // As a rule the same as last time, with two blobs at most: told by one comparison.
        const uint64_t key = shape_key(call);
        if (key != 0 && key == to.last_shape) [[likely]]
            return n.shape;
        to.last_shape = key;
        return find_shape(call, to, n);
    }
    uint32_t find_shape(const fr_syscall& call, Numbered& to, NumberState& n);
    uint32_t put_string(std::string_view bytes, ThreadState& t, Stream& references);
    uint8_t put_arguments(std::array<Stream, numbered_streams>& streams, const Values& v, const Values& foretold);
    [[gnu::always_inline]] uint8_t put_values(const fr_syscall& call, uint32_t thread_index, uint32_t number_index,
                                              uint32_t string);
    [[gnu::always_inline]] void put_delta(Stream& to, uint64_t delta, uint32_t& phase);
    [[gnu::always_inline]] void put_times(const fr_syscall& call, ThreadState& t, Numbered& to);
    std::span<const std::byte> lay_out();
    EncodedBlock finish();
    [[nodiscard]] size_t payload_bound() const { return out.size() - summary_bound; }
};

// Takes the bytes behind the fixed part apart into blobs. Anything but a row of blobs that fills them exactly, padded
// with zeros, is one blob of kind 0: so any record survives as it is.
inline void SyscallBlockEncoder::Impl::split_blobs(std::span<const std::byte> rest) {
    blob_count = 0;
    const auto* at = reinterpret_cast<const char*>(rest.data());
    size_t left = rest.size();
    while (left > 0) {
        fr_blob head;
        std::memcpy(&head, at, sizeof head);
        const size_t whole = align_up<size_t>(sizeof head + head.len, FR_EVENT_ALIGN);
        bool good = head.kind != FR_BLOB_NONE && whole <= left;
        for (size_t i = sizeof head + head.len; good && i < whole; ++i) good = at[i] == 0;
        if (!good) {
            blob_count = 1;
            blobs[0] = {FR_BLOB_NONE, 0, {reinterpret_cast<const char*>(rest.data()), rest.size()}};
            return;
        }
        blobs[blob_count++] = {head.kind, head.flags, {at + sizeof head, head.len}};
        at += whole;
        left -= whole;
    }
}

// Whether any event could be added: the worst case of each resource. Those that only grow with something new are
// looked at when it comes.
inline bool SyscallBlockEncoder::Impl::has_room(size_t record_size) const {
    return event_count < max_events && pool.free() >= chunks_per_event + 2 && text.size() - text_used >= record_size &&
           bits.size() - bits_used >= 64 && decoded_bytes + record_size <= FR_BLOCK_DECODED_MAX && !exhausted;
}

void SyscallBlockEncoder::Impl::check_limits() {
    exhausted = model.threads() == max_threads || model.numbers() == max_numbers || model.shapes() == max_shapes ||
                max_strings - model.strings() < blobs_max || shape_bytes.size() - shape_used < 2 * blobs_max + 16 ||
                (!in_run && runs == max_runs);
}

void SyscallBlockEncoder::Impl::begin_run() {
    in_run = true;
    run_events = 0;
    ++runs;
    for (current_cpu = 0; current_cpu < cpus.size(); ++current_cpu)
        if (cpus[current_cpu].cpu == next_cpu) break;
    if (current_cpu == cpus.size()) cpus.push_back({next_cpu, none});
    current = cpus[current_cpu].thread;
}

void SyscallBlockEncoder::Impl::end_run() {
    if (!in_run) return;
    common[stream_runs].put_varint(pool, cpus[current_cpu].cpu);
    common[stream_runs].put_varint(pool, run_events);
    cpus[current_cpu].thread = current;
    in_run = false;
    check_limits();
}

inline void SyscallBlockEncoder::Impl::step_to(uint32_t tid, uint32_t pid, uint32_t nr, uint32_t& thread_index,
                                               uint32_t& number_index) {
    Stream& steps = common[stream_steps];
    if (current == none || model.thread(current).tid != tid || model.thread(current).pid != pid) {
        steps.put(pool, step_switch);
        const uint64_t hash = mix(static_cast<uint64_t>(tid) << 32 | pid);
        size_t place = 0;
        const uint32_t known = threads.find(
            hash, [&](uint32_t i) { return model.thread(i).tid == tid && model.thread(i).pid == pid; }, place);
        if (known == none) {
            common[stream_switches].put(pool, 0);
            common[stream_threads].put_varint(pool, tid);
            common[stream_threads].put_varint(pool, zigzag(static_cast<uint64_t>(pid) - tid));
            current = model.add_thread(tid, pid);
            threads.put(place, hash, current);
            check_limits();
        } else {
            common[stream_switches].put_varint(pool, model.threads() - known);
            current = known;
        }
    }
    thread_index = current;
    const uint32_t foretold = model.next_number(model.thread(current));
    if (foretold < model.numbers() && model.number(foretold).nr == nr) {
        number_index = foretold;
        steps.put(pool, step_foretold);
        return;
    }
    const uint64_t hash = mix(nr * 0x9e3779b97f4a7c15u);
    size_t place = 0;
    number_index = numbers.find(
        hash, [&](uint32_t i) { return model.number(i).nr == nr; }, place);
    if (number_index == none) {
        number_index = model.add_number(nr);
        numbers.put(place, hash, number_index);
        numbered[number_index] = {};
        check_limits();
        common[stream_numbers].put_varint(pool, nr);
    }
    steps.put_varint(pool, step_number + number_index);
}

// All of a shape in one number; 0 for one that has more to it.
inline uint64_t SyscallBlockEncoder::Impl::shape_key(const fr_syscall& call) const {
    if (blob_count > 2 || call.pad != 0) return 0;
    uint64_t key = 0;
    for (size_t i = 0; i < blob_count; ++i) key = key << 16 | uint64_t{blobs[i].kind} << 8 | blobs[i].flags;
    key = key << 8 | call.event.cls;
    key = key << 8 | call.event.flags;
    return key << 4 | uint64_t{call.enter_ns != 0} << 3 | blob_count << 1 | 1;
}

// The shape's index; writes it where the number's last was another. The caller sets the mask bit when it differs.
uint32_t SyscallBlockEncoder::Impl::find_shape(const fr_syscall& call, Numbered& to, NumberState& n) {
    std::array<uint8_t, 2 * blobs_max + 16> bytes;
    uint8_t* at = bytes.data();
    *at++ = call.event.cls;
    *at++ = call.event.flags;
    at = flight::put_varint(at, call.pad);
    *at++ = call.enter_ns != 0;
    at = flight::put_varint(at, blob_count);
    for (size_t i = 0; i < blob_count; ++i) {
        *at++ = blobs[i].kind;
        *at++ = blobs[i].flags;
    }
    const auto length = static_cast<size_t>(at - bytes.data());
    const auto same = [&](uint32_t i) {
        return shape_refs[i].length == length &&
               std::memcmp(shape_bytes.data() + shape_refs[i].offset, bytes.data(), length) == 0;
    };
    if (n.shape < model.shapes() && same(n.shape)) return n.shape;
    uint64_t hash = 0;
    for (size_t i = 0; i < length; ++i) hash = mix(hash + bytes[i] + 1);
    size_t place = 0;
    uint32_t index = shapes.find(hash, same, place);
    if (index == none) {
        index = model.add_shape();
        shapes.put(place, hash, index);
        shape_refs[index] = {static_cast<uint32_t>(shape_used), static_cast<uint32_t>(length)};
        std::memcpy(shape_bytes.data() + shape_used, bytes.data(), length);
        shape_used += length;
        check_limits();
        for (size_t i = 0; i < length; ++i) common[stream_shapes].put(pool, bytes[i]);
        to.stream[stream_shape].put(pool, 0);
    } else {
        to.stream[stream_shape].put_varint(pool, index + 1);
    }
    return index;
}

uint32_t SyscallBlockEncoder::Impl::put_string(std::string_view bytes, ThreadState& t, Stream& references) {
    const auto same = [&](uint32_t i) {
        return string_refs[i].length == bytes.size() &&
               std::memcmp(text.data() + string_refs[i].offset, bytes.data(), bytes.size()) == 0;
    };
    if (const uint32_t foretold = model.successor(t); foretold != none && same(foretold)) {
        references.put(pool, reference_successor);
        model.string_used(t, foretold);
        return foretold;
    }
    const uint64_t hash = hash64(std::as_bytes(std::span(bytes)));
    size_t place = 0;
    uint32_t index = strings.find(hash, same, place);
    if (index == none) {
        index = model.add_string();
        strings.put(place, hash, index);
        string_refs[index] = {static_cast<uint32_t>(text_used), static_cast<uint32_t>(bytes.size())};
        std::memcpy(text.data() + text_used, bytes.data(), bytes.size());
        text_used += bytes.size();
        common[stream_lengths].put_varint(pool, bytes.size());
        references.put(pool, reference_new);
        check_limits();
    } else {
        references.put_varint(pool, reference_index + index);
    }
    model.string_used(t, index);
    return index;
}

// Arguments 1…5, of which some are not what was foretold; returns their mask bits.
uint8_t SyscallBlockEncoder::Impl::put_arguments(std::array<Stream, numbered_streams>& streams, const Values& v,
                                                 const Values& foretold) {
    unsigned differ = 0;
    for (unsigned i = 1; i < 6; ++i) differ |= static_cast<unsigned>(v[i] != foretold[i]) << i;
    const auto mask = static_cast<uint8_t>(differ);
    for (; differ != 0; differ &= differ - 1) {
        const auto i = static_cast<unsigned>(std::countr_zero(differ));
        streams[stream_argument + i].put_varint(pool, zigzag(v[i] - foretold[i]));
    }
    return mask;
}

// Arguments and result; returns their mask bits.
inline uint8_t SyscallBlockEncoder::Impl::put_values(const fr_syscall& call, uint32_t thread_index,
                                                     uint32_t number_index, uint32_t string) {
    ThreadState& t = model.thread(thread_index);
    NumberState& n = model.number(number_index);
    auto& streams = numbered[number_index].stream;
    Values v;
    std::memcpy(v.data(), call.args, sizeof call.args);
    v[value_result] = static_cast<uint64_t>(call.result);
    const Values& base = model.base(thread_index, number_index);  // learn() is done with it before it changes it
    const Values& second = model.second(thread_index, number_index, v[0], base);
    uint8_t mask = 0;
    if (SyscallModel::candidate(n.choice(), base, t) != v[0]) {
        mask |= 1;
        streams[stream_argument].put_varint(pool, zigzag(v[0] - base[0]));
    }
    uint64_t differ = 0;  // all compared before any branch: as a rule none differs
    for (unsigned i = 1; i < 6; ++i) differ |= v[i] ^ second[i];
    if (differ != 0) mask |= put_arguments(streams, v, second);
    const uint64_t result = model.foretold_result(second, number_index, string);
    if (result != v[value_result]) {
        mask |= mask_result;
        streams[stream_result].put_varint(pool, zigzag(v[value_result] - result));
    }
    model.learn(thread_index, number_index, v, base, string);
    return mask;
}

// One difference of times, in ticks of the clock where it has any that can be seen ("Times").
inline void SyscallBlockEncoder::Impl::put_delta(Stream& to, uint64_t delta, uint32_t& phase) {
    if (tick == 0 || (delta >> 33) != 0) {
        phase = phase_middle;
        to.put(pool, time_symbol(delta));
        return;
    }
    const uint64_t fine = (delta << tick_bits) + phase_middle;
    // To the nearest tick, by multiplication: it may be one off for long times, which is told below.
    const uint64_t count = fine <= phase ? 0 : high_half(fine - phase + tick / 2, per_tick);
    const uint64_t foretold = phase + count * tick;
    const uint64_t rounded = foretold >> tick_bits;
    if (rounded == delta) [[likely]] {
        phase = static_cast<uint32_t>(foretold) & phase_mask;
        to.put(pool, time_symbol(count));
        return;
    }
    ++tick_misses;
    if (delta + 1 == rounded) {
        phase = phase_mask;
        to.put(pool, time_symbol_less);
        to.put(pool, time_symbol(count));
    } else if (delta == rounded + 1) {
        phase = 0;
        to.put(pool, time_symbol_more);
        to.put(pool, time_symbol(count));
    } else {
        phase = phase_middle;
        to.put(pool, time_symbol_plain);
        to.put(pool, time_symbol(delta));
    }
}

inline void SyscallBlockEncoder::Impl::put_times(const fr_syscall& call, ThreadState& t, Numbered& to) {
    const uint64_t entry = call.enter_ns != 0 ? call.enter_ns : call.event.time_ns;
    put_delta(to.stream[stream_gap], entry - t.time, t.phase);
    if (call.enter_ns != 0) {
        put_delta(to.stream[stream_duration], call.event.time_ns - entry, t.phase);
        ticks.sample(call.event.time_ns - entry);
    }
    t.time = call.event.time_ns;
    header.first_ns = std::min<uint64_t>(header.first_ns, call.event.time_ns);
    header.last_ns = std::max<uint64_t>(header.last_ns, call.event.time_ns);
    if (call.enter_ns != 0) header.first_enter_ns = std::min<uint64_t>(header.first_enter_ns, call.enter_ns);
}

// Joins the streams behind their directory.
std::span<const std::byte> SyscallBlockEncoder::Impl::lay_out() {
    end_bits();
    const auto common_size = [&](size_t i) {
        return i == stream_bytes ? text_used : i == stream_bits ? bits_used : common[i].size(pool);
    };
    uint8_t* at = raw.data();
    *at++ = columns_version;
    at = flight::put_varint(at, tick);
    at = flight::put_varint(at, event_count);
    at = flight::put_varint(at, model.numbers());
    for (size_t i = 0; i < common_streams; ++i) at = flight::put_varint(at, common_size(i));
    for (size_t kind = 0; kind < numbered_streams; ++kind)
        for (uint32_t n = 0; n < model.numbers(); ++n) at = flight::put_varint(at, numbered[n].stream[kind].size(pool));
    for (size_t i = 0; i < common_streams; ++i) {
        if (i == stream_bytes) {
            std::memcpy(at, text.data(), text_used);
            at += text_used;
        } else if (i == stream_bits) {
            std::memcpy(at, bits.data(), bits_used);
            at += bits_used;
        } else {
            at = common[i].copy(pool, at);
        }
    }
    for (size_t kind = 0; kind < numbered_streams; ++kind)
        for (uint32_t n = 0; n < model.numbers(); ++n) at = numbered[n].stream[kind].copy(pool, at);
    return std::as_bytes(std::span(raw.data(), at));
}

EncodedBlock SyscallBlockEncoder::Impl::finish() {
    end_run();
    const auto raw_bytes = lay_out();
    EncodedBlock block;
    block.header = header;
    block.header.magic = FR_BLOCK_MAGIC;
    block.header.kind = FR_BLOCK_SYSCALLS;
    block.header.codec = FR_CODEC_ZSTD;
    block.header.header_size = FR_BLOCK_HEADER_SIZE;
    block.header.raw_size = static_cast<__u32>(raw_bytes.size());
    block.header.events = static_cast<__u32>(event_count);
    if (event_count == 0) block.header.first_ns = 0;
    if (block.header.first_enter_ns == std::numeric_limits<uint64_t>::max())
        block.header.first_enter_ns = block.header.first_ns;
    const size_t summary = event_count < summary_events ? 0 : counts.write(block.header, model, out);
    const std::span frame = std::span(out).subspan(summary);
    // The same walk as lay_out(): each group of streams, and each long stream, ends its zstd block.
    compressor.begin(std::as_writable_bytes(frame), raw_bytes.size());
    size_t from = 0, to = raw_bytes.size();
    const auto cut_at = [&](size_t end) {
        if (end - from < cut_size) return;
        compressor.add(raw_bytes.subspan(from, end - from), true);
        from = end;
    };
    size_t total = 0;
    for (size_t i = 0; i < common_streams; ++i)
        total += i == stream_bytes ? text_used : i == stream_bits ? bits_used : common[i].size(pool);
    for (size_t kind = 0; kind < numbered_streams; ++kind)
        for (uint32_t n = 0; n < model.numbers(); ++n) total += numbered[n].stream[kind].size(pool);
    size_t at = to - total;
    for (size_t i = 0; i < common_streams; ++i) {
        const size_t size = i == stream_bytes ? text_used : i == stream_bits ? bits_used : common[i].size(pool);
        if (size >= cut_size) cut_at(at);
        at += size;
        if (size >= cut_size) cut_at(at);
    }
    for (size_t kind = 0; kind < numbered_streams; ++kind) {
        cut_at(at);
        for (uint32_t n = 0; n < model.numbers(); ++n) {
            const size_t size = numbered[n].stream[kind].size(pool);
            if (size >= cut_size) cut_at(at);
            at += size;
            if (size >= cut_size) cut_at(at);
        }
    }
    compressor.add(raw_bytes.subspan(from), false);
    const size_t size = compressor.end();
    // Next to the bound, which no real block is, there is no room for both.
    const bool both = summary + size <= payload_bound();
    block.payload = std::as_bytes(both ? std::span(out).first(summary + size) : frame.first(size));
    block.header.stored_size = static_cast<__u32>(block.payload.size());
    block.header.payload_hash = hash64(block.payload);
    block.by_class = by_class;
    ticks.block_done(2 * event_count, tick_misses);
    restart();
    return block;
}

SyscallBlockEncoder::SyscallBlockEncoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SyscallBlockEncoder::SyscallBlockEncoder(SyscallBlockEncoder&&) noexcept = default;
SyscallBlockEncoder& SyscallBlockEncoder::operator=(SyscallBlockEncoder&&) noexcept = default;
SyscallBlockEncoder::~SyscallBlockEncoder() = default;

Result<SyscallBlockEncoder> SyscallBlockEncoder::make(size_t max_events, size_t string_capacity, int zstd_level) {
    if (max_events < 16 || max_events > (1u << 17))
        return fail(Code::usage, "a syscall block takes 16 to 131072 events");
    if (string_capacity < FR_SYSCALL_EVENT_MAX || string_capacity > (4u << 20))
        return fail(Code::usage, "the strings of a syscall block take 2048 bytes to 4 MiB");
    auto zstd = Compressor::make(zstd_level);
    if (!zstd) return fail(Code::no_space, "cannot set up zstd: not enough memory or a level outside -5…9");
    return SyscallBlockEncoder(std::make_unique<Impl>(max_events, string_capacity, std::move(*zstd)));
}

void SyscallBlockEncoder::run(uint16_t cpu) {
    Impl& s = *impl_;
    if (s.in_run && s.cpus[s.current_cpu].cpu == cpu) return;
    s.end_run();
    s.next_cpu = cpu;
}

bool SyscallBlockEncoder::add(std::span<const std::byte> record) {
    Impl& s = *impl_;
    if (record.size() < sizeof(fr_syscall) || record.size() > FR_SYSCALL_EVENT_MAX ||
        record.size() % FR_EVENT_ALIGN != 0 || !s.has_room(record.size()))
        return false;
    if (!s.in_run) s.begin_run();
    __builtin_prefetch(record.data() + read_ahead);  // the records after the next; nothing happens beyond the end
    __builtin_prefetch(record.data() + read_ahead + 64);
    fr_syscall call;
    std::memcpy(&call, record.data(), sizeof call);
    s.split_blobs(record.subspan(sizeof call));
    uint32_t thread_index = 0, number_index = 0;
    s.step_to(call.event.tid, call.event.pid, call.nr, thread_index, number_index);
    s.model.prefetch(thread_index, number_index, call.args[0]);
    ThreadState& t = s.model.thread(thread_index);
    NumberState& n = s.model.number(number_index);
    auto& to = s.numbered[number_index];
    uint8_t mask = 0;
    const bool first_shape = s.model.shapes() == 0;
    const uint32_t shape = s.shape_of(call, to, n);
    if (shape != n.shape || first_shape) mask = mask_shape;
    n.shape = shape;
    s.put_times(call, t, to);  // in streams of its own: while the tables come
    uint32_t string = none;
    for (size_t i = 0; i < s.blob_count; ++i) {
        const uint32_t index = s.put_string(s.blobs[i].text, t, to.stream[stream_reference]);
        if (i == 0) string = index;
    }
    mask |= s.put_values(call, thread_index, number_index, string);
    to.stream[stream_mask].put(s.pool, mask);
    s.counts.add(call.event.cls, call.result, call.enter_ns, call.event.time_ns);
    ++s.event_count;
    ++s.run_events;
    s.decoded_bytes += record.size();
    if (call.event.cls < FR_CLASS_COUNT) ++s.by_class[call.event.cls];
    return true;
}

bool SyscallBlockEncoder::empty() const { return impl_->event_count == 0; }
size_t SyscallBlockEncoder::events() const { return impl_->event_count; }
size_t SyscallBlockEncoder::payload_bound() const { return impl_->payload_bound(); }
const std::array<uint32_t, FR_CLASS_COUNT>& SyscallBlockEncoder::by_class() const { return impl_->by_class; }
EncodedBlock SyscallBlockEncoder::finish() { return impl_->finish(); }

}  // namespace flightrec::flight
