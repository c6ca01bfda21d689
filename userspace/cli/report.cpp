// SPDX-License-Identifier: Apache-2.0
// flightrec report FILE: why something died, with the evidence.
#include "userspace/replay/report.h"

#include <unistd.h>

#include <memory>

#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/open_file.h"
#include "userspace/replay/output.h"

namespace flightrec::cli {
namespace {

struct ReportArguments {
    std::string file, color = "auto";
    bool json = false;
    uint64_t incident = 0;
    CLI::Option* has_incident = nullptr;
    replay::ReportOptions options{.all = false};
};

Result<int> run(ReportArguments& arguments) {
    if (arguments.has_incident->count() != 0) arguments.options.incident = arguments.incident;
    arguments.options.all = arguments.options.all || arguments.json;
    FR_ASSIGN(const auto file, open_flight(arguments.file));
    FR_ASSIGN(const auto report, replay::make_report(file, arguments.options));
    replay::Output out(STDOUT_FILENO);
    if (arguments.json)
        replay::append_report_json(out.buffer(), arguments.file, file, report);
    else
        replay::append_report_text(out.buffer(), arguments.file, file, report, use_color(arguments.color));
    FR_TRY(out.finish());
    if (report.digest.damage.none()) return exit_ok;
    warn_of_damage(report.digest.damage);
    log::error("{} is damaged; the report rests on what could be read", printable(arguments.file));
    return exit_damaged;
}

}  // namespace

void add_report(CLI::App& app, Command& chosen) {
    auto arguments = std::make_shared<ReportArguments>();  // owned by the callbacks of this command
    CLI::App* command = app.add_subcommand("report", "Say what died and why, with the evidence");
    command->footer(
        "\nThe verdict stands first: of the incident that the dump was made for, else of the last one; others follow "
        "in\nshort. Times of evidence count from the incident, in seconds. What the flight does not\n"
        "tell is said to be unknown; the last section lists what was lost.\n"
        "\nExamples:\n"
        "  flightrec report x.flight\n"
        "  flightrec report x.flight --incident 2             another incident of it, as the report numbers them\n"
        "  flightrec report x.flight --json | jq -r '.incidents[].verdict'\n"
        "  flightrec report x.flight --debug-dir ./symbols    names for the crash's stack from there, by build id\n"
        "\nExits with 0, 3 when there is no such file or incident, 6 for a damaged file (the report rests on what is "
        "left).");
    command->add_option("FILE", arguments->file, "A dump, a live window, or a window of a dead machine")->required();
    arguments->has_incident = command
                                  ->add_option("--incident", arguments->incident,
                                               "Only this incident, by the number that the report gives it")
                                  ->type_name("N");
    command->add_flag("--all", arguments->options.all, "Every incident in full, not only the one the file is about");
    command
        ->add_option("--last-calls", arguments->options.last_calls,
                     "How many of the victim's last system calls to show")
        ->type_name("N")
        ->check(CLI::Range(0, 10000));
    command->add_flag("--json", arguments->json, "One JSON object (schemas/json/report.schema.json)");
    add_symbol_options(*command, arguments->options.symbols, arguments->options.debug_directories);
    command->add_option("--color", arguments->color, "auto, always or never; NO_COLOR is honoured")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN");
    command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
