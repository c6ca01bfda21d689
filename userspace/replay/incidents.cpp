// SPDX-License-Identifier: Apache-2.0
// Numbering incidents.
#include "userspace/replay/incidents.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "userspace/replay/verdict.h"

namespace flightrec::replay {

std::vector<const IncidentSeed*> numbered_incidents(const Digest& digest) {
    std::set<const IncidentSeed*> joined;
    for (const IncidentSeed& seed : digest.incidents) {
        if (seed.kind != IncidentKind::crash || !seed.has_event || joined.contains(&seed)) continue;
        const auto same = crashes_like(digest, seed);
        if (same.size() < crash_loop_from) continue;
        const auto dumped =
            std::find_if(same.begin(), same.end(), [](const IncidentSeed* one) { return one->trigger != nullptr; });
        const IncidentSeed* lead = dumped != same.end() ? *dumped : &seed;
        for (const IncidentSeed* one : same)
            if (one != lead) joined.insert(one);
    }
    std::vector<const IncidentSeed*> out;
    for (const IncidentSeed& seed : digest.incidents)
        if (!joined.contains(&seed)) out.push_back(&seed);
    return out;
}

size_t leading_incident(const Digest& digest, const std::vector<const IncidentSeed*>& incidents) {
    size_t last_with_trigger = 0;
    for (size_t i = 0; i < incidents.size(); ++i) {
        const Trigger* trigger = incidents[i]->trigger;
        if (trigger == nullptr) continue;
        if (digest.info.trigger && trigger->number == *digest.info.trigger) return i + 1;
        last_with_trigger = i + 1;
    }
    return last_with_trigger != 0 ? last_with_trigger : incidents.size();
}

Error no_such_incident(uint64_t number, size_t count) {
    const std::string there = count == 0   ? "there is none in this file"
                              : count == 1 ? "the only one in this file is 1"
                                           : fmt::format("those in this file are 1 to {}", count);
    return {Code::not_found,
            fmt::format("--incident {}: there is no such incident; {} ('flightrec report' lists them)", number, there)};
}

Result<Timeline> timeline_of(const flight::FlightFile& file, std::optional<uint64_t> number) {
    if (!number) {
        Timeline timeline = read_timeline(file);
        timeline.from_end = file.live();
        return timeline;
    }
    FR_ASSIGN(Digest digest, Digest::gather(file));
    const auto incidents = numbered_incidents(digest);
    if (*number == 0 || *number > incidents.size()) return std::unexpected(no_such_incident(*number, incidents.size()));
    digest.timeline.reference_ns = incidents[*number - 1]->time_ns;
    return std::move(digest.timeline);
}

}  // namespace flightrec::replay
