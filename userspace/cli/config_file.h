// SPDX-License-Identifier: Apache-2.0
// Options of a command read from a file: `name = value`, a line each, in the long names of its command line.
#pragma once

#include <string>

#include "userspace/base/result.h"
#include "userspace/cli/commands.h"

namespace flightrec::cli {

// Gives `command` every option of the file that its command line did not give. `# …` is a comment; a flag is
// `name = true`; an option that may be repeated takes a list: `to = ["/var/dumps", "https://…"]`. The form is that of
// CLI11's configuration files (TOML), without sections. To be called after parsing, before the values are used.
// An error names the file and the option; nothing of the file holds then.
Result<void> read_config_file(CLI::App& command, const std::string& path);

}  // namespace flightrec::cli
