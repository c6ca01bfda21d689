// SPDX-License-Identifier: Apache-2.0
// The reading side of the columns. It walks the same model as syscall_encoder.cpp.
#include "userspace/flight/syscall_decoder.h"

#include <fmt/format.h>

#include <algorithm>

#include "userspace/flight/block.h"

namespace flightrec::flight {

bool DecodedRecords::reserve(size_t n) {
    if (used + n <= capacity) [[likely]]
        return true;
    if (used + n > FR_BLOCK_DECODED_MAX) return false;
    const size_t grown = std::min<size_t>(std::max<size_t>(capacity * 2, used + n), FR_BLOCK_DECODED_MAX);
    auto fresh = std::make_unique_for_overwrite<std::byte[]>(grown);
    if (used > 0) std::memcpy(fresh.get(), bytes.get(), used);
    bytes = std::move(fresh);
    capacity = grown;
    return true;
}

Result<void> SyscallDecoder::open(std::span<const std::byte> raw, uint32_t events) {
    ByteStream in(raw);
    if (in.u8() != columns_version) return fail(Code::corrupt, "columns of an unknown version");
    tick_ = in.varint();
    if (tick_ != 0 && (tick_ < tick_min || tick_ > tick_max)) return fail(Code::corrupt, "a clock tick out of range");
    if (in.varint() != events) return fail(Code::corrupt, "columns hold another number of events");
    const uint64_t numbers = in.varint();
    if (in.bad() || numbers > max_numbers) return fail(Code::corrupt, "too many syscall numbers");
    number_count_ = static_cast<uint32_t>(numbers);
    numbered_.resize(numbers * numbered_streams);
    const size_t count = common_streams + numbered_.size();
    std::vector<uint64_t> sizes(count);
    for (auto& size : sizes) size = in.varint();
    for (size_t i = 0; i < count; ++i) {
        const auto bytes = in.bytes(sizes[i]);
        if (in.bad()) return fail(Code::corrupt, "a column ends after the block");
        if (i == stream_bits)
            bits_ = BitReader(bytes);
        else
            (i < common_streams ? common_[i] : numbered_[i - common_streams]) = ByteStream(bytes);
    }
    if (in.left() != 0) return fail(Code::corrupt, "bytes after the last column");
    return {};
}

Result<void> SyscallDecoder::decode(std::span<const std::byte> raw, uint32_t events, DecodedRecords& out) {
    model_.reset();
    counts_.reset();
    shapes_.clear();
    kinds_.clear();
    strings_.clear();
    cpus_.clear();
    current_ = none;
    if (events > FR_BLOCK_DECODED_MAX / sizeof(fr_syscall)) return fail(Code::corrupt, "too many events");
    FR_TRY(open(raw, events));
    uint64_t done = 0;
    for (uint32_t runs = 0; done < events; ++runs) {
        if (runs == max_runs) return fail(Code::corrupt, "too many runs");
        uint64_t count = 0;
        FR_TRY(decode_run(out, events - done, count));
        done += count;
    }
    return {};
}

Result<void> SyscallDecoder::decode_run(DecodedRecords& out, uint64_t left, uint64_t& count) {
    const uint64_t cpu = common_[stream_runs].varint();
    count = common_[stream_runs].varint();
    if (common_[stream_runs].bad() || cpu > 0xffff || count == 0 || count > left)
        return fail(Code::corrupt, "a run of events that does not fit");
    auto state = std::find_if(cpus_.begin(), cpus_.end(), [&](const CpuState& c) { return c.cpu == cpu; });
    if (state == cpus_.end()) state = cpus_.insert(cpus_.end(), {static_cast<uint16_t>(cpu), none});
    current_ = state->thread;
    for (uint64_t i = 0; i < count; ++i)
        if (const char* wrong = decode_event(out, static_cast<uint16_t>(cpu)))
            return fail(Code::corrupt, fmt::format("event {}: {}", out.entries.size(), wrong));
    state->thread = current_;
    return {};
}

const char* SyscallDecoder::step(uint32_t& thread, uint32_t& number) {
    ByteStream& steps = common_[stream_steps];
    uint64_t c = steps.varint();
    if (c == step_switch) {
        const uint64_t s = common_[stream_switches].varint();
        if (common_[stream_switches].bad() || s > model_.threads()) return "a thread that is not known";
        if (s == 0) {
            if (model_.threads() == max_threads) return "too many threads";
            const uint64_t tid = common_[stream_threads].varint();
            const uint64_t pid = tid + unzigzag(common_[stream_threads].varint());
            if (common_[stream_threads].bad() || tid > 0xffffffff || pid > 0xffffffff) return "a bad thread";
            current_ = model_.add_thread(static_cast<uint32_t>(tid), static_cast<uint32_t>(pid));
        } else {
            current_ = model_.threads() - static_cast<uint32_t>(s);
        }
        c = steps.varint();
        if (c == step_switch) return "two thread switches";
    }
    if (steps.bad()) return "the steps end early";
    if (current_ == none) return "an event without a thread";
    thread = current_;
    if (c == step_foretold) {
        number = model_.next_number(model_.thread(thread));
        return number < model_.numbers() ? nullptr : "no syscall number is known yet";
    }
    if (c - step_number > model_.numbers()) return "a syscall number that is not known";
    number = static_cast<uint32_t>(c - step_number);
    if (number == model_.numbers()) {
        if (number == number_count_) return "too many syscall numbers";
        const uint64_t nr = common_[stream_numbers].varint();
        if (common_[stream_numbers].bad() || nr > 0xffffffff) return "a bad syscall number";
        model_.add_number(static_cast<uint32_t>(nr));
    }
    return nullptr;
}

// Makes the number's shape the one of this event.
const char* SyscallDecoder::read_shape(uint32_t number, bool differs) {
    NumberState& n = model_.number(number);
    if (!differs) return n.shape < shapes_.size() ? nullptr : "no shape is known yet";
    ByteStream& in = numbered(stream_shape, number);
    const uint64_t s = in.varint();
    if (in.bad() || s > shapes_.size()) return "a shape that is not known";
    if (s != 0) {
        n.shape = static_cast<uint32_t>(s - 1);
        return nullptr;
    }
    if (shapes_.size() == max_shapes) return "too many shapes";
    ByteStream& def = common_[stream_shapes];
    Shape shape;
    shape.cls = def.u8();
    shape.flags = def.u8();
    const uint64_t pad = def.varint();
    shape.pad = static_cast<uint32_t>(pad);
    shape.has_entry = def.u8() != 0;
    const uint64_t blobs = def.varint();
    if (def.bad() || pad > 0xffffffff || blobs > FR_SYSCALL_EVENT_MAX / FR_EVENT_ALIGN) return "a bad shape";
    shape.first_blob = static_cast<uint32_t>(kinds_.size());
    shape.blobs = static_cast<uint32_t>(blobs);
    for (uint64_t i = 0; i < blobs; ++i) {
        const uint8_t kind = def.u8();
        kinds_.push_back({kind, def.u8()});
    }
    if (def.bad()) return "the shapes end early";
    n.shape = model_.add_shape();
    shapes_.push_back(shape);
    return nullptr;
}

const char* SyscallDecoder::read_strings(uint32_t thread, uint32_t number, const Shape& shape, uint32_t& first) {
    ByteStream& references = numbered(stream_reference, number);
    ThreadState& t = model_.thread(thread);
    at_hand_.clear();
    first = none;
    for (uint32_t i = 0; i < shape.blobs; ++i) {
        const uint64_t r = references.varint();
        if (references.bad()) return "the references end early";
        uint32_t index = none;
        if (r == reference_new) {
            if (strings_.size() == max_strings) return "too many strings";
            const uint64_t length = common_[stream_lengths].varint();
            if (common_[stream_lengths].bad() || length > FR_SYSCALL_EVENT_MAX) return "a string that is too long";
            const auto bytes = common_[stream_bytes].bytes(length);
            if (common_[stream_bytes].bad()) return "the strings end early";
            index = model_.add_string();
            strings_.push_back({bytes.data(), static_cast<uint32_t>(length)});
        } else {
            const uint64_t known = r == reference_successor ? model_.successor(t) : r - reference_index;
            if (known >= strings_.size()) return "a string that is not known";
            index = static_cast<uint32_t>(known);
        }
        model_.string_used(t, index);
        if (i == 0) first = index;
        at_hand_.push_back(strings_[index]);
    }
    return nullptr;
}

// A value of 33 bits at most.
uint64_t SyscallDecoder::read_value(uint8_t symbol) {
    if (symbol < 16) return symbol;
    const unsigned n = 5u + (symbol - 16u) / 8u;
    return (8u + (symbol & 7u)) * (uint64_t{1} << (n - 4)) + bits_.take(n - 4);
}

uint64_t SyscallDecoder::read_delta(ByteStream& in, uint32_t& phase) {
    uint8_t symbol = in.u8();
    if (symbol < time_symbol_long) [[likely]] {
        const uint64_t value = read_value(symbol);
        if (tick_ == 0) return value;
        const uint64_t fine = phase + value * tick_;
        phase = static_cast<uint32_t>(fine) & phase_mask;
        return fine >> tick_bits;
    }
    if (symbol == time_symbol_long || symbol == time_symbol_negative) {
        const uint64_t low = bits_.take(32);
        const uint64_t value = bits_.take(32) << 32 | low;
        phase = phase_middle;
        return symbol == time_symbol_negative ? 0 - value : value;
    }
    const uint8_t how = symbol;
    symbol = in.u8();
    if (symbol >= time_symbol_long) return in.fail();
    const uint64_t value = read_value(symbol);
    const uint64_t rounded = (phase + value * tick_) >> tick_bits;
    switch (how) {
        case time_symbol_less: phase = phase_mask; return rounded - 1;
        case time_symbol_more: phase = 0; return rounded + 1;
        case time_symbol_plain: phase = phase_middle; return value;
        default: return in.fail();
    }
}

const char* SyscallDecoder::decode_event(DecodedRecords& out, uint16_t cpu) {
    uint32_t thread = 0, number = 0, string = none;
    if (const char* wrong = step(thread, number)) return wrong;
    ByteStream& masks = numbered(stream_mask, number);
    const uint8_t mask = masks.u8();
    if (masks.bad()) return "the masks end early";
    if (const char* wrong = read_shape(number, (mask & mask_shape) != 0)) return wrong;
    NumberState& n = model_.number(number);
    ThreadState& t = model_.thread(thread);
    const Shape& shape = shapes_[n.shape];
    if (const char* wrong = shape.blobs == 0 ? nullptr : read_strings(thread, number, shape, string)) return wrong;

    Values v;
    const Values& base = model_.base(thread, number);
    bool bad = false;
    const auto residual = [&](size_t kind) {
        ByteStream& in = numbered(kind, number);
        const uint64_t d = unzigzag(in.varint());
        bad |= in.bad();
        return d;
    };
    v[0] = (mask & 1) != 0 ? base[0] + residual(stream_argument) : SyscallModel::candidate(n.choice(), base, t);
    const Values& second = model_.second(thread, number, v[0], base);
    for (unsigned i = 1; i < 6; ++i) v[i] = second[i] + ((mask >> i & 1) != 0 ? residual(stream_argument + i) : 0);
    v[value_result] = model_.foretold_result(second, number, string);
    if ((mask & mask_result) != 0) v[value_result] += residual(stream_result);
    model_.learn(thread, number, v, base, string);

    ByteStream& gaps = numbered(stream_gap, number);
    const uint64_t entry = t.time + read_delta(gaps, t.phase);
    uint64_t time = entry;
    bad |= gaps.bad();
    if (shape.has_entry) {
        ByteStream& durations = numbered(stream_duration, number);
        time = entry + read_delta(durations, t.phase);
        bad |= durations.bad();
    }
    if (bad || bits_.bad()) return "a column ends early";
    t.time = time;

    size_t size = sizeof(fr_syscall);
    for (uint32_t i = 0; i < shape.blobs; ++i)
        size += kinds_[shape.first_blob + i].kind == FR_BLOB_NONE
                    ? align_up<size_t>(at_hand_[i].length, FR_EVENT_ALIGN)
                    : align_up<size_t>(sizeof(fr_blob) + at_hand_[i].length, FR_EVENT_ALIGN);
    if (size > FR_SYSCALL_EVENT_MAX) return "a record that is too long";
    if (!out.reserve(size)) return "more records than a block may hold";
    fr_syscall call{};
    call.event.time_ns = time;
    call.event.size = static_cast<__u16>(size);
    call.event.cls = shape.cls;
    call.event.flags = shape.flags;
    call.event.tid = t.tid;
    call.event.pid = t.pid;
    call.enter_ns = shape.has_entry ? entry : 0;
    counts_.add(shape.cls, static_cast<int64_t>(v[value_result]), call.enter_ns, time);
    call.result = static_cast<__s64>(v[value_result]);
    call.nr = n.nr;
    call.pad = shape.pad;
    std::memcpy(call.args, v.data(), sizeof call.args);
    std::byte* to = out.bytes.get() + out.used;
    std::memcpy(to, &call, sizeof call);
    to += sizeof call;
    for (uint32_t i = 0; i < shape.blobs; ++i) {
        const BlobKind& kind = kinds_[shape.first_blob + i];
        const Text& text = at_hand_[i];
        const size_t head_size = kind.kind == FR_BLOB_NONE ? 0 : sizeof(fr_blob);
        const size_t whole = align_up<size_t>(head_size + text.length, FR_EVENT_ALIGN);
        std::memset(to + whole - std::min<size_t>(whole, FR_EVENT_ALIGN), 0, std::min<size_t>(whole, FR_EVENT_ALIGN));
        const fr_blob head{static_cast<__u16>(text.length), kind.kind, kind.flags};
        std::memcpy(to, &head, head_size);
        if (text.length > 0) std::memcpy(to + head_size, text.at, text.length);
        to += whole;
    }
    out.entries.push_back({time, static_cast<uint32_t>(out.used), static_cast<uint16_t>(size), cpu});
    out.used += size;
    return nullptr;
}

}  // namespace flightrec::flight
