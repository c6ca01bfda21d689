// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/pipeline.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/flight/block.h"
#include "userspace/flight/cgroup_table.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/process_table.h"
#include "userspace/kernel/rules.h"
#include "userspace/record/local_file.h"

namespace flightrec::record {
namespace {

constexpr size_t drain_bytes = 1u << 20;  // of one ring before the next CPU has its turn
constexpr uint64_t gap_known_ns = 10'000'000'000;
constexpr size_t symbols_room = 4096;  // what the recorder may add to a record: the names of its stack
constexpr uint16_t no_cpu = 0xffff;    // events that user space made

// By the number of arguments: which to keep. A loop to a number that changes from call to call costs more.
constexpr auto argument_masks = [] {
    std::array<std::array<uint64_t, 6>, 7> out{};
    for (size_t n = 0; n <= 6; ++n)
        for (size_t i = 0; i < n; ++i) out[n][i] = ~uint64_t{0};
    return out;
}();

// The largest encoder whose finished block always fits into a segment.
template <class Encoder, class Make>
Result<Encoder> make_fitting(size_t largest, size_t smallest, size_t max_payload, Make&& make) {
    for (size_t size = largest; size >= smallest; size /= 2) {
        FR_ASSIGN(Encoder encoder, make(size));
        if (encoder.payload_bound() <= max_payload) return encoder;
    }
    return fail(Code::usage, "the window is too small: its segments cannot hold a block");
}

}  // namespace

struct Pipeline::Impl {
    PipelineConfig config;
    PipelineParts parts;
    flight::EventBlockEncoder vital, keyframe;
    flight::SyscallBlockEncoder syscalls;
    flight::ProcessTable processes;
    flight::CgroupTable cgroups;
    LocalFiles files = LocalFiles::open("/proc");
    flight::EventBuilder builder, ledger_builder;  // two: a ledger may be due while a record waits in the other
    size_t vital_capacity = 0;
    // A block that could not be written because a dump holds the slot; its track waits.
    std::array<std::optional<flight::EncodedBlock>, FR_TRACK_COUNT> waiting;
    std::array<uint64_t, FR_TRACK_COUNT> first_ns{};   // boot time of the oldest event in each encoder, 0: none
    std::array<uint64_t, FR_CLASS_COUNT> made{};       // produced by user space
    std::array<uint64_t, FR_CLASS_COUNT> announced{};  // kernel log lines told by the probe, not stored themselves
    std::array<uint64_t, FR_CLASS_COUNT> lost{};       // could not be stored: torn
    // Calls in blocks that could not be written: pending, and lost as soon as what came after them is stored.
    std::array<uint64_t, FR_CLASS_COUNT> unwritten{};
    std::vector<uint64_t> overwritten_seen[FR_TRACK_COUNT];  // by CPU, to notice a gap
    struct Overruns {
        uint64_t count = 0;  // overruns and records given up
        uint64_t at_ns = 0;  // the last
    };
    std::vector<Overruns> overruns_seen[FR_TRACK_COUNT];  // by CPU
    std::vector<uint64_t> drained_ns[FR_TRACK_COUNT];     // by CPU, when it was last read
    std::array<uint32_t, 64> newcomers{}, newcomers_given{};
    size_t newcomer_count = 0;
    std::array<uint32_t, 16> crashed{}, crashed_given{};
    size_t crashed_count = 0;
    bool keyframe_written = false, cgroup_made = false;
    std::array<char, 8192> stat_text{};
    Counts counts;
    const std::array<uint8_t, FR_SYSCALL_RULES>& nargs = kernel::argument_counts();

    Impl(const PipelineConfig& c, const PipelineParts& p, flight::EventBlockEncoder v, flight::EventBlockEncoder k,
         flight::SyscallBlockEncoder s, flight::ProcessTable table, flight::CgroupTable groups)
        : config(c),
          parts(p),
          vital(std::move(v)),
          keyframe(std::move(k)),
          syscalls(std::move(s)),
          processes(std::move(table)),
          cgroups(std::move(groups)) {}

    bool write(uint8_t track, const flight::EncodedBlock& block);
    void stored(uint8_t track);
    bool write_new(uint8_t track, const flight::EncodedBlock& block);
    bool flush_vital();
    bool flush_syscalls();
    bool retry(uint8_t track);
    void add_vital(std::span<const std::byte> record, uint16_t cpu);
    bool room_for_vital(size_t size);
    bool add_syscall(std::span<std::byte> record, uint16_t cpu, bool& run_open);
    void take_vital(std::span<std::byte> record, uint16_t cpu);
    void take_kmsg(const flight::EventRef& event);
    std::span<const std::byte> with_symbols(const flight::EventRef& event);
    std::span<const std::byte> named_module(const flight::EventRef& event);
    std::span<const std::byte> with_memory_stat(std::span<std::byte> record, const flight::EventRef& event);
    void note_gap(uint8_t track, uint32_t cpu, kernel::RingReader& ring);
    void write_keyframe();
    void add_ledger();
    // telling: it is for the vital block being filled, all of which counts as stored.
    flight::Ledger ledger(bool telling) const;
};

// What was prepared last is stored, or told as lost.
void Pipeline::Impl::stored(uint8_t track) {
    parts.probes->stored(track);
    if (track != FR_TRACK_SYSCALL) return;
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) lost[c] += std::exchange(unwritten[c], 0);
}

bool Pipeline::Impl::write(uint8_t track, const flight::EncodedBlock& block) {
    const auto result = parts.window->append(track, block);
    if (result) {
        ++counts.blocks;
        counts.events += block.header.events;
        stored(track);
        return true;
    }
    if (result.error().code == Code::busy) {
        ++counts.refused_blocks;
        waiting[track] = block;
        return false;
    }
    // Not committed: its events, and the losses that its ledger told, are told by the next block of the track; if this
    // recorder ends before, a recorder that goes on with the pinned rings finds them there.
    auto& account = track == FR_TRACK_VITAL ? lost : unwritten;
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) account[c] += block.by_class[c];
    log::error("a block of {} events could not be written: {}", block.header.events, result.error().message);
    return true;
}

// The same of a block that was finished just now.
bool Pipeline::Impl::write_new(uint8_t track, const flight::EncodedBlock& block) {
    parts.probes->prepare(track, block.header.payload_hash);
    return write(track, block);
}

// True when the track's encoder may be filled again.
bool Pipeline::Impl::retry(uint8_t track) {
    if (!waiting[track]) return true;
    const flight::EncodedBlock block = *waiting[track];
    waiting[track].reset();
    return write(track, block);
}

bool Pipeline::Impl::flush_vital() {
    if (!retry(FR_TRACK_VITAL)) return false;
    if (vital.empty()) return true;
    add_ledger();
    first_ns[FR_TRACK_VITAL] = 0;
    return write_new(FR_TRACK_VITAL, vital.finish());
}

bool Pipeline::Impl::flush_syscalls() {
    if (!retry(FR_TRACK_SYSCALL)) return false;
    if (syscalls.empty()) return true;
    first_ns[FR_TRACK_SYSCALL] = 0;
    return write_new(FR_TRACK_SYSCALL, syscalls.finish());
}

void Pipeline::Impl::add_vital(std::span<const std::byte> record, uint16_t cpu) {
    if (first_ns[FR_TRACK_VITAL] == 0) first_ns[FR_TRACK_VITAL] = boot_ns();
    // Room for the ledger that ends every block.
    const bool fits = vital.raw_bytes() + record.size() + sizeof(fr_ledger) + 256 <= vital_capacity;
    if (fits && vital.add(record, cpu)) return;
    if (flush_vital() && vital.add(record, cpu)) {
        first_ns[FR_TRACK_VITAL] = boot_ns();
        return;
    }
    ++lost[flight::EventRef{record}.head().cls];
}

// Whether a record of this size can be added, now or after a block was written. The ledger ends every block.
bool Pipeline::Impl::room_for_vital(size_t size) {
    return vital.raw_bytes() + size + sizeof(fr_ledger) + 256 <= vital_capacity || flush_vital();
}

// False: its block waits for a slot that a dump holds; the ring keeps the record.
bool Pipeline::Impl::add_syscall(std::span<std::byte> record, uint16_t cpu, bool& run_open) {
    auto& event = *reinterpret_cast<fr_syscall*>(record.data());
    // Registers beyond the call's arguments hold leftovers.
    if (event.nr < FR_SYSCALL_RULES && !(event.event.flags & FR_EVENT_COMPAT)) {
        const auto& keep = argument_masks[std::min<size_t>(nargs[event.nr], 6)];
        for (size_t i = 0; i < 6; ++i) event.args[i] &= keep[i];
    }
    if (first_ns[FR_TRACK_SYSCALL] == 0) first_ns[FR_TRACK_SYSCALL] = event.event.time_ns;
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (!run_open) syscalls.run(cpu);
        run_open = true;
        if (syscalls.add(record)) return true;
        if (!flush_syscalls()) return false;
        run_open = false;
        first_ns[FR_TRACK_SYSCALL] = event.event.time_ns;
    }
    ++lost[event.event.cls];
    return true;
}

// A kernel log line from the probe only says that a task in scope printed it; the line itself comes from /dev/kmsg.
void Pipeline::Impl::take_kmsg(const flight::EventRef& event) {
    ++announced[FR_CLASS_KMSG];
    const auto text = flight::find_blob(event, FR_BLOB_TEXT);
    if (!parts.kmsg || !text) return;
    parts.kmsg->announce(text->text, text->flags & FR_BLOB_CUT, event.head().time_ns,
                         [this](std::span<const std::byte> record) { add_vital(record, no_cpu); });
}

// The record with names for its kernel stack; the record itself when it has none.
std::span<const std::byte> Pipeline::Impl::with_symbols(const flight::EventRef& event) {
    const auto stack = flight::find_blob(event, FR_BLOB_KSTACK);
    if (!stack || !parts.symbols || stack->text.size() < 8) return event.bytes;
    std::array<uint64_t, 64> addresses{};
    const size_t count = std::min(addresses.size(), stack->text.size() / 8);
    std::memcpy(addresses.data(), stack->text.data(), count * 8);
    std::array<char, 4096> text;
    const auto names = parts.symbols->describe({addresses.data(), count}, text);
    builder.copy(event.bytes);
    builder.blob(FR_BLOB_KSTACK_TEXT, names);
    return builder.bytes();
}

// A module as the probe saw it, with an ordinary path and the build id of the file, if it is still the same one.
std::span<const std::byte> Pipeline::Impl::named_module(const flight::EventRef& event) {
    auto module = event.as<fr_module>();
    const auto components = flight::find_blob(event, FR_BLOB_EXE);
    if (!components) return event.bytes;
    const std::string path = flight::path_from_components(components->text);
    const Fd file = files.open_regular(path.c_str(), module.inode);
    if (file.valid()) module.build_id_len = build_id_of_file(file.get(), module.build_id);
    auto& out = builder.begin<fr_module>(FR_CLASS_MODULE);
    module.event.size = out.event.size;
    out = module;
    builder.blob(FR_BLOB_PATH, path, components->flags);
    return builder.bytes();
}

// An OOM kill with its candidates in order and the memory.stat of what ran out.
std::span<const std::byte> Pipeline::Impl::with_memory_stat(std::span<std::byte> record,
                                                            const flight::EventRef& event) {
    if (const auto list = flight::find_blob(event, FR_BLOB_CANDIDATES)) {
        const auto offset = list->text.data() - reinterpret_cast<const char*>(record.data());
        std::array<fr_oom_candidate, 32> sorted;
        const size_t count = std::min(sorted.size(), list->text.size() / sizeof(fr_oom_candidate));
        std::memcpy(sorted.data(), list->text.data(), count * sizeof(fr_oom_candidate));
        const auto rss = [](const fr_oom_candidate& c) { return c.anon + c.file + c.shmem; };
        std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count),
                  [&](const auto& a, const auto& b) { return rss(a) > rss(b); });
        std::memcpy(record.data() + offset, sorted.data(), count * sizeof(fr_oom_candidate));
    }
    const auto stat = parts.memory_stat ? parts.memory_stat->read(event, stat_text) : std::nullopt;
    if (stat) reinterpret_cast<fr_oom_kill*>(record.data())->memory_stat_ns = boot_ns();
    const auto named = with_symbols(event);
    if (!stat) return named;
    if (named.data() == event.bytes.data()) builder.copy(event.bytes);
    builder.blob(FR_BLOB_MEMORY_STAT, *stat);
    return builder.bytes();
}

void Pipeline::Impl::take_vital(std::span<std::byte> record, uint16_t cpu) {
    flight::EventRef event{record, cpu, 0};
    const uint8_t cls = event.head().cls;
    event.fixed_size = flight::fixed_size_of(cls);
    switch (cls) {
        case FR_CLASS_KMSG: take_kmsg(event); return;
        case FR_CLASS_CGROUP:
            cgroups.apply(event);
            cgroup_made |= event.as<fr_cgroup>().op == FR_CGROUP_MKDIR;
            break;
        case FR_CLASS_OOM_KILL:
            parts.triggers->on_event(event, boot_ns());
            add_vital(with_memory_stat(record, event), cpu);
            return;
        case FR_CLASS_ALLOC_FAILURE:
            parts.triggers->on_event(event, boot_ns());
            add_vital(with_symbols(event), cpu);
            return;
        case FR_CLASS_MODULE: add_vital(named_module(event), cpu); return;
        case FR_CLASS_CRASH:
            if (crashed_count < crashed.size()) crashed[crashed_count++] = event.head().pid;
            break;
        case FR_CLASS_CGROUP_ATTACH: {
            const auto attach = event.as<fr_cgroup_attach>();
            if (!processes.find(attach.target_pid) && newcomer_count < newcomers.size())
                newcomers[newcomer_count++] = attach.target_pid;
            break;
        }
        default: break;
    }
    processes.apply(event);
    parts.triggers->on_event(event, boot_ns());
    add_vital(record, cpu);
}

// Losses are data: the events of a CPU that were overwritten before they could be read leave a marker.
void Pipeline::Impl::note_gap(uint8_t track, uint32_t cpu, kernel::RingReader& ring) {
    const uint64_t now = ring.overwritten(cpu);
    uint64_t& seen = overwritten_seen[track][cpu];
    const uint64_t since = std::exchange(drained_ns[track][cpu], boot_ns());
    // Nested writers may swap two sequence numbers: only an overrun makes a gap, and what it cost of a class is known
    // when the next event of that class is read.
    const uint64_t lapped = ring.cursor(cpu).overruns + ring.cursor(cpu).torn;
    Overruns& overruns = overruns_seen[track][cpu];
    if (overruns.count != lapped) overruns = {lapped, boot_ns()};
    if (overruns.count == 0 || now <= seen || boot_ns() - overruns.at_ns > gap_known_ns) return;
    auto& marker = builder.begin<fr_marker>(FR_CLASS_MARKER);
    marker.event.time_ns = boot_ns();
    marker.kind = FR_MARKER_GAP;
    marker.value[0] = cpu;
    marker.value[1] = track;
    marker.value[2] = now - seen;
    marker.value[3] = since;
    seen = now;
    add_vital(builder.bytes(), no_cpu);
    ++made[FR_CLASS_MARKER];
}

// Called by the window when it begins a segment of the vital track: the state at its start.
void Pipeline::Impl::write_keyframe() {
    const auto flush = [this] {
        if (keyframe.empty()) return true;
        const auto result = parts.window->append(FR_TRACK_VITAL, keyframe.finish(FR_BLOCK_KEYFRAME));
        if (!result) log::debug("a keyframe is shorter than the state: {}", result.error().message);
        return result.has_value();
    };
    const uint64_t now = boot_ns();
    cgroups.write_keyframe(keyframe, now, flush);
    processes.write_keyframe(keyframe, now, flush);
    flush();
    keyframe_written = true;
}

// Of system calls what is stored counts as handed out, not what waits in the encoder: a recorder that goes on from the
// last stored block then knows exactly what of its losses was told.
flight::Ledger Pipeline::Impl::ledger(bool telling) const {
    using kernel::Upto;
    flight::Ledger out;
    const auto stored = parts.window->stored();
    const kernel::RingTotals rings[] = {parts.probes->vital().totals(Upto::cursor, telling),
                                        parts.probes->syscalls().totals(Upto::stored, telling)};
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
        fr_ledger_line& line = out.line[c];
        const uint8_t track = flight::track_of(static_cast<uint8_t>(c));
        const kernel::RingTotals& ring = rings[track];
        line.produced = ring.produced[c] + made[c] - std::min(announced[c], ring.produced[c]);
        line.stored = stored[c];
        line.overwritten = ring.overwritten[c];
        line.torn = ring.torn[c] + lost[c];
        line.skipped = ring.skipped[c];
        line.pending = ring.pending[c];
        if (track != FR_TRACK_VITAL) continue;
        const uint64_t held = waiting[track] ? waiting[track]->by_class[c] : 0;
        line.pending += held + (telling ? 0 : vital.by_class()[c]);
        line.stored += telling ? vital.by_class()[c] : 0;
    }
    for (const auto& missed : parts.probes->misses()) {
        if (missed.cls == FR_CLASS_NONE) continue;
        out.line[missed.cls].produced += missed.count;
        out.line[missed.cls].torn += missed.count;
    }
    if (parts.kmsg) {  // the kernel log has an account of its own; the probe only announces
        const KmsgReader::Counts& k = parts.kmsg->counts();
        fr_ledger_line& line = out.line[FR_CLASS_KMSG];
        line.produced = k.produced;
        line.overwritten = k.overwritten;
        line.skipped = k.skipped;
        line.pending += k.waiting - rings[FR_TRACK_VITAL].pending[FR_CLASS_KMSG];  // those only announce
        line.torn = lost[FR_CLASS_KMSG];
    }
    return out;
}

// The last event of every vital block: the account up to that block.
void Pipeline::Impl::add_ledger() {
    // A loss that was noticed after the last block of system calls is behind no block: it counts from here on.
    if (syscalls.empty() && !waiting[FR_TRACK_SYSCALL]) {
        parts.probes->prepare(FR_TRACK_SYSCALL, 0);
        stored(FR_TRACK_SYSCALL);
    }
    ++made[FR_CLASS_LEDGER];
    const flight::Ledger now = ledger(true);
    auto& record = ledger_builder.begin<fr_ledger>(FR_CLASS_LEDGER);
    record.event.time_ns = boot_ns();
    record.lines = FR_CLASS_COUNT;
    std::copy(now.line.begin(), now.line.end(), record.line);
    ++record.line[FR_CLASS_LEDGER].stored;  // itself
    parts.window->fill_ledger_position(record);
    if (!vital.add(ledger_builder.bytes(), no_cpu)) ++lost[FR_CLASS_LEDGER];
}

Result<Pipeline> Pipeline::make(const PipelineConfig& config, const PipelineParts& parts) {
    const size_t most = parts.window->max_payload();
    size_t vital_capacity = 0;
    const auto make_events = [](size_t size) { return flight::EventBlockEncoder::make(size); };
    const auto make_vital = [&](size_t size) { return flight::EventBlockEncoder::make(vital_capacity = size); };
    const auto make_syscalls = [](size_t size) { return flight::SyscallBlockEncoder::make(size, size * 16); };
    FR_ASSIGN(auto vital, make_fitting<flight::EventBlockEncoder>(512u << 10, 32u << 10, most, make_vital));
    FR_ASSIGN(auto keyframe, make_fitting<flight::EventBlockEncoder>(256u << 10, 8u << 10, most / 2, make_events));
    FR_ASSIGN(auto syscalls, make_fitting<flight::SyscallBlockEncoder>(16384, 256, most, make_syscalls));
    FR_ASSIGN(auto processes, flight::ProcessTable::make({.capacity = config.processes, .exited_max = 2048}));
    FR_ASSIGN(auto cgroups, flight::CgroupTable::make({.capacity = config.cgroups}));
    auto impl = std::make_unique<Impl>(config, parts, std::move(vital), std::move(keyframe), std::move(syscalls),
                                       std::move(processes), std::move(cgroups));
    impl->vital_capacity = vital_capacity;
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) {
        impl->overwritten_seen[track].resize(parts.probes->cpus());
        impl->overruns_seen[track].resize(parts.probes->cpus());
        const uint64_t until = parts.probes->stored_until();
        impl->drained_ns[track].assign(parts.probes->cpus(), until != 0 ? until : boot_ns());
    }
    Impl* self = impl.get();
    parts.window->on_segment_started([self](uint8_t track) {
        if (track == FR_TRACK_VITAL) self->write_keyframe();
    });
    return Pipeline(std::move(impl));
}

double Pipeline::drain() {
    Impl& s = *impl_;
    ++s.counts.drains;
    double fullest = 0;
    kernel::RingReader& vital = s.parts.probes->vital();
    kernel::RingReader& syscalls = s.parts.probes->syscalls();
    const auto fill = [&](kernel::RingReader& ring, uint32_t cpu) {
        fullest = std::max(fullest, static_cast<double>(ring.backlog(cpu)) / ring.ring_size());
    };
    for (uint32_t cpu = 0; cpu < vital.cpus(); ++cpu) {
        const auto number = static_cast<uint16_t>(cpu);
        fill(vital, cpu);
        fill(syscalls, cpu);
        if (s.retry(FR_TRACK_VITAL)) {
            vital.drain(cpu, drain_bytes, [&](std::span<std::byte> record) {
                if (!s.room_for_vital(record.size() + symbols_room)) return false;
                s.take_vital(record, number);
                return true;
            });
            s.note_gap(FR_TRACK_VITAL, cpu, vital);
        }
        if (s.retry(FR_TRACK_SYSCALL)) {
            bool run_open = false;
            syscalls.drain(cpu, 4 * drain_bytes,
                           [&](std::span<std::byte> record) { return s.add_syscall(record, number, run_open); });
            s.note_gap(FR_TRACK_SYSCALL, cpu, syscalls);
        }
    }
    return fullest;
}

void Pipeline::emit(std::span<const std::byte> record) {
    Impl& s = *impl_;
    const flight::EventRef event{record, no_cpu, flight::fixed_size_of(flight::EventRef{record}.head().cls)};
    const uint8_t cls = event.head().cls;
    // The table of processes is kept also when its records are not wanted in the file: it gives names to other events.
    if (s.config.classes_off & (1ull << cls)) {
        if (cls == FR_CLASS_PROCESS) s.processes.apply(event);
        return;
    }
    if (cls == FR_CLASS_PROCESS) s.processes.apply(event);
    if (cls == FR_CLASS_CGROUP) s.cgroups.apply(event);
    s.add_vital(record, no_cpu);
    // Counted last: a ledger that ends the block before it must not miss it. The kernel log keeps its own account.
    if (cls != FR_CLASS_KMSG) ++s.made[cls];
}

void Pipeline::seal_due() {
    Impl& s = *impl_;
    const uint64_t now = boot_ns();
    const auto due = [&](uint8_t track) {
        return s.first_ns[track] != 0 && now > s.first_ns[track] + s.config.seal_ns;
    };
    if (due(FR_TRACK_SYSCALL)) s.flush_syscalls();
    if (due(FR_TRACK_VITAL)) s.flush_vital();
}

void Pipeline::seal() {
    impl_->flush_syscalls();
    // The ledger goes last, so that it covers the syscalls just written; a block is never empty then.
    if (impl_->retry(FR_TRACK_VITAL)) {
        if (impl_->vital.empty()) {
            impl_->add_ledger();
            impl_->write_new(FR_TRACK_VITAL, impl_->vital.finish());
        } else {
            impl_->flush_vital();
        }
    }
}

std::span<const uint32_t> Pipeline::newcomers() {
    const size_t count = std::exchange(impl_->newcomer_count, 0);
    impl_->newcomers_given = impl_->newcomers;
    return {impl_->newcomers_given.data(), count};
}

std::span<const uint32_t> Pipeline::crashed() {
    const size_t count = std::exchange(impl_->crashed_count, 0);
    impl_->crashed_given = impl_->crashed;
    return {impl_->crashed_given.data(), count};
}

bool Pipeline::cgroup_made() { return std::exchange(impl_->cgroup_made, false); }
bool Pipeline::keyframe_written() { return std::exchange(impl_->keyframe_written, false); }

flight::Ledger Pipeline::ledger() const { return impl_->ledger(false); }
const Pipeline::Counts& Pipeline::counts() const { return impl_->counts; }

Pipeline::Pipeline(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Pipeline::Pipeline(Pipeline&&) noexcept = default;
Pipeline& Pipeline::operator=(Pipeline&&) noexcept = default;
Pipeline::~Pipeline() = default;

}  // namespace flightrec::record
