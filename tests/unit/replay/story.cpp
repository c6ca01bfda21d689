// SPDX-License-Identifier: Apache-2.0
// The stories themselves.
#include "tests/unit/replay/story.h"

#include <csignal>

namespace flightrec::replay::test {
namespace {

std::string frames() {
    fr_frame list[2]{};
    list[0].status = 1;
    for (uint8_t i = 0; i < 20; ++i) list[0].build_id[i] = i;
    list[0].offset_or_ip = 0x1234;
    list[1].status = 2;
    list[1].offset_or_ip = 0x7f0000001000;
    return {reinterpret_cast<const char*>(list), sizeof list};
}

std::string components(std::string_view path) {  // "/a/b" as the kernel gives it: "b\0a\0"
    std::string out;
    while (!path.empty()) {
        const auto slash = path.rfind('/');
        out += path.substr(slash + 1);
        out += '\0';
        path = path.substr(0, slash);
    }
    return out;
}

}  // namespace

std::vector<Record> every_class(const std::string& text) {
    std::vector<Record> out;
    uint64_t t = 100 * s;
    const auto next = [&] { return t += ms; };
    out.push_back(record<fr_exec>(FR_CLASS_EXEC, next(), 812, 812,
                                  [&](fr_exec& e) {
                                      e.start_ns = 99 * s;
                                      e.cgroup_id = 7;
                                      e.ppid = 1;
                                      e.argc = 3;
                                      e.exe_dev = 8u << 20 | 1;
                                      e.flags = FR_EXEC_SCRIPT | FR_EXEC_MEMFD | FR_EXEC_DELETED | FR_EXEC_SECURE;
                                      set_comm(e.comm, text);
                                  },
                                  {{FR_BLOB_FILENAME, "./" + text},
                                   {FR_BLOB_INTERP, text},
                                   {FR_BLOB_ARGV, text + "\0-c\0"s + text + "\0"s, FR_BLOB_CUT},
                                   {FR_BLOB_EXE, components("/usr/bin/" + text)},
                                   {FR_BLOB_CWD, components("/tmp/" + text)},
                                   {FR_BLOB_CGROUP, components("/shop.slice/" + text)}}));
    out.push_back(record<fr_exec_failed>(FR_CLASS_EXEC_FAILED, next(), 812, 812,
                                         [&](fr_exec_failed& e) {
                                             e.error = -ENOENT;
                                             set_comm(e.comm, text);
                                         },
                                         {{FR_BLOB_FILENAME, text}, {FR_BLOB_ARGV, text + "\0"s}}));
    out.push_back(record<fr_fork>(FR_CLASS_FORK, next(), 812, 813, [&](fr_fork& e) {
        e.clone_flags = 0x4100;
        e.start_ns = t;
        e.child_pid = e.child_tid = 900;
        e.parent_pid = 812;
        set_comm(e.comm, text);
    }));
    out.push_back(record<fr_exit>(FR_CLASS_EXIT, next(), 900, 900, [&](fr_exit& e) {
        e.start_ns = 100 * s;
        e.exit_code = SIGSEGV | 0x80;
        e.flags = FR_EXIT_GROUP_DEAD | FR_EXIT_GROUP_EXIT | FR_EXIT_OOM_VICTIM | FR_EXIT_RSS_KNOWN;
        e.utime_ns = 5 * ms;
        e.max_rss = 64u << 20;
        e.read_chars = 100;
        e.write_bytes = 4096;
        set_comm(e.comm, text);
    }));
    out.push_back(record<fr_signal>(FR_CLASS_SIGNAL, next(), 1, 1, [&](fr_signal& e) {
        e.signal = SIGTERM;
        e.target_pid = e.target_tid = 812;
        e.flags = FR_SIGNAL_GROUP | FR_SIGNAL_DEFAULT;
        set_comm(e.comm, text);
        set_comm(e.target_comm, text);
    }));
    out.push_back(record<fr_crash>(FR_CLASS_CRASH, next(), 812, 813,
                                   [&](fr_crash& e) {
                                       e.signal = SIGSEGV;
                                       e.code = 1;
                                       e.address = 8;
                                       e.ip = 0x401000;
                                       e.sp = 0x7ffc00000000;
                                       e.dumps_core = 1;
                                       e.start_ns = 99 * s;
                                       set_comm(e.comm, text);
                                   },
                                   {{FR_BLOB_USTACK, frames()}, {FR_BLOB_STACK_BYTES, "\1\2\3"}}));
    out.push_back(record<fr_module>(FR_CLASS_MODULE, next(), 812, 812,
                                    [&](fr_module& e) {
                                        e.start = 0x400000;
                                        e.end = 0x500000;
                                        e.build_id_len = 20;
                                    },
                                    {{FR_BLOB_PATH, "/usr/bin/" + text}}));
    out.push_back(record<fr_oom_kill>(FR_CLASS_OOM_KILL, next(), 812, 813,
                                      [&](fr_oom_kill& e) {
                                          e.victim_pid = e.victim_tid = 812;
                                          e.victim_anon = 60u << 20;
                                          e.victim_file = 1u << 20;
                                          e.domain_cgroup_id = 7;
                                          e.domain_limit = 64u << 20;
                                          e.domain_usage = FR_UNKNOWN;
                                          e.gfp_mask = 0xcc0;
                                          e.constraint = FR_OOM_MEMCG;
                                          e.flags = FR_OOM_CONTEXT_KNOWN | FR_OOM_DOMAIN_KNOWN | FR_OOM_GROUP;
                                          set_comm(e.comm, text);
                                          set_comm(e.victim_comm, text);
                                      },
                                      {{FR_BLOB_KSTACK, "\0\1\2\3\4\5\6\7"s},
                                       {FR_BLOB_KSTACK_TEXT, "oom_kill_process+0x1\n" + text + "\n"},
                                       {FR_BLOB_CGROUP, components("/shop.slice/" + text)},
                                       {FR_BLOB_ARGV, text + "\0"s}}));
    out.push_back(record<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE, next(), 812, 812,
                                           [&](fr_alloc_failure& e) {
                                               e.kind = FR_ALLOC_FORK;
                                               e.cause = FR_FORK_PIDS_CGROUP;
                                               e.result = -EAGAIN;
                                               e.syscall = nr("clone");
                                               e.limit = FR_NO_LIMIT;
                                               set_comm(e.comm, text);
                                           },
                                           {{FR_BLOB_CGROUP, components("/" + text)}}));
    out.push_back(call(next(), 812, 812, "openat", 3,
                       {.args = {0xffffff9c, 0x7ffc1000, 0}, .blobs = {{FR_BLOB_ARG0 + 1, "/etc/" + text}}}));
    out.push_back(call(next(), 812, 812, "read", -EIO, {.args = {3, 0x7ffc1000, 100}}));
    out.push_back(call(next(), 812, 812, "exit_group", 0, {.args = {1}, .cls = FR_CLASS_SYSCALL_ENTER}));
    out.push_back(call(next(), 812, 812, "read", 0, {.args = {3}, .took_ns = 3 * s, .cls = FR_CLASS_UNFINISHED}));
    out.push_back(record<fr_cgroup>(FR_CLASS_CGROUP, next(), 1, 1,
                                    [&](fr_cgroup& e) {
                                        e.cgroup_id = 8;
                                        e.op = FR_CGROUP_MKDIR;
                                    },
                                    {{FR_BLOB_TEXT, "/shop.slice/" + text}}));
    out.push_back(record<fr_cgroup_attach>(FR_CLASS_CGROUP_ATTACH, next(), 1, 1,
                                           [&](fr_cgroup_attach& e) {
                                               e.cgroup_id = 8;
                                               e.target_pid = e.target_tid = 812;
                                               e.whole_process = 1;
                                           },
                                           {{FR_BLOB_TEXT, "/shop.slice/" + text}}));
    out.push_back(record<fr_rename>(FR_CLASS_RENAME, next(), 812, 812, [&](fr_rename& e) {
        e.target_pid = 812;
        e.target_tid = 813;
        set_comm(e.old_comm, text);
        set_comm(e.new_comm, text);
    }));
    out.push_back(kmsg(next(), 3, text));
    out.push_back(record<fr_system_sample>(FR_CLASS_SYSTEM_SAMPLE, next(), 0, 0, [&](fr_system_sample& e) {
        e.mem_total = 1u << 30;
        e.mem_available = 1u << 28;
        e.swap_total = FR_UNKNOWN;
        e.psi_memory_full_avg10 = 1205;
        e.load1 = 150;
        e.threads_max = 7000;
    }));
    out.push_back(record<fr_cgroup_sample>(FR_CLASS_CGROUP_SAMPLE, next(), 0, 0,
                                           [&](fr_cgroup_sample& e) {
                                               e.cgroup_id = 8;
                                               e.memory_max = FR_NO_LIMIT;
                                               e.memory_swap = FR_UNKNOWN;
                                           },
                                           {{FR_BLOB_TEXT, "/shop.slice/" + text}}));
    out.push_back(record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, next(), 812, 812,
                                            [&](fr_process_sample& e) {
                                                e.rss = 10u << 20;
                                                e.growth = -4096;
                                                e.state = 'D';
                                                set_comm(e.comm, text);
                                            },
                                            {{FR_BLOB_TEXT, text}}));
    for (uint32_t kind = FR_MARKER_START; kind <= FR_MARKER_USER; ++kind)
        out.push_back(marker(next(), kind, {1, 2, 3, 4}, text));
    out.push_back(record<fr_ledger>(FR_CLASS_LEDGER, next(), 99, 99, [&](fr_ledger& e) {
        e.lines = FR_CLASS_COUNT;
        e.line[FR_CLASS_EXEC] = {10, 4, 3, 2, 1, 0};
    }));
    out.push_back(process(700, 1, text, text + "\0"s, 90 * s));
    out.push_back(record<fr_fd>(FR_CLASS_FD, next(), 812, 812, [&](fr_fd& e) { e.fd = 5; },
                                {{FR_BLOB_PATH, "/var/log/" + text}}));
    return out;
}

Story cgroup_oom_story() {
    Story story;
    constexpr uint64_t cgroup = 42;
    constexpr uint64_t mib = 1u << 20;
    story.keyframe.push_back(
        record<fr_cgroup>(FR_CLASS_CGROUP, 50 * s, 0, 0, [](fr_cgroup& e) { e.cgroup_id = cgroup; },
                          {{FR_BLOB_TEXT, "/shop.slice/docker-" + std::string(64, 'a') + ".scope"}}));
    story.keyframe.push_back(
        process(1, 0, "systemd", "/sbin/init\0"s, 1 * s, FR_PROCESS_PARENT_KNOWN | FR_PROCESS_BEFORE));
    story.keyframe.push_back(process(500, 1, "bash", "bash\0"s, 40 * s));
    story.keyframe.push_back(
        record<fr_fd>(FR_CLASS_FD, 50 * s, 500, 500, [](fr_fd& e) { e.fd = 0; }, {{FR_BLOB_PATH, "/dev/pts/0"}}));
    story.add(record<fr_fork>(FR_CLASS_FORK, 60 * s, 500, 500, [](fr_fork& e) {
        e.child_pid = e.child_tid = 812;
        e.parent_pid = 500;
        e.start_ns = 60 * s;
        e.cgroup_id = cgroup;
        e.uid = 1000;
        set_comm(e.comm, "bash");
    }));
    story.add(record<fr_exec>(FR_CLASS_EXEC, 60 * s + ms, 812, 812,
                              [](fr_exec& e) {
                                  e.start_ns = 60 * s;
                                  e.cgroup_id = cgroup;
                                  e.ppid = 500;
                                  e.uid = e.euid = 1000;
                                  set_comm(e.comm, "python3");
                              },
                              {{FR_BLOB_FILENAME, "/usr/bin/python3"},
                               {FR_BLOB_ARGV, "python3\0-c\0eat()\0"s},
                               {FR_BLOB_EXE, components("/usr/bin/python3")},
                               {FR_BLOB_CWD, components("/srv")}}));
    story.add(call(61 * s, 812, 812, "openat", 3,
                   {.args = {0xffffff9c, 0x7ffc1000, 0x80000}, .blobs = {{FR_BLOB_ARG0 + 1, "/etc/shop.conf"}}}));
    story.add(call(61 * s + ms, 812, 812, "read", 512, {.args = {3, 0x7ffc2000, 4096}}));
    story.add(call(61 * s + 2 * ms, 812, 812, "close", 0, {.args = {3}}));
    for (uint64_t i = 0; i < 20; ++i) {
        const uint64_t at = 80 * s + i * s;
        story.add(record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, at, 812, 812, [&](fr_process_sample& e) {
            e.start_ns = 60 * s;
            e.rss = e.anon = 10 * mib + i * 2 * mib;
            set_comm(e.comm, "python3");
        }));
        story.add(record<fr_system_sample>(FR_CLASS_SYSTEM_SAMPLE, at, 0, 0, [&](fr_system_sample& e) {
            e.mem_total = 1024 * mib;
            e.mem_available = 700 * mib;
        }));
    }
    story.add(call(99 * s + 990 * ms, 812, 812, "openat", -ENOENT,
                   {.args = {0xffffff9c, 0x7ffc1000, 0}, .blobs = {{FR_BLOB_ARG0 + 1, "/etc/missing"}}}));
    story.add(call(99 * s + 991 * ms, 812, 812, "openat", -ENOENT,
                   {.args = {0xffffff9c, 0x7ffc1000, 0}, .blobs = {{FR_BLOB_ARG0 + 1, "/etc/missing2"}}}));
    story.add(call(99 * s + 995 * ms, 812, 812, "mmap", -ENOMEM, {.args = {0, 1u << 30, 3, 0x22, ~0ull, 0}}));
    story.add(
        kmsg(100 * s - ms, 4, "python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"));
    story.add(kmsg(100 * s - ms, 6, "memory: usage 65536kB, limit 65536kB, failcnt 23"));
    story.add(kmsg(100 * s - ms, 6,
                   "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/shop.slice,"
                   "task_memcg=/shop.slice,task=python3,pid=812,uid=1000"));
    story.add(record<fr_oom_kill>(FR_CLASS_OOM_KILL, 100 * s, 812, 812,
                                  [](fr_oom_kill& e) {
                                      e.victim_pid = e.victim_tid = 812;
                                      e.victim_ppid = 500;
                                      e.victim_uid = 1000;
                                      e.victim_start_ns = 60 * s;
                                      e.victim_cgroup_id = e.domain_cgroup_id = cgroup;
                                      e.victim_anon = 48 * mib;
                                      e.victim_file = 4 * mib;
                                      e.victim_page_tables = 200 << 10;
                                      e.victim_total_vm = 100 * mib;
                                      e.domain_limit = e.domain_usage = 64 * mib;
                                      e.domain_failures = 23;
                                      e.gfp_mask = 0xcc0;
                                      e.constraint = FR_OOM_MEMCG;
                                      e.flags = FR_OOM_CONTEXT_KNOWN | FR_OOM_DOMAIN_KNOWN;
                                      set_comm(e.comm, "python3");
                                      set_comm(e.victim_comm, "python3");
                                  },
                                  {{FR_BLOB_ARGV, "python3\0-c\0eat()\0"s}}));
    story.add(kmsg(100 * s + ms, 3,
                   "Memory cgroup out of memory: Killed process 812 (python3) total-vm:102400kB, anon-rss:49152kB, "
                   "file-rss:4096kB, shmem-rss:0kB, UID:1000 pgtables:200kB oom_score_adj:0"));
    story.add(record<fr_exit>(FR_CLASS_EXIT, 100 * s + 5 * ms, 812, 812, [](fr_exit& e) {
        e.start_ns = 60 * s;
        e.exit_code = SIGKILL;
        e.flags = FR_EXIT_GROUP_DEAD | FR_EXIT_GROUP_EXIT | FR_EXIT_OOM_VICTIM;
        set_comm(e.comm, "python3");
    }));
    story.add(marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_OOM_KILL, 812, 1, 0},
                     R"({"number":1,"reason":"oom_kill","facts":{"pid":812}})"));
    return story;
}

}  // namespace flightrec::replay::test
