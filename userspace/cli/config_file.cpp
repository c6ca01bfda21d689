// SPDX-License-Identifier: Apache-2.0
// The options file of a command, by way of CLI11's own parser: CLI11 2.1 reads such files for the whole program only.
#include "userspace/cli/config_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>

#include "userspace/base/text.h"

namespace flightrec::cli {
namespace {

Result<void> apply(CLI::App& command, const CLI::ConfigItem& item) {
    if (!item.parents.empty() && item.name != "++" && item.name != "--")
        return fail(Code::usage, fmt::format("[{}]: sections are not known", printable(item.parents.front())));
    if (item.name == "++" || item.name == "--") return {};
    CLI::Option* option = command.get_option_no_throw("--" + item.name);
    if (option == nullptr || item.name == "config" || item.name == "help")
        return fail(Code::usage,
                    fmt::format("{} is no option of 'flightrec {}'", printable(item.name), command.get_name()));
    if (option->count() != 0) return {};  // the command line has the last word
    try {
        if (option->get_expected_max() == 0) {  // a flag
            const std::string value = item.inputs.empty() ? "true" : item.inputs.front();
            if (value == "false") return {};
            if (value != "true")
                return fail(Code::usage, fmt::format("{} is a flag: true or false", printable(item.name)));
            option->add_result(option->get_flag_value(item.name, "true"));
        } else {
            option->add_result(item.inputs);
        }
        option->run_callback();
    } catch (const CLI::Error&) {
        return fail(Code::usage, fmt::format("{}: \"{}\" is no value for it", printable(item.name),
                                             printable(item.inputs.empty() ? "" : item.inputs.front())));
    }
    return {};
}

}  // namespace

Result<void> read_config_file(CLI::App& command, const std::string& path) {
    std::ifstream file(path);
    if (!file) return fail_errno(errno, fmt::format("cannot open the options file {}", printable(path)));
    std::vector<CLI::ConfigItem> items;
    try {
        items = CLI::ConfigBase().from_config(file);
    } catch (const CLI::Error& error) {
        return fail(Code::usage, fmt::format("options file {}: {}", printable(path), printable(error.what())));
    }
    for (const CLI::ConfigItem& item : items) {
        if (const auto applied = apply(command, item); !applied)
            return fail(applied.error().code,
                        fmt::format("options file {}: {}", printable(path), applied.error().message));
    }
    return {};
}

}  // namespace flightrec::cli
