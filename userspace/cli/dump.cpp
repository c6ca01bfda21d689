// SPDX-License-Identifier: Apache-2.0
// flightrec dump: asks the running recorder for a dump, and waits until it is made.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/record/control.h"

namespace flightrec::cli {
namespace {

struct DumpArguments {
    std::string reason, control = record::kControlSocket;
    bool json = false, shutdown = false;
};

Result<int> run(const DumpArguments& a) {
    FR_ASSIGN(const auto reply,
              record::control_request(a.control, {{"cmd", a.shutdown ? "shutdown" : "dump"}, {"reason", a.reason}},
                                      std::chrono::seconds(60)));
    if (!reply.value("ok", false)) return fail(Code::io, "no dump was made: " + reply.value("error", std::string("?")));
    if (a.json)
        puts(reply.dump().c_str());
    else
        puts(fmt::format("incident {}: {} ({})", reply.value("incident", 0),
                         printable(reply.value("name", std::string())), format_bytes(reply.value("bytes", uint64_t{0})))
                 .c_str());
    return exit_ok;
}

}  // namespace

void add_dump(CLI::App& app, Command& chosen) {
    auto* cmd = app.add_subcommand("dump", "Ask the running recorder for a dump now");
    auto arguments = std::make_shared<DumpArguments>();
    cmd->footer(
        "\nPrints the incident's number and the file's name once the dump is made; sending it goes on behind that.\n"
        "\nExample:\n"
        "  flightrec dump --reason 'slow since noon'\n"
        "\nExits with 3 when no recorder is running, 7 when the dump could not be made.");
    cmd->add_option("--reason", arguments->reason, "Why: kept in the dump");
    cmd->add_flag(
        "--shutdown", arguments->shutdown,
        "The machine is being stopped (what the service runs then): the recorder waits for the delivery when it "
        "ends");
    cmd->add_option("--control", arguments->control, "The recorder's control socket")->capture_default_str();
    cmd->add_flag("--json", arguments->json, "Print the answer as JSON");
    cmd->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
