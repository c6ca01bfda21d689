// SPDX-License-Identifier: Apache-2.0
// What the encoder and the decoder of SYSCALLS blocks both know after each event, and so what need not be written
// (flight-format.md, "Columns"). Every rule here is part of the format.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "schemas/flightrec/format.h"

namespace flightrec::flight {

inline constexpr uint8_t columns_version = 1;
inline constexpr uint32_t max_threads = 4096;
inline constexpr uint32_t max_numbers = 1024;
inline constexpr uint32_t max_shapes = 1024;
inline constexpr uint32_t max_strings = 16384;
inline constexpr uint32_t max_runs = 4096;
inline constexpr uint32_t none = ~0u;

enum CommonStream : uint8_t {
    stream_runs,
    stream_threads,
    stream_numbers,
    stream_steps,
    stream_switches,
    stream_shapes,
    stream_lengths,
    stream_bytes,
    stream_bits,
    common_streams
};
enum NumberedStream : uint8_t {
    stream_mask,
    stream_gap,
    stream_duration,
    stream_shape,
    stream_reference,
    stream_result,
    stream_argument,  // …+5
    numbered_streams = stream_argument + 6
};

inline constexpr uint8_t mask_result = 1 << 6;
inline constexpr uint8_t mask_shape = 1 << 7;
inline constexpr uint64_t step_foretold = 0, step_switch = 1, step_number = 2;
inline constexpr uint64_t reference_new = 0, reference_successor = 1, reference_index = 2;
inline constexpr unsigned time_symbol_long = 248, time_symbol_negative = 249;
inline constexpr unsigned time_symbol_less = 250, time_symbol_more = 251, time_symbol_plain = 252;
// Ticks and phases are in 2^-20 ns.
inline constexpr unsigned tick_bits = 20;
inline constexpr uint64_t tick_min = 2u << tick_bits, tick_max = 1024u << tick_bits;
inline constexpr uint32_t phase_mask = (1u << tick_bits) - 1, phase_middle = 1u << (tick_bits - 1);

// The values of an event that are foretold from earlier ones. 6: the result.
using Values = std::array<uint64_t, 7>;
inline constexpr size_t value_result = 6;

struct ThreadState {
    uint32_t tid = 0, pid = 0;
    uint64_t time = 0;
    uint64_t arg0 = 0, result = 0;
    uint32_t history = 0;
    uint32_t string = none;
    uint32_t phase = phase_middle;  // of `time` between two nanoseconds, as far as known
};

struct NumberState {
    Values last{};
    uint32_t nr = 0;
    uint32_t shape = 0;
    std::array<uint8_t, 3> score{};

    // Which candidate of argument 0 to trust.
    [[nodiscard]] unsigned choice() const {
        unsigned best = score[1] > score[0] ? 1 : 0;
        return score[2] > score[best] ? 2 : best;
    }
};

// One entry of a table that remembers values under a tag; empty for any other tag and any other block. One cache line.
struct alignas(64) ValueEntry {
    Values values;
    uint32_t tag;
    uint32_t block;
};
struct ResultEntry {
    uint64_t result;
    uint32_t tag;
    uint32_t block;
};

class SyscallModel {
  public:
    SyscallModel()
        : by_thread_(2048),
          by_arg0_(4096),
          by_string_(4096),
          threads_(max_threads),
          numbers_(max_numbers),
          successor_(max_strings) {
        reset();
    }

    // A new block: everything is empty again.
    void reset() {
        if (++block_ == 0) {  // after 2^32 blocks
            std::fill(by_thread_.begin(), by_thread_.end(), ValueEntry{});
            std::fill(by_arg0_.begin(), by_arg0_.end(), ValueEntry{});
            std::fill(by_string_.begin(), by_string_.end(), ResultEntry{});
            block_ = 1;
        }
        next1_.fill(0);
        next3_.fill(0);
        thread_count_ = number_count_ = shape_count_ = string_count_ = 0;
    }

    // ---- what there is
    [[nodiscard]] uint32_t threads() const { return thread_count_; }
    [[nodiscard]] uint32_t numbers() const { return number_count_; }
    [[nodiscard]] uint32_t shapes() const { return shape_count_; }
    [[nodiscard]] uint32_t strings() const { return string_count_; }
    ThreadState& thread(uint32_t i) { return threads_[i]; }
    NumberState& number(uint32_t i) { return numbers_[i]; }
    uint32_t add_thread(uint32_t tid, uint32_t pid) {
        threads_[thread_count_] = ThreadState{tid, pid, 0, 0, 0, 0, none, phase_middle};
        return thread_count_++;
    }
    uint32_t add_number(uint32_t nr) {
        numbers_[number_count_] = NumberState{};
        numbers_[number_count_].nr = nr;
        return number_count_++;
    }
    uint32_t add_shape() { return shape_count_++; }
    uint32_t add_string() {
        successor_[string_count_] = none;
        return string_count_++;
    }

    // ---- which syscall comes next
    [[nodiscard]] uint32_t next_number(const ThreadState& t) const {
        const uint16_t by3 = next3_[hash3(t.history)];
        if (by3 != 0) return by3 - 1u;
        const uint16_t by1 = next1_[t.history & 1023];
        return by1 != 0 ? by1 - 1u : 0u;
    }

    // ---- what it looks like
    // Has the entries brought that base() and second() will read and learn() write.
    void prefetch(uint32_t thread_index, uint32_t number_index, uint64_t arg0) const {
        __builtin_prefetch(&by_thread_[index_thread(thread_index, number_index)], 1);
        __builtin_prefetch(&by_arg0_[hash_arg0(thread_index, number_index, arg0) >> 52], 1);
    }
    // The record argument 0 and, where nothing better is known, all else is foretold from.
    [[nodiscard]] const Values& base(uint32_t thread_index, uint32_t number_index) const {
        const ValueEntry& e = by_thread_[index_thread(thread_index, number_index)];
        return holds(e, thread_tag(thread_index, number_index)) ? e.values : numbers_[number_index].last;
    }
    // The record arguments 1…5 and the result are foretold from.
    [[nodiscard]] const Values& second(uint32_t thread_index, uint32_t number_index, uint64_t arg0,
                                       const Values& base_values) const {
        const uint64_t x = hash_arg0(thread_index, number_index, arg0);
        const ValueEntry& e = by_arg0_[x >> 52];
        return holds(e, tag_of(x)) ? e.values : base_values;
    }
    [[nodiscard]] uint64_t foretold_result(const Values& second_values, uint32_t number_index, uint32_t string) const {
        const uint64_t plain = second_values[value_result];
        if (string == none) return plain;
        const uint64_t x = hash_string(number_index, string);
        const ResultEntry& e = by_string_[x >> 52];
        if (e.block != block_ || e.tag != tag_of(x)) return plain;
        return negative(e.result) || negative(plain) ? e.result : plain;
    }
    [[nodiscard]] static uint64_t candidate(unsigned choice, const Values& base_values, const ThreadState& t) {
        return choice == 0 ? base_values[0] : choice == 1 ? t.arg0 : t.result;
    }

    // ---- strings
    [[nodiscard]] uint32_t successor(const ThreadState& t) const {
        return t.string == none ? none : successor_[t.string];
    }
    void string_used(ThreadState& t, uint32_t string) {
        if (t.string != none) successor_[t.string] = string;
        t.string = string;
    }

    // ---- after the event: its values become what the next ones are foretold from. `string`: the first, or none.
    void learn(uint32_t thread_index, uint32_t number_index, const Values& v, const Values& base_values,
               uint32_t string) {
        ThreadState& t = threads_[thread_index];
        NumberState& n = numbers_[number_index];
        score(n.score[0], base_values[0] == v[0]);
        score(n.score[1], t.arg0 == v[0]);
        score(n.score[2], t.result == v[0]);
        put(by_thread_[index_thread(thread_index, number_index)], thread_tag(thread_index, number_index), v);
        const uint64_t x = hash_arg0(thread_index, number_index, v[0]);
        put(by_arg0_[x >> 52], tag_of(x), v);
        if (string != none) {
            const uint64_t y = hash_string(number_index, string);
            by_string_[y >> 52] = {v[value_result], tag_of(y), block_};
        }
        n.last = v;
        next1_[t.history & 1023] = static_cast<uint16_t>(number_index + 1);
        next3_[hash3(t.history)] = static_cast<uint16_t>(number_index + 1);
        const uint32_t symbol = (number_index * 2 + (negative(v[value_result]) ? 1 : 0)) & 1023;
        t.history = ((t.history << 10) | symbol) & 0x3fffffff;
        t.arg0 = v[0];
        t.result = v[value_result];
    }

  private:
    static bool negative(uint64_t v) { return (v >> 63) != 0; }
    // min(s + 1, 15) after a right one, s / 2 after a wrong one; looked up, as which it is cannot be foretold.
    static constexpr auto next_score = [] {
        std::array<std::array<uint8_t, 16>, 2> out{};
        for (unsigned s = 0; s < 16; ++s) {
            out[0][s] = static_cast<uint8_t>(s / 2);
            out[1][s] = static_cast<uint8_t>(s < 15 ? s + 1 : 15);
        }
        return out;
    }();
    static void score(uint8_t& s, bool right) { s = next_score[right ? 1 : 0][s & 15]; }
    static uint32_t hash3(uint32_t history) { return (history * 0x9e3779b1u) >> 20; }
    static uint32_t thread_tag(uint32_t t, uint32_t n) { return t << 16 | n; }
    static uint32_t index_thread(uint32_t t, uint32_t n) { return (t * 0x9e3779b1u + n * 0x85ebca6bu) >> 21; }
    static uint64_t hash_arg0(uint32_t t, uint32_t n, uint64_t arg0) {
        const uint64_t tag = thread_tag(t, n);
        return (arg0 ^ (tag << 32 | tag)) * 0x9e3779b97f4a7c15u;
    }
    static uint64_t hash_string(uint32_t n, uint32_t s) {
        return ((static_cast<uint64_t>(n) << 32 | s) + 1) * 0x9e3779b97f4a7c15u;
    }
    static uint32_t tag_of(uint64_t x) { return static_cast<uint32_t>(x >> 20); }
    [[nodiscard]] bool holds(const ValueEntry& e, uint32_t tag) const { return e.block == block_ && e.tag == tag; }
    void put(ValueEntry& e, uint32_t tag, const Values& v) const { e = {v, tag, block_}; }

    uint32_t block_ = 0;
    uint32_t thread_count_ = 0, number_count_ = 0, shape_count_ = 0, string_count_ = 0;
    std::array<uint16_t, 1024> next1_{};
    std::array<uint16_t, 4096> next3_{};
    std::vector<ValueEntry> by_thread_, by_arg0_;
    std::vector<ResultEntry> by_string_;
    std::vector<ThreadState> threads_;
    std::vector<NumberState> numbers_;
    std::vector<uint32_t> successor_;
};

}  // namespace flightrec::flight
