// SPDX-License-Identifier: Apache-2.0
// What the reading commands share: opening FILE with messages that say what to do, telling about damage, colour.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/reader.h"

namespace flightrec::cli {

// As FlightFile::open; "-" is the standard input, and a pipe or a zstd-compressed file (of either) is first read into
// memory, at most 4 GiB. With the remedy in the message: not there, no permission, a directory, empty, not a flight
// file, of a newer version.
Result<flight::FlightFile> open_flight(const std::string& path);

// One warning line for each of the first damaged places, and one for how many more there are; nothing when none.
void warn_of_damage(const flight::Damage& damage);

// --debug-dir and --no-symbols. Both references must live as long as the command.
void add_symbol_options(CLI::App& command, bool& symbols, std::vector<std::string>& directories);

// Whether standard output is to be coloured: `when` is auto, always or never. NO_COLOR (no-color.org) and TERM=dumb
// turn auto off.
[[nodiscard]] bool use_color(const std::string& when);

}  // namespace flightrec::cli
