// SPDX-License-Identifier: Apache-2.0
// What a report needs of a flight, gathered in one reading of its vital track: incidents, samples, kernel log, losses.
//
// Lists are bounded (see the limits); what did not fit is counted. One thread.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/flight_info.h"
#include "userspace/replay/growth.h"
#include "userspace/replay/stalls.h"
#include "userspace/replay/state.h"
#include "userspace/replay/timeline.h"

namespace flightrec::replay {

class Symbolizer;

// One line of the flight that a statement rests on, as `flightrec replay` shows it.
struct Evidence {
    uint64_t time_ns = 0;
    std::string text;  // "python3[812] openat(…) = -1 ENOENT (…)"
};

enum class IncidentKind : uint8_t { oom, crash, fork_failure, alloc_failure, stall, request, other };

struct Ancestor {
    uint32_t pid = 0;
    std::string command;              // argv joined, or [comm]
    Parent parent = Parent::unknown;  // of this one
};

// The size of a process at the moment of an OOM kill, as its record tells: newer than any sample.
struct FinalSize {
    uint32_t pid = 0;
    uint64_t start_ns = 0;  // 0: not known
    uint64_t began_ns = 0;  // of its program: its last exec, else start_ns; 0: not known
    uint64_t rss = 0;
    std::string comm;
    ProcessIndex process = no_process;
};

// An event, or a trigger without one, that a report is written about.
struct IncidentSeed {
    IncidentKind kind = IncidentKind::other;
    uint64_t time_ns = 0;
    const Trigger* trigger = nullptr;  // of the digest's timeline; nullptr: it made no dump
    bool has_event = false;            // false: only the trigger's marker is in the file
    Evidence line;
    std::vector<std::string> stack;  // lines of it
    std::string event_json;          // as JsonRenderer writes it; empty without an event
    fr_oom_kill oom{};               // kind oom
    fr_crash crash{};                // kind crash
    fr_alloc_failure alloc{};        // kind fork_failure, alloc_failure: the first of the series
    uint64_t repeats = 1;            // failures like it that came close after it, itself included
    uint64_t last_ns = 0;            // of these
    // As the state was then:
    uint32_t pid = 0;                          // who died or failed
    std::optional<Process> victim;             // nullopt: nothing is known of it but what the event says
    std::string comm, argv;                    // argv NUL-separated
    std::string cgroup;                        // path of the victim's
    std::string domain;                        // oom: path of the cgroup that ran out; fork_failure: whose limit
    std::vector<Ancestor> ancestry;            // parent first
    std::vector<fr_oom_candidate> candidates;  // oom: processes that could have been chosen, largest first
    std::string memory_stat;                   // oom: of the domain, as recorded
    std::vector<FinalSize> finals;             // oom: of the victim and the candidates
    std::vector<std::string> modules;          // crash: "7f…-7f… +0x0 /usr/lib/x.so build-id …"
};

struct ProcessSeries {
    uint32_t pid = 0;
    uint64_t start_ns = 0;
    std::string comm;
    ProcessIndex process = no_process;
    std::vector<Point> rss;
    std::vector<Point> cpu_ms;  // user and system
};

struct KernelLine {
    uint64_t time_ns = 0;
    uint32_t level = 0;
    std::string text;
};

struct Death {  // a process that a signal ended
    uint64_t time_ns = 0, start_ns = 0;
    uint32_t pid = 0, exit_code = 0;
    std::string comm;
    uint64_t cgroup_id = 0;
    Evidence line;
};

struct ShortLife {         // a process too short-lived for two samples of it
    uint64_t time_ns = 0;  // of its end
    uint64_t cpu_ns = 0;   // user and system, of all its threads
    std::string comm;
};

struct SentSignal {  // one that could end its target
    uint64_t time_ns = 0;
    uint32_t target_pid = 0, sender_pid = 0;
    int32_t signal = 0;
    bool from_kernel = false;
    Evidence line;
};

struct LimitHit {  // a memory cgroup that was held back at its limit
    uint64_t time_ns = 0;
    std::string path;
    bool high = false;  // memory.high rather than memory.max
    uint64_t hits = 0, limit = 0;
    Evidence line;
};

struct OpenCall {  // a system call that had not returned when a dump was made
    uint64_t enter_ns = 0;
    uint32_t tid = 0;
    Evidence line;
};

struct ForkNote {
    uint64_t time_ns = 0;
    ProcessIndex maker = no_process;
    bool thread = false;
};

struct Gap {
    uint64_t time_ns = 0, since_ns = 0, events = 0;
    uint64_t track = 0;
    bool in_file = false;  // missing from the file, rather than overwritten in the ring
};

struct Digest {
    static constexpr size_t max_incidents = 1000;
    static constexpr size_t max_notes = 20000;  // of each list below
    static constexpr size_t max_points = 2'000'000;
    static constexpr uint64_t short_life_ns = 2'000'000'000;

    // file: borrowed during the call. json_clock maps times in event_json.
    // symbols: borrowed during the call; nullptr: user frames stay
    // build id + offset.
    static Result<Digest> gather(const flight::FlightFile& file, Symbolizer* symbols = nullptr);

    FlightInfo info;
    Timeline timeline;
    ReplayState state{schemas::Arch::x86_64};  // as it was at the end
    std::vector<IncidentSeed> incidents;       // by time
    uint64_t incidents_left_out = 0;
    std::vector<ProcessSeries> series;
    std::map<std::string, std::vector<Point>> system;  // by field: "anon", "shmem", "slab", …
    std::unordered_map<uint64_t, std::map<std::string, std::vector<Point>>> cgroups;  // by cgroup id, then field
    std::vector<std::pair<uint64_t, fr_system_sample>> system_samples;
    std::vector<KernelLine> kernel;
    std::vector<Death> deaths;
    std::vector<ShortLife> short_lives;  // at most 10 * max_notes, the first ones
    std::vector<SentSignal> signals;
    std::vector<WaitingTask> waiting;
    std::vector<LimitHit> limit_hits;
    std::vector<ForkNote> forks;
    std::vector<Gap> gaps;
    std::vector<Evidence> policy;    // steps of the cost budget
    std::vector<Evidence> previous;  // how the recording before ended; shutdowns
    std::vector<Evidence> before;    // of these: how the recording before ended, told by the one that made this file
    bool stopped_in_order = false;   // a STOP marker is the recorder's last word
    std::vector<OpenCall> unfinished;
    std::optional<fr_ledger> ledger;
    std::array<uint64_t, FR_TRACK_COUNT> evicted{};
    flight::Damage damage;
    uint64_t blocks_lost = 0;
    uint64_t events = 0;
    uint64_t syscalls = 0;  // in the file, by its block headers
    uint64_t first_syscall_ns = 0, last_syscall_ns = 0;

    [[nodiscard]] const ProcessSeries* series_of(uint32_t pid, uint64_t start_ns) const;
};

// Path of a container or unit a cgroup path names: "docker 0123456789ab", "unit shop.service"; "" when it names none.
[[nodiscard]] std::string container_of(std::string_view cgroup_path);

}  // namespace flightrec::replay
