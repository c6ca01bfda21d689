// SPDX-License-Identifier: Apache-2.0
// flightrec tree FILE: who was whose child at a moment.
#include <unistd.h>

#include <memory>

#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/open_file.h"
#include "userspace/replay/process_tree.h"

namespace flightrec::cli {
namespace {

struct Arguments {
    std::string file, color = "auto";
    uint64_t incident = 0;
    CLI::Option* has_incident = nullptr;
    replay::TreeOptions options;
};

constexpr const char* tree_footer =
    "\nTIME is as in 'flightrec replay --help': -10s and +2s count from the trigger, \"2026-11-23 11:10:02.5\" is "
    "UTC,\n"
    "@123.4 is seconds since boot. Default: the moment of the trigger; of a flight without one, its end.\n"
    "A process stands below the one that made it, also when that one has ended. Processes whose parent the flight "
    "does\n"
    "not tell stand under \"(parent not known)\"; that is not the same as having none.\n"
    "\nExamples:\n"
    "  flightrec tree x.flight                       as it was when it failed\n"
    "  flightrec tree x.flight --at -30s --pid 812   half a minute before: 812, its ancestors and its descendants\n"
    "  flightrec tree x.flight --ended               with those that had ended, however short they lived\n"
    "  flightrec tree x.flight --json | jq -r 'select(.parent == \"unknown\") | .pid'\n"
    "\nExits with 0, 2 for a time that is none, 3 when there is no such file, incident or process, 6 for a damaged "
    "file.";

Result<int> run(Arguments& arguments) {
    if (arguments.has_incident->count() != 0) arguments.options.incident = arguments.incident;
    arguments.options.color = use_color(arguments.color);
    FR_ASSIGN(const auto file, open_flight(arguments.file));
    replay::Output out(STDOUT_FILENO);
    FR_ASSIGN(const auto damage, replay::show_tree(file, arguments.options, out));
    if (damage.none()) return exit_ok;
    warn_of_damage(damage);
    log::error("{} is damaged; the tree rests on what could be read", printable(arguments.file));
    return exit_damaged;
}

}  // namespace

void add_tree(CLI::App& app, Command& chosen) {
    auto arguments = std::make_shared<Arguments>();  // owned by the callbacks of this command
    auto& options = arguments->options;
    CLI::App* command = app.add_subcommand("tree", "Show who was whose child at a moment, with command lines");
    command->footer(tree_footer);
    command->add_option("FILE", arguments->file, "A dump, a live window, or a window of a dead machine")->required();
    command->add_option("--at", options.at, "The moment (default: the trigger, else the end)")->type_name("TIME");
    arguments->has_incident =
        command
            ->add_option("--incident", arguments->incident,
                         "Times count from this incident, as the report numbers them (default: the trigger)")
            ->type_name("N");
    command->add_option("--pid", options.pids, "Only these, with their ancestors and descendants")
        ->type_name("PID")
        ->delimiter(',');
    command->add_flag("--ended", options.ended, "Also processes that had ended by then");
    command->add_flag("--kernel-threads", options.kernel_threads, "Also the kernel's threads");
    command->add_flag("--json", options.json, "One JSON object a line (schemas/json/tree.schema.json)");
    command->add_option("--color", arguments->color, "auto, always or never; NO_COLOR is honoured")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->type_name("WHEN");
    command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
