// SPDX-License-Identifier: Apache-2.0
// Why something died: statements, each with the lines of the flight it rests on. Value types; rendering is apart.
//
// Nothing is guessed. A statement that no evidence supports is not made; a question that no evidence answers is
// answered "unknown", with what was missing. What died (a process) and what ran out (a cgroup or the machine) are kept
// apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/digest.h"

namespace flightrec::replay {

struct Statement {
    std::string topic;  // what it answers; the values of schemas/json/report.schema.json: "what", "why", "who_grew", …
    std::string text;   // one sentence or a few; printable
    bool known = true;  // false: the answer is that this flight does not tell
    std::vector<Evidence> evidence;
};

struct IncidentReport {
    const IncidentSeed* seed = nullptr;     // of the digest
    size_t number = 0;                      // incidents.h; what --incident takes
    bool in_full = true;                    // false: verdict and "why" alone are to be shown
    std::string verdict;                    // one line: what died and why
    std::string cause;                      // for programs: "oom_cgroup", "oom_global", "crash", …, "unknown"
    std::vector<Statement> statements;      // in the order they are to be read
    std::vector<size_t> linked;             // numbers of incidents that have to do with it
    std::vector<std::string> link_reasons;  // of each: "the same program in the same cgroup"
};

struct Report {
    Digest digest;
    std::vector<IncidentReport> incidents;  // by time
    size_t lead = 0;                        // number of the one that the file is about, or that was asked for; 0: none
    std::optional<Statement> ending;        // a recording that was not stopped: how it ended
    std::vector<Statement> deaths;          // processes that a signal ended and that no incident is about
    std::vector<Statement> limits;          // what this flight cannot tell, and why
    uint64_t incidents_left_out = 0;        // too many to describe, or not asked for
};

struct ReportOptions {
    std::optional<uint64_t> incident{};  // only this one, by its number (incidents.h)
    bool all = true;                     // false: only the leading incident in full, the others in short
    size_t max_incidents = 20;           // described; the leading one and those with a dump first
    size_t last_calls = 15;              // of the victim, as evidence
    bool symbols = true;                 // name the frames of user stacks from local files
    std::vector<std::string> debug_directories{};
};

// Reads the vital track once, then system calls around each incident. Code::not_found for an incident that is not
// there, with those there are.
Result<Report> make_report(const flight::FlightFile& file, const ReportOptions& options);

// use_color as for replay.
void append_report_text(std::string& out, const std::string& name, const flight::FlightFile& file, const Report& report,
                        bool use_color);
// One object, schemas/json/report.schema.json.
void append_report_json(std::string& out, const std::string& name, const flight::FlightFile& file,
                        const Report& report);

}  // namespace flightrec::replay
