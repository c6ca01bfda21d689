// SPDX-License-Identifier: Apache-2.0
// The incidents of a flight as the report numbers them, from 1 by time: what --incident N means in every command.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/replay/digest.h"

namespace flightrec::replay {

// By time; those of a crash loop are one, that of its dump, else its first. Incident N is the one at N - 1.
[[nodiscard]] std::vector<const IncidentSeed*> numbered_incidents(const Digest& digest);

// The number of the incident that the file is about: that of the trigger its dump was made for, else the last one with
// a trigger, else the last. 0: there is none.
[[nodiscard]] size_t leading_incident(const Digest& digest, const std::vector<const IncidentSeed*>& incidents);

// Code::not_found, with the list of those there are.
[[nodiscard]] Error no_such_incident(uint64_t number, size_t count);

// As read_timeline; with a number, times count from that incident. Reads the vital track once more for it.
Result<Timeline> timeline_of(const flight::FlightFile& file, std::optional<uint64_t> number);

}  // namespace flightrec::replay
