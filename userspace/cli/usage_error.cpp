// SPDX-License-Identifier: Apache-2.0
// Rewording what CLI11 says.
#include "userspace/cli/usage_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "userspace/base/nearest.h"
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

// "; did you mean --failed?"
std::string meant(std::string_view word, const std::vector<std::string>& names) {
    const std::vector<std::string_view> views(names.begin(), names.end());
    return did_you_mean(word, views);
}

std::vector<std::string> option_names(const CLI::App& app) {
    std::vector<std::string> out;
    for (const CLI::Option* option : app.get_options())
        for (const auto& name : option->get_lnames()) out.push_back(fmt::format("--{}", name));
    return out;
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> out;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        out.push_back(command->get_name());
    return out;
}

// The first option that nobody knows, else the first argument too many.
std::string unexpected(const std::vector<std::string>& extras, const CLI::App& app, const CLI::App* command) {
    const auto option = std::find_if(extras.begin(), extras.end(),
                                     [](const std::string& e) { return e.size() > 1 && e.starts_with('-'); });
    if (option != extras.end()) {
        const std::string name = option->substr(0, option->find('='));
        return fmt::format("unknown option {}{}", printable(name),
                           meant(name, option_names(command != nullptr ? *command : app)));
    }
    if (command == nullptr)
        return fmt::format("unknown command \"{}\"{}", printable(extras.front()),
                           meant(extras.front(), command_names(app)));
    return fmt::format("unexpected argument \"{}\"", printable(extras.front()));
}

// Of "--time: foo not in {relative,utc}": the value, and what it may be.
std::string none_of(std::string_view what) {
    const auto colon = what.find(": ");
    const auto in = what.rfind(" not in {");
    if (colon == std::string_view::npos || in == std::string_view::npos || in < colon || !what.ends_with('}'))
        return {};
    const std::string value(what.substr(colon + 2, in - colon - 2));
    std::string_view rest = what.substr(in + 9, what.size() - in - 10);
    std::vector<std::string> values;
    while (!rest.empty()) {
        const std::string_view one = rest.substr(0, rest.find(','));
        values.emplace_back(one);
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
    }
    const std::string list = fmt::format("{}", fmt::join(values, ", "));
    return fmt::format("{}: \"{}\" is none of {}{}", printable(what.substr(0, colon)), printable(value), list,
                       meant(value, values));
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
        what = unexpected(extras, app, command);
    } else if (error.get_name() == "RequiredError" && command == nullptr) {
        const auto left = app.remaining();
        what = left.empty() ? "which command? One is needed" : unexpected(left, app, nullptr);
    } else if (error.get_name() == "ConversionError") {
        what = not_a_number(error.what());
    } else {
        if (error.get_name() == "ValidationError") what = none_of(error.what());
        if (what.empty()) what = lower_first(one_line(error.what()));
    }
    // A question at its end needs no further mark.
    if (what.ends_with('?')) return fmt::format("{} See '{}'", what, help);
    return fmt::format("{}; see '{}'", what, help);
}

}  // namespace flightrec::cli
