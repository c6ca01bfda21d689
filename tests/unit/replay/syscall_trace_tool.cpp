// SPDX-License-Identifier: Apache-2.0
// Runs a command under ptrace and prints each system call as `flightrec replay --json` does, captured as the syscall
// table says. A stand-in for the recorder on machines where it may not run; strace_compare.py takes its output.
//
//     syscall_trace_tool OUTPUT COMMAND [ARGUMENT…]
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>  // after sys/ptrace.h

#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>

#include "tests/unit/replay/syscall_record.h"
#include "userspace/replay/syscall_text.h"

namespace {

using flightrec::replay::testing::SyscallRecord;

// One integer type for both C libraries' views of a request.
long request(int what, pid_t tid, uint64_t address, uint64_t data) {
    return ptrace(static_cast<__ptrace_request>(what), tid, address, data);
}

constexpr uint64_t kOptions =
    PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;

struct Thread {
    std::optional<SyscallRecord> entered;
};

size_t read_memory(pid_t tid, uint64_t address, void* to, size_t size) {
    iovec local{to, size}, remote{reinterpret_cast<void*>(address), size};
    const ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (got >= 0 && static_cast<size_t>(got) == size) return size;
    const size_t page = 4096 - address % 4096;  // up to the end of the page that is there
    if (page >= size) return 0;
    local.iov_len = remote.iov_len = page;
    return process_vm_readv(tid, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(page) ? page : 0;
}

void print(std::ofstream& out, pid_t tid, const SyscallRecord& record) {
    std::string line;
    flightrec::replay::JsonLine json(line);
    json.open();
    json.text("class", "syscall");
    json.number("tid", tid);
    json.number("pid", tid);
    append_syscall_fields(json, {record.ref(), {}});
    json.close();
    out << line << '\n';
}

void stop(std::ofstream& out, pid_t tid, Thread& thread) {
    __ptrace_syscall_info info{};
    if (request(PTRACE_GET_SYSCALL_INFO, tid, sizeof info, reinterpret_cast<uint64_t>(&info)) < 0) return;
    const auto arch = flightrec::schemas::host_arch();
    const auto memory = [tid](uint64_t address, void* to, size_t size) { return read_memory(tid, address, to, size); };
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        const auto& a = info.entry.args;
        const auto nr = static_cast<uint32_t>(info.entry.nr);
        thread.entered.emplace(FR_CLASS_SYSCALL_ENTER, nr, std::array<uint64_t, 6>{a[0], a[1], a[2], a[3], a[4], a[5]});
        const auto* call = flightrec::schemas::find_syscall(arch, nr);
        if (call != nullptr && call->strings_at_entry) thread.entered->capture(arch, memory, 4096);
        if (call != nullptr && call->may_not_return) print(out, tid, *thread.entered);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && thread.entered) {
        SyscallRecord& record = *thread.entered;
        record.head().event.cls = FR_CLASS_SYSCALL;
        record.head().result = info.exit.rval;
        const auto* call = flightrec::schemas::find_syscall(arch, record.head().nr);
        if (call != nullptr && !call->strings_at_entry) record.capture(arch, memory, 4096);
        print(out, tid, record);
        thread.entered.reset();
    }
}

int follow(std::ofstream& out, pid_t first) {
    std::map<pid_t, Thread> threads{{first, {}}};
    int code = 0, status = 0;
    while (!threads.empty()) {
        const pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0) break;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            threads.erase(tid);
            if (tid == first) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        const auto [at, fresh] = threads.try_emplace(tid);
        const int signal = WSTOPSIG(status);
        uint64_t deliver = 0;
        if (signal == (SIGTRAP | 0x80))
            stop(out, tid, at->second);
        else if (status >> 16 == 0 && !(fresh && signal == SIGSTOP) && signal != SIGTRAP)
            deliver = static_cast<uint64_t>(signal);
        request(PTRACE_SYSCALL, tid, 0, deliver);
    }
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: syscall_trace_tool OUTPUT COMMAND [ARGUMENT…]\n");
        return 2;
    }
    const pid_t child = fork();
    if (child == 0) {
        request(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        std::perror(argv[2]);
        _exit(127);
    }
    std::ofstream out(argv[1]);  // after the fork: the command is to find its usual descriptors
    int status = 0;
    waitpid(child, &status, 0);
    request(PTRACE_SETOPTIONS, child, 0, kOptions);
    request(PTRACE_SYSCALL, child, 0, 0);
    return follow(out, child);
}
