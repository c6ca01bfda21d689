// SPDX-License-Identifier: Apache-2.0
// Which blocks of system calls a filtered replay can do without, told by their summaries (flight-format.md,
// "Summaries").
//
// What is shown must be what a replay of everything would have shown. So a block is needed not only for the calls in it
// that are wanted, but also where it may change what the wanted ones are shown with: descriptors and directory of
// the process that made them, and of those it was forked from, up to the fork; entries whose return comes later.
#pragma once

#include <cstdint>
#include <unordered_set>

#include "userspace/flight/reader.h"
#include "userspace/replay/filter.h"

namespace flightrec::replay {

class BlockChoice {
  public:
    BlockChoice() = default;  // every block is needed

    // Reads the summaries of all blocks, and the vital track where names, cgroups or descent are asked for. names: what
    // descriptors stand for will be shown. Without a condition that summaries can tell anything about, all are needed.
    static BlockChoice make(const flight::FlightFile& file, const EventFilter& filter, schemas::Arch arch,
                            const Timeline& timeline, bool names);

    [[nodiscard]] bool needs(const flight::BlockInfo& block) const { return !without_.contains(block.file_offset); }
    [[nodiscard]] bool all() const { return without_.empty(); }

  private:
    std::unordered_set<uint64_t> without_;  // by place in the file
};

}  // namespace flightrec::replay
