// SPDX-License-Identifier: Apache-2.0
// One event in words; a function a class.
#include "userspace/replay/event_text.h"
#include "userspace/flight/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <iterator>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/replay/flight_info.h"
#include "userspace/replay/names.h"
#include "userspace/replay/symbols.h"
#include "userspace/replay/syscall_line.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;
using flight::find_blob;

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_bytes(std::string& out, uint64_t bytes) {
    if (bytes == FR_UNKNOWN)
        out += "unknown";
    else if (bytes == FR_NO_LIMIT)
        out += "no limit";
    else
        out += format_bytes(bytes);
}

void append_count(std::string& out, uint64_t value) {
    if (value == FR_UNKNOWN)
        out += '?';
    else if (value == FR_NO_LIMIT)
        out += "no limit";
    else
        put(out, "{}", value);
}

// "name 12" fields after a comma, left out when the value is zero.
void append_nonzero(std::string& out, std::string_view name, uint64_t bytes) {
    if (bytes == 0 || bytes == FR_UNKNOWN) return;
    put(out, ", {} ", name);
    append_bytes(out, bytes);
}

std::string blob_path(const EventRef& event, uint8_t kind) {
    const auto blob = find_blob(event, kind);
    return blob ? flight::path_from_components(blob->text) : std::string{};
}

// A frame of the program that took the stack, or of the tracepoint that called it. A trampoline of BPF has no name: it
// lies behind the kernel's text, whose last symbol is _einittext.
bool is_probe_frame(std::string_view frame) {
    static constexpr std::string_view names[] = {"bpf_prog_",    "bpf_trace_run",   "bpf_get_stack", "__bpf_trace_",
                                                 "__traceiter_", "bpf_trampoline_", "_einittext+"};
    return std::any_of(std::begin(names), std::end(names), [&](auto name) { return frame.starts_with(name); });
}

// Lines of a kernel stack, as symbols where the recorder had them, else as addresses.
void append_kernel_stack(std::string& out, const EventRef& event, const TextOptions& options) {
    if (!options.stacks) return;
    if (const auto text = find_blob(event, FR_BLOB_KSTACK_TEXT)) {
        std::string_view rest = text->text;
        bool own = true;  // the innermost frames are those of the program that recorded this
        while (!rest.empty()) {
            const auto end = std::min(rest.find('\n'), rest.size());
            own = own && is_probe_frame(rest);
            if (own) {
                rest.remove_prefix(std::min(end + 1, rest.size()));
                continue;
            }
            out += '\n';
            out += options.indent;
            append_printable(out, rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        return;
    }
    if (const auto stack = find_blob(event, FR_BLOB_KSTACK))
        for (size_t i = 0; i + 8 <= stack->text.size(); i += 8) {
            uint64_t address = 0;
            std::memcpy(&address, stack->text.data() + i, sizeof address);
            put(out, "\n{}0x{:x}", options.indent, address);
        }
}

// False for what no mapping of a process can hold: the first page and addresses beyond user space (2^47 on x86-64;
// arm64 may have more, up to 2^52). What a walk along frame pointers finds in memory that holds none is of that kind.
bool could_be_code(uint64_t address) { return address >= 4096 && address < uint64_t{1} << 52; }

void append_user_stack(std::string& out, const EventRef& event, const TextOptions& options) {
    const auto stack = find_blob(event, FR_BLOB_USTACK);
    if (!stack || !options.stacks) return;
    size_t number = 0;
    for (size_t i = 0; i + sizeof(fr_frame) <= stack->text.size(); i += sizeof(fr_frame)) {
        fr_frame frame;
        std::memcpy(&frame, stack->text.data() + i, sizeof frame);
        if (frame.status == 0) continue;
        if (frame.status == 2 && !could_be_code(frame.offset_or_ip)) {
            put(out, "\n{}#{} ?? 0x{:x} (not in any mapping)", options.indent, number, frame.offset_or_ip);
            if (number++ == 0) continue;  // a jump to nowhere: who jumped stands behind it
            put(out, "\n{}(the frame pointers lead nowhere from here; the stack may go on)", options.indent);
            return;
        }
        put(out, "\n{}#{} ", options.indent, number);
        append_symbol(out, frame, options.symbols != nullptr ? options.symbols->find(frame, number != 0) : Symbol{});
        ++number;
    }
}

void exec_text(std::string& out, const EventRef& event, const ReplayState& state, const TextOptions& options) {
    const auto exec = event.as<fr_exec>();
    const auto filename = find_blob(event, FR_BLOB_FILENAME);
    const std::string exe = blob_path(event, FR_BLOB_EXE);
    out += "exec ";
    append_printable(out, !exe.empty() ? std::string_view(exe) : filename ? filename->text : "?");
    if (const auto argv = find_blob(event, FR_BLOB_ARGV)) {
        out += ' ';
        append_argv(out, argv->text, (argv->flags & FR_BLOB_CUT) != 0, options.string_limit);
    }
    put(out, " (ppid {}", exec.ppid);
    if (const auto* parent = state.find(exec.ppid); parent != nullptr && !parent->comm.empty()) {
        out += ' ';
        append_printable(out, parent->comm);
    }
    put(out, ", uid {}", exec.uid);
    if (exec.euid != exec.uid) put(out, " euid {}", exec.euid);
    if (const auto cwd = blob_path(event, FR_BLOB_CWD); !cwd.empty()) {
        out += ", cwd ";
        append_printable(out, cwd);
    }
    std::string cgroup = blob_path(event, FR_BLOB_CGROUP);
    if (cgroup.empty()) cgroup = state.cgroup_path(exec.cgroup_id);
    if (!cgroup.empty()) {
        out += ", cgroup ";
        append_printable(out, cgroup);
        if (const auto container = flight::container_of(cgroup))
            put(out, " ({} {})", container->runtime, printable(container->id.substr(0, 12)));
    }
    if (filename && filename->text != exe) {
        out += ", as ";
        append_printable(out, filename->text);
    }
    if (const auto interp = find_blob(event, FR_BLOB_INTERP)) {
        out += ", interpreter ";
        append_printable(out, interp->text);
    }
    if ((exec.flags & FR_EXEC_MEMFD) != 0) out += ", from a memfd";
    if ((exec.flags & FR_EXEC_DELETED) != 0) out += ", executable deleted";
    if ((exec.flags & FR_EXEC_SECURE) != 0) out += ", privileged";
    if (exec.ns_pid != 0 && exec.ns_pid != event.head().pid) put(out, ", pid {} in its namespace", exec.ns_pid);
    out += ')';
}

void exec_failed_text(std::string& out, const EventRef& event, const Palette& paint) {
    const auto exec = event.as<fr_exec_failed>();
    out += "exec ";
    if (const auto name = find_blob(event, FR_BLOB_FILENAME)) append_printable(out, name->text);
    if (const auto argv = find_blob(event, FR_BLOB_ARGV)) {
        out += ' ';
        append_argv(out, argv->text, (argv->flags & FR_BLOB_CUT) != 0);
    }
    put(out, " = {}-1 {} ({}){}", paint.red, errno_name(-exec.error), errno_text(-exec.error), paint.reset);
}

void fork_text(std::string& out, const EventRef& event) {
    const auto fork = event.as<fr_fork>();
    const bool thread = fork.child_pid != fork.child_tid;
    put(out, "{} -> ", thread ? "new thread" : "fork");
    append_process_name(out, comm_text(fork.comm), fork.child_tid);
    out += " (";
    append_clone_flags(out, fork.clone_flags);
    if (!thread && fork.parent_pid != event.head().pid) put(out, ", parent {}", fork.parent_pid);
    if (fork.ns_pid != 0 && fork.ns_pid != fork.child_tid) put(out, ", pid {} in its namespace", fork.ns_pid);
    out += ')';
}

void exit_text(std::string& out, const EventRef& event, const Palette& paint) {
    const auto exit = event.as<fr_exit>();
    const bool process = (exit.flags & FR_EXIT_GROUP_DEAD) != 0;
    const bool bad = exit.exit_code != 0;
    put(out, "+++ {}{}", bad && process ? paint.red : "", process ? "" : "thread ");
    append_exit_status(out, exit.exit_code);
    if (bad && process) out += paint.reset;
    if (event.head().time_ns >= exit.start_ns && exit.start_ns != 0)
        put(out, " after {}", format_duration(event.head().time_ns - exit.start_ns));
    put(out, " (cpu {} user, {} system", format_duration(exit.utime_ns), format_duration(exit.stime_ns));
    if ((exit.flags & FR_EXIT_RSS_KNOWN) != 0) put(out, ", peak rss {}", format_bytes(exit.max_rss));
    put(out, ", faults {}+{}", exit.min_faults, exit.maj_faults);
    if (exit.read_chars + exit.write_chars != 0)
        put(out, ", read {}, wrote {}", format_bytes(exit.read_chars), format_bytes(exit.write_chars));
    if (exit.read_bytes + exit.write_bytes != 0)
        put(out, ", storage read {}, written {}", format_bytes(exit.read_bytes), format_bytes(exit.write_bytes));
    if ((exit.flags & FR_EXIT_OOM_VICTIM) != 0) out += ", OOM victim";
    out += ") +++";
}

bool has_fault_address(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP;
}

void signal_text(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto signal = event.as<fr_signal>();
    out += "--- ";
    append_signal(out, signal.signal);
    out += " {si_code=";
    append_signal_code(out, signal.signal, signal.code);
    if ((signal.flags & FR_SIGNAL_FROM_KERNEL) == 0)
        put(out, ", si_pid={}, si_uid={}", event.head().pid, signal.sender_uid);
    if (has_fault_address(signal.signal) && signal.code > 0) put(out, ", si_addr=0x{:x}", signal.address);
    out += "} ";
    if ((signal.flags & FR_SIGNAL_FROM_KERNEL) != 0) {
        out += "kernel";
    } else {
        std::string_view comm = comm_text(signal.comm);
        if (comm.empty()) comm = state.comm_of(event.head().tid, event.head().pid);
        append_process_name(out, comm, event.head().pid);
    }
    out += " -> ";
    append_process_name(out, comm_text(signal.target_comm), signal.target_pid);
    if ((signal.flags & FR_SIGNAL_GROUP) == 0 && signal.target_tid != signal.target_pid)
        put(out, " thread {}", signal.target_tid);
    if ((signal.flags & FR_SIGNAL_DEFAULT) != 0) out += ", default action";
    if ((signal.flags & FR_SIGNAL_HANDLED) != 0) out += ", has a handler";
    if ((signal.flags & FR_SIGNAL_IGNORED) != 0) out += ", ignored";
    if (signal.result == 2) out += ", was pending already";
    if (signal.result == 3) out += ", not delivered: queue is full";
    if (signal.result == 4) out += ", its details were lost";
    out += " ---";
}

void crash_text(std::string& out, const EventRef& event, const ReplayState& state, const TextOptions& options,
                const Palette& paint) {
    const auto crash = event.as<fr_crash>();
    put(out, "{}*** ", paint.red);
    out += crash.dumps_core != 0 ? "crash: " : "killed: ";
    append_signal(out, crash.signal);
    out += paint.reset;
    out += " (";
    append_signal_code(out, crash.signal, crash.code);
    if (const auto meaning = signal_code_meaning(crash.signal, crash.code); !meaning.empty()) put(out, ": {}", meaning);
    if (has_fault_address(crash.signal) && crash.code > 0) put(out, ", address 0x{:x}", crash.address);
    if (crash.sender_pid != 0) {
        out += ", from ";
        append_process_name(out, state.comm_of(crash.sender_pid, crash.sender_pid), crash.sender_pid);
    }
    if ((crash.flags & FR_CRASH_CALLER_CALLED) != 0) put(out, ", returns to 0x{:x} if without frame", crash.caller);
    out += ')';
    if (crash.ip != 0) put(out, " ip 0x{:x} sp 0x{:x} bp 0x{:x}", crash.ip, crash.sp, crash.bp);
    out += " ***";
    append_user_stack(out, event, options);
}

void module_text(std::string& out, const EventRef& event) {
    const auto module = event.as<fr_module>();
    const auto path = find_blob(event, FR_BLOB_PATH);
    put(out, "mapped 0x{:x}-0x{:x} +0x{:x} ", module.start, module.end, module.offset);
    append_printable(out, path ? path->text : "?");
    if (module.build_id_len == 0) return;
    out += " build-id ";
    for (uint32_t i = 0; i < std::min<uint32_t>(module.build_id_len, sizeof module.build_id); ++i)
        put(out, "{:02x}", module.build_id[i]);
}

void oom_text(std::string& out, const EventRef& event, const ReplayState& state, const TextOptions& options,
              const Palette& paint) {
    const auto oom = event.as<fr_oom_kill>();
    const bool marked = (oom.flags & FR_OOM_MARKED) != 0;
    put(out, "{}*** {} ", paint.red, marked ? "out of memory; not killed, for it is dying already:" : "OOM kill of");
    append_process_name(out, comm_text(oom.victim_comm), oom.victim_pid);
    out += paint.reset;
    put(out, " (uid {}, oom_score_adj {}): rss {} = anon {} + file {} + shmem {}", oom.victim_uid,
        oom.victim_oom_score_adj, format_bytes(oom.victim_anon + oom.victim_file + oom.victim_shmem),
        format_bytes(oom.victim_anon), format_bytes(oom.victim_file), format_bytes(oom.victim_shmem));
    put(out, "; swap {}, page tables {}, total-vm {}", format_bytes(oom.victim_swap),
        format_bytes(oom.victim_page_tables), format_bytes(oom.victim_total_vm));
    if ((oom.flags & FR_OOM_GROUP) != 0) out += "; killed with its whole cgroup";
    std::string domain = blob_path(event, FR_BLOB_CGROUP);
    if (domain.empty()) domain = state.cgroup_path(oom.domain_cgroup_id);
    if ((oom.flags & FR_OOM_CONTEXT_KNOWN) != 0) put(out, "; {}", oom_constraint_name(oom.constraint));
    if ((oom.flags & FR_OOM_DOMAIN_KNOWN) != 0 && oom.domain_cgroup_id != 0) {
        out += " cgroup ";
        append_printable(out, domain.empty() ? "(path unknown)" : std::string_view(domain));
        out += " limit ";
        append_bytes(out, oom.domain_limit);
        out += " usage ";
        append_bytes(out, oom.domain_usage);
        if (oom.domain_failures != 0) put(out, " failures {}", oom.domain_failures);
    }
    out += "; invoked by ";
    append_process_name(out, comm_text(oom.comm), event.head().pid);
    if ((oom.flags & FR_OOM_CONTEXT_KNOWN) != 0) {
        out += " gfp ";
        append_gfp(out, oom.gfp_mask);
        put(out, " order {}", oom.order);
    }
    out += " ***";
    append_kernel_stack(out, event, options);
}

void alloc_text(std::string& out, const EventRef& event, const ReplayState& state, const TextOptions& options,
                const Palette& paint) {
    const auto alloc = event.as<fr_alloc_failure>();
    out += paint.red;
    switch (alloc.kind) {
        case FR_ALLOC_PAGE:
        case FR_ALLOC_PAGE_WARN: put(out, "page allocation failed: order {}", alloc.order); break;
        case FR_ALLOC_VMALLOC: out += "vmalloc failed"; break;
        case FR_ALLOC_SLAB: out += "slab allocation failed"; break;
        case FR_ALLOC_CGROUP:
            put(out, "memory cgroup hit its {} {} times",
                alloc.cause == FR_MEMORY_CGROUP_HIGH ? "memory.high" : "limit", alloc.size);
            break;
        case FR_ALLOC_FORK: out += "fork failed"; break;
        default: out += "allocation failed"; break;
    }
    out += paint.reset;
    if (alloc.kind == FR_ALLOC_SYSCALL || alloc.kind == FR_ALLOC_FORK) {
        const auto* info = schemas::find_syscall(state.arch(), alloc.syscall);
        put(out, " in {}", info != nullptr ? info->name : std::string_view("an unknown system call"));
        if (alloc.result < 0)
            put(out, " = -1 {}", errno_name(static_cast<int>(std::min<int64_t>(-alloc.result, 4095))));
    } else if (alloc.gfp_mask != 0) {
        out += " gfp ";
        append_gfp(out, alloc.gfp_mask);
    }
    if (alloc.kind == FR_ALLOC_CGROUP) {
        out += ": ";
        append_printable(out, blob_path(event, FR_BLOB_CGROUP));
    } else {
        append_nonzero(out, "size", alloc.size);
    }
    if (alloc.kind == FR_ALLOC_FORK || (alloc.kind == FR_ALLOC_SYSCALL && alloc.cause != FR_FORK_UNKNOWN)) {
        put(out, ", refused by {}", fork_cause_name(alloc.cause));
        std::string cgroup = blob_path(event, FR_BLOB_CGROUP);
        if (cgroup.empty() && alloc.limit_cgroup_id != 0) cgroup = state.cgroup_path(alloc.limit_cgroup_id);
        if (!cgroup.empty()) {
            out += ' ';
            append_printable(out, cgroup);
        }
    }
    if (alloc.limit != 0) {
        out += ", limit ";
        append_count(out, alloc.limit);
        out += ", in use ";
        append_count(out, alloc.usage);
    }
    if (alloc.left_out != 0) put(out, ", {} like it left out before", alloc.left_out);
    append_kernel_stack(out, event, options);
}

void cgroup_text(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto cgroup = event.as<fr_cgroup>();
    static constexpr std::string_view verbs[] = {"cgroup", "mkdir cgroup", "rmdir cgroup", "rename cgroup"};
    out += cgroup.op < std::size(verbs) ? verbs[cgroup.op] : "cgroup";
    out += ' ';
    const auto text = find_blob(event, FR_BLOB_TEXT);
    append_printable(out, text ? text->text : state.cgroup_path(cgroup.cgroup_id));
    put(out, " (id {}", cgroup.cgroup_id);
    if (cgroup.hierarchy != 0) put(out, ", version 1 hierarchy {}", cgroup.hierarchy);
    out += ')';
}

void attach_text(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto attach = event.as<fr_cgroup_attach>();
    out += "moved ";
    append_process_name(out, state.comm_of(attach.target_tid, attach.target_pid), attach.target_pid);
    if (attach.whole_process == 0 && attach.target_tid != attach.target_pid) put(out, " thread {}", attach.target_tid);
    out += " to cgroup ";
    const auto text = find_blob(event, FR_BLOB_TEXT);
    append_printable(out, text ? text->text : state.cgroup_path(attach.cgroup_id));
    if (attach.hierarchy != 0) put(out, " (version 1 hierarchy {})", attach.hierarchy);
}

void rename_text(std::string& out, const EventRef& event) {
    const auto rename = event.as<fr_rename>();
    put(out, "thread {} of {} renamed \"", rename.target_tid, rename.target_pid);
    append_escaped(out, comm_text(rename.old_comm));
    out += "\" -> \"";
    append_escaped(out, comm_text(rename.new_comm));
    out += '"';
}

void kmsg_text(std::string& out, const EventRef& event, const Palette& paint) {
    const auto line = event.as<fr_kmsg>();
    const std::string_view color = line.level <= 3 ? paint.red : line.level == 4 ? paint.yellow : paint.dim;
    put(out, "{}kernel <{}>{} ", color, kmsg_level_name(line.level), color.empty() ? "" : paint.reset);
    if (const auto text = find_blob(event, FR_BLOB_TEXT)) append_printable(out, text->text);
}

void append_hundredths(std::string& out, uint32_t value) {
    if (value == unknown_hundredths)
        out += '?';
    else
        put(out, "{}.{:02}", value / 100, value % 100);
}

void append_psi(std::string& out, std::string_view name, uint32_t some, uint32_t full, bool has_full) {
    put(out, " {} ", name);
    append_hundredths(out, some);
    if (!has_full) return;
    out += '/';
    append_hundredths(out, full);
}

void system_sample_text(std::string& out, const EventRef& event) {
    const auto s = event.as<fr_system_sample>();
    out += "memory ";
    append_bytes(out, s.mem_available);
    out += " available of ";
    append_bytes(out, s.mem_total);
    out += " (anon ";
    append_bytes(out, s.anon);
    out += ", cached ";
    append_bytes(out, s.cached);
    out += ", slab ";
    append_bytes(out, s.slab);
    out += ", page tables ";
    append_bytes(out, s.page_tables);
    out += ')';
    if (s.swap_total != 0 && s.swap_total != FR_UNKNOWN) {
        out += ", swap free ";
        append_bytes(out, s.swap_free);
        out += " of ";
        append_bytes(out, s.swap_total);
    }
    out += "; pressure";
    append_psi(out, "cpu", s.psi_cpu_some_avg10, 0, false);
    append_psi(out, "memory", s.psi_memory_some_avg10, s.psi_memory_full_avg10, true);
    append_psi(out, "io", s.psi_io_some_avg10, s.psi_io_full_avg10, true);
    put(out, "; load {}.{:02}; ", s.load1 / 100, s.load1 % 100);
    append_count(out, s.processes);
    out += " processes, ";
    append_count(out, s.threads);
    out += " of ";
    append_count(out, s.threads_max);
    out += " threads, ";
    append_count(out, s.blocked);
    out += " blocked; files ";
    append_count(out, s.files_open);
    out += " of ";
    append_count(out, s.files_max);
    out += "; disk free ";
    append_bytes(out, s.disk_free);
}

void cgroup_sample_text(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto s = event.as<fr_cgroup_sample>();
    const auto text = find_blob(event, FR_BLOB_TEXT);
    out += "cgroup ";
    append_printable(out, text ? text->text : state.cgroup_path(s.cgroup_id));
    out += " memory ";
    append_bytes(out, s.memory_current);
    out += " of ";
    append_bytes(out, s.memory_max);
    out += " (anon ";
    append_bytes(out, s.memory_anon);
    out += ", file ";
    append_bytes(out, s.memory_file);
    out += "), failures ";
    append_count(out, s.memory_failures);
    out += ", oom kills ";
    append_count(out, s.oom_kills);
    out += "; pids ";
    append_count(out, s.pids_current);
    out += " of ";
    append_count(out, s.pids_max);
}

void process_sample_text(std::string& out, const EventRef& event) {
    const auto s = event.as<fr_process_sample>();
    out += "rss ";
    append_bytes(out, s.rss);
    put(out, " ({}", s.growth < 0 ? "-" : "+");
    append_bytes(out, s.growth < 0 ? 0 - static_cast<uint64_t>(s.growth) : static_cast<uint64_t>(s.growth));
    out += ") = anon ";
    append_bytes(out, s.anon);
    out += " + file ";
    append_bytes(out, s.file);
    out += " + shmem ";
    append_bytes(out, s.shmem);
    append_nonzero(out, "swap", s.swap);
    out += ", page tables ";
    append_bytes(out, s.page_tables);
    out += ", total-vm ";
    append_bytes(out, s.total_vm);
    put(out, ", {} threads, {} fds, cpu {}.{:03} s, state ", s.threads, s.fds, (s.utime_ms + s.stime_ms) / 1000,
        (s.utime_ms + s.stime_ms) % 1000);
    append_printable(out, {&s.state, s.state != '\0' ? size_t{1} : size_t{0}});
    if (const auto wait = find_blob(event, FR_BLOB_TEXT); wait && !wait->text.empty()) {
        out += " in ";
        append_printable(out, wait->text);
    }
}

void gap_text(std::string& out, const fr_marker& marker, uint64_t time_ns) {
    if (marker.value[0] == FR_UNKNOWN) {
        put(out, "{} events of the {} track are missing from the file here", marker.value[2],
            track_name(marker.value[1]));
        return;
    }
    put(out, "{} events of cpu {} ({} track) were overwritten here before they were read", marker.value[2],
        marker.value[0], track_name(marker.value[1]));
    if (marker.value[3] != 0 && marker.value[3] <= time_ns)
        put(out, ", in the {} before this line", format_duration(time_ns - marker.value[3]));
}

void clock_text(std::string& out, const fr_marker& marker) {
    const auto step = static_cast<int64_t>(marker.value[1]);
    out += "wall clock ";
    append_printable(out, format_utc(marker.value[0]));
    if (step != 0)
        put(out, ", stepped {} {}", step < 0 ? "back" : "forward",
            format_duration(step < 0 ? 0 - static_cast<uint64_t>(step) : static_cast<uint64_t>(step)));
}

std::string_view policy_step_name(uint64_t step) {
    static constexpr std::string_view names[] = {
        "every call", "failed and slow calls only", "failed calls only",
        "no calls",   "calls without durations",    "failed and slow calls in bursts"};
    return step < std::size(names) ? names[step] : "unknown step";
}

void marker_text(std::string& out, const EventRef& event, const Palette& paint) {
    const auto marker = event.as<fr_marker>();
    const auto& v = marker.value;
    const bool loss = marker.kind == FR_MARKER_GAP || marker.kind == FR_MARKER_POLICY;
    const bool trigger = marker.kind == FR_MARKER_TRIGGER;
    put(out, "{}=== ", trigger ? paint.red : loss ? paint.yellow : paint.magenta);
    switch (marker.kind) {
        case FR_MARKER_START: put(out, "recording began (recorder pid {})", v[0]); break;
        case FR_MARKER_STOP: out += "recording ended"; break;
        case FR_MARKER_TRIGGER:
            put(out, "trigger {}: {}", v[2], trigger_name(v[0]));
            if (v[1] != 0) put(out, ", pid {}", v[1]);
            if (v[3] != 0) put(out, ", {} like it were suppressed before", v[3]);
            break;
        case FR_MARKER_GAP: gap_text(out, marker, event.head().time_ns); break;
        case FR_MARKER_CLOCK: clock_text(out, marker); break;
        case FR_MARKER_POLICY:
            put(out, "cost budget: recording {} from here (was: {}), cost {}.{:02} % of a CPU", policy_step_name(v[1]),
                policy_step_name(v[0]), v[2] / 100, v[2] % 100);
            break;
        case FR_MARKER_DUMP: put(out, "dump of trigger {} made, {}", v[0], format_bytes(v[1])); break;
        case FR_MARKER_RESTART: put(out, "recorder restarted after {} without a reader", format_duration(v[0])); break;
        case FR_MARKER_PREVIOUS_END: out += "how the recording before ended"; break;
        case FR_MARKER_SHUTDOWN: out += "the machine is being stopped"; break;
        case FR_MARKER_USER: out += "note"; break;
        case FR_MARKER_SCOPE: out += v[0] ? "the scope was made again" : "the scope was removed"; break;
        default: put(out, "marker {} ({}, {}, {}, {})", marker.kind, v[0], v[1], v[2], v[3]); break;
    }
    if (marker.kind == FR_MARKER_STOP && v[0] != 0) {
        out += " by ";
        append_signal(out, static_cast<int>(v[0] & 0x7f));
    }
    if (const auto text = find_blob(event, FR_BLOB_TEXT); text && !text->text.empty()) {
        const std::string note = trigger ? trigger_note(text->text) : std::string(text->text);
        if (!note.empty()) out += ": ";
        append_printable(out, note);
    }
    put(out, " ==={}", paint.reset);
}

void ledger_text(std::string& out, const EventRef& event) {
    const auto ledger = event.as<fr_ledger>();
    fr_ledger_line sum{};
    for (const auto& line : ledger.line) {
        sum.produced += line.produced;
        sum.stored += line.stored;
        sum.overwritten += line.overwritten;
        sum.torn += line.torn;
        sum.skipped += line.skipped;
        sum.pending += line.pending;
    }
    put(out, "ledger: {} events produced = {} stored + {} overwritten + {} torn + {} skipped + {} pending",
        sum.produced, sum.stored, sum.overwritten, sum.torn, sum.skipped, sum.pending);
}

void process_text(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto process = event.as<fr_process>();
    out += "process ";
    if (const auto argv = find_blob(event, FR_BLOB_ARGV))
        append_argv(out, argv->text, (argv->flags & FR_BLOB_CUT) != 0);
    else
        append_process_name(out, comm_text(process.comm), event.head().pid);
    if ((process.flags & FR_PROCESS_PARENT_KNOWN) != 0)
        put(out, " (ppid {}", process.ppid);
    else
        out += " (parent unknown";
    put(out, ", uid {}, {} threads", process.uid, process.threads);
    if (const auto cgroup = state.cgroup_path(process.cgroup_id); !cgroup.empty()) {
        out += ", cgroup ";
        append_printable(out, cgroup);
    }
    if ((process.flags & FR_PROCESS_KERNEL_THREAD) != 0) out += ", kernel thread";
    if ((process.flags & FR_PROCESS_EXITED) != 0) out += ", zombie";
    out += ')';
}

void fd_text(std::string& out, const EventRef& event) {
    const auto fd = event.as<fr_fd>();
    put(out, "fd {} is ", fd.fd);
    const auto path = find_blob(event, FR_BLOB_PATH);
    append_printable(out, path ? path->text : "not known");
}

}  // namespace

const Palette& Palette::of(bool color) {
    static const Palette none{};
    static const Palette sgr{"\x1b[0m",  "\x1b[2m",  "\x1b[1m",  "\x1b[1;31m", "\x1b[32m",
                             "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m"};
    return color ? sgr : none;
}

void append_event_text(std::string& out, const EventRef& event, const ReplayState& state, const TextOptions& options) {
    const Palette& paint = Palette::of(options.color);
    switch (event.head().cls) {
        case FR_CLASS_SYSCALL:
        case FR_CLASS_SYSCALL_ENTER:
        case FR_CLASS_UNFINISHED: append_syscall_line(out, event, state, options); break;
        case FR_CLASS_EXEC: exec_text(out, event, state, options); break;
        case FR_CLASS_EXEC_FAILED: exec_failed_text(out, event, paint); break;
        case FR_CLASS_FORK: fork_text(out, event); break;
        case FR_CLASS_EXIT: exit_text(out, event, paint); break;
        case FR_CLASS_SIGNAL: signal_text(out, event, state); break;
        case FR_CLASS_CRASH: crash_text(out, event, state, options, paint); break;
        case FR_CLASS_MODULE: module_text(out, event); break;
        case FR_CLASS_OOM_KILL: oom_text(out, event, state, options, paint); break;
        case FR_CLASS_ALLOC_FAILURE: alloc_text(out, event, state, options, paint); break;
        case FR_CLASS_CGROUP: cgroup_text(out, event, state); break;
        case FR_CLASS_CGROUP_ATTACH: attach_text(out, event, state); break;
        case FR_CLASS_RENAME: rename_text(out, event); break;
        case FR_CLASS_KMSG: kmsg_text(out, event, paint); break;
        case FR_CLASS_SYSTEM_SAMPLE: system_sample_text(out, event); break;
        case FR_CLASS_CGROUP_SAMPLE: cgroup_sample_text(out, event, state); break;
        case FR_CLASS_PROCESS_SAMPLE: process_sample_text(out, event); break;
        case FR_CLASS_MARKER: marker_text(out, event, paint); break;
        case FR_CLASS_LEDGER: ledger_text(out, event); break;
        case FR_CLASS_PROCESS: process_text(out, event, state); break;
        case FR_CLASS_FD: fd_text(out, event); break;
        default: put(out, "event of class {}, which this version does not know", event.head().cls); break;
    }
}

void append_seconds(std::string& out, uint64_t ns, int decimals) {
    char digits[32];
    auto [end, ec] = std::to_chars(digits, digits + 20, ns / 1'000'000'000u);
    if (decimals > 0) {
        *end++ = '.';
        auto fraction = static_cast<uint32_t>(ns % 1'000'000'000u);
        if (decimals == 6)
            fraction /= 1000;
        else
            for (int i = decimals; i < 9; ++i) fraction /= 10;
        for (int i = decimals - 1; i >= 0; --i, fraction /= 10) end[i] = static_cast<char>('0' + fraction % 10);
        end += decimals;
    }
    out.append(digits, static_cast<size_t>(end - digits));
}

void append_offset(std::string& out, uint64_t ns, uint64_t reference_ns, int decimals) {
    out += ns < reference_ns ? '-' : '+';
    append_seconds(out, ns < reference_ns ? reference_ns - ns : ns - reference_ns, decimals);
}

std::string format_duration(uint64_t ns) {
    const auto value = static_cast<double>(ns);
    if (ns < 1000) return fmt::format("{} ns", ns);
    if (ns < 1'000'000) return fmt::format("{:.3g} us", value / 1e3);
    if (ns < 1'000'000'000) return fmt::format("{:.3g} ms", value / 1e6);
    const uint64_t seconds = ns / 1'000'000'000u;
    if (seconds < 120) return fmt::format("{:.2f} s", value / 1e9);
    if (seconds < 7200) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    if (seconds < 172800) return fmt::format("{} h {} min", seconds / 3600, seconds / 60 % 60);
    return fmt::format("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

void append_argv(std::string& out, std::string_view argv, bool cut, size_t limit) {
    out += '[';
    bool first = true;
    bool shortened = false;
    while (!argv.empty()) {
        const auto end = std::min(argv.find('\0'), argv.size());
        if (!first) out += ", ";
        first = false;
        std::string_view one = argv.substr(0, end);
        const bool last = end >= argv.size();
        if (limit != 0 && one.size() > limit) {
            one = one.substr(0, limit);
            shortened = true;
        }
        out += '"';
        append_escaped(out, one);
        out += '"';
        if (shortened || (cut && last)) out += "...";
        shortened = false;
        argv.remove_prefix(std::min(end + 1, argv.size()));
        if (cut && !last && argv.empty()) out += ", ...";
    }
    out += ']';
}

void append_exit_status(std::string& out, uint32_t code) {
    if ((code & 0x7f) == 0) {
        put(out, "exited with {}", (code >> 8) & 0xff);
        return;
    }
    out += "killed by ";
    append_signal(out, static_cast<int>(code & 0x7f));
    if ((code & 0x80) != 0) out += " (core dumped)";
}

void append_frame(std::string& out, const fr_frame& frame) {
    if (frame.status != 1) {
        put(out, "0x{:x}", frame.offset_or_ip);
        return;
    }
    for (const auto byte : frame.build_id) put(out, "{:02x}", byte);
    put(out, "+0x{:x}", frame.offset_or_ip);
}

void append_printable(std::string& out, std::string_view bytes) {
    if (is_plain(bytes))
        out += bytes;
    else
        out += printable(bytes);
}

void append_process_name(std::string& out, std::string_view comm, uint32_t pid) {
    if (comm.empty()) {
        put(out, "pid {}", pid);
        return;
    }
    append_printable(out, comm);
    put(out, "[{}]", pid);
}

}  // namespace flightrec::replay
