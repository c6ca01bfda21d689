// SPDX-License-Identifier: Apache-2.0
// What a SYSCALLS block holds, to be read without decoding it (flight-format.md, "Summaries").
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "schemas/flightrec/format.h"
#include "userspace/flight/syscall_model.h"

namespace flightrec::flight {

struct BlockSummary {
    struct Thread {
        uint32_t tid = 0, pid = 0;
        bool operator==(const Thread&) const = default;
    };
    uint8_t flags = 0;              // FR_SUMMARY_*
    uint64_t longest_ns = 0;        // duration; 0: none is known
    std::vector<uint32_t> numbers;  // of system calls, distinct
    std::vector<uint16_t> errors;   // distinct, ascending
    std::vector<Thread> threads;    // distinct

    [[nodiscard]] bool has_error(int error) const {
        return std::find(errors.begin(), errors.end(), error) != errors.end();
    }
    bool operator==(const BlockSummary&) const = default;
};

// Bytes of a payload that a summary can take.
inline constexpr size_t summary_bound = 2 * sizeof(__u32) + FR_SUMMARY_MAX;

// The summary that a payload (or its first summary_bound bytes) begins with; nullopt when there is none that can be
// trusted. header: of its block.
[[nodiscard]] std::optional<BlockSummary> read_summary(const fr_block_header& header,
                                                       std::span<const std::byte> payload);
// Bytes at the front of a payload that are a skippable frame, whatever it holds; 0: there is none, or it is cut.
[[nodiscard]] size_t summary_size(std::span<const std::byte> payload);

// What is gathered of a block's records one by one, by who writes it and by who reads it; the rest is in the model.
class SummaryCounts {
  public:
    void reset() { *this = {}; }
    // enter_ns as in the record, 0: none.
    void add(uint8_t cls, int64_t result, uint64_t enter_ns, uint64_t time_ns) {
        if (enter_ns != 0)
            longest_ns_ = std::max(longest_ns_, time_ns - enter_ns);
        else if (cls != FR_CLASS_SYSCALL_ENTER)
            flags_ |= FR_SUMMARY_DURATION_UNKNOWN;
        if (cls == FR_CLASS_SYSCALL_ENTER) flags_ |= FR_SUMMARY_ENTRIES;
        if (result < 0 && result >= -max_error) {
            const auto error = static_cast<size_t>(-result);
            errors_[error / 64] |= uint64_t{1} << (error % 64);
        }
    }
    // Writes header.events … of a finished block; returns the bytes written to the front of `to` (of summary_bound
    // bytes), 0 when it would be longer than FR_SUMMARY_MAX.
    size_t write(const fr_block_header& header, SyscallModel& model, std::span<uint8_t> to) const;
    // Whether a summary tells exactly what was gathered here.
    [[nodiscard]] bool equals(const BlockSummary& summary, SyscallModel& model) const;

  private:
    static constexpr int64_t max_error = 4095;
    uint64_t longest_ns_ = 0;
    uint8_t flags_ = 0;
    std::array<uint64_t, 64> errors_{};
};

}  // namespace flightrec::flight
