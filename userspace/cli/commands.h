// SPDX-License-Identifier: Apache-2.0
// How a subcommand joins the tool: one function a file, called by main().
//
// add_<name>(app, chosen) defines the subcommand's options and sets `chosen` from its CLI11 callback; main() runs what
// was chosen after parsing. A command returns its exit code (docs/exit-codes.md), or an Error that main() prints as one
// line and turns into a code. To add one: a file here, its name in CMakeLists.txt, a line in commands() of main.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>

#include "userspace/base/result.h"

namespace flightrec::cli {

// docs/exit-codes.md.
enum ExitCode : int {
    exit_ok = 0,
    exit_internal = 1,
    exit_usage = 2,
    exit_not_found = 3,
    exit_permission = 4,
    exit_unsupported = 5,
    exit_damaged = 6,
    exit_io = 7,
    exit_network = 8,
    exit_busy = 9,
    exit_no_space = 10,
    exit_interrupted = 130,
};
[[nodiscard]] int exit_code(Code code);

using Command = std::function<Result<int>()>;

void add_record(CLI::App& app, Command& chosen);
void add_dump(CLI::App& app, Command& chosen);
void add_status(CLI::App& app, Command& chosen);
void add_doctor(CLI::App& app, Command& chosen);
void add_replay(CLI::App& app, Command& chosen);
void add_tree(CLI::App& app, Command& chosen);
void add_report(CLI::App& app, Command& chosen);
void add_verify(CLI::App& app, Command& chosen);

// Set by SIGINT and SIGTERM once stop_on_signals() was called.
extern std::atomic<bool> stop_requested;
void stop_on_signals();

}  // namespace flightrec::cli
