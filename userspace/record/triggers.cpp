// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/triggers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "schemas/flightrec/kernel_interface.h"
#include "userspace/base/text.h"

namespace flightrec::record {
namespace {

constexpr std::array<std::string_view, 10> kNames{"none",     "oom_kill",      "crash",        "command",
                                                  "signal",   "alloc_failure", "fork_failure", "previous_boot",
                                                  "shutdown", "stall"};

// FNV-1a, so that a signature's key needs no allocation.
class Key {
  public:
    Key& add(const void* bytes, size_t size) {
        const auto* p = static_cast<const unsigned char*>(bytes);
        for (size_t i = 0; i < size; ++i) value_ = (value_ ^ p[i]) * 0x100000001b3ull;
        return *this;
    }
    template <class T>
    Key& add(const T& value) {
        static_assert(std::is_integral_v<T>);
        return add(&value, sizeof value);
    }
    Key& text(std::string_view s) { return add(s.data(), s.size()).add('\0'); }
    [[nodiscard]] uint64_t value() const { return value_ == 0 ? 1 : value_; }

  private:
    uint64_t value_ = 0xcbf29ce484222325ull;
};

template <size_t N>
std::string_view text_of(const std::array<char, N>& text) {
    return {text.data(), ::strnlen(text.data(), N)};
}

template <size_t N>
void copy_comm(std::array<char, FR_COMM_LEN>& to, const char (&from)[N]) {
    static_assert(N == FR_COMM_LEN);
    std::memcpy(to.data(), from, N);
    to[N - 1] = '\0';
}

constexpr std::array<std::string_view, 7> kForkCauses{"unknown", "pids_cgroup", "rlimit_nproc", "threads_max",
                                                      "pid_max", "memory",      "pidns_dead"};
constexpr std::array<std::string_view, 4> kConstraints{"none", "cpuset", "memory_policy", "memcg"};

// Appends members to a JSON object under construction.
class Members {
  public:
    explicit Members(std::string& out) : out_(out) { out_ += '{'; }
    void key(std::string_view name) {
        if (!first_) out_ += ',';
        first_ = false;
        append_json_string(out_, name);
        out_ += ':';
    }
    template <class T>
    void number(std::string_view name, T value) {
        key(name);
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    template <class T>
    void number_if(std::string_view name, T value) {
        if (value != 0) number(name, value);
    }
    void text(std::string_view name, std::string_view value) {
        key(name);
        append_json_string(out_, value);
    }
    void text_if(std::string_view name, std::string_view value) {
        if (!value.empty()) text(name, value);
    }
    void end() { out_ += '}'; }

  private:
    std::string& out_;
    bool first_ = true;
};

// An allocation of the kernel's own that failed and that the kernel says so of: those that have another way to go on
// ask for silence (huge pages, large buffers of sockets).
bool is_kernel_allocation(const fr_alloc_failure& failure) {
    switch (failure.kind) {
        case FR_ALLOC_PAGE:
        case FR_ALLOC_PAGE_WARN:
        case FR_ALLOC_SLAB:
        case FR_ALLOC_VMALLOC: return (failure.gfp_mask & FR_GFP_NOWARN) == 0;
        default: return false;
    }
}

// Memory of the machine, or of some of its nodes, ran out, and not the limit of a cgroup.
bool is_machine_kill(const TriggerFacts& facts) {
    return facts.reason == FR_TRIGGER_OOM_KILL && facts.constraint != FR_OOM_MEMCG;
}

void write_facts(const TriggerFacts& facts, std::string& out) {
    Members m(out);
    m.text("reason", trigger_name(facts.reason));
    m.number("time_ns", facts.time_ns);
    m.number_if("pid", facts.pid);
    m.number_if("tid", facts.tid);
    m.number_if("ppid", facts.ppid);
    m.text_if("comm", text_of(facts.comm));
    if (facts.pid != 0) m.number("uid", facts.uid);
    m.number_if("start_ns", facts.start_ns);
    m.number_if("cgroup_id", facts.cgroup_id);
    m.text_if("text", text_of(facts.text));
    if (facts.reason == FR_TRIGGER_CRASH) {
        m.number("signal", facts.signal);
        m.number("code", facts.code);
        m.number("address", facts.address);
        m.number_if("sender_pid", facts.sender_pid);
    }
    if (facts.reason == FR_TRIGGER_OOM_KILL) {
        m.text("constraint", facts.constraint < kConstraints.size() ? kConstraints[facts.constraint] : "unknown");
        m.number_if("invoker_pid", facts.invoker_pid);
        m.text_if("invoker_comm", text_of(facts.invoker_comm));
        m.number("anon", facts.anon);
        m.number("file", facts.file);
        m.number("shmem", facts.shmem);
        m.number("swap", facts.swap);
    }
    if (facts.reason == FR_TRIGGER_FORK_FAILURE) {
        m.text("cause", facts.cause < kForkCauses.size() ? kForkCauses[facts.cause] : "unknown");
        m.number("result", facts.result);
    }
    m.number_if("domain_cgroup_id", facts.domain_cgroup_id);
    m.number_if("domain_limit", facts.domain_limit);
    m.number_if("domain_usage", facts.domain_usage);
    m.end();
}

}  // namespace

std::string_view trigger_name(uint32_t reason) { return reason < kNames.size() ? kNames[reason] : "unknown"; }

std::optional<uint32_t> trigger_of_name(std::string_view name) {
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end() || found == kNames.begin()) return std::nullopt;
    return static_cast<uint32_t>(found - kNames.begin());
}

void write_json(const Incident& incident, std::string& out) {
    Members m(out);
    m.number("number", incident.number);
    m.key("id");
    out += '"';
    for (const uint8_t byte : incident.id) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
    out += '"';
    m.text("reason", trigger_name(incident.facts.reason));
    m.number("time_ns", incident.facts.time_ns);
    m.key("facts");
    write_facts(incident.facts, out);
    m.number("folded", incident.folded);
    m.number("folded_same", incident.folded_same);
    m.key("also");
    out += '[';
    for (uint32_t i = 0; i < incident.other_count; ++i) {
        if (i != 0) out += ',';
        write_facts(incident.others[i], out);
    }
    out += ']';
    m.key("suppressed");
    Members suppressed(out);
    suppressed.number("same", incident.suppressed_same);
    suppressed.number("total", incident.suppressed_total);
    suppressed.number("by_limit", incident.suppressed_by_limit);
    suppressed.end();
    m.end();
}

TriggerEngine::TriggerEngine(const TriggerConfig& config, const std::array<uint8_t, 16>& seed, uint64_t first_number)
    : config_(config), seed_(seed), next_number_(std::max<uint64_t>(first_number, 1)) {
    config_.per_hour = std::min<uint32_t>(config_.per_hour, kPerHourMax);
    config_.per_hour_same = std::min<uint32_t>(config_.per_hour_same, kPerHourSameMax);
}

void TriggerEngine::on_event(const flight::EventRef& event, uint64_t now_ns) {
    switch (event.head().cls) {
        case FR_CLASS_OOM_KILL: return on_oom_kill(event, now_ns);
        case FR_CLASS_CRASH: return on_crash(event, now_ns);
        case FR_CLASS_ALLOC_FAILURE: return on_alloc_failure(event, now_ns);
        default: return;
    }
}

void TriggerEngine::on_oom_kill(const flight::EventRef& event, uint64_t now_ns) {
    if (!config_.oom_kill) return;
    const auto oom = event.as<fr_oom_kill>();
    if ((oom.flags & FR_OOM_MARKED) != 0) return;  // it was dying already: nobody was killed
    TriggerFacts facts;
    facts.reason = FR_TRIGGER_OOM_KILL;
    facts.time_ns = oom.event.time_ns;
    facts.pid = oom.victim_pid;
    facts.tid = oom.victim_tid;
    facts.ppid = oom.victim_ppid;
    facts.uid = oom.victim_uid;
    facts.start_ns = oom.victim_start_ns;
    facts.cgroup_id = oom.victim_cgroup_id;
    facts.invoker_pid = oom.event.pid;
    facts.constraint = oom.constraint;
    facts.domain_cgroup_id = oom.domain_cgroup_id;
    facts.domain_limit = oom.domain_limit;
    facts.domain_usage = oom.domain_usage;
    facts.anon = oom.victim_anon;
    facts.file = oom.victim_file;
    facts.shmem = oom.victim_shmem;
    facts.swap = oom.victim_swap;
    copy_comm(facts.comm, oom.victim_comm);
    copy_comm(facts.invoker_comm, oom.comm);
    Key key;
    key.add(facts.reason).text(text_of(facts.comm)).add(oom.constraint);
    key.add(oom.domain_cgroup_id != 0 ? oom.domain_cgroup_id : oom.victim_cgroup_id);
    fire(facts, key.value(), false, config_.tail_ns, now_ns);
}

void TriggerEngine::on_crash(const flight::EventRef& event, uint64_t now_ns) {
    if (!config_.crash) return;
    const auto crash = event.as<fr_crash>();
    if (crash.dumps_core == 0) return;
    TriggerFacts facts;
    facts.reason = FR_TRIGGER_CRASH;
    facts.time_ns = crash.event.time_ns;
    facts.pid = crash.event.pid;
    facts.tid = crash.event.tid;
    facts.ppid = crash.ppid;
    facts.uid = crash.uid;
    facts.start_ns = crash.start_ns;
    facts.cgroup_id = crash.cgroup_id;
    facts.signal = crash.signal;
    facts.code = crash.code;
    facts.address = crash.address;
    facts.sender_pid = crash.sender_pid;
    copy_comm(facts.comm, crash.comm);
    Key key;
    key.add(facts.reason).text(text_of(facts.comm)).add(crash.signal).add(crash.cgroup_id);
    fire(facts, key.value(), false, config_.tail_ns, now_ns);
}

void TriggerEngine::on_alloc_failure(const flight::EventRef& event, uint64_t now_ns) {
    const auto failure = event.as<fr_alloc_failure>();
    const bool fork = failure.kind == FR_ALLOC_FORK && config_.fork_failure;
    if (!fork && !(config_.alloc_failure && is_kernel_allocation(failure))) return;
    TriggerFacts facts;
    facts.reason = fork ? FR_TRIGGER_FORK_FAILURE : FR_TRIGGER_ALLOC_FAILURE;
    facts.time_ns = failure.event.time_ns;
    facts.pid = failure.event.pid;
    facts.tid = failure.event.tid;
    facts.cgroup_id = failure.cgroup_id;
    facts.cause = failure.cause;
    facts.result = failure.result;
    facts.domain_cgroup_id = failure.limit_cgroup_id;
    facts.domain_limit = failure.limit;
    facts.domain_usage = failure.usage;
    copy_comm(facts.comm, failure.comm);
    Key key;
    key.add(facts.reason).add(failure.cause).add(failure.cgroup_id);
    if (!fork) key.text(text_of(facts.comm));
    if (fork) {
        Signature& signature = signature_of(key.value(), now_ns);
        if (signature.window_count == 0 || now_ns > signature.window_began + config_.fork_failures_within_ns) {
            signature.window_began = now_ns;
            signature.window_count = 0;
        }
        if (++signature.window_count < config_.fork_failures) return;
    }
    fire(facts, key.value(), false, config_.tail_ns, now_ns);
}

uint64_t TriggerEngine::request(uint32_t reason, std::string_view text, uint64_t now_ns, uint32_t pid, uint32_t uid,
                                std::optional<uint64_t> tail_ns) {
    TriggerFacts facts;
    facts.reason = reason;
    facts.time_ns = now_ns;
    facts.pid = facts.tid = pid;
    facts.uid = uid;
    const size_t size = std::min(text.size(), facts.text.size() - 1);
    text.copy(facts.text.data(), size);
    Key key;
    key.add(reason);
    return fire(facts, key.value(), reason != FR_TRIGGER_STALL, tail_ns.value_or(config_.tail_ns), now_ns);
}

uint64_t TriggerEngine::fire(const TriggerFacts& facts, uint64_t key, bool always, uint64_t tail_ns, uint64_t now_ns) {
    ++counts_.triggers;
    Signature& signature = signature_of(key, now_ns);
    const uint64_t due = std::min(facts.time_ns, now_ns) + tail_ns;
    if (pending_) {
        fold(facts, signature, now_ns);
        if (key != pending_key_ && always) incident_.due_ns = std::min(incident_.due_ns, due);
        if (is_machine_kill(facts)) {
            const uint64_t soon = std::min(facts.time_ns, now_ns) + config_.repeated_kill_tail_ns;
            if (machine_killed_) incident_.due_ns = std::min(incident_.due_ns, soon);
            machine_killed_ = true;
        }
        return incident_.number;
    }
    const bool quiet = signature.quiet && now_ns < signature.quiet_since + config_.debounce_ns;
    const bool limited =
        incidents_.full(now_ns, config_.per_hour) || signature.incidents.full(now_ns, config_.per_hour_same);
    if (!always && (quiet || limited)) {
        ++counts_.suppressed;
        ++signature.suppressed;
        ++suppressed_total_;
        if (!quiet) ++suppressed_by_limit_;
        return 0;
    }
    ++counts_.incidents;
    pending_ = true;
    pending_key_ = key;
    machine_killed_ = is_machine_kill(facts);
    incident_ = Incident{};
    incident_.number = next_number_++;
    incident_.id = seed_;
    for (size_t i = 0; i < 8; ++i) incident_.id[8 + i] ^= static_cast<uint8_t>(incident_.number >> (8 * i));
    incident_.due_ns = due;
    incident_.facts = facts;
    incident_.suppressed_same = signature.suppressed;
    incident_.suppressed_total = suppressed_total_;
    incident_.suppressed_by_limit = suppressed_by_limit_;
    signature.suppressed = suppressed_total_ = suppressed_by_limit_ = 0;
    signature.quiet = true;
    signature.quiet_since = now_ns;
    if (!always) {
        incidents_.add(now_ns);
        signature.incidents.add(now_ns);
    }
    return incident_.number;
}

void TriggerEngine::fold(const TriggerFacts& facts, Signature& signature, uint64_t now_ns) {
    ++counts_.folded;
    ++incident_.folded;
    if (signature.key == pending_key_) {
        ++incident_.folded_same;
        return;
    }
    signature.quiet = true;
    signature.quiet_since = now_ns;
    const auto end = other_keys_.begin() + static_cast<std::ptrdiff_t>(incident_.other_count);
    if (std::find(other_keys_.begin(), end, signature.key) != end) return;
    if (incident_.other_count == Incident::kOthers) return;
    other_keys_[incident_.other_count] = signature.key;
    incident_.others[incident_.other_count++] = facts;
}

TriggerEngine::Signature& TriggerEngine::signature_of(uint64_t key, uint64_t now_ns) {
    Signature* oldest = &signatures_[0];
    for (Signature& s : signatures_) {
        if (s.key == key) {
            s.used_ns = now_ns;
            return s;
        }
        if (s.key == 0 ? oldest->key != 0 : oldest->key != 0 && s.used_ns < oldest->used_ns) oldest = &s;
    }
    *oldest = Signature{};
    oldest->key = key;
    oldest->used_ns = now_ns;
    return *oldest;
}

std::optional<uint64_t> TriggerEngine::next_due() const {
    if (!pending_) return std::nullopt;
    return incident_.due_ns;
}

std::optional<Incident> TriggerEngine::poll(uint64_t now_ns) {
    if (!pending_ || now_ns < incident_.due_ns) return std::nullopt;
    pending_ = false;
    return incident_;
}

}  // namespace flightrec::record
