// SPDX-License-Identifier: Apache-2.0
// The way of the data inside the recorder: rings -> (state, triggers) -> encoders -> window. Keeps the ledger.
//
// One thread, the recorder's. After make() the way of an event allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "userspace/base/result.h"
#include "userspace/flight/ledger.h"
#include "userspace/flight/window.h"
#include "userspace/kernel/probes.h"
#include "userspace/record/kmsg.h"
#include "userspace/record/memory_stat.h"
#include "userspace/record/symbols.h"
#include "userspace/record/triggers.h"

namespace flightrec::record {

struct PipelineConfig {
    uint64_t seal_ns = 500'000'000;  // a block is written at the latest so long after its first event
    uint32_t processes = 32768;      // that the keyframes can hold
    uint32_t cgroups = 8192;
    uint64_t classes_off = 0;  // bit n: events of class n that user space makes are not taken either
};

// What the pipeline works with; all outlive it.
struct PipelineParts {
    kernel::Probes* probes = nullptr;
    flight::Window* window = nullptr;
    TriggerEngine* triggers = nullptr;
    const KernelSymbols* symbols = nullptr;         // may be null: stacks stay without names
    KmsgReader* kmsg = nullptr;                     // may be null
    const MemoryStatReader* memory_stat = nullptr;  // may be null: OOM kills have no memory.stat
};

class Pipeline {
  public:
    static Result<Pipeline> make(const PipelineConfig& config, const PipelineParts& parts);
    Pipeline(Pipeline&&) noexcept;
    Pipeline& operator=(Pipeline&&) noexcept;
    ~Pipeline();

    // Reads every ring once, feeds state and triggers, fills blocks and writes those that are full. Returns how full
    // the fullest ring was, 0 … 1 (1: overrun).
    double drain();
    // Takes an event that user space made (samples, kernel log, markers, keyframe entries).
    void emit(std::span<const std::byte> record);
    // Writes blocks that are older than seal_ns.
    void seal_due();
    // Writes everything with a ledger at its end: what is in the window then balances. Used before a dump and at the
    // end.
    void seal();

    // Processes that crashed since the last call, at most 16: what is mapped in them can be read while they dump core.
    [[nodiscard]] std::span<const uint32_t> crashed();
    // Whether a segment of the vital track was begun since the last call: its keyframe lacks the open files.
    [[nodiscard]] bool keyframe_written();
    // Whether a cgroup was made since the last call.
    [[nodiscard]] bool cgroup_made();

    // Processes that were moved into view since the last call and are not in the table: at most 64, the rest are
    // forgotten. The caller looks them up in /proc.
    [[nodiscard]] std::span<const uint32_t> newcomers();

    [[nodiscard]] flight::Ledger ledger() const;

    struct Counts {
        uint64_t events = 0;  // stored, of all classes
        uint64_t blocks = 0;
        uint64_t refused_blocks = 0;  // no slot was free because of a running dump; tried again
        uint64_t drains = 0;
    };
    [[nodiscard]] const Counts& counts() const;

  private:
    struct Impl;
    explicit Pipeline(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
