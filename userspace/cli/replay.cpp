// SPDX-License-Identifier: Apache-2.0
// flightrec replay FILE: the events of a flight as text or JSON.
#include "userspace/replay/replay.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include <memory>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/open_file.h"

namespace flightrec::cli {
namespace {

struct ReplayArguments {
    std::string file;
    std::string time, color = "auto";
    bool json = false, stats = false, no_fd_names = false, no_full = false;
    replay::ReplayOptions options;
    uint64_t last = 0;
    uint64_t incident = 0;
    CLI::Option* has_last = nullptr;
    CLI::Option* has_incident = nullptr;
};

constexpr const char* replay_footer =
    "\nTimes: -10s and +2s count from the trigger (or --incident N; a flight without a trigger: from its end);\n"
    "\"2026-11-23 11:10:02.5\" is UTC, RFC 3339 zones are understood; @123.4 is seconds since boot.\n"
    "\"11:10\" and \"11:10:02\" are the last such time before the end of the flight, \"today 11:10\" is one of "
    "today's.\n"
    "In the window of a running recorder -10s counts from its end, which is now.\n"
    "Conditions are joined by AND, values of one condition by OR. Of --class, --syscall, --comm and --cgroup a value\n"
    "with ! before it is left out: --class '!samples'. Gaps in the record are always shown. --failed means system\n"
    "calls, execs and allocations that returned an error, as strace -Z; who ended badly: --class exit,crash.\n"
    "\nExamples:\n"
    "  flightrec replay x.flight --since -5s --tail 100\n"
    "  flightrec replay x.flight --pid 812 --syscall openat,connect --failed\n"
    "  flightrec replay x.flight --cgroup /system.slice/shop.service --slower-than 100ms\n"
    "  flightrec replay x.flight --class exec,exit,signal --time utc\n"
    "  flightrec replay x.flight --json | jq 'select(.errno == \"ENOMEM\")'\n"
    "\nExits with 0, also when the reader of its output goes away; 2 for a name or time that makes no sense, 3 when "
    "there\n"
    "is no such file or incident, 6 for a damaged file (what can be read is shown), 130 when interrupted.";

const CLI::Validator positive_number(
    [](const std::string& text) {
        const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
        return digits && text.find_first_not_of('0') != std::string::npos && text.size() < 19
                   ? std::string{}
                   : fmt::format("\"{}\" is no positive number", printable(text));
    },
    "");

void add_filter_options(CLI::App& command, ReplayArguments& arguments) {
    auto& f = arguments.options.filter;
    const char* group = "Which events";
    command.add_option("--since", f.since, "Only events from this moment on")->type_name("TIME")->group(group);
    command.add_option("--until", f.until, "Only events up to this moment")->type_name("TIME")->group(group);
    arguments.has_incident =
        command
            .add_option("--incident", arguments.incident,
                        "Times count from this incident, as the report numbers them (default: the trigger)")
            ->type_name("N")
            ->group(group);
    command.add_option("--pid", f.pids, "Events of, or about, these processes")
        ->type_name("PID")
        ->delimiter(',')
        ->group(group);
    command.add_option("--tid", f.tids, "Events of, or about, these threads")
        ->type_name("TID")
        ->delimiter(',')
        ->group(group);
    command.add_option("--tree", f.trees, "These processes and all their descendants")
        ->type_name("PID")
        ->delimiter(',')
        ->group(group);
    command.add_option("--comm", f.comms, "Threads or processes of this name; * ? [] match")
        ->type_name("GLOB")
        ->delimiter(',')
        ->group(group);
    command.add_option("--cgroup", f.cgroups, "Processes in this cgroup or below it; * ? [] match")
        ->type_name("PATH")
        ->delimiter(',')
        ->group(group);
    command
        .add_option("--class", f.classes,
                    "Events of these classes: exec, syscall, oom_kill, …, or samples, lifecycle, memory")
        ->type_name("NAME")
        ->delimiter(',')
        ->group(group);
    command.add_option("--syscall", f.syscalls, "These system calls")->type_name("NAME")->delimiter(',')->group(group);
    command.add_flag("--failed", f.failed, "Only calls, execs and allocations that failed, as strace -Z")->group(group);
    command.add_option("--errno", f.errnos, "Only what failed with this error")
        ->type_name("NAME")
        ->delimiter(',')
        ->group(group);
    command.add_option("--slower-than", f.slower_than, "System calls that took at least this long")
        ->type_name("TIME")
        ->group(group);
    command.add_option("--grep", f.grep, "Events whose text holds this")->type_name("TEXT")->group(group);
    arguments.has_last = command.add_option("--last,--tail", arguments.last, "Only the last N of them")
                             ->type_name("N")
                             ->check(positive_number)
                             ->group(group);
}

void add_output_options(CLI::App& command, ReplayArguments& arguments) {
    const char* group = "How they are shown";
    command.add_flag("--json", arguments.json, "One JSON object a line (schemas/json/event.schema.json)")->group(group);
    command.add_flag("--stats", arguments.stats, "Counts by system call and class instead of events")->group(group);
    command
        .add_flag(
            "-f,--follow", arguments.options.follow,
            "Go on with what a running recorder adds, until Ctrl-C or its end; a recorder that is started again is "
            "followed, too")
        ->group(group);
    command
        .add_flag("-v,--verbose", arguments.options.everything,
                  "Also state, ledgers, modules, samples of single processes and cgroups")
        ->group(group);
    command.add_option("--time", arguments.time, "relative (to the trigger), utc, boot or delta")
        ->check(CLI::IsMember({"relative", "utc", "boot", "delta"}))
        ->type_name("STYLE")
        ->group(group);
    command.add_option("--color", arguments.color, "auto, always or never; NO_COLOR is honoured")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN")
        ->group(group);
    command
        .add_option("-s,--string-limit", arguments.options.text.string_limit,
                    "Show at most so many bytes of a string that is no path (default: all that was recorded)")
        ->type_name("N")
        ->check(positive_number)
        ->group(group);
    add_symbol_options(command, arguments.options.symbols, arguments.options.debug_directories);
    command.add_flag("--no-full", arguments.no_full, "Cut lines to the width of the terminal ($COLUMNS)")->group(group);
    command.add_flag("--no-fd-names", arguments.no_fd_names, "Show 3, not 3</etc/passwd>")->group(group);
}

std::optional<replay::TimeStyle> time_style(const std::string& name) {
    if (name == "relative") return replay::TimeStyle::relative;
    if (name == "utc") return replay::TimeStyle::utc;
    if (name == "boot") return replay::TimeStyle::boot;
    if (name == "delta") return replay::TimeStyle::delta;
    return std::nullopt;
}

// Columns of the terminal: $COLUMNS, else what it says itself, else 80.
size_t terminal_width() {
    if (const char* columns = std::getenv("COLUMNS"); columns != nullptr) {
        const long value = std::strtol(columns, nullptr, 10);
        if (value > 0 && value < 100000) return static_cast<size_t>(value);
    }
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : 80;
}

// An empty answer is told from an empty file and from a mistaken question.
void say_nothing_found(const flight::FlightFile& file, const replay::ReplaySummary& summary) {
    uint64_t events = 0;
    for (const auto& segment : file.segments())
        for (const auto& block : segment.blocks)
            if (block.header.kind != FR_BLOCK_KEYFRAME) events += block.header.events;
    if (events == 0) {
        log::warning("there are no events in this file");
        return;
    }
    log::warning("{}; the file has {} events, from {} to {}",
                 summary.selected ? "no event fits these options" : "no event of it is shown without -v", events,
                 format_utc(file.realtime_of(file.first_ns())), format_utc(file.realtime_of(file.last_ns())));
}

Result<int> run(ReplayArguments& arguments) {
    auto& options = arguments.options;
    if (arguments.has_last->count() != 0) options.last = arguments.last;
    if (arguments.has_incident->count() != 0) options.incident = arguments.incident;
    if (options.follow && arguments.stats) return fail(Code::usage, "--follow and --stats exclude each other");
    if (options.follow && !options.filter.until.empty())
        return fail(Code::usage, "--follow and --until exclude each other");
    options.time = time_style(arguments.time);
    options.text.color = use_color(arguments.color);
    if (arguments.no_full) options.width = terminal_width();
    options.path = arguments.file;
    options.text.fd_names = !arguments.no_fd_names;
    options.format = arguments.stats  ? (arguments.json ? replay::Format::stats_json : replay::Format::stats)
                     : arguments.json ? replay::Format::json
                                      : replay::Format::text;
    FR_ASSIGN(auto file, open_flight(arguments.file));
    stop_on_signals();
    replay::Output out(STDOUT_FILENO);
    FR_ASSIGN(const auto summary, replay::replay(file, options, out, stop_requested));
    if (stop_requested.load() && !options.follow) return exit_interrupted;
    if (summary.blocks_lost != 0)
        log::warning("{} blocks were overwritten by the recorder while they were read", summary.blocks_lost);
    if (summary.matched == 0 && !options.follow) say_nothing_found(file, summary);
    if (summary.damage.none()) return exit_ok;
    warn_of_damage(summary.damage);
    log::error("{} is damaged; what could be read is shown", printable(arguments.file));
    return exit_damaged;
}

}  // namespace

void add_replay(CLI::App& app, Command& chosen) {
    auto arguments = std::make_shared<ReplayArguments>();  // owned by the callbacks of this command
    CLI::App* command = app.add_subcommand("replay", "Show the events of a flight, newest last");
    command->footer(replay_footer);
    command->add_option("FILE", arguments->file, "A dump, a live window, or a window of a dead machine")->required();
    add_filter_options(*command, *arguments);
    add_output_options(*command, *arguments);
    command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
