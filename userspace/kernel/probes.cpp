// SPDX-License-Identifier: Apache-2.0
#include "userspace/kernel/probes.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <optional>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include "flightrec.skel.h"
#pragma GCC diagnostic pop
#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/kernel/pins.h"

namespace flightrec::kernel {
namespace {

using Skeleton = Handle<flightrec_bpf*, [](flightrec_bpf* s) { flightrec_bpf__destroy(s); }>;
using Link = Handle<bpf_link*, [](bpf_link* l) { bpf_link__destroy(l); }>;
using KernelBtf = Handle<btf*, [](btf* b) { btf__free(b); }>;
using RingBuffer = Handle<ring_buffer*, [](ring_buffer* r) { ring_buffer__free(r); }>;

// What libbpf said last; kept for the message of a failed load.
thread_local std::string libbpf_said;

int keep_libbpf_message(libbpf_print_level level, const char* format, va_list arguments) {
    if (log::enabled(log::Level::debug)) {  // whole: the verifier's log is one message
        va_list copy;
        va_copy(copy, arguments);
        vfprintf(stderr, format, copy);
        va_end(copy);
    }
    char line[512];
    vsnprintf(line, sizeof line, format, arguments);
    if (level == LIBBPF_WARN && libbpf_said.size() < 16384) libbpf_said += line;
    return 0;
}

struct Mapping {
    std::byte* address = nullptr;
    size_t length = 0;
    Mapping() = default;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (address) munmap(address, length);
    }
    size_t element = 0;  // bytes from one element to the next
    Result<void> map(int fd, const char* name, int protection) {
        bpf_map_info info{};
        __u32 size = sizeof info;
        if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0)
            return fail_errno(errno, fmt::format("cannot look at the BPF map {}", name));
        const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        element = (info.value_size + 7u) & ~size_t{7};
        const size_t bytes = (element * info.max_entries + page - 1) & ~(page - 1);
        void* at = mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
        if (at == MAP_FAILED) return fail_errno(errno, fmt::format("cannot map the BPF map {}", name));
        address = static_cast<std::byte*>(at);
        length = bytes;
        return {};
    }
};

// What user space opens of the maps; the others live as long as the programs that use them.
constexpr auto opened_maps = std::to_array<const char*>(
    {"vital_ring", "syscall_ring", "control", "syscall_rules", "syscall_entries", "thread_calls", "doorbell"});

// Changes with the programs and with everything that is fixed when they are loaded.
// False: every rule leaves its system call alone, and only failures of some are to be seen (bpf/failed_calls.bpf.c).
bool records_calls(const ProbeOptions& o) {
    return o.rules.empty() || std::any_of(o.rules.begin(), o.rules.end(),
                                          [](const fr_syscall_rule& rule) { return rule.action != FR_RULE_NONE; });
}

uint64_t layout_signature(const ProbeOptions& o, uint32_t cpus) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    const auto add = [&](const void* data, size_t size) {
        for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3;
    };
    size_t size = 0;
    const void* object = flightrec_bpf__elf_bytes(&size);
    add(object, size);
    for (const uint32_t value :
         {FR_KERNEL_ABI, cpus, o.vital_ring, o.syscall_ring, o.string_limit, static_cast<uint32_t>(o.syscalls),
          static_cast<uint32_t>(o.durations) + 2 * static_cast<uint32_t>(records_calls(o))})
        add(&value, sizeof value);
    for (const ScopeCgroup& cgroup : o.scope) {
        add(cgroup.path.c_str(), cgroup.path.size() + 1);
        add(&cgroup.level, sizeof cgroup.level);
    }
    return hash;
}

// A kernel function of 6.2 (bpf/include/filter.h: untrusted()).
bool has_rdonly_cast(const btf* kernel) { return btf__find_by_name_kind(kernel, "bpf_rdonly_cast", BTF_KIND_FUNC) > 0; }

bool is_power_of_two(uint32_t n) { return n != 0 && (n & (n - 1)) == 0; }

uint32_t ring_value_size(uint32_t ring, uint32_t slack) { return FR_RING_HEAD_SIZE + ring + slack; }

// Slack behind the ring's data that the verifier wants to see: the longest record plus the reach of a variable blob.
constexpr uint32_t vital_slack = FR_EVENT_MAX + 4096;
constexpr uint32_t syscall_slack = 2 * FR_SYSCALL_EVENT_MAX + 4096;

// How many arguments the tracepoint has (without the context).
unsigned argument_count(const btf* kernel, int typedef_id) {
    const btf_type* t = btf__type_by_id(kernel, static_cast<__u32>(typedef_id));
    t = btf__type_by_id(kernel, t->type);         // pointer
    if (t) t = btf__type_by_id(kernel, t->type);  // function prototype
    return t && btf_is_func_proto(t) && btf_vlen(t) > 0 ? btf_vlen(t) - 1u : 0;
}

// True when the first argument of the tracepoint (behind the context) is a pointer.
bool first_argument_is_pointer(const btf* kernel, int typedef_id) {
    const btf_type* t = btf__type_by_id(kernel, static_cast<__u32>(typedef_id));
    t = btf__type_by_id(kernel, t->type);         // pointer
    if (t) t = btf__type_by_id(kernel, t->type);  // function prototype
    if (!t || !btf_is_func_proto(t) || btf_vlen(t) < 2) return false;
    const btf_type* argument = btf__type_by_id(kernel, btf_params(t)[1].type);
    return argument && btf_is_ptr(argument);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string errno_text(int error) {
    char buffer[128];
    return strerror_r(error, buffer, sizeof buffer);
}

// Loads a program that does nothing on a kernel function: whether the kernel lets trampolines be used at all.
int try_fentry(int function_id) {
    const bpf_insn nothing[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options);
    options.expected_attach_type = BPF_TRACE_FENTRY;
    options.attach_btf_id = static_cast<__u32>(function_id);
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_TRACING, "flightrec_try", "GPL", nothing, 2, &options));
    return program.valid() && program.get() >= 0 ? 0 : errno;
}

// Why this kernel cannot have the variant, as far as that can be told without trying; empty: try it.
std::string refusal(const btf* kernel, const Variant& v) {
    const std::string target(v.target);
    if (v.attach == Attach::tracepoint) {
        const int id = btf__find_by_name_kind(kernel, ("btf_trace_" + target).c_str(), BTF_KIND_TYPEDEF);
        if (id < 0) return "this kernel has no tracepoint " + target;
        if (v.program == "oom_kill_task_tp" && !first_argument_is_pointer(kernel, id))
            return "mark_victim of this kernel gives a pid only";
        if (v.program == "oom_kill_pid_tp" && first_argument_is_pointer(kernel, id))
            return "mark_victim of this kernel gives the task";
        if (v.program == "crash_modules_tp" && argument_count(kernel, id) < 2)
            return "sched_process_exit of this kernel comes after the memory was given back";
        if (v.program == "exit_tp" && argument_count(kernel, id) < 2)
            return "sched_process_exit of this kernel does not tell the last thread";
        if (v.program == "exit_counted_tp" && argument_count(kernel, id) >= 2) return std::string(not_needed);
        return {};
    }
    if (v.attach == Attach::fentry || v.attach == Attach::fexit) {
        const int id = btf__find_by_name_kind(kernel, target.c_str(), BTF_KIND_FUNC);
        if (id < 0) return "the function " + target + " is not in this kernel's BTF";
        const int error = try_fentry(id);
        return error ? "the kernel refuses fentry and fexit programs: " + errno_text(error) : std::string{};
    }
    if (v.attach == Attach::iterator)
        return btf__find_by_name_kind(kernel, ("bpf_iter_" + target).c_str(), BTF_KIND_FUNC) < 0
                   ? "this kernel cannot iterate over " + target + "s"
                   : std::string{};
    if (access("/sys/bus/event_source/devices/kprobe/type", R_OK) != 0)
        return "this kernel has no kprobes (CONFIG_KPROBES)";
    return {};
}

// The class whose events are lost when the program does not run. mm_page_alloc fires at every allocation, and almost
// none of them fails; a system call whose entry was missed is recorded without it; the others record nothing
// themselves.
uint8_t class_of_program(std::string_view program) {
    struct Entry {
        std::string_view program;
        uint8_t cls;
    };
    static constexpr std::array entries{
        Entry{"exec_tp", FR_CLASS_EXEC},
        Entry{"fork_tp", FR_CLASS_FORK},
        Entry{"exit_tp", FR_CLASS_EXIT},
        Entry{"exit_counted_tp", FR_CLASS_EXIT},
        Entry{"rename_tp", FR_CLASS_RENAME},
        Entry{"signal_tp", FR_CLASS_SIGNAL},
        Entry{"crash_tp", FR_CLASS_CRASH},
        Entry{"crash_modules_tp", FR_CLASS_MODULE},
        Entry{"crash_modules_fentry", FR_CLASS_MODULE},
        Entry{"crash_modules_kprobe", FR_CLASS_MODULE},
        Entry{"oom_kill_task_tp", FR_CLASS_OOM_KILL},
        Entry{"oom_kill_pid_tp", FR_CLASS_OOM_KILL},
        Entry{"alloc_failure_kprobe", FR_CLASS_ALLOC_FAILURE},
        Entry{"slab_failure_kprobe", FR_CLASS_ALLOC_FAILURE},
        Entry{"sys_exit_tp", FR_CLASS_SYSCALL},
        Entry{"cgroup_mkdir_tp", FR_CLASS_CGROUP},
        Entry{"cgroup_rmdir_tp", FR_CLASS_CGROUP},
        Entry{"cgroup_rename_tp", FR_CLASS_CGROUP},
        Entry{"cgroup_attach_tp", FR_CLASS_CGROUP_ATTACH},
    };
    for (const Entry& e : entries)
        if (e.program == program) return e.cls;
    return FR_CLASS_NONE;
}

constexpr std::string_view enter_program = "sys_enter_tp", exit_program = "sys_exit_tp";

// Whether the machine has not slept since it booted: then CLOCK_MONOTONIC, which stands still while it does, is not
// behind (clock_gettime(2)).
bool never_slept() {
    const uint64_t boot = boot_ns();
    timespec t{};
    return clock_gettime(CLOCK_MONOTONIC, &t) == 0 &&
           static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec) >= boot;
}

// What a system call that does nothing takes at this moment: the least of some batches, some 2 ms in all.
double syscall_ns() {
    constexpr int batches = 8, calls = 500;
    double least = 1e9;
    for (int i = 0; i < batches; ++i) {
        const uint64_t began = boot_ns();
        for (int k = 0; k < calls; ++k) syscall(SYS_getppid);
        least = std::min(least, static_cast<double>(boot_ns() - began) / calls);
    }
    return least;
}

}  // namespace

struct Probes::Impl {
    ProbeOptions options;
    KernelBtf kernel_btf;
    Skeleton skeleton;
    std::vector<CapabilityReport> report;
    struct Attached {
        std::string_view program;
        Link link;
    };
    std::vector<Attached> links;
    SyscallFloor floor;
    std::vector<Misses> misses;
    std::vector<Fd> miss_files;  // of the same programs
    RingBuffer doorbell;
    Mapping vital_map, syscall_map, control_map, rules_map, entries_map, threads_map;
    std::unique_ptr<RingReader> vital, syscall;
    uint32_t cpus = 0;
    std::optional<Pins> pins;
    std::vector<std::pair<const char*, Fd>> pinned_maps;  // when continuing
    Fd task_link;                                         // the same, of the task list
    std::string pins_found;
    uint64_t signature = 0, stored_until = 0;
    void (*rung)(void*, const fr_doorbell&) = nullptr;
    void* rung_context = nullptr;

    Result<void> check_options() const;
    Result<void> open();
    void configure();
    Result<void> load();
    VariantReport* refused_program(std::string_view said);
    bool nothing_left_but(const VariantReport* culprit) const;
    std::unexpected<Error> load_failure(int error) const;
    Result<void> reopen();
    void set_sizes();
    void set_choices();
    Result<int> map_fd(const char* name) const;
    Result<void> map_all();
    Result<bool> adopt_pins();
    void resume();
    void attach_capability(CapabilityReport& capability);
    [[nodiscard]] bool failures_are_seen() const;
    bool attach_variant(VariantReport& v);
    void watch_misses(std::string_view name);
    bpf_program* program(std::string_view name) const {
        return bpf_object__find_program_by_name(skeleton.get()->obj, std::string(name).c_str());
    }
    [[nodiscard]] Pins::Rings rings() const {
        Pins::Rings out{};
        out[FR_TRACK_VITAL] = vital.get();
        out[FR_TRACK_SYSCALL] = syscall.get();
        return out;
    }
    // The iterator's link; -1: none.
    [[nodiscard]] int task_list() const {
        if (task_link.valid()) return task_link.get();
        for (const Attached& a : links)
            if (a.program == "tasks_iter") return bpf_link__fd(a.link.get());
        return -1;
    }
    static int on_doorbell(void* self, void* data, size_t size);
};

Result<void> Probes::Impl::check_options() const {
    for (const uint32_t ring : {options.vital_ring, options.syscall_ring})
        if (!is_power_of_two(ring) || ring < (128u << 10) || ring > (2u << 20))
            return fail(Code::usage, fmt::format("ring size {} must be a power of two from 128 KiB to 2 MiB", ring));
    if (options.scope.size() > FR_SCOPE_MAX)
        return fail(Code::usage, fmt::format("at most {} scopes can be given", FR_SCOPE_MAX));
    if (options.string_limit > FR_STRING_MAX)
        return fail(Code::usage, fmt::format("the string limit is at most {} bytes", FR_STRING_MAX));
    return {};
}

Result<void> Probes::Impl::open() {
    libbpf_set_print(keep_libbpf_message);
    libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
    libbpf_said.clear();
    kernel_btf.reset(btf__load_vmlinux_btf());
    if (!kernel_btf.valid())
        return fail(
            Code::unsupported,
            "this kernel has no BTF (/sys/kernel/btf/vmlinux): a kernel with CONFIG_DEBUG_INFO_BTF=y is needed");
    skeleton.reset(flightrec_bpf__open());
    if (!skeleton.valid()) return fail_errno(errno, "cannot open the BPF programs: " + first_line(libbpf_said));
    const int possible = libbpf_num_possible_cpus();
    if (possible < 1) return fail_errno(-possible, "cannot tell the number of CPUs");
    cpus = static_cast<uint32_t>(possible);
    return {};
}

void Probes::Impl::set_sizes() {
    flightrec_bpf& s = *skeleton.get();
    bpf_map__set_max_entries(s.maps.vital_ring, cpus);
    bpf_map__set_max_entries(s.maps.syscall_ring, cpus);
    bpf_map__set_value_size(s.maps.vital_ring, ring_value_size(options.vital_ring, vital_slack));
    bpf_map__set_value_size(s.maps.syscall_ring, ring_value_size(options.syscall_ring, syscall_slack));
    s.rodata->vital_ring_size = options.vital_ring;
    s.rodata->syscall_ring_size = options.syscall_ring;
    s.rodata->string_limit = options.string_limit;
    s.rodata->record_durations = options.durations;
    s.rodata->page_shift = static_cast<uint32_t>(std::countr_zero(static_cast<uint64_t>(sysconf(_SC_PAGESIZE))));
    s.rodata->has_rdonly_cast = has_rdonly_cast(kernel_btf.get());
    s.rodata->scope_count = static_cast<uint32_t>(options.scope.size());
    for (size_t i = 0; i < options.scope.size(); ++i) {
        s.rodata->scope_level[i] = options.scope[i].level;
        const std::string& path = options.scope[i].path;
        if (path.size() + 1 < FR_SCOPE_PATH) path.copy(const_cast<char*>(s.rodata->scope_path[i]), path.size());
    }
}

// Which programs the kernel is asked to load.
void Probes::Impl::set_choices() {
    for (const CapabilityReport& capability : report)
        for (const VariantReport& v : capability.variants)
            bpf_program__set_autoload(program(v.variant->program), v.refused.empty());
}

// Sizes, constants, and which programs the kernel is asked to load.
void Probes::Impl::configure() {
    set_sizes();
    for (const CapabilitySpec& spec : capability_specs()) {
        CapabilityReport& capability = report.emplace_back();
        capability.spec = &spec;
        for (const Variant& v : spec.variants) {
            VariantReport entry{&v, false, refusal(kernel_btf.get(), v)};
            if (!options.syscalls && (spec.name == "system calls" || spec.name == "failed calls"))
                entry.refused = "switched off";
            if (v.program == enter_program && !(options.durations && records_calls(options)))
                entry.refused = "switched off";
            capability.variants.push_back(std::move(entry));
        }
    }
    set_choices();
}

// Loads what configure() chose. A program that this kernel refuses is noted as refused and left out of the next try.
Result<void> Probes::Impl::load() {
    for (;;) {
        libbpf_said.clear();
        const int error = -bpf_object__load_skeleton(skeleton.get()->skeleton);
        if (error == 0) return {};
        if (error == ENOMEM) return fail(Code::no_space, "the kernel has no memory for the rings: choose smaller ones");
        VariantReport* culprit = refused_program(libbpf_said);
        if (!culprit || nothing_left_but(culprit)) return load_failure(error);
        culprit->refused = "the kernel refuses to load it: " + errno_text(error);
        log::debug("{}: {}", culprit->variant->program, culprit->refused);
        FR_TRY(reopen());
    }
}

// libbpf names the program whose load failed: "libbpf: prog 'NAME': BPF program load failed: …".
VariantReport* Probes::Impl::refused_program(std::string_view said) {
    const auto begin = said.find("prog '");
    if (begin == std::string_view::npos) return nullptr;
    const std::string_view name = said.substr(begin + 6, said.find('\'', begin + 6) - begin - 6);
    for (CapabilityReport& capability : report)
        for (VariantReport& v : capability.variants)
            if (v.variant->program == name && v.refused.empty()) return &v;
    return nullptr;
}

bool Probes::Impl::nothing_left_but(const VariantReport* culprit) const {
    for (const CapabilityReport& capability : report)
        for (const VariantReport& v : capability.variants)
            if (&v != culprit && v.refused.empty()) return false;
    return true;
}

std::unexpected<Error> Probes::Impl::load_failure(int error) const {
    if (error == EPERM || error == EACCES)
        return fail(Code::permission,
                    "the kernel refuses to load BPF programs (is CAP_BPF or CAP_PERFMON missing, or lockdown on?): " +
                        first_line(libbpf_said));
    return fail_errno(error, "the kernel refuses the BPF programs: " + first_line(libbpf_said));
}

// A skeleton that failed to load cannot be loaded again: opens a new one with the same choices.
Result<void> Probes::Impl::reopen() {
    skeleton.reset(flightrec_bpf__open());
    if (!skeleton.valid()) return fail_errno(errno, "cannot open the BPF programs");
    set_sizes();
    set_choices();
    return {};
}

Result<int> Probes::Impl::map_fd(const char* name) const {
    for (const auto& [known, fd] : pinned_maps)
        if (std::string_view(known) == name) return fd.get();
    const int fd = skeleton.valid() ? bpf_object__find_map_fd_by_name(skeleton.get()->obj, name) : -1;
    if (fd < 0) return fail(Code::internal, fmt::format("the BPF map {} is not there", name));
    return fd;
}

Result<void> Probes::Impl::map_all() {
    const auto map = [this](Mapping& to, const char* name, int protection) -> Result<void> {
        FR_ASSIGN(const int fd, map_fd(name));
        return to.map(fd, name, protection);
    };
    FR_TRY(map(vital_map, "vital_ring", PROT_READ));
    FR_TRY(map(syscall_map, "syscall_ring", PROT_READ));
    FR_TRY(map(control_map, "control", PROT_READ | PROT_WRITE));
    FR_TRY(map(rules_map, "syscall_rules", PROT_READ | PROT_WRITE));
    FR_TRY(map(entries_map, "syscall_entries", PROT_READ));
    FR_TRY(map(threads_map, "thread_calls", PROT_READ));
    vital = std::make_unique<RingReader>(vital_map.address, cpus, options.vital_ring, vital_map.element,
                                         FR_RING_PAGE_VITAL, 0);
    syscall = std::make_unique<RingReader>(syscall_map.address, cpus, options.syscall_ring, syscall_map.element,
                                           FR_RING_PAGE_SYSCALL, 2 * FR_RING_PAGE_SYSCALL);
    FR_ASSIGN(const int bell, map_fd("doorbell"));
    doorbell.reset(ring_buffer__new(bell, on_doorbell, this, nullptr));
    if (!doorbell.valid()) return fail_errno(errno, "cannot open the doorbell");
    auto& control = *reinterpret_cast<fr_control*>(control_map.address);
    control.abi = FR_KERNEL_ABI;
    control.recorder_pid = static_cast<uint32_t>(getpid());
    control.classes_off = options.classes_off;
    for (size_t i = 0; i < options.scope.size(); ++i) control.scope_cgroup[i] = options.scope[i].id;
    auto* rules = reinterpret_cast<fr_syscall_rule*>(rules_map.address);
    std::copy_n(options.rules.begin(), std::min<size_t>(options.rules.size(), FR_SYSCALL_RULES), rules);
    return {};
}

// True when an earlier recorder's programs run on and are taken over; pins of another layout are removed.
Result<bool> Probes::Impl::adopt_pins() {
    FR_ASSIGN(pins, Pins::open(options.pins));
    signature = layout_signature(options, cpus);
    if (!pins->adopt(signature, cpus)) {
        if (!pins->any()) return false;
        pins->clear();
        pins_found = fmt::format(
            "the programs pinned in {} are of another version or configuration, or incomplete: "
            "what they recorded after the last window's end is given up, and recording starts anew",
            options.pins);
        return false;
    }
    for (const char* name : opened_maps) {
        FR_ASSIGN(Fd fd, pins->map(name));
        pinned_maps.emplace_back(name, std::move(fd));
    }
    if (pins->has_link("tasks_iter")) {
        FR_ASSIGN(task_link, pins->link("tasks_iter"));
    }
    for (const CapabilitySpec& spec : capability_specs()) {
        CapabilityReport& capability = report.emplace_back();
        capability.spec = &spec;
        for (const Variant& v : spec.variants) {
            const bool taken = pins->has_link(v.program);
            capability.variants.push_back({&v, taken, taken ? "" : "not among the pinned programs"});
        }
    }
    pins_found = fmt::format("continues the programs pinned in {}", options.pins);
    return true;
}

// Goes on from the cursors that the earlier recorder saved last.
void Probes::Impl::resume() {
    pins->resolve(options.last_blocks);
    for (const uint8_t track : {FR_TRACK_VITAL, FR_TRACK_SYSCALL}) {
        const auto saved = pins->saved(track);
        if (!saved) continue;
        RingReader& ring = track == FR_TRACK_VITAL ? *vital : *syscall;
        const auto told = pins->told(track);
        for (uint32_t cpu = 0; cpu < cpus; ++cpu)
            ring.resume(cpu, saved->marks[cpu], told.empty() ? RingTold{} : told[cpu]);
        stored_until = std::max(stored_until, saved->boot_ns);
    }
}

bool Probes::Impl::attach_variant(VariantReport& v) {
    libbpf_said.clear();
    errno = 0;
    Link link(bpf_program__attach(program(v.variant->program)));
    if (!link.valid()) {
        v.refused = "the kernel refuses to attach it: " + errno_text(errno);
        return false;
    }
    links.push_back({v.variant->program, std::move(link)});
    v.taken = true;
    if (v.variant->program == "sleep_tp")
        reinterpret_cast<fr_control*>(control_map.address)->never_slept = never_slept();
    if (v.variant->program == "signal_tp") reinterpret_cast<fr_control*>(control_map.address)->kills_are_seen = 1;
    watch_misses(v.variant->program);
    return true;
}

void Probes::Impl::watch_misses(std::string_view name) {
    const std::string path = fmt::format("/proc/self/fdinfo/{}", bpf_program__fd(program(name)));
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return;
    misses.push_back({name, class_of_program(name), 0});
    miss_files.push_back(std::move(file));
}

// At the functions themselves, all of them: nothing has to be attached to the return of every system call for it.
bool Probes::Impl::failures_are_seen() const {
    return std::any_of(report.begin(), report.end(), [](const CapabilityReport& one) {
        return one.spec->name == "failed calls" &&
               std::all_of(one.variants.begin(), one.variants.end(), [](const VariantReport& v) { return v.taken; });
    });
}

void Probes::Impl::attach_capability(CapabilityReport& capability) {
    const bool syscalls = capability.spec->name == "system calls";
    const double bare = syscalls ? syscall_ns() : 0;
    const bool failures_alone = syscalls && !records_calls(options) && failures_are_seen();
    for (VariantReport& v : capability.variants) {
        if (!v.refused.empty()) continue;
        if (failures_alone && v.variant->program == exit_program) {
            v.refused = not_needed;
            continue;
        }
        const bool attached = attach_variant(v);
        if (attached && v.variant->program == exit_program) floor.exit = std::max(1.0, syscall_ns() - bare);
        if (attached && v.variant->program == enter_program) floor.both = std::max(1.0, syscall_ns() - bare);
        if (attached && !capability.spec->all) return;
    }
}

int Probes::Impl::on_doorbell(void* self, void* data, size_t size) {
    const auto& impl = *static_cast<Impl*>(self);
    if (size >= sizeof(fr_doorbell) && impl.rung) impl.rung(impl.rung_context, *static_cast<fr_doorbell*>(data));
    return 0;
}

Result<Probes> Probes::load(const ProbeOptions& options) {
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    FR_TRY(impl->check_options());
    if (geteuid() != 0)
        return fail(Code::permission,
                    "recording needs root: run it as root (CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE)");
    FR_TRY(impl->open());
    bool continuing = false;
    if (!options.pins.empty()) {
        FR_ASSIGN(continuing, impl->adopt_pins());
    }
    if (continuing) {
        impl->skeleton.reset();
        FR_TRY(impl->map_all());
        impl->resume();
        return Probes(std::move(impl));
    }
    impl->configure();
    FR_TRY(impl->load());
    FR_TRY(impl->map_all());
    if (options.attach) {
        for (const bool calls : {false, true})  // those last: what is attached depends on the others
            for (CapabilityReport& capability : impl->report)
                if ((capability.spec->name == "system calls") == calls) impl->attach_capability(capability);
        if (impl->links.empty())
            return fail(Code::unsupported,
                        "this kernel lets nothing be recorded: run 'flightrec doctor' for the reasons");
    }
    return Probes(std::move(impl));
}

Probes::Probes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Probes::Probes(Probes&&) noexcept = default;
Probes& Probes::operator=(Probes&&) noexcept = default;
Probes::~Probes() = default;

const std::vector<CapabilityReport>& Probes::report() const { return impl_->report; }
RingReader& Probes::vital() { return *impl_->vital; }
RingReader& Probes::syscalls() { return *impl_->syscall; }
int Probes::doorbell_fd() const { return ring_buffer__epoll_fd(impl_->doorbell.get()); }

void Probes::drain_doorbell(void (*rung)(void*, const fr_doorbell&), void* context) {
    impl_->rung = rung;
    impl_->rung_context = context;
    ring_buffer__consume(impl_->doorbell.get());
}

bool Probes::each_task(void (*look)(void*, const fr_task_look&), void* context) const {
    const int link = impl_->task_list();
    if (link < 0) return false;
    const Fd tasks(bpf_iter_create(link));
    if (tasks.get() < 0) return false;
    alignas(fr_task_look) std::array<char, 512 * sizeof(fr_task_look)> buffer;
    size_t have = 0;
    for (;;) {
        const ssize_t n = read(tasks.get(), buffer.data() + have, buffer.size() - have);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return n == 0;
        have += static_cast<size_t>(n);
        size_t at = 0;
        for (; at + sizeof(fr_task_look) <= have; at += sizeof(fr_task_look)) {
            fr_task_look one;
            std::memcpy(&one, buffer.data() + at, sizeof one);
            look(context, one);
        }
        std::memmove(buffer.data(), buffer.data() + at, have - at);
        have -= at;
    }
}

fr_control& Probes::control() { return *reinterpret_cast<fr_control*>(impl_->control_map.address); }
std::span<fr_syscall_rule> Probes::rules() {
    return {reinterpret_cast<fr_syscall_rule*>(impl_->rules_map.address), FR_SYSCALL_RULES};
}
std::span<const fr_syscall_entry> Probes::entries() const {
    return {reinterpret_cast<const fr_syscall_entry*>(impl_->entries_map.address), FR_SYSCALL_ENTRIES};
}
std::span<const fr_thread_calls> Probes::thread_calls() const {
    return {reinterpret_cast<const fr_thread_calls*>(impl_->threads_map.address), FR_SYSCALL_ENTRIES};
}
uint64_t Probes::memory() const {
    return impl_->vital_map.length + impl_->syscall_map.length + impl_->entries_map.length + impl_->threads_map.length +
           impl_->rules_map.length + impl_->control_map.length + uint64_t{FR_STACK_TASKS} * sizeof(fr_stack_task) +
           uint64_t{FR_SCRATCH_COUNT} * FR_SCRATCH_SIZE * impl_->cpus;
}
bool Probes::casts() const { return has_rdonly_cast(impl_->kernel_btf.get()); }
uint32_t Probes::cpus() const { return impl_->cpus; }
uint32_t Probes::online_cpus() const {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? static_cast<uint32_t>(online) : impl_->cpus;
}
void Probes::detach() {
    impl_->links.clear();
    if (impl_->pins) control().recorder_pid = 0;
}

const std::string& Probes::pins_found() const { return impl_->pins_found; }
bool Probes::continues() const { return !impl_->pinned_maps.empty(); }
uint64_t Probes::stored_until() const { return impl_->stored_until; }

Result<void> Probes::keep() {
    Impl& s = *impl_;
    if (!s.pins || continues()) return {};
    const auto pin_all = [&]() -> Result<void> {
        for (const char* name : opened_maps) {
            FR_ASSIGN(const int fd, s.map_fd(name));
            FR_TRY(s.pins->pin_map(name, fd));
        }
        for (const auto& link : s.links) FR_TRY(s.pins->pin_link(link.program, bpf_link__fd(link.link.get())));
        return s.pins->complete(s.signature, s.cpus, s.rings());
    };
    auto done = pin_all();
    if (!done) s.pins->clear();
    return done;
}

void Probes::prepare(uint8_t track, uint64_t block) {
    Impl& s = *impl_;
    (track == FR_TRACK_VITAL ? *s.vital : *s.syscall).prepare();
    if (track == FR_TRACK_VITAL) {
        s.vital->tell();
        s.syscall->tell();
    }
    if (s.pins) s.pins->prepare(track, s.rings(), block);
}

void Probes::stored(uint8_t track) {
    Impl& s = *impl_;
    (track == FR_TRACK_VITAL ? *s.vital : *s.syscall).commit();
    if (s.pins) s.pins->commit(track);
}

std::span<const Probes::Misses> Probes::misses() const {
    Impl& s = *impl_;
    std::array<char, 1024> text;
    constexpr std::string_view key = "recursion_misses:";
    for (size_t i = 0; i < s.misses.size(); ++i) {
        const ssize_t n = pread(s.miss_files[i].get(), text.data(), text.size(), 0);
        const std::string_view lines(text.data(), n > 0 ? static_cast<size_t>(n) : 0);
        const size_t at = lines.find(key);
        if (at == std::string_view::npos) continue;
        const size_t digit = std::min(lines.find_first_not_of(" \t", at + key.size()), lines.size());
        std::from_chars(lines.data() + digit, lines.data() + lines.size(), s.misses[i].count);
    }
    return s.misses;
}

SyscallFloor Probes::floor() const { return impl_->floor; }
bool Probes::can_detach() const { return !impl_->pins && impl_->floor.exit > 0; }

Result<void> Probes::attach_syscalls(bool enter, bool exit) {
    Impl& s = *impl_;
    if (!can_detach()) return fail(Code::unsupported, "the programs of system calls are pinned");
    const auto set = [&](std::string_view name, bool wanted) -> Result<void> {
        const auto at = std::find_if(s.links.begin(), s.links.end(), [&](const auto& l) { return l.program == name; });
        if ((at != s.links.end()) == wanted) return {};
        if (!wanted) {
            s.links.erase(at);
            return {};
        }
        bpf_program* program = s.program(name);
        if (!program || bpf_program__fd(program) < 0)
            return fail(Code::unsupported, fmt::format("{} is not loaded", name));
        Link link(bpf_program__attach(program));
        if (!link.valid()) return fail_errno(errno, fmt::format("cannot attach {}", name));
        s.links.push_back({name, std::move(link)});
        return {};
    };
    if (!enter || !exit) FR_TRY(set(enter_program, false));
    if (exit) {
        const bool was =
            std::any_of(s.links.begin(), s.links.end(), [](const auto& l) { return l.program == exit_program; });
        if (!was) control().entries_since_ns = boot_ns();
    }
    FR_TRY(set(exit_program, exit));
    if (enter && exit) FR_TRY(set(enter_program, true));
    return {};
}

}  // namespace flightrec::kernel
