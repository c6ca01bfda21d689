// SPDX-License-Identifier: Apache-2.0
// flightrec verify FILE: is the file whole, and does its ledger balance?
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/open_file.h"
#include "userspace/replay/verify_text.h"

namespace flightrec::cli {
namespace {

struct VerifyArguments {
    std::string file;
    bool json = false;
};

Result<int> run(const VerifyArguments& arguments) {
    FR_ASSIGN(const auto file, open_flight(arguments.file));
    FR_ASSIGN(const auto verification, flight::verify(file));
    replay::Output out(STDOUT_FILENO);
    if (arguments.json)
        replay::append_verification_json(out.buffer(), arguments.file, file, verification);
    else
        replay::append_verification_text(out.buffer(), arguments.file, file, verification);
    FR_TRY(out.finish());
    return verification.intact() && verification.balanced() ? exit_ok : exit_damaged;
}

}  // namespace

void add_verify(CLI::App& app, Command& chosen) {
    auto arguments = std::make_shared<VerifyArguments>();  // owned by the callbacks of this command
    CLI::App* command = app.add_subcommand("verify", "Check a flight's integrity and its account of every event");
    command->footer(
        "\nDecodes everything. Exits with 0 when the file is whole and every line of the ledger balances:\n"
        "  produced = stored + overwritten + torn + skipped + pending, and found = stored - evicted;\n"
        "else with 6.\n"
        "\nExample:\n"
        "  flightrec verify incident.flight && echo whole");
    command->add_option("FILE", arguments->file, "A dump, a live window, or a window of a dead machine")->required();
    command->add_flag("--json", arguments->json, "One JSON object (schemas/json/verify.schema.json)");
    command->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
