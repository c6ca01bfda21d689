// SPDX-License-Identifier: Apache-2.0
// Decides when what was recorded is dumped: turns events and requests into incidents.
//
//   event or request -> rule -> signature -> folded into the incident that waits for its tail
//                                         -> or suppressed (debounce, limits), and counted
//                                         -> or a new incident, due after its tail
//
// A signature is reason, comm, signal and cgroup: a crash loop has one, whatever its pids. One incident waits at a
// time; whatever else happens before it is due is in its dump anyway and is folded into it. After an incident its
// signature, and those folded into it, are quiet for the debounce time. OOM kills of the whole machine that follow
// each other shorten the tail: a kernel that kills one process after the other may soon find nobody left, and panics.
// Requests of a person (command, signal), the end of the previous boot and shutdowns are never suppressed. Everything
// suppressed is counted in the next incident.
//
// Pure: time comes from the caller (CLOCK_BOOTTIME, ns), nothing is read, nothing allocates after construction.
// Threads: one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "userspace/flight/event_ref.h"

namespace flightrec::record {

struct TriggerConfig {
    bool oom_kill = true;
    bool crash = true;
    bool fork_failure = true;
    bool alloc_failure = false;  // of pages, slab or vmalloc; not where silence was asked for (__GFP_NOWARN)
    uint64_t tail_ns = 2'000'000'000;
    // A second OOM kill of the whole machine within the tail of a dump: so long the dump still waits.
    uint64_t repeated_kill_tail_ns = 200'000'000;
    uint64_t debounce_ns = 60'000'000'000;
    uint32_t per_hour = 20;                             // incidents of all signatures; at most 64
    uint32_t per_hour_same = 4;                         // of one signature; at most 16
    uint32_t fork_failures = 5;                         // so many of one cause and cgroup …
    uint64_t fork_failures_within_ns = 10'000'000'000;  // … within this time make an incident
};

// "oom_kill", "crash", "command", …: the names of reports and JSON.
std::string_view trigger_name(uint32_t reason);
std::optional<uint32_t> trigger_of_name(std::string_view name);

// What is known of one trigger when it fires. The process is the one that failed: the OOM kill's victim, the crashed
// process, the one that could not fork, the one that asked.
struct TriggerFacts {
    uint32_t reason = FR_TRIGGER_NONE;  // enum fr_trigger
    uint64_t time_ns = 0;
    uint32_t pid = 0, tid = 0, ppid = 0, uid = 0;
    uint64_t start_ns = 0;
    uint64_t cgroup_id = 0;
    int32_t signal = 0, code = 0;   // crash
    uint64_t address = 0;           // crash
    uint32_t sender_pid = 0;        // crash
    uint32_t invoker_pid = 0;       // OOM kill
    uint32_t constraint = 0;        // OOM kill, enum fr_oom_constraint
    uint64_t domain_cgroup_id = 0;  // OOM kill and fork failure: whose limit it was
    uint64_t domain_limit = 0, domain_usage = 0;
    uint64_t anon = 0, file = 0, shmem = 0, swap = 0;  // OOM kill: the victim's, bytes
    uint32_t cause = 0;                                // fork failure, enum fr_fork_cause
    int64_t result = 0;                                // fork failure: negative errno
    std::array<char, FR_COMM_LEN> comm{};
    std::array<char, FR_COMM_LEN> invoker_comm{};
    std::array<char, 256> text{};  // request: what was said, NUL-ended
};

struct Incident {
    static constexpr size_t kOthers = 8;
    uint64_t number = 0;           // from 1 (or what the engine was started with)
    std::array<uint8_t, 16> id{};  // unique in the world
    uint64_t due_ns = 0;
    TriggerFacts facts;                        // of the trigger that opened it
    uint32_t folded = 0;                       // triggers that came before it was due, besides the first
    uint32_t folded_same = 0;                  // of these: of the same signature
    std::array<TriggerFacts, kOthers> others;  // the first folded ones of other signatures, one of each
    uint32_t other_count = 0;
    uint64_t suppressed_same = 0;      // since the last incident of this signature
    uint64_t suppressed_total = 0;     // since the last incident, of all signatures
    uint64_t suppressed_by_limit = 0;  // of these: because of the hourly limits, not the debounce time
};

// Appends {"number","id","reason","time_ns","facts":{…},"folded","folded_same","also":[…],"suppressed":{…}}.
// Does not allocate when out has 16 KiB left.
void write_json(const Incident& incident, std::string& out);

class TriggerEngine {
  public:
    // `seed` makes the ids: random, new for each recording.
    TriggerEngine(const TriggerConfig& config, const std::array<uint8_t, 16>& seed, uint64_t first_number = 1);

    // Every event of the vital track, in any order; those that trigger nothing cost a comparison.
    void on_event(const flight::EventRef& event, uint64_t now_ns);

    // A person, a signal, the end of the boot before, a shutdown, a stall. `tail_ns`: instead of the configuration's.
    // The number of the incident that will tell of it, 0 when it was suppressed (only a stall can be).
    uint64_t request(uint32_t reason, std::string_view text, uint64_t now_ns, uint32_t pid = 0, uint32_t uid = 0,
                     std::optional<uint64_t> tail_ns = std::nullopt);

    // When poll() will next give something.
    [[nodiscard]] std::optional<uint64_t> next_due() const;
    // The incident whose tail is over.
    std::optional<Incident> poll(uint64_t now_ns);

    struct Counts {
        uint64_t triggers = 0;   // = incidents + folded + suppressed
        uint64_t incidents = 0;  // opened
        uint64_t folded = 0;
        uint64_t suppressed = 0;
    };
    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] uint64_t next_number() const { return next_number_; }

  private:
    static constexpr size_t kSignatures = 256;
    static constexpr size_t kPerHourMax = 64;
    static constexpr size_t kPerHourSameMax = 16;

    // The last times of something, to ask how many fell within an hour.
    template <size_t N>
    struct Times {
        std::array<uint64_t, N> at{};
        uint64_t count = 0;
        void add(uint64_t now) { at[count++ % N] = now; }
        // Whether `limit` of them lie within the hour before now.
        [[nodiscard]] bool full(uint64_t now, uint32_t limit) const {
            constexpr uint64_t kHour = 3600ull * 1'000'000'000u;
            if (limit == 0) return true;
            if (count < limit) return false;
            const uint64_t oldest = at[(count - limit) % N];
            return now < oldest + kHour;
        }
    };
    struct Signature {
        uint64_t key = 0;  // 0: free
        uint64_t used_ns = 0;
        bool quiet = false;  // an incident told of it at quiet_since
        uint64_t quiet_since = 0;
        uint64_t suppressed = 0;
        uint64_t window_began = 0;  // fork failures
        uint32_t window_count = 0;
        Times<kPerHourSameMax> incidents;
    };

    void on_oom_kill(const flight::EventRef& event, uint64_t now_ns);
    void on_crash(const flight::EventRef& event, uint64_t now_ns);
    void on_alloc_failure(const flight::EventRef& event, uint64_t now_ns);
    uint64_t fire(const TriggerFacts& facts, uint64_t key, bool always, uint64_t tail_ns, uint64_t now_ns);
    void fold(const TriggerFacts& facts, Signature& signature, uint64_t now_ns);
    Signature& signature_of(uint64_t key, uint64_t now_ns);

    TriggerConfig config_;
    std::array<uint8_t, 16> seed_;
    uint64_t next_number_;
    Counts counts_;
    bool pending_ = false;
    bool machine_killed_ = false;  // an OOM kill without a cgroup is in the pending incident
    uint64_t pending_key_ = 0;
    Incident incident_;
    std::array<uint64_t, Incident::kOthers> other_keys_{};
    Times<kPerHourMax> incidents_;
    uint64_t suppressed_total_ = 0, suppressed_by_limit_ = 0;
    std::array<Signature, kSignatures> signatures_{};
};

}  // namespace flightrec::record
