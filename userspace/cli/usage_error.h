// SPDX-License-Identifier: Apache-2.0
// Errors of the command line parser as one clear line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace flightrec::cli {

// "unknown option --foo; see 'flightrec replay --help'". app: the whole, parsed as far as it went.
[[nodiscard]] std::string usage_message(const CLI::ParseError& error, const CLI::App& app);

}  // namespace flightrec::cli
