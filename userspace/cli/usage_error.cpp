// SPDX-License-Identifier: Apache-2.0
// Rewording what CLI11 says.
#include "userspace/cli/usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "userspace/base/text.h"

namespace flightrec::cli {
namespace {

std::string lower_first(std::string text) {
    if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

std::string one_line(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ' ');
    while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
    return printable(text);
}

std::string unexpected(const std::string& argument, bool in_command) {
    if (argument.starts_with('-')) {
        const auto name = argument.substr(0, argument.find('='));
        return fmt::format("unknown option {}", printable(name));
    }
    if (!in_command) return fmt::format("unknown command \"{}\"", printable(argument));
    return fmt::format("unexpected argument \"{}\"", printable(argument));
}

}  // namespace

std::string usage_message(const CLI::ParseError& error, const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    const CLI::App* command = chosen.empty() ? nullptr : chosen.front();
    const std::string help =
        command == nullptr ? "flightrec --help" : fmt::format("flightrec {} --help", command->get_name());
    std::string what;
    if (error.get_name() == "ExtrasError") {
        const auto extras = app.remaining(true);
        what = extras.empty() ? lower_first(one_line(error.what())) : unexpected(extras.front(), command != nullptr);
    } else if (error.get_name() == "RequiredError" && command == nullptr) {
        what = "which command? One is needed";
    } else {
        what = lower_first(one_line(error.what()));
    }
    return fmt::format("{}; see '{}'", what, help);
}

}  // namespace flightrec::cli
