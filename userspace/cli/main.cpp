// SPDX-License-Identifier: Apache-2.0
// flightrec: parses the command line, runs the subcommand, turns its result into an exit code.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "userspace/base/log.h"
#include "userspace/base/result.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/usage_error.h"

namespace {

using namespace flightrec;

// Every subcommand, in the order of the help. Those that need the kernel are left out of a build of the tools alone.
void add_commands(CLI::App& app, cli::Command& chosen) {
#ifdef FLIGHTREC_COMMAND_RECORD
    cli::add_record(app, chosen);
#endif
#ifdef FLIGHTREC_COMMAND_DUMP
    cli::add_dump(app, chosen);
#endif
#ifdef FLIGHTREC_COMMAND_STATUS
    cli::add_status(app, chosen);
#endif
#ifdef FLIGHTREC_COMMAND_DOCTOR
    cli::add_doctor(app, chosen);
#endif
    cli::add_replay(app, chosen);
    cli::add_tree(app, chosen);
    cli::add_report(app, chosen);
    cli::add_verify(app, chosen);
}

constexpr const char* description =
    "flightrec records what a Linux server does and tells afterwards why something died.\n"
    "\n"
    "FILE is a dump, the window of a running recorder, or a window copied from the disk of a dead machine.";

constexpr const char* footer =
    "\nExamples:\n"
    "  flightrec report incident.flight                          why it died, with the evidence\n"
    "  flightrec replay incident.flight --since -10s             the ten seconds before the incident\n"
    "  flightrec replay incident.flight --tree 812 --failed      what failed in process 812 and its children\n"
    "  flightrec replay --follow /var/lib/flightrec/window.flight\n"
    "  flightrec tree incident.flight --at -30s                  who was whose child half a minute before\n"
    "  flightrec verify incident.flight\n"
    "\n"
    "Exit codes: 0 ok, 1 internal error, 2 usage, 3 not found, 4 no permission, 5 kernel or file version not\n"
    "supported, 6 damaged file, 7 I/O error, 8 network, 9 busy, 10 no space, 130 interrupted.";

// What is left in stdio's buffer may meet a full disk; a reader that went away is no error.
int written(int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    if (errno == EPIPE) return code;
    const Error error = fail_errno(errno, "cannot write the output").error();
    log::error("{}", error.message);
    return cli::exit_code(error.code);
}

// The arguments, last first, as CLI11 takes them; "help" and "help COMMAND" ask for --help.
std::vector<std::string> arguments_of(int argc, char** argv) {
    std::vector<std::string> out(argv + std::min(argc, 1), argv + argc);
    if (!out.empty() && out.front() == "help") {
        out.erase(out.begin());
        out.emplace_back("--help");
    }
    std::reverse(out.begin(), out.end());
    return out;
}

int run(int argc, char** argv) {
    CLI::App app{description, "flightrec"};
    app.footer(footer);
    app.set_version_flag("-V,--version", "flightrec " FLIGHTREC_VERSION);
    app.set_help_flag("-h,--help", "Show this help");
    app.require_subcommand(1);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    cli::Command chosen;
    add_commands(app, chosen);
    try {
        app.parse(arguments_of(argc, argv));
    } catch (const CLI::Success& asked) {  // --help, --version
        return written(app.exit(asked));
    } catch (const CLI::ParseError& error) {
        log::error("{}", cli::usage_message(error, app));
        return cli::exit_usage;
    }
    const Result<int> result = chosen();
    if (result) return written(*result);
    log::error("{}", result.error().message);
    return cli::exit_code(result.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {  // out of memory; everything else is returned as a Result
        log::error("{}", error.what());
        return cli::exit_internal;
    }
}
