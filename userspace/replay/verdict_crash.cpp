// SPDX-License-Identifier: Apache-2.0
// The verdict on a crash: signal, code and address, where it happened, who sent it, and whether it keeps happening.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {
namespace {

bool has_address(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP;
}

// abort(3) raises SIGABRT in the calling thread with tgkill(2); so does raise(3), which cannot be told from it.
bool called_abort(const fr_crash& crash) {
    constexpr int si_tkill = -6;
    return crash.signal == SIGABRT && crash.code == si_tkill && crash.sender_pid == crash.event.pid;
}

// What the numbers themselves say; nothing is concluded from the program.
std::string describe_fault(const fr_crash& crash) {
    std::string out = signal_name(crash.signal);
    if (called_abort(crash)) return out + ": it called abort()";
    out += fmt::format(" ({}", signal_code_name(crash.signal, crash.code));
    if (const auto meaning = signal_code_meaning(crash.signal, crash.code); !meaning.empty())
        out += fmt::format(": {}", meaning);
    out += ')';
    if (has_address(crash.signal) && crash.code > 0) {
        out += fmt::format(" at address 0x{:x}", crash.address);
        if (crash.signal == SIGSEGV && crash.address < 4096) out += ", in the first page: a null pointer";
        if (crash.signal == SIGSEGV && crash.address == crash.ip) out += ", where it tried to execute";
    }
    return out;
}

void add_sender(const VerdictInput& in, IncidentReport& out) {
    const auto& crash = in.seed.crash;
    Statement s{"sender", {}, true, {}};
    for (const auto& sent : in.digest.signals)
        if (sent.target_pid == in.seed.pid && sent.signal == crash.signal && sent.time_ns <= in.seed.time_ns &&
            sent.time_ns + 10 * second > in.seed.time_ns)
            s.evidence = {sent.line};
    const bool by_process = crash.code <= 0;
    if (!by_process) {
        s.text = "the kernel raised it, for what the thread itself did";
    } else if (crash.sender_pid == in.seed.pid) {
        s.text = called_abort(crash) ? "it sent the signal to its own thread with tgkill, as abort(3) does"
                                     : "it sent the signal to itself";
    } else if (crash.sender_pid != 0) {
        s.text = "the signal was sent by ";
        append_process_name(s.text, in.digest.state.comm_of(crash.sender_pid, crash.sender_pid), crash.sender_pid);
    } else {
        s.known = !s.evidence.empty();
        s.text = s.known ? "the signal was sent by a process" : "who sent the signal is unknown";
    }
    out.statements.push_back(std::move(s));
}

void add_place(const VerdictInput& in, IncidentReport& out) {
    const auto& crash = in.seed.crash;
    Statement s{"where", {}, true, {}};
    s.text = crash.ip != 0 ? fmt::format("thread {} at ip 0x{:x}, sp 0x{:x}, bp 0x{:x}", crash.event.tid, crash.ip,
                                         crash.sp, crash.bp)
                           : fmt::format("thread {}; its registers are not known", crash.event.tid);
    s.known = crash.ip != 0;
    if (in.seed.stack.empty()) s.text += "; no user stack was recorded";
    for (const auto& line : in.seed.stack) s.evidence.push_back({in.seed.time_ns, "  " + line});
    out.statements.push_back(std::move(s));
    if (in.seed.modules.empty()) return;
    Statement m{"modules",
                fmt::format("{} mapped file{}", in.seed.modules.size(), in.seed.modules.size() == 1 ? "" : "s"),
                true,
                {}};
    for (const auto& line : in.seed.modules) m.evidence.push_back({in.seed.time_ns, line});
    out.statements.push_back(std::move(m));
}

// The first line of the stack, where it is a place in a file: equal lines are the same place, wherever it is mapped.
std::string place_of(const IncidentSeed& seed) {
    return seed.stack.empty() || seed.stack[0].find("+0x") == std::string::npos ? std::string{} : seed.stack[0];
}

std::string lifetimes(const std::vector<const IncidentSeed*>& same) {
    std::vector<uint64_t> lives;
    for (const auto* seed : same)
        if (seed->crash.start_ns != 0 && seed->crash.start_ns <= seed->time_ns)
            lives.push_back(seed->time_ns - seed->crash.start_ns);
    if (lives.empty()) return {};
    std::string out = "; it lived for ";
    if (lives.size() <= 5) {
        for (size_t i = 0; i < lives.size(); ++i) out += (i == 0 ? "" : ", ") + format_duration(lives[i]);
        return out;
    }
    std::sort(lives.begin(), lives.end());
    return out + fmt::format("{} to {}, half of them less than {}", format_duration(lives.front()),
                             format_duration(lives.back()), format_duration(lives[lives.size() / 2]));
}

// One line an attempt.
Evidence attempt_line(const IncidentSeed& seed, size_t number) {
    Evidence out{seed.time_ns, fmt::format("attempt {}: ", number)};
    append_process_name(out.text, seed.comm, seed.pid);
    out.text += ' ' + signal_name(seed.crash.signal);
    if (seed.crash.start_ns != 0 && seed.crash.start_ns <= seed.time_ns)
        out.text += " after " + format_duration(seed.time_ns - seed.crash.start_ns);
    out.text += ' ';
    append_argv(out.text, seed.argv, false, 60);
    return out;
}

void add_loop(const VerdictInput& in, IncidentReport& out) {
    const auto same = crashes_like(in.digest, in.seed);
    if (same.size() < 2) return;
    constexpr size_t shown = 12;
    Statement s{"crash_loop", {}, true, {}};
    std::set<std::string> signals, argvs, places;
    std::set<uint32_t> parents;
    size_t index = 0;
    for (size_t i = 0; i < same.size(); ++i) {
        const auto& seed = *same[i];
        if (&seed == &in.seed) index = i + 1;
        signals.insert(signal_name(seed.crash.signal));
        argvs.insert(seed.argv);
        places.insert(place_of(seed));
        parents.insert(seed.ancestry.empty() ? seed.crash.ppid : seed.ancestry[0].pid);
        if (i < shown - 1 || i + 1 == same.size()) s.evidence.push_back(attempt_line(seed, i + 1));
    }
    s.text = fmt::format("crash {} of {} of this program in this cgroup within {}", index, same.size(),
                         format_duration(same.back()->time_ns - same.front()->time_ns));
    s.text += "; signals ";
    for (auto it = signals.begin(); it != signals.end(); ++it) s.text += (it == signals.begin() ? "" : ", ") + *it;
    s.text += lifetimes(same);
    if (places.size() == 1 && !places.begin()->empty()) s.text += "; always at the same place";
    if (parents.size() == 1 && *parents.begin() != 0) s.text += fmt::format("; all started by {}", *parents.begin());
    s.text += argvs.size() > 1 ? fmt::format("; the command line changed ({} different ones)", argvs.size())
                               : "; always with the same command line";
    out.statements.push_back(std::move(s));
}

// What a program that aborts says first goes to standard error, whose contents are not recorded: that it wrote is. A
// line that names it in the kernel log (through /dev/kmsg) is its message.
void add_message(const VerdictInput& in, IncidentReport& out) {
    constexpr uint64_t reach_ns = 2 * second;
    if (!called_abort(in.seed.crash)) return;
    Statement s{"message", {}, true, {}};
    const std::string id = fmt::format("[{}]", in.seed.pid);
    for (const auto& line : in.digest.kernel)
        if (line.time_ns + reach_ns > in.seed.time_ns && line.time_ns <= in.seed.time_ns &&
            line.text.find(id) != std::string::npos)
            s.evidence.push_back(kernel_evidence(line));
    if (!s.evidence.empty()) {
        s.text = "what it said in the kernel log before";
        out.statements.push_back(std::move(s));
        return;
    }
    for (const auto& line : in.calls.last)
        for (const std::string_view call : {" write(2", " writev(2", " sendmsg(2", " sendto(2"})
            if (line.text.find(call) != std::string::npos) s.evidence.push_back(line);
    s.known = false;
    s.text = s.evidence.empty()
                 ? "it wrote nothing to standard error in its last calls, and nothing of it is in the kernel log"
                 : "what it wrote to standard error before is not known: contents are not recorded; look for it where "
                   "its standard error goes";
    out.statements.push_back(std::move(s));
}

void add_core(const VerdictInput& in, IncidentReport& out) {
    for (const auto& death : in.digest.deaths) {
        if (death.pid != in.seed.pid || death.time_ns < in.seed.time_ns) continue;
        Statement s{"death", {}, true, {death.line}};
        s.text = fmt::format("it was gone {} later, {}", format_duration(death.time_ns - in.seed.time_ns),
                             (death.exit_code & 0x80) != 0 ? "and a core was dumped" : "and no core was dumped");
        out.statements.push_back(std::move(s));
        return;
    }
}

}  // namespace

void crash_verdict(const VerdictInput& in, IncidentReport& out) {
    if (!in.seed.has_event) {
        out.cause = "crash_unknown";
        out.verdict = fmt::format("{} crashed; how is unknown: the event is not in this file", who(in.seed));
        add_identity(in, out);
        add_calls(in, out);
        add_kernel_log(in, out, 2 * second, 2 * second, 20);
        return;
    }
    const auto same = crashes_like(in.digest, in.seed);
    const bool loop = same.size() >= crash_loop_from;
    out.cause = loop ? "crash_loop" : "crash";
    out.verdict = fmt::format("{} crashed with {}", who(in.seed), describe_fault(in.seed.crash));
    if (loop)
        out.verdict += fmt::format("; a crash loop: this program crashed {} times within {}", same.size(),
                                   format_duration(same.back()->time_ns - same.front()->time_ns));
    add_identity(in, out);
    out.statements.push_back({"why", describe_fault(in.seed.crash), true, {in.seed.line}});
    add_place(in, out);
    add_loop(in, out);
    add_sender(in, out);
    add_message(in, out);
    add_core(in, out);
    add_calls(in, out);
    add_kernel_log(in, out, 1 * second, 2 * second, 20);
    add_machine(in, out);
}

}  // namespace flightrec::replay
