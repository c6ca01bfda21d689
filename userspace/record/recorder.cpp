// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/recorder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <thread>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/privileges.h"
#include "userspace/base/text.h"
#include "userspace/flight/window.h"
#include "userspace/kernel/probes.h"
#include "userspace/kernel/rules.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/control.h"
#include "userspace/record/cost.h"
#include "userspace/record/dumper.h"
#include "userspace/record/flusher.h"
#include "userspace/record/identity.h"
#include "userspace/record/incident_text.h"
#include "userspace/record/kmsg.h"
#include "userspace/record/notify.h"
#include "userspace/record/pipeline.h"
#include "userspace/record/previous.h"
#include "userspace/record/procfs.h"
#include "userspace/record/reserve.h"
#include "userspace/record/samplers.h"
#include "userspace/record/symbols.h"
#include "userspace/record/triggers.h"
#include "userspace/ship/make_sink.h"
#include "userspace/ship/shipper.h"

namespace flightrec::record {
namespace {

using nlohmann::json;

constexpr uint64_t poll_longest_ns = 100 * millisecond;
constexpr uint64_t poll_shortest_ns = 1 * millisecond;
constexpr int64_t clock_noise_ns = 1'000'000;  // two looks at the clocks may differ so much without a step
constexpr int64_t clock_read_ns = 20'000;      // the same, when the kernel says that the clock was set
constexpr uint64_t fds_period_ns = 30'000 * millisecond;
constexpr std::chrono::milliseconds shutdown_patience{10'000};  // the unit's TimeoutStopSec is longer
constexpr uint32_t fds_of_a_process = 64, fds_processes_a_turn = 16;
constexpr uint64_t fds_turn_ns = millisecond / 2;  // CPU time; ten turns a second when nothing happens
// Heap, stacks, code, libraries and the buffers of sinks; checked by a test against what the process really takes.
constexpr uint64_t process_reserve = 114ull << 20;
// Of it, heap that is free when recording begins: a dump, its TLS connection and its JSON need about a tenth.
constexpr uint64_t heap_reserve = 16ull << 20;

json capabilities_json(const std::vector<kernel::CapabilityReport>& report) {
    json out = json::array();
    for (const auto& capability : report) {
        json entry{{"name", capability.spec->name}, {"available", capability.available()}};
        for (const auto& v : capability.variants)
            entry["variants"].push_back({{"how", kernel::describe(*v.variant)},
                                         {"taken", v.taken},
                                         {"refused", v.refused},
                                         {"loses", v.variant->loses}});
        out.push_back(std::move(entry));
    }
    return out;
}

uint32_t level_of(std::string_view cgroup_path) {
    return cgroup_path == "/" ? 0 : static_cast<uint32_t>(std::count(cgroup_path.begin(), cgroup_path.end(), '/'));
}

// Processes the keyframes have room for: all that the kernel lets exist (threads-max, which it takes from the size of
// the memory), and as many again that have just ended. A table of 32768 would be 12% of a machine of 256 MB.
uint32_t process_room(const SystemPaths& paths) {
    uint64_t most = 0;
    std::ifstream(paths.proc + "/sys/kernel/threads-max") >> most;
    return most == 0 ? 32768 : static_cast<uint32_t>(std::clamp<uint64_t>(2 * most, 4096, 32768));
}

// What a running recorder still needs: every process's /proc entries (proc(5): ptrace access mode), and files that root
// may not read by their mode.
constexpr uint64_t kept_capabilities = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH;
// With a cost budget beside that, to attach again what it detached (the system call filter refuses loading): bpf(2)
// wants it for any command where unprivileged use is off. Attaching a loaded program does not want CAP_PERFMON
// (kernel/bpf/syscall.c, bpf_raw_tp_link_attach).
constexpr uint64_t budget_capabilities = 1ull << CAP_BPF;

// The unit in packaging/ hides /proc/kallsyms with the kernel's tunables, and binds it into the service's own folder.
Result<KernelSymbols> load_symbols(const SystemPaths& paths) {
    auto loaded = KernelSymbols::load(paths.proc + "/kallsyms");
    const char* runtime = loaded ? nullptr : std::getenv("RUNTIME_DIRECTORY");  // systemd.exec(5)
    if (runtime == nullptr) return loaded;
    auto bound = KernelSymbols::load(std::string(runtime) + "/kallsyms");
    return bound ? std::move(bound) : std::move(loaded);
}

}  // namespace

struct Recorder::Impl {
    RecorderOptions options;
    CgroupLayout layout;
    Scope scope;
    std::unique_ptr<ship::Shipper> shipper;
    std::vector<std::string> sink_lines;
    std::optional<flight::Window> window;
    std::optional<kernel::Probes> probes;
    std::optional<KernelSymbols> symbols;
    std::optional<Result<KernelSymbols>> symbols_read;
    std::jthread symbols_reader;  // beside the loading of the programs: each takes a tenth of a second
    std::optional<KmsgReader> kmsg;
    std::optional<MemoryStatReader> memory_stat;
    std::optional<TriggerEngine> triggers;
    std::optional<Pipeline> pipeline;
    std::optional<CostKeeper> cost;
    std::optional<ProcessScanner> scanner;
    std::optional<ProcessList> fd_list;
    std::optional<SystemSampler> system_sampler;
    std::optional<ProcessSampler> process_sampler;
    std::optional<CgroupSampler> cgroup_sampler;
    std::optional<ControlServer> control;
    std::unique_ptr<Dumper> dumper;
    std::unique_ptr<Flusher> flusher;
    uint64_t flushed_blocks = 0;
    std::optional<PreviousWindow> previous;
    Reserve reserve;
    Fd signals, timer, clock_steps;
    flight::EventBuilder builder;
    json info;
    std::string hostname;
    Emit emit = [this](std::span<const std::byte> record) { pipeline->emit(record); };

    uint64_t started_ns = 0, next_sample_ns = 0, interval_ns = poll_longest_ns;
    ClockPair clock;
    uint64_t classes_off = 0;
    std::array<uint64_t, FR_SCOPE_MAX> scope_ids{};  // as of the last look; 0: the cgroup is gone
    bool fds_due = true;                             // open files are to be looked at …
    uint64_t fds_next_ns = 0;                        // … from then on
    bool stopping = false;
    int stop_signal = 0;
    uint64_t stop_asked_ns = 0;
    std::string stop_reason;  // of the machine: "reboot", "poweroff", …; empty: only the recorder is stopped
    std::array<uint8_t, 16> recording_id{};
    struct Waiter {
        ControlClient client;
        uint64_t incident = 0;  // 0: free
    };
    std::array<Waiter, kControlClients> waiters{};
    uint64_t dumps_made = 0, dumps_failed = 0;

    // start
    Result<void> start();
    Result<void> resolve_scope();
    Result<void> open_sinks();
    Result<void> open_window();
    Result<void> load_probes();
    Result<void> open_rest();
    void first_look();
    void take_reserve();
    void give_up_rights();
    // the loop
    Result<void> loop();
    void on_signal();
    void sample();
    void refresh_limits();
    void watch_scope(bool look);
    [[nodiscard]] bool has_capability(std::string_view name) const;
    void check_clock(int64_t tolerance_ns);
    void watch_clock();
    void on_clock_step();
    void take_kernel_log();
    void look_at_fds();
    void on_control(ControlClient client, const ControlRequest& request);
    std::string status_json() const;
    void set_timer(uint64_t interval);
    // incidents
    void begin_due_dump(uint64_t now);
    void begin_dump(const Incident& incident);
    void keep_budget(uint64_t now);
    void note_unfinished();
    void finish_dump();
    void marker(uint32_t kind, std::initializer_list<uint64_t> values, std::string_view text = {}, uint64_t at = 0);
    void stop();
    uint64_t ceiling() const;
};

// ---- start ----------------------------------------------------------------------------------------------------------

Result<void> Recorder::Impl::resolve_scope() {
    FR_ASSIGN(layout, find_cgroups(options.paths));
    if (options.config.scope.empty()) return {};
    if (!layout.v2.present())
        return fail(Code::unsupported, "a scope needs the version 2 cgroup hierarchy, which is not mounted");
    for (std::string& path : options.config.scope) {
        if (path.starts_with(layout.v2.directory + "/")) path.erase(0, layout.v2.directory.size());
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();
        if (!cgroup_id_of(layout.v2, path))
            return fail(Code::not_found, fmt::format("the scope {} is no cgroup below {}", path, layout.v2.directory));
    }
    FR_ASSIGN(scope, Scope::make(options.config.scope));
    return {};
}

Result<void> Recorder::Impl::open_sinks() {
    std::vector<std::unique_ptr<ship::Sink>> sinks;
    for (const std::string& text : options.config.destinations) {
        FR_ASSIGN(const auto destination, ship::parse_destination(text));
        FR_ASSIGN(auto sink, ship::make_sink(destination, options.sinks));
        sink_lines.push_back(sink->describe());
        sinks.push_back(std::move(sink));
    }
    ship::ShipperConfig config;
    config.spool.directory = options.config.spool_path;
    config.spool.max_bytes = options.config.spool_size;
    config.spool.reserve_bytes = options.config.window_size;
    config.spool.memory_bytes = options.config.window_size;
    FR_ASSIGN(shipper, ship::Shipper::make(config, std::move(sinks)));
    return {};
}

Result<void> Recorder::Impl::open_window() {
    flight::WindowConfig config;
    config.path = options.config.window_path;
    config.size = options.config.window_size;
    config.vital_share = options.config.vital_share;
    FR_ASSIGN(previous, PreviousWindow::set_aside(config.path, options.paths));
    // Into the spool before anything can go wrong with the new one.
    if (previous->worth_shipping()) {
        if (const auto shipped = previous->ship(*shipper, hostname, options.config.labels); !shipped)
            log::warning("the previous window stays at {}: {}", previous->path().string(), shipped.error().message);
    }
    config.replace_existing = previous->replaceable();
    FR_ASSIGN(window, flight::Window::create(config, info.dump()));
    std::copy_n(window->header().recording_id, 16, recording_id.begin());
    return {};
}

Result<void> Recorder::Impl::load_probes() {
    kernel::ProbeOptions o;
    o.vital_ring = static_cast<uint32_t>(options.config.vital_ring);
    o.syscall_ring = static_cast<uint32_t>(options.config.syscall_ring);
    for (const std::string& path : scope.paths())
        o.scope.push_back({cgroup_id_of(layout.v2, path), level_of(path), path});
    for (const std::string& name : options.config.classes_off)
        if (const auto cls = flight::class_of_name(name)) o.classes_off |= 1ull << *cls;
    if (!options.config.kernel_log) o.classes_off |= 1ull << FR_CLASS_KMSG;
    classes_off = o.classes_off;
    o.string_limit = options.config.string_limit;
    o.durations = options.config.durations;
    // Failed execs, forks and ENOMEM are seen at the return of system calls, also when these are not recorded.
    constexpr uint64_t failures = 1ull << FR_CLASS_EXEC_FAILED | 1ull << FR_CLASS_ALLOC_FAILURE;
    const bool calls = !(o.classes_off & (1ull << FR_CLASS_SYSCALL));
    o.syscalls = calls || (o.classes_off & failures) != failures;
    FR_ASSIGN(o.rules, kernel::make_rules(calls ? options.config.syscalls : "none"));
    if (options.config.pin) o.pins = options.config.pin_path;
    o.last_blocks = previous->last_blocks();
    FR_ASSIGN(probes, kernel::Probes::load(o));
    refresh_limits();
    return {};
}

Result<void> Recorder::Impl::open_rest() {
    symbols_reader.join();
    if (*symbols_read)
        symbols = *std::move(*symbols_read);
    else
        log::warning("kernel stacks will have addresses only: {}", symbols_read->error().message);
    symbols_read.reset();
    if (!(classes_off & (1ull << FR_CLASS_KMSG))) {
        auto reader = KmsgReader::open(options.paths.kmsg,
                                       {.backlog = scope.whole_machine() ? options.config.kernel_log_backlog : 0,
                                        .announced = has_capability("kernel log origin"),
                                        .only_announced = !scope.whole_machine()});
        if (reader)
            kmsg = *std::move(reader);
        else
            log::warning("the kernel log is not recorded: {}", reader.error().message);
    }
    std::array<uint8_t, 16> seed{};
    if (getrandom(seed.data(), seed.size(), 0) != static_cast<ssize_t>(seed.size()))
        return fail_errno(errno, "cannot get random numbers");
    triggers.emplace(options.config.triggers, seed);
    FR_ASSIGN(memory_stat, MemoryStatReader::make(options.paths, layout));
    PipelineParts parts{&*probes,     &*window, &*triggers, symbols ? &*symbols : nullptr, kmsg ? &*kmsg : nullptr,
                        &*memory_stat};
    PipelineConfig sizes;
    sizes.processes = process_room(options.paths);
    sizes.classes_off = classes_off;
    sizes.seal_ns = options.config.seal_ns;
    FR_ASSIGN(pipeline, Pipeline::make(sizes, parts));
    cost.emplace(*probes, options.config.budget_percent / 100, options.config.durations);
    FR_ASSIGN(scanner, ProcessScanner::make(options.paths, layout, scope));
    FR_ASSIGN(fd_list, ProcessList::make(options.paths, layout, scope));
    FR_ASSIGN(system_sampler, SystemSampler::make(options.paths, options.config.window_path));
    ProcessSamplerConfig processes;
    processes.top = options.config.top_processes;
    FR_ASSIGN(process_sampler, ProcessSampler::make(options.paths, layout, scope, processes));
    process_sampler->use([this](FunctionRef<void(const fr_task_look&)> look) {
        return probes->each_task([](void* to, const fr_task_look& one) { (*static_cast<decltype(look)*>(to))(one); },
                                 &look);
    });
    CgroupSamplerConfig cgroups;
    cgroups.limit = options.config.sampled_cgroups;
    FR_ASSIGN(cgroup_sampler, CgroupSampler::make(layout, scope, cgroups));
    FR_ASSIGN(dumper, Dumper::make(*window, *shipper));
    FR_ASSIGN(flusher, Flusher::make(window->fd()));
    FR_ASSIGN(control, ControlServer::listen(options.config.control_path,
                                             [this](ControlClient client, const ControlRequest& request) {
                                                 on_control(client, request);
                                             }));
    return {};
}

// What was there before the first event: cgroups, then processes; the programs record already.
void Recorder::Impl::first_look() {
    marker(FR_MARKER_START, {static_cast<uint64_t>(getpid())}, options.version);
    clock = clock_pair();
    marker(FR_MARKER_CLOCK, {clock.realtime, 0}, {}, clock.boot);
    if (layout.v2.present()) emit_cgroups(layout.v2, scope, 4096, builder, emit);
    scanner->scan(emit);
    const bool continued = probes->stored_until() != 0;
    std::string before = previous->story(options.version, config_hash(options.config), clock, continued);
    if (!before.empty()) log::info("{}", before);
    if (!probes->pins_found().empty()) {
        log::info("{}", probes->pins_found());
        before += (before.empty() ? "" : "; ") + probes->pins_found();
    }
    if (!before.empty()) marker(FR_MARKER_PREVIOUS_END, {}, before);
}

void Recorder::Impl::take_reserve() {
    protect_from_oom_killer(options.paths.proc.c_str());
    if (const auto locked = window->lock_memory(); !locked)
        log::warning("the window is not locked in memory: {}", locked.error().message);
    reserve = Reserve::take(heap_reserve);
}

// From here on nothing is loaded or started any more; attached only what the cost budget detached.
void Recorder::Impl::give_up_rights() {
    const bool attaches = options.config.budget_percent > 0 && probes->can_detach();
    const uint64_t keep = kept_capabilities | (attaches ? budget_capabilities : 0);
    if (const auto kept = keep_capabilities(keep); !kept) log::warning("{}", kept.error().message);
    std::vector<uint32_t> commands{BPF_ITER_CREATE};  // the task list; needs no capability (from 5.19)
    if (attaches) commands.insert(commands.end(), {BPF_RAW_TRACEPOINT_OPEN, BPF_LINK_CREATE});
    if (const auto confined = confine_process(commands); !confined) log::warning("{}", confined.error().message);
}

Result<void> Recorder::Impl::start() {
    FR_TRY(validate(options.config));
    FR_TRY(PreviousWindow::check_free(options.config.window_path));
    if (geteuid() != 0) return fail(Code::permission, "recording needs root: run it with sudo or as a system service");
    FR_TRY(ControlServer::check_free(options.config.control_path));
    Reserve::prepare();
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before any thread is made: they inherit it
    signal(SIGPIPE, SIG_IGN);
    signals = Fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    timer = Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!signals.valid() || !timer.valid()) return fail_errno(errno, "cannot make signal and timer descriptors");

    FR_TRY(resolve_scope());
    // Before anything large is taken, and again when everything is there.
    const uint64_t rings = (options.config.vital_ring + options.config.syscall_ring) *
                           static_cast<uint64_t>(sysconf(_SC_NPROCESSORS_CONF));
    FR_TRY(Reserve::check_room(options.paths, layout.memory, options.config.window_size + rings + 2 * heap_reserve));
    started_ns = boot_ns();
    info["identity"] = read_identity(options.paths, {.recorder_version = options.version,
                                                     .config_hash = config_hash(options.config),
                                                     .instance_id = options.config.instance_id,
                                                     .labels = options.config.labels});
    hostname = info["identity"].value("hostname", "unknown");
    info["config"] = to_json(options.config);
    info["recording"] = {{"started", format_utc(realtime_ns())}, {"started_boot_ns", started_ns}};
    FR_TRY(open_sinks());
    FR_TRY(open_window());
    symbols_reader = std::jthread([this] { symbols_read = load_symbols(options.paths); });
    FR_TRY(load_probes());
    std::copy_n(probes->control().scope_cgroup, scope_ids.size(), scope_ids.begin());
    info["capabilities"] = capabilities_json(probes->report());
    FR_TRY(window->set_info(info.dump()));
    FR_TRY(open_rest());
    FR_TRY(Reserve::check_room(options.paths, layout.memory, heap_reserve));
    take_reserve();
    first_look();
    pipeline->seal();  // a recorder that is killed at once still says what was there
    FR_TRY(probes->keep());
    give_up_rights();
    return {};
}

uint64_t Recorder::Impl::ceiling() const { return probes->memory() + window->size() + process_reserve; }

// ---- the loop -------------------------------------------------------------------------------------------------------

void Recorder::Impl::marker(uint32_t kind, std::initializer_list<uint64_t> values, std::string_view text, uint64_t at) {
    auto& m = builder.begin<fr_marker>(FR_CLASS_MARKER);
    m.event.time_ns = at ? at : boot_ns();
    m.event.pid = m.event.tid = static_cast<uint32_t>(getpid());
    m.kind = kind;
    std::copy(values.begin(), values.end(), m.value);
    if (!text.empty()) builder.blob(FR_BLOB_TEXT, text);
    pipeline->emit(builder.bytes());
}

void Recorder::Impl::set_timer(uint64_t interval) {
    const itimerspec spec{{},
                          {static_cast<time_t>(interval / 1'000'000'000), static_cast<long>(interval % 1'000'000'000)}};
    timerfd_settime(timer.get(), 0, &spec, nullptr);
}

void Recorder::Impl::on_signal() {
    signalfd_siginfo s{};
    while (read(signals.get(), &s, sizeof s) == static_cast<ssize_t>(sizeof s)) {
        if (s.ssi_signo == SIGUSR1) {
            triggers->request(FR_TRIGGER_SIGNAL, "SIGUSR1", boot_ns(), s.ssi_pid, s.ssi_uid);
        } else if (s.ssi_signo != SIGHUP) {
            stopping = true;
            stop_signal = static_cast<int>(s.ssi_signo);
        }
    }
}

void Recorder::Impl::sample() {
    system_sampler->sample(emit);
    process_sampler->sample(emit, system_sampler->stalled());
    if (pipeline->cgroup_made()) cgroup_sampler->cgroup_made();
    cgroup_sampler->sample(emit);
    refresh_limits();
    watch_scope(true);
    check_clock(clock_noise_ns);
}

// A cgroup of the scope that is removed takes everything below it along; made again it has another id, which the
// programs put into the control page by themselves when they see its path (here only where they could not: a path that
// is too long, a cgroup namespace). `look`: at the directories too, once a second.
void Recorder::Impl::watch_scope(bool look) {
    fr_control& page = probes->control();
    for (size_t i = 0; i < scope.paths().size() && i < scope_ids.size(); ++i) {
        const std::string& path = scope.paths()[i];
        uint64_t& known = scope_ids[i];
        __u64 in_kernel = __atomic_load_n(&page.scope_cgroup[i], __ATOMIC_RELAXED);
        const uint64_t now = look ? cgroup_id_of(layout.v2, path) : in_kernel;
        if (now == known) continue;
        known = now;
        if (now == 0) {
            // Unless the programs have seen it made again by now.
            __atomic_compare_exchange_n(&page.scope_cgroup[i], &in_kernel, 0, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
            log::warning("the scope {} was removed: nothing of it is recorded until it is made again", path);
        } else {
            page.scope_cgroup[i] = now;
            cgroup_sampler->rescan();
            log::warning("the scope {} was made again: recording goes on", path);
        }
        marker(FR_MARKER_SCOPE, {now ? 1u : 0u, now}, path);
    }
}

// The limits that the programs compare with when a fork or a mapping was refused.
void Recorder::Impl::refresh_limits() {
    const auto number = [&](const char* name) {
        const Fd dir(open((options.paths.proc + "/sys").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const uint64_t value = KeptFile::open(dir.get(), name).read_number();
        return value == FR_UNKNOWN || value > UINT32_MAX ? 0u : static_cast<uint32_t>(value);
    };
    fr_control& control_page = probes->control();
    control_page.threads_max = number("kernel/threads-max");
    control_page.pid_max = number("kernel/pid_max");
    control_page.max_map_count = number("vm/max_map_count");
}

bool Recorder::Impl::has_capability(std::string_view name) const {
    for (const auto& capability : probes->report())
        if (capability.spec->name == name) return capability.available();
    return false;
}

// What was printed until now, each line at its time: the probe's announcement of a line that could be read is in the
// ring already.
void Recorder::Impl::take_kernel_log() {
    if (!kmsg) return;
    kmsg->read(emit);
    pipeline->drain();
    kmsg->release(emit);
}

// timerfd_create(2): a timer of the wall clock is cancelled by every step of it, which tells of the step at once.
void Recorder::Impl::watch_clock() {
    if (!clock_steps.valid()) clock_steps = Fd(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    const itimerspec never{{}, {std::numeric_limits<int32_t>::max(), 0}};
    timerfd_settime(clock_steps.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr);
}

void Recorder::Impl::on_clock_step() {
    uint64_t expirations = 0;
    if (read(clock_steps.get(), &expirations, sizeof expirations) >= 0 || errno != ECANCELED) return;
    watch_clock();
    check_clock(clock_read_ns);
}

// The wall clock is mapped by pairs; a step is an event, and so is a drift of a millisecond.
void Recorder::Impl::check_clock(int64_t tolerance_ns) {
    const ClockPair now = clock_pair();
    const auto step = static_cast<int64_t>((now.realtime - clock.realtime) - (now.boot - clock.boot));
    if (step > -tolerance_ns && step < tolerance_ns) return;
    marker(FR_MARKER_CLOCK, {now.realtime, static_cast<uint64_t>(step)}, {}, now.boot);
    clock = now;
}

std::string Recorder::Impl::status_json() const {
    json out{{"ok", true}, {"v", kControlVersion}};
    out["version"] = options.version;
    out["pid"] = getpid();
    out["uptime_s"] = (boot_ns() - started_ns) / 1'000'000'000;
    out["window"] = {{"path", options.config.window_path},
                     {"size", window->size()},
                     {"blocks", pipeline->counts().blocks},
                     {"events", pipeline->counts().events}};
    out["memory_ceiling"] = ceiling();
    const Reserve::Usage memory = reserve.usage();
    out["reserve"] = {{"heap", memory.heap},
                      {"in_use", memory.in_use},
                      {"grown", memory.grown},
                      {"minor_faults", memory.minor_faults},
                      {"major_faults", memory.major_faults},
                      {"locked", memory.locked}};
    out["cost"] = cost->status();
    out["scope"] = scope.paths();
    const auto ledger = pipeline->ledger();
    for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) {
        const fr_ledger_line& l = ledger.line[c];
        if (!l.produced) continue;
        out["ledger"][std::string(flight::class_name(c))] = {{"produced", l.produced},       {"stored", l.stored},
                                                             {"overwritten", l.overwritten}, {"torn", l.torn},
                                                             {"skipped", l.skipped},         {"pending", l.pending}};
    }
    for (const auto& missed : probes->misses())
        if (missed.count) out["not_run"][std::string(missed.program)] = missed.count;
    const auto& t = triggers->counts();
    out["incidents"] = {{"triggers", t.triggers},     {"incidents", t.incidents}, {"folded", t.folded},
                        {"suppressed", t.suppressed}, {"dumps", dumps_made},      {"failed_dumps", dumps_failed}};
    const auto ship = shipper->status();
    for (const auto& s : ship.sinks)
        out["sinks"].push_back({{"name", s.name},
                                {"queued", s.queued},
                                {"delivered", s.delivered},
                                {"refused", s.refused},
                                {"last_error", s.last_error},
                                {"next_attempt_s", s.next_attempt.count() / 1000}});
    out["spool"] = {{"incidents", ship.spool.incidents}, {"bytes", ship.spool.bytes}, {"dropped", ship.spool.dropped}};
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

void Recorder::Impl::on_control(ControlClient client, const ControlRequest& request) {
    if (request.cmd == "ping") {
        control->reply(client, R"({"v":1,"ok":true})");
    } else if (request.cmd == "status") {
        control->reply(client, status_json());
    } else if (request.cmd == "mark") {
        marker(FR_MARKER_USER, {request.pid}, request.text);
        control->reply(client, R"({"v":1,"ok":true})");
    } else if (request.cmd == "dump" || request.cmd == "shutdown") {
        const bool shutdown = request.cmd == "shutdown";
        if (shutdown) {
            stop_reason = request.text.empty() ? "shutdown" : std::string(request.text);
            stop_asked_ns = boot_ns();
        }
        const uint64_t number =
            triggers->request(shutdown ? FR_TRIGGER_SHUTDOWN : FR_TRIGGER_COMMAND, request.text, boot_ns(), request.pid,
                              request.uid, shutdown ? 0 : 200 * millisecond);
        for (Waiter& w : waiters)
            if (w.incident == 0) {
                w = {client, number};
                return;
            }
        control->reply_error(client, "too many dumps are being waited for");
    } else {
        control->reply_error(client, "unknown command");
    }
}

Result<void> Recorder::Impl::loop() {
    next_sample_ns = boot_ns();
    set_timer(poll_shortest_ns);
    watch_clock();
    // A block cannot be sealed in time that was read late.
    const uint64_t longest_ns = std::clamp(options.config.seal_ns / 2, poll_shortest_ns, poll_longest_ns);
    const uint64_t end_ns = options.run_for_ns ? boot_ns() + options.run_for_ns : 0;
    std::array<pollfd, 6 + kControlClients + 2> fds{};
    while (!stopping) {
        size_t n = 0;
        const auto watch = [&](int fd) { fds[n++] = {fd, POLLIN, 0}; };
        watch(timer.get());
        watch(signals.get());
        watch(probes->doorbell_fd());
        watch(dumper->fd());
        watch(kmsg ? kmsg->fd() : -1);
        watch(clock_steps.get());
        for (const pollfd& fd : control->fds())
            if (n < fds.size()) fds[n++] = fd;
        if (poll(fds.data(), n, 1000) < 0 && errno != EINTR) return fail_errno(errno, "poll");

        uint64_t expirations = 0;
        [[maybe_unused]] const ssize_t got = read(timer.get(), &expirations, sizeof expirations);
        probes->drain_doorbell([](void*, const fr_doorbell&) {}, nullptr);
        on_signal();
        on_clock_step();
        watch_scope(false);
        const double fill = pipeline->drain();
        for (const uint32_t pid : pipeline->crashed()) scanner->emit_modules(pid, emit);
        for (const uint32_t pid : pipeline->newcomers()) scanner->emit_process(pid, emit);
        if (kmsg) kmsg->read(emit);
        const uint64_t now = boot_ns();
        if (now >= next_sample_ns) {
            sample();
            next_sample_ns = std::max(next_sample_ns + options.config.sample_period, now);
        }
        look_at_fds();
        keep_budget(now);
        pipeline->seal_due();
        if (pipeline->counts().blocks != std::exchange(flushed_blocks, pipeline->counts().blocks)) flusher->kick();
        control->on_ready();
        finish_dump();
        begin_due_dump(now);
        if (end_ns && now >= end_ns) stopping = true;

        // Aim at a quarter of the fullest ring: twice as often when it was fuller, more slowly when it was nearly
        // empty.
        if (fill > 0.25)
            interval_ns = std::max(poll_shortest_ns, interval_ns / 4);
        else if (fill < 0.05)
            interval_ns = std::min(longest_ns, interval_ns + interval_ns / 2);
        set_timer(std::min(interval_ns, cost->wake_ns()));
    }
    stop();
    return {};
}

// Keyframes hold processes and cgroups; open files are read again, a few processes at a time, when one was written.
void Recorder::Impl::look_at_fds() {
    if (pipeline->keyframe_written()) fds_due = true;
    const uint64_t now = boot_ns();
    if (!fds_due || now < fds_next_ns || classes_off & (1ull << FR_CLASS_FD)) return;
    uint32_t left = fds_processes_a_turn;
    const uint64_t cpu_began = thread_cpu_ns();
    const bool done = fd_list->walk([&](uint32_t pid) {
        if (pid != static_cast<uint32_t>(getpid())) scanner->emit_fds(pid, emit, fds_of_a_process);
        return --left > 0 && thread_cpu_ns() - cpu_began < fds_turn_ns;
    });
    if (!done) return;
    fds_due = false;
    fds_next_ns = now + fds_period_ns;
}

// ---- incidents ------------------------------------------------------------------------------------------------------

void Recorder::Impl::begin_due_dump(uint64_t now) {
    if (dumper->busy()) return;  // the engine keeps folding until then
    if (const auto incident = triggers->poll(now)) begin_dump(*incident);
}

// Every step of the cost budget is an event, so that nobody takes calls that were not recorded for calls not made.
void Recorder::Impl::keep_budget(uint64_t now) {
    cost->flusher_took(flusher->cpu_ns());
    const auto step = cost->update(now);
    if (!step) return;
    marker(FR_MARKER_POLICY, {step->old_step, step->step, static_cast<uint64_t>(step->cost * 10'000)},
           cost->left_out());
    log::debug("cost budget: {} -> {}, {:.2f} CPUs", policy_name(step->old_step), policy_name(step->step), step->cost);
}

// System calls that had not returned: what every thread was doing at this moment.
void Recorder::Impl::note_unfinished() {
    const uint64_t now = boot_ns();
    uint32_t limit = 4096;
    std::array<char, 2048> buffer;
    auto proc = ProcDir::open(options.paths.proc);
    if (!proc || !cost->entries_valid()) return;
    const uint64_t valid_since = probes->control().entries_since_ns;
    for (const fr_syscall_entry& entry : probes->entries()) {
        const fr_syscall_entry e = entry;  // the kernel may write it meanwhile
        if (e.enter_ns <= valid_since || e.enter_ns > now || e.tid == 0 || limit == 0) continue;
        const auto text = proc->read(e.tid, "status", buffer);
        const auto status = text ? parse_status(*text) : std::nullopt;
        if (!status || status->pid != e.tid) continue;
        auto& record = builder.begin<fr_syscall>(FR_CLASS_UNFINISHED);
        record.event.time_ns = now;
        record.event.tid = e.tid;
        record.event.pid = status->tgid;
        record.enter_ns = e.enter_ns;
        record.nr = e.nr;
        for (size_t i = 0; e.nr < FR_SYSCALL_RULES && i < kernel::argument_counts()[e.nr]; ++i)
            record.args[i] = e.args[i];
        pipeline->emit(builder.bytes());
        --limit;
    }
}

void Recorder::Impl::begin_dump(const Incident& incident) {
    std::string facts;
    facts.reserve(16384);
    write_json(incident, facts);
    pipeline->drain();
    take_kernel_log();
    marker(FR_MARKER_TRIGGER, {incident.facts.reason, incident.facts.pid, incident.number, incident.suppressed_total},
           facts, incident.facts.time_ns);
    {
        const CostKeeper::DumpTime of_dump(*cost);
        note_unfinished();
    }
    sample();
    pipeline->seal();

    const CostKeeper::DumpTime of_dump(*cost);
    info["incident"] = json::parse(facts, nullptr, false);
    info["incident"]["time"] = format_utc(clock.realtime + (incident.facts.time_ns - clock.boot));
    ship::Incident shipped;
    shipped.recording = recording_id;
    shipped.number = incident.number;
    shipped.realtime_ns = clock.realtime + (incident.facts.time_ns - clock.boot);
    shipped.host = hostname;
    shipped.reason = std::string(trigger_name(incident.facts.reason));
    shipped.summary = describe_incident(incident);
    shipped.labels.assign(options.config.labels.begin(), options.config.labels.end());
    dumper->start(shipped, info.dump(-1, ' ', false, json::error_handler_t::replace));
    log::info("incident {}: {}", incident.number, shipped.summary);
}

void Recorder::Impl::finish_dump() {
    const auto outcome = dumper->finished();
    if (!outcome) return;
    if (outcome->error) {
        ++dumps_failed;
        log::error("incident {}: no dump: {}", outcome->incident, outcome->error->message);
    } else {
        ++dumps_made;
        marker(FR_MARKER_DUMP, {outcome->incident, outcome->bytes, outcome->took_ns});
        log::info("incident {}: dump of {} made in {} ms", outcome->incident, format_bytes(outcome->bytes),
                  outcome->took_ns / millisecond);
    }
    for (Waiter& w : waiters) {
        if (w.incident != outcome->incident) continue;
        w.incident = 0;
        if (outcome->error) {
            control->reply_error(w.client, outcome->error->message);
            continue;
        }
        const json reply{{"v", 1},
                         {"ok", true},
                         {"incident", outcome->incident},
                         {"bytes", outcome->bytes},
                         {"name", std::filesystem::path(outcome->file).filename().string()}};
        control->reply(w.client, reply.dump());
    }
}

// In order: no new events, everything in the window, what is due dumped, what can be delivered quickly delivered.
void Recorder::Impl::stop() {
    notify_systemd("STOPPING=1");
    const auto wait_for_dump = [&] {
        const uint64_t deadline = boot_ns() + 5'000 * millisecond;
        while (dumper->busy() && boot_ns() < deadline) {
            pollfd fd{dumper->fd(), POLLIN, 0};
            poll(&fd, 1, 100);
            finish_dump();
        }
    };
    wait_for_dump();
    if (triggers->next_due()) {  // its tail is cut short
        if (const auto incident = triggers->poll(UINT64_MAX)) begin_dump(*incident);
        wait_for_dump();
    }
    probes->detach();
    pipeline->drain();
    take_kernel_log();
    if (boot_ns() - stop_asked_ns > 60 * second) stop_reason.clear();  // that shutdown did not come
    marker(FR_MARKER_STOP, {static_cast<uint64_t>(stop_signal)}, stop_reason);
    pipeline->seal();
    if (const auto flushed = window->flush(false); !flushed) log::warning("{}", flushed.error().message);
    // A machine that goes down may not come back: its last dump is worth waiting for while there is still a network.
    const auto patience = stop_reason.empty() ? std::chrono::milliseconds(400) : shutdown_patience;
    const auto now = std::chrono::steady_clock::now();
    if (dumps_made) shipper->flush(now + patience);
    shipper->stop(std::chrono::steady_clock::now() + std::chrono::milliseconds(300));
}

// ---- interface ------------------------------------------------------------------------------------------------------

Result<Recorder> Recorder::make(const RecorderOptions& options) {
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    FR_TRY(impl->start());
    return Recorder(std::move(impl));
}

std::string Recorder::summary() const {
    const Impl& s = *impl_;
    std::string out;
    const auto line = [&](std::string_view text) {
        out += text;
        out += '\n';
    };
    line(fmt::format("flightrec {} records {}", s.options.version,
                     s.scope.whole_machine() ? std::string("the whole machine")
                                             : fmt::format("{}", fmt::join(s.scope.paths(), ", "))));
    for (const auto& capability : s.probes->report()) {
        std::string how;
        for (const auto& v : capability.variants)
            if (v.taken) how += (how.empty() ? "" : ", ") + kernel::describe(*v.variant);
        line(how.empty() ? fmt::format("  {:<24} not available (flightrec doctor tells why); lost: {}",
                                       capability.spec->name, capability.spec->without)
                         : fmt::format("  {:<24} {}", capability.spec->name, how));
    }
    line(fmt::format("window {} ({}, the last ones of two tracks)", s.options.config.window_path,
                     format_bytes(s.window->size())));
    line(fmt::format("memory ceiling {} (rings {}, window {}, process {})", format_bytes(s.ceiling()),
                     format_bytes(s.probes->memory()), format_bytes(s.window->size()), format_bytes(process_reserve)));
    for (const std::string& sink : s.sink_lines) line("dumps go to " + sink);
    line(fmt::format("control socket {}", s.options.config.control_path));
    return out;
}

Result<void> Recorder::run() {
    notify_systemd("READY=1");
    return impl_->loop();
}

Recorder::Recorder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recorder::Recorder(Recorder&&) noexcept = default;
Recorder& Recorder::operator=(Recorder&&) noexcept = default;
Recorder::~Recorder() = default;

}  // namespace flightrec::record
