// SPDX-License-Identifier: Apache-2.0
// Opening a flight for the reading commands.
#include "userspace/cli/open_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::cli {

Result<flight::FlightFile> open_flight(const std::string& path) {
    const std::string name = printable(path);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        if (errno == ENOENT) return fail(Code::not_found, fmt::format("{}: there is no such file", name));
        return fail_errno(errno, fmt::format("cannot open {}", name));
    }
    if (S_ISDIR(info.st_mode))
        return fail(Code::usage, fmt::format("{} is a directory; name the .flight file in it", name));
    if (S_ISREG(info.st_mode) && info.st_size == 0)
        return fail(Code::corrupt, fmt::format("{} is empty: the copy was not finished, or nothing was written", name));
    auto file = flight::FlightFile::open(path);
    if (file) return file;
    Error error = file.error();
    if (error.code == Code::permission) error.message += "; flight files belong to root, try with sudo";
    if (error.code == Code::unsupported) error.message += "; read it with a newer flightrec";
    return std::unexpected(std::move(error));
}

void add_symbol_options(CLI::App& command, bool& symbols, std::vector<std::string>& directories) {
    command
        .add_option("--debug-dir", directories,
                    "Look below this directory, too, for the executables, libraries and debug files of user stacks; by "
                    "build id; may be repeated")
        ->type_name("DIR")
        ->check(CLI::ExistingDirectory)
        ->group("Symbols");
    command
        .add_flag_callback(
            "--no-symbols", [&symbols] { symbols = false; }, "Leave user stacks as build id + offset")
        ->group("Symbols");
}

bool use_color(const std::string& when) {
    if (when == "always") return true;
    if (when == "never" || std::getenv("NO_COLOR") != nullptr) return false;
    const char* terminal = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void warn_of_damage(const flight::Damage& damage) {
    constexpr size_t shown = 5;
    for (size_t i = 0; i < damage.items.size() && i < shown; ++i) {
        const auto& item = damage.items[i];
        log::warning("damage at byte {}: {} ({} bytes skipped)", item.offset, printable(item.what), item.bytes);
    }
    if (damage.count > shown)
        log::warning("{} more damaged places; 'flightrec verify' lists them", damage.count - shown);
}

}  // namespace flightrec::cli
