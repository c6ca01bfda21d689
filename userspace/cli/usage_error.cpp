// SPDX-License-Identifier: Apache-2.0
// Rewording what CLI11 says.
#include "userspace/cli/usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

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

// The first option that nobody knows, else the first argument too many.
std::string unexpected(const std::vector<std::string>& extras, bool in_command) {
    const auto option = std::find_if(extras.begin(), extras.end(),
                                     [](const std::string& e) { return e.size() > 1 && e.starts_with('-'); });
    if (option != extras.end())
        return fmt::format("unknown option {}", printable(option->substr(0, option->find('='))));
    if (!in_command) return fmt::format("unknown command \"{}\"", printable(extras.front()));
    return fmt::format("unexpected argument \"{}\"", printable(extras.front()));
}

// Of "The following argument was not expected: --foo": CLI11 2.1 does not keep the list anywhere else.
std::vector<std::string> extras_of(std::string_view what) {
    std::vector<std::string> out;
    const auto colon = what.find(" not expected: ");
    if (colon == std::string_view::npos) return out;
    what.remove_prefix(colon + 15);
    while (!what.empty()) {
        const auto word = what.substr(0, what.find(' '));
        out.emplace_back(word);
        what.remove_prefix(std::min(word.size() + 1, what.size()));
    }
    return out;
}

// Of "Could not convert: --pid = abc"; every option that is converted takes a number.
std::string not_a_number(std::string_view what) {
    const auto colon = what.find(": ");
    const auto equals = what.find(" = ");
    if (colon == std::string_view::npos || equals == std::string_view::npos || equals < colon)
        return lower_first(one_line(std::string(what)));
    return fmt::format("{}: \"{}\" is no number in its range", printable(what.substr(colon + 2, equals - colon - 2)),
                       printable(what.substr(equals + 3)));
}

}  // namespace

std::string usage_message(const CLI::ParseError& error, const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    const CLI::App* command = chosen.empty() ? nullptr : chosen.front();
    const std::string help =
        command == nullptr ? "flightrec --help" : fmt::format("flightrec {} --help", command->get_name());
    std::string what;
    const auto extras = extras_of(error.what());
    if (!extras.empty()) {
        what = unexpected(extras, command != nullptr);
    } else if (error.get_name() == "RequiredError" && command == nullptr) {
        const auto left = app.remaining();
        what = left.empty() ? "which command? One is needed" : unexpected(left, false);
    } else if (error.get_name() == "ConversionError") {
        what = not_a_number(error.what());
    } else {
        what = lower_first(one_line(error.what()));
    }
    return fmt::format("{}; see '{}'", what, help);
}

}  // namespace flightrec::cli
