// SPDX-License-Identifier: Apache-2.0
// The fields of each class under the names of schemas/json/event.schema.json; a function a class.
#include "userspace/replay/json_renderer.h"
#include "userspace/flight/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/oom_memory.h"
#include "userspace/replay/symbols.h"
#include "userspace/replay/syscall_line.h"

namespace flightrec::replay {
namespace {

constexpr uint16_t made_by_recorder = 0xffff;  // what stands for the CPU of events that user space makes

using flight::BlobWalk;
using flight::EventRef;
using flight::find_blob;

void named(JsonLine& json, std::string_view name, std::string_view value) {
    json.key(name);
    if (value.empty())
        json.null();
    else
        json.text(value);
}

void error_field(JsonLine& json, std::string_view name, int64_t result) {
    named(json, name, result < 0 && result > -4096 ? errno_name(static_cast<int>(-result)) : std::string_view{});
}

void argv_field(JsonLine& json, std::string_view name, std::string_view argv) {
    json.key(name).open('[');
    while (!argv.empty()) {
        const auto end = std::min(argv.find('\0'), argv.size());
        json.text(argv.substr(0, end));
        argv.remove_prefix(std::min(end + 1, argv.size()));
    }
    json.close(']');
}

void lines_field(JsonLine& json, std::string_view name, std::string_view lines) {
    json.key(name).open('[');
    while (!lines.empty()) {
        const auto end = std::min(lines.find('\n'), lines.size());
        json.text(lines.substr(0, end));
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
    json.close(']');
}

void addresses_field(JsonLine& json, std::string_view name, std::string_view bytes) {
    json.key(name).open('[');
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        uint64_t address = 0;
        std::memcpy(&address, bytes.data() + i, sizeof address);
        json.hex(address);
    }
    json.close(']');
}

std::string hex_of(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<unsigned char>(c));
    return out;
}

// What the local files say of a frame; nothing where they say nothing.
void symbol_fields(JsonLine& json, const Symbol& symbol) {
    if (!symbol.module.empty()) json.text("module", symbol.module);
    if (!symbol.function.empty()) {
        json.text("function", symbol.function);
        if (symbol.inlined_into.empty()) json.hex("function_offset", symbol.offset);
    }
    if (!symbol.source.empty()) {
        json.text("source", symbol.source);
        json.number("line", symbol.line);
    }
    if (symbol.inlined_into.empty()) return;
    json.key("inlined_into").open('[');
    for (const auto& function : symbol.inlined_into) json.text(function);
    json.close(']');
}

void frames_field(JsonLine& json, std::string_view name, std::string_view bytes, Symbolizer* symbols) {
    bool caller = false;
    json.key(name).open('[');
    for (size_t i = 0; i + sizeof(fr_frame) <= bytes.size(); i += sizeof(fr_frame)) {
        fr_frame frame;
        std::memcpy(&frame, bytes.data() + i, sizeof frame);
        if (frame.status == 0) continue;
        json.open();
        if (frame.status == 1) {
            json.text("build_id", hex_of({reinterpret_cast<const char*>(frame.build_id), sizeof frame.build_id}));
            json.hex("offset", frame.offset_or_ip);
            if (symbols != nullptr) symbol_fields(json, symbols->find(frame, caller));
        } else {
            json.hex("ip", frame.offset_or_ip);
        }
        caller = true;
        json.close();
    }
    json.close(']');
}

void memory_stat_field(JsonLine& json, std::string_view name, std::string_view lines) {
    json.key(name).open();
    for_each_stat(lines, [&](std::string_view key, uint64_t value) { json.number(key, value); });
    json.close();
}

void candidates_field(JsonLine& json, std::string_view name, std::string_view bytes) {
    json.key(name).open('[');
    for (const fr_oom_candidate& c : oom_candidates(bytes)) {
        json.open();
        json.number("pid", c.pid);
        json.text("comm", comm_text(c.comm));
        json.number("uid", c.uid);
        json.number("rss", rss_of(c));
        json.number("anon", c.anon);
        json.number("file", c.file);
        json.number("shmem", c.shmem);
        json.number("swap", c.swap);
        json.number("page_tables", c.page_tables);
        json.number("oom_score_adj", c.oom_score_adj);
        json.close();
    }
    json.close(']');
}

bool is_path_of_components(uint8_t kind, std::string_view text) {
    return kind == FR_BLOB_EXE || ((kind == FR_BLOB_CWD || kind == FR_BLOB_CGROUP) && !text.starts_with('/'));
}

// Every blob under its own name; those of system calls are written by append_syscall_json.
void blob_fields(JsonLine& json, const EventRef& event, Symbolizer* symbols) {
    BlobWalk walk(event.blob_bytes());
    while (const auto blob = walk.next()) {
        const auto name = blob_name(blob->kind);
        if (name.empty()) continue;
        switch (blob->kind) {
            case FR_BLOB_ARGV: argv_field(json, name, blob->text); break;
            case FR_BLOB_KSTACK_TEXT: lines_field(json, name, blob->text); break;
            case FR_BLOB_KSTACK: addresses_field(json, name, blob->text); break;
            case FR_BLOB_USTACK: frames_field(json, name, blob->text, symbols); break;
            case FR_BLOB_MEMORY_STAT: memory_stat_field(json, name, blob->text); break;
            case FR_BLOB_CANDIDATES: candidates_field(json, name, blob->text); break;
            case FR_BLOB_STACK_BYTES: json.text(name, hex_of(blob->text)); break;
            default:
                if (is_path_of_components(blob->kind, blob->text))
                    json.text(name, flight::path_from_components(blob->text));
                else
                    json.text(name, blob->text);
                break;
        }
        if ((blob->flags & FR_BLOB_CUT) != 0) json.boolean(fmt::format("{}_cut", name), true);
        if ((blob->flags & FR_BLOB_FAULT) != 0) json.boolean(fmt::format("{}_unreadable", name), true);
        if ((blob->flags & FR_BLOB_DELETED) != 0) json.boolean(fmt::format("{}_deleted", name), true);
    }
}

// The container that the path of a cgroup names; nothing when it names none.
void container_field(JsonLine& json, std::string_view name, std::string_view cgroup_path) {
    const auto container = flight::container_of(cgroup_path);
    if (!container) return;
    json.key(name).open();
    json.text("runtime", container->runtime);
    json.text("id", container->id);
    json.close();
}

void cgroup_fields(JsonLine& json, const EventRef& event, uint64_t id, const ReplayState& state) {
    json.number("cgroup_id", id);
    const auto path = state.cgroup_path(id);
    container_field(json, "container", path);
    if (find_blob(event, FR_BLOB_CGROUP)) return;
    if (!path.empty()) json.text("cgroup", path);
}

void exec_fields(JsonLine& json, const EventRef& event, const ReplayState& state) {
    const auto exec = event.as<fr_exec>();
    json.number("start_ns", exec.start_ns);
    cgroup_fields(json, event, exec.cgroup_id, state);
    json.number("exe_inode", exec.exe_inode);
    json.text("exe_device", fmt::format("{}:{}", exec.exe_dev >> 20, exec.exe_dev & 0xfffff));
    json.number("ppid", exec.ppid);
    json.number("uid", exec.uid);
    json.number("gid", exec.gid);
    json.number("euid", exec.euid);
    json.number("egid", exec.egid);
    json.number("argc", exec.argc);
    json.number("argv_bytes", exec.argv_bytes);
    json.number("old_tid", exec.old_tid);
    json.number("pid_namespace", exec.pidns);
    json.number("pid_in_namespace", exec.ns_pid);
    json.boolean("script", (exec.flags & FR_EXEC_SCRIPT) != 0);
    json.boolean("memfd", (exec.flags & FR_EXEC_MEMFD) != 0);
    json.boolean("deleted", (exec.flags & FR_EXEC_DELETED) != 0);
    json.boolean("secure", (exec.flags & FR_EXEC_SECURE) != 0);
}

void exec_failed_fields(JsonLine& json, const EventRef& event) {
    const auto exec = event.as<fr_exec_failed>();
    json.number("result", exec.error);
    error_field(json, "errno", exec.error);
    json.number("ppid", exec.ppid);
    json.number("uid", exec.uid);
    json.number("gid", exec.gid);
    json.number("left_out", exec.left_out);
}

void fork_fields(JsonLine& json, const EventRef& event, const ReplayState& state, std::string& scratch) {
    const auto fork = event.as<fr_fork>();
    json.boolean("thread", fork.child_pid != fork.child_tid);
    json.number("child_pid", fork.child_pid);
    json.number("child_tid", fork.child_tid);
    json.text("child_comm", comm_text(fork.comm));
    json.number("parent_pid", fork.parent_pid);
    json.number("start_ns", fork.start_ns);
    scratch.clear();
    append_clone_flags(scratch, fork.clone_flags);
    json.text("flags", scratch);
    json.hex("flags_raw", fork.clone_flags);
    cgroup_fields(json, event, fork.cgroup_id, state);
    json.number("uid", fork.uid);
    json.number("gid", fork.gid);
    json.number("pid_namespace", fork.pidns);
    json.number("pid_in_namespace", fork.ns_pid);
}

void exit_fields(JsonLine& json, const EventRef& event, const ReplayState& state) {
    const auto exit = event.as<fr_exit>();
    const int signal = static_cast<int>(exit.exit_code & 0x7f);
    json.boolean("process", (exit.flags & FR_EXIT_GROUP_DEAD) != 0);
    json.boolean("group_exit", (exit.flags & FR_EXIT_GROUP_EXIT) != 0);
    json.boolean("oom_victim", (exit.flags & FR_EXIT_OOM_VICTIM) != 0);
    json.number("wait_status", exit.exit_code);
    json.key("status");
    if (signal == 0)
        json.number((exit.exit_code >> 8) & 0xff);
    else
        json.null();
    named(json, "signal", signal == 0 ? std::string{} : signal_name(signal));
    json.boolean("core_dumped", (exit.exit_code & 0x80) != 0);
    json.number("start_ns", exit.start_ns);
    cgroup_fields(json, event, exit.cgroup_id, state);
    json.number("ppid", exit.ppid);
    json.number("uid", exit.uid);
    json.number("user_ns", exit.utime_ns);
    json.number("system_ns", exit.stime_ns);
    json.key("max_rss");
    if ((exit.flags & FR_EXIT_RSS_KNOWN) != 0)
        json.number(exit.max_rss);
    else
        json.null();
    json.number("minor_faults", exit.min_faults);
    json.number("major_faults", exit.maj_faults);
    json.number("read_chars", exit.read_chars);
    json.number("write_chars", exit.write_chars);
    json.number("read_bytes", exit.read_bytes);
    json.number("write_bytes", exit.write_bytes);
}

void signal_fields(JsonLine& json, const EventRef& event) {
    const auto signal = event.as<fr_signal>();
    json.text("signal", signal_name(signal.signal));
    json.number("signal_number", signal.signal);
    json.text("code", signal_code_name(signal.signal, signal.code));
    json.number("code_number", signal.code);
    json.hex("address", signal.address);
    json.boolean("from_kernel", (signal.flags & FR_SIGNAL_FROM_KERNEL) != 0);
    json.number("sender_uid", signal.sender_uid);
    json.number("target_pid", signal.target_pid);
    json.number("target_tid", signal.target_tid);
    json.text("target_comm", comm_text(signal.target_comm));
    json.boolean("to_process", (signal.flags & FR_SIGNAL_GROUP) != 0);
    json.text("disposition", (signal.flags & FR_SIGNAL_DEFAULT) != 0   ? "default"
                             : (signal.flags & FR_SIGNAL_HANDLED) != 0 ? "handled"
                             : (signal.flags & FR_SIGNAL_IGNORED) != 0 ? "ignored"
                                                                       : "unknown");
    json.text("result", signal_result_name(signal.result));
}

void crash_fields(JsonLine& json, const EventRef& event, const ReplayState& state) {
    const auto crash = event.as<fr_crash>();
    json.text("signal", signal_name(crash.signal));
    json.number("signal_number", crash.signal);
    json.text("code", signal_code_name(crash.signal, crash.code));
    json.number("code_number", crash.code);
    json.hex("address", crash.address);
    json.hex("ip", crash.ip);
    json.hex("sp", crash.sp);
    json.hex("bp", crash.bp);
    json.boolean("dumps_core", crash.dumps_core != 0);
    json.number("start_ns", crash.start_ns);
    cgroup_fields(json, event, crash.cgroup_id, state);
    json.number("ppid", crash.ppid);
    json.number("sender_pid", crash.sender_pid);
    json.number("uid", crash.uid);
    json.hex("caller", crash.caller);
    json.boolean("caller_called", (crash.flags & FR_CRASH_CALLER_CALLED) != 0);
    json.key("registers").open('[');
    for (const auto value : crash.regs) json.hex(value);
    json.close(']');
}

void module_fields(JsonLine& json, const EventRef& event) {
    const auto module = event.as<fr_module>();
    json.hex("start", module.start);
    json.hex("end", module.end);
    json.hex("offset", module.offset);
    json.number("inode", module.inode);
    json.text("device", fmt::format("{}:{}", module.dev >> 20, module.dev & 0xfffff));
    const size_t length = std::min<size_t>(module.build_id_len, sizeof module.build_id);
    json.text("build_id", hex_of({reinterpret_cast<const char*>(module.build_id), length}));
}

void oom_fields(JsonLine& json, const EventRef& event, const ReplayState& state, std::string& scratch) {
    const auto oom = event.as<fr_oom_kill>();
    const bool context = (oom.flags & FR_OOM_CONTEXT_KNOWN) != 0;
    const bool domain = (oom.flags & FR_OOM_DOMAIN_KNOWN) != 0;
    json.number("victim_pid", oom.victim_pid);
    json.number("victim_tid", oom.victim_tid);
    json.text("victim_comm", comm_text(oom.victim_comm));
    json.number("victim_ppid", oom.victim_ppid);
    json.number("victim_uid", oom.victim_uid);
    json.number("victim_start_ns", oom.victim_start_ns);
    json.number("victim_cgroup_id", oom.victim_cgroup_id);
    named(json, "victim_cgroup", state.cgroup_path(oom.victim_cgroup_id));
    container_field(json, "victim_container", state.cgroup_path(oom.victim_cgroup_id));
    json.number("victim_rss", oom.victim_anon + oom.victim_file + oom.victim_shmem);
    json.number("victim_anon", oom.victim_anon);
    json.number("victim_file", oom.victim_file);
    json.number("victim_shmem", oom.victim_shmem);
    json.number("victim_swap", oom.victim_swap);
    json.number("victim_page_tables", oom.victim_page_tables);
    json.number("victim_total_vm", oom.victim_total_vm);
    json.number("victim_locked", oom.victim_locked);
    json.number("victim_oom_score_adj", oom.victim_oom_score_adj);
    json.boolean("group", (oom.flags & FR_OOM_GROUP) != 0);
    json.boolean("marked_only", (oom.flags & FR_OOM_MARKED) != 0);
    json.number("victim_memory_cgroup_id", oom.victim_memory_cgroup_id);
    json.number("invoker_cgroup_id", oom.invoker_cgroup_id);
    named(json, "invoker_cgroup", state.cgroup_path(oom.invoker_cgroup_id));
    json.number("candidates_total", oom.candidates);
    json.boolean("candidates_complete", (oom.flags & FR_OOM_CANDIDATES_CUT) == 0);
    if (oom.memory_stat_ns != 0) json.number("memory_stat_ns", oom.memory_stat_ns);
    json.boolean("context_known", context);
    json.boolean("domain_known", domain);
    if (context) {
        json.text("constraint", oom_constraint_name(oom.constraint));
        scratch.clear();
        append_gfp(scratch, oom.gfp_mask);
        json.text("gfp", scratch);
        json.hex("gfp_raw", oom.gfp_mask);
        json.number("order", oom.order);
        json.number("total_pages", oom.total_pages);
        json.number("score", oom.score);
    }
    if (!context && (oom.flags & FR_OOM_CONSTRAINT_KNOWN) != 0)
        json.text("constraint", oom_constraint_name(oom.constraint));
    if (domain) {
        json.number("domain_cgroup_id", oom.domain_cgroup_id);
        json.number("domain_hierarchy", oom.domain_hierarchy);
        if (!find_blob(event, FR_BLOB_CGROUP)) named(json, "cgroup", state.cgroup_path(oom.domain_cgroup_id));
        json.sample("domain_limit", oom.domain_limit);
        json.sample("domain_usage", oom.domain_usage);
        json.number("domain_failures", oom.domain_failures);
    }
}

void alloc_fields(JsonLine& json, const EventRef& event, const ReplayState& state, std::string& scratch) {
    const auto alloc = event.as<fr_alloc_failure>();
    json.text("kind", alloc_kind_name(alloc.kind));
    json.number("size", alloc.size);
    json.number("result", alloc.result);
    error_field(json, "errno", alloc.result);
    json.sample("limit", alloc.limit);
    json.sample("usage", alloc.usage);
    scratch.clear();
    append_gfp(scratch, alloc.gfp_mask);
    json.text("gfp", scratch);
    json.hex("gfp_raw", alloc.gfp_mask);
    json.number("order", alloc.order);
    json.number("node", alloc.node);
    const auto* info = schemas::find_syscall(state.arch(), alloc.syscall);
    const bool call = alloc.kind == FR_ALLOC_SYSCALL || alloc.kind == FR_ALLOC_FORK;
    named(json, "syscall", call && info != nullptr ? info->name : std::string_view{});
    const bool told = alloc.kind == FR_ALLOC_FORK || alloc.kind == FR_ALLOC_SYSCALL || alloc.kind == FR_ALLOC_CGROUP;
    json.text("cause", told ? fork_cause_name(alloc.cause) : "none");
    json.number("limit_cgroup_id", alloc.limit_cgroup_id);
    json.number("left_out", alloc.left_out);
    cgroup_fields(json, event, alloc.cgroup_id, state);
}

void cgroup_event_fields(JsonLine& json, const EventRef& event) {
    const auto cgroup = event.as<fr_cgroup>();
    json.text("op", cgroup_op_name(cgroup.op));
    json.number("cgroup_id", cgroup.cgroup_id);
    json.number("hierarchy", cgroup.hierarchy);
    json.number("level", cgroup.level);
}

void attach_fields(JsonLine& json, const EventRef& event) {
    const auto attach = event.as<fr_cgroup_attach>();
    json.number("cgroup_id", attach.cgroup_id);
    json.number("hierarchy", attach.hierarchy);
    json.number("target_pid", attach.target_pid);
    json.number("target_tid", attach.target_tid);
    json.boolean("whole_process", attach.whole_process != 0);
}

void rename_fields(JsonLine& json, const EventRef& event) {
    const auto rename = event.as<fr_rename>();
    json.number("target_pid", rename.target_pid);
    json.number("target_tid", rename.target_tid);
    json.text("old_comm", comm_text(rename.old_comm));
    json.text("new_comm", comm_text(rename.new_comm));
}

void kmsg_fields(JsonLine& json, const EventRef& event) {
    const auto line = event.as<fr_kmsg>();
    json.number("seq", line.seq);
    json.text("level", kmsg_level_name(line.level));
    json.number("level_number", line.level);
    json.number("facility", line.facility);
    json.number("stamp_ns", line.stamp_ns);
}

void pressure_field(JsonLine& json, std::string_view name, uint32_t hundredths) {
    json.key(name).raw(fmt::format("{}.{:02}", hundredths / 100, hundredths % 100));
}

void system_sample_fields(JsonLine& json, const EventRef& event) {
    const auto s = event.as<fr_system_sample>();
    const std::pair<std::string_view, uint64_t> fields[] = {
        {"mem_total", s.mem_total},
        {"mem_free", s.mem_free},
        {"mem_available", s.mem_available},
        {"buffers", s.buffers},
        {"cached", s.cached},
        {"anon", s.anon},
        {"shmem", s.shmem},
        {"slab", s.slab},
        {"slab_unreclaimable", s.slab_unreclaimable},
        {"page_tables", s.page_tables},
        {"kernel_stack", s.kernel_stack},
        {"mlocked", s.mlocked},
        {"dirty", s.dirty},
        {"writeback", s.writeback},
        {"swap_total", s.swap_total},
        {"swap_free", s.swap_free},
        {"commit_limit", s.commit_limit},
        {"committed", s.committed},
        {"mapped", s.mapped},
        {"psi_cpu_some_us", s.psi_cpu_some_us},
        {"psi_memory_some_us", s.psi_memory_some_us},
        {"psi_memory_full_us", s.psi_memory_full_us},
        {"psi_io_some_us", s.psi_io_some_us},
        {"psi_io_full_us", s.psi_io_full_us},
        {"processes", s.processes},
        {"threads", s.threads},
        {"threads_max", s.threads_max},
        {"pid_max", s.pid_max},
        {"running", s.running},
        {"blocked", s.blocked},
        {"files_open", s.files_open},
        {"files_max", s.files_max},
        {"disk_free", s.disk_free},
        {"disk_total", s.disk_total},
        {"forks", s.forks},
        {"pgfault", s.pgfault},
        {"pgmajfault", s.pgmajfault},
        {"oom_kills", s.oom_kills},
        {"alloc_stall", s.alloc_stall},
        {"swap_in", s.swap_in},
        {"swap_out", s.swap_out},
        {"cpu_user_ms", s.cpu_user_ms},
        {"cpu_system_ms", s.cpu_system_ms},
        {"cpu_iowait_ms", s.cpu_iowait_ms},
        {"cpu_steal_ms", s.cpu_steal_ms},
        {"cpu_idle_ms", s.cpu_idle_ms},
        {"inodes_free", s.inodes_free},
        {"inodes_total", s.inodes_total},
        {"window_disk_free", s.window_disk_free},
        {"window_disk_total", s.window_disk_total},
    };
    for (const auto& [name, value] : fields) json.sample(name, value);
    pressure_field(json, "psi_cpu_some_avg10", s.psi_cpu_some_avg10);
    pressure_field(json, "psi_memory_some_avg10", s.psi_memory_some_avg10);
    pressure_field(json, "psi_memory_full_avg10", s.psi_memory_full_avg10);
    pressure_field(json, "psi_io_some_avg10", s.psi_io_some_avg10);
    pressure_field(json, "psi_io_full_avg10", s.psi_io_full_avg10);
    pressure_field(json, "load1", s.load1);
    pressure_field(json, "load5", s.load5);
    pressure_field(json, "load15", s.load15);
}

void cgroup_sample_fields(JsonLine& json, const EventRef& event) {
    const auto s = event.as<fr_cgroup_sample>();
    json.number("cgroup_id", s.cgroup_id);
    json.number("hierarchy", s.hierarchy);
    json.sample("memory_current", s.memory_current);
    json.sample("memory_max", s.memory_max);
    json.sample("memory_swap", s.memory_swap);
    json.sample("memory_anon", s.memory_anon);
    json.sample("memory_file", s.memory_file);
    json.sample("memory_slab", s.memory_slab);
    json.sample("memory_failures", s.memory_failures);
    json.sample("oom_kills", s.oom_kills);
    json.sample("pids_current", s.pids_current);
    json.sample("pids_max", s.pids_max);
    json.sample("pids_failures", s.pids_failures);
    json.sample("memory_high", s.memory_high);
    json.sample("memory_high_events", s.memory_high_events);
    json.sample("memory_oom_events", s.memory_oom_events);
    json.sample("memory_group_kills", s.memory_group_kills);
    json.sample("memory_peak", s.memory_peak);
    json.sample("memory_swap_max", s.memory_swap_max);
}

void process_sample_fields(JsonLine& json, const EventRef& event) {
    const auto s = event.as<fr_process_sample>();
    json.number("start_ns", s.start_ns);
    json.sample("rss", s.rss);
    json.sample("anon", s.anon);
    json.sample("file", s.file);
    json.sample("shmem", s.shmem);
    json.sample("swap", s.swap);
    json.sample("page_tables", s.page_tables);
    json.sample("total_vm", s.total_vm);
    json.number("growth", s.growth);
    json.sample("user_ms", s.utime_ms);
    json.sample("system_ms", s.stime_ms);
    json.sample("minor_faults", s.min_faults);
    json.sample("major_faults", s.maj_faults);
    json.number("threads", s.threads);
    json.number("fds", s.fds);
    json.number("oom_score_adj", s.oom_score_adj);
    json.text("state", {&s.state, s.state != '\0' ? size_t{1} : size_t{0}});
}

void marker_fields(JsonLine& json, const EventRef& event) {
    const auto marker = event.as<fr_marker>();
    const auto& v = marker.value;
    json.text("kind", marker_name(marker.kind));
    switch (marker.kind) {
        case FR_MARKER_START: json.number("recorder_pid", v[0]); break;
        case FR_MARKER_STOP: json.number("signal_number", v[0]); break;
        case FR_MARKER_TRIGGER:
            json.text("trigger", trigger_name(v[0]));
            json.number("trigger_pid", v[1]);
            json.number("incident", v[2]);
            json.number("suppressed", v[3]);
            break;
        case FR_MARKER_GAP:
            json.sample("gap_cpu", v[0]);
            json.text("track", track_name(v[1]));
            json.number("events_lost", v[2]);
            json.number("since_ns", v[3]);
            break;
        case FR_MARKER_CLOCK:
            json.number("realtime_ns", v[0]);
            json.number("step_ns", static_cast<int64_t>(v[1]));
            break;
        case FR_MARKER_POLICY:
            json.number("old_step", v[0]);
            json.number("new_step", v[1]);
            json.key("cost_percent").raw(fmt::format("{}.{:02}", v[2] / 100, v[2] % 100));
            break;
        case FR_MARKER_DUMP:
            json.number("incident", v[0]);
            json.number("bytes", v[1]);
            break;
        case FR_MARKER_USER: json.number("from_pid", v[0]); break;
        case FR_MARKER_RESTART: json.number("unread_ns", v[0]); break;
        case FR_MARKER_SCOPE:
            json.boolean("made_again", v[0] != 0);
            json.number("cgroup_id", v[1]);
            break;
        default: break;
    }
}

void ledger_fields(JsonLine& json, const EventRef& event) {
    const auto ledger = event.as<fr_ledger>();
    json.key("classes").open();
    for (uint8_t cls = 1; cls < FR_CLASS_COUNT; ++cls) {
        const auto& line = ledger.line[cls];
        if (line.produced == 0 && line.stored == 0) continue;
        const auto name = flight::class_name(cls);
        json.key(flight::class_of_name(name) ? std::string(name) : fmt::format("class_{}", cls)).open();
        json.number("produced", line.produced);
        json.number("stored", line.stored);
        json.number("overwritten", line.overwritten);
        json.number("torn", line.torn);
        json.number("skipped", line.skipped);
        json.number("pending", line.pending);
        json.close();
    }
    json.close();
}

void process_fields(JsonLine& json, const EventRef& event, const ReplayState& state) {
    const auto process = event.as<fr_process>();
    json.number("start_ns", process.start_ns);
    json.number("exec_ns", process.exec_ns);
    cgroup_fields(json, event, process.cgroup_id, state);
    json.key("ppid");
    if ((process.flags & FR_PROCESS_PARENT_KNOWN) != 0)
        json.number(process.ppid);
    else
        json.null();
    json.number("uid", process.uid);
    json.number("gid", process.gid);
    json.number("threads", process.threads);
    json.number("pid_namespace", process.pidns);
    json.number("pid_in_namespace", process.ns_pid);
    json.number("oom_score_adj", process.oom_score_adj);
    json.boolean("kernel_thread", (process.flags & FR_PROCESS_KERNEL_THREAD) != 0);
    json.boolean("exited", (process.flags & FR_PROCESS_EXITED) != 0);
    json.boolean("before", (process.flags & FR_PROCESS_BEFORE) != 0);
}

void class_fields(JsonLine& json, const EventRef& event, const ReplayState& state, Symbolizer* symbols,
                  std::string& scratch) {
    switch (event.head().cls) {
        case FR_CLASS_SYSCALL:
        case FR_CLASS_SYSCALL_ENTER:
        case FR_CLASS_UNFINISHED: append_syscall_json(json, event, state); return;
        case FR_CLASS_EXEC: exec_fields(json, event, state); break;
        case FR_CLASS_EXEC_FAILED: exec_failed_fields(json, event); break;
        case FR_CLASS_FORK: fork_fields(json, event, state, scratch); break;
        case FR_CLASS_EXIT: exit_fields(json, event, state); break;
        case FR_CLASS_SIGNAL: signal_fields(json, event); break;
        case FR_CLASS_CRASH: crash_fields(json, event, state); break;
        case FR_CLASS_MODULE: module_fields(json, event); break;
        case FR_CLASS_OOM_KILL: oom_fields(json, event, state, scratch); break;
        case FR_CLASS_ALLOC_FAILURE: alloc_fields(json, event, state, scratch); break;
        case FR_CLASS_CGROUP: cgroup_event_fields(json, event); break;
        case FR_CLASS_CGROUP_ATTACH: attach_fields(json, event); break;
        case FR_CLASS_RENAME: rename_fields(json, event); break;
        case FR_CLASS_KMSG: kmsg_fields(json, event); break;
        case FR_CLASS_SYSTEM_SAMPLE: system_sample_fields(json, event); break;
        case FR_CLASS_CGROUP_SAMPLE: cgroup_sample_fields(json, event); break;
        case FR_CLASS_PROCESS_SAMPLE: process_sample_fields(json, event); break;
        case FR_CLASS_MARKER: marker_fields(json, event); break;
        case FR_CLASS_LEDGER: ledger_fields(json, event); break;
        case FR_CLASS_PROCESS: process_fields(json, event, state); break;
        case FR_CLASS_FD:
            json.number("fd", event.as<fr_fd>().fd);
            json.hex("flags", event.as<fr_fd>().flags);
            break;
        default: json.number("class_number", event.head().cls); break;
    }
    blob_fields(json, event, symbols);
}

}  // namespace

static void who_fields(JsonLine& json, const EventRef& event, const ReplayState& state) {
    json.number("pid", event.head().pid);
    json.number("tid", event.head().tid);
    json.text("comm", display_comm(event, state));
}

void JsonRenderer::append(std::string& out, const EventRef& event, const ReplayState& state) {
    const auto& head = event.head();
    JsonLine json(out);
    json.open();
    const bool call = head.cls == FR_CLASS_SYSCALL_ENTER;  // an entry without a return: one call to the reader
    json.text("class", call ? "syscall" : flight::class_name(head.cls));
    json.key("time").raw("\"");
    time_.append_utc(json.flush(), head.time_ns, 9);
    out += '"';
    json.number("boot_ns", head.time_ns);
    if (reference_ns_) json.number("since_trigger_ns", static_cast<int64_t>(head.time_ns - *reference_ns_));
    json.key("cpu");
    if (event.cpu == made_by_recorder)
        json.null();
    else
        json.number(event.cpu);
    if (head.cls == FR_CLASS_SYSCALL) {
        std::string& who = who_.of(head, state);
        if (who.empty()) {
            JsonLine fields(who);
            who_fields(fields, event, state);
        }
        json.raw(who);
    } else {
        who_fields(json, event, state);
    }
    if ((head.flags & FR_EVENT_TRUNCATED) != 0) json.boolean("truncated", true);
    if ((head.flags & FR_EVENT_SYNTHETIC) != 0) json.boolean("synthetic", true);
    class_fields(json, event, state, symbols_, scratch_);
    json.close();
    out += '\n';
}

}  // namespace flightrec::replay
