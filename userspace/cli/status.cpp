// SPDX-License-Identifier: Apache-2.0
// flightrec status: what the running recorder says of itself.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/record/control.h"

namespace flightrec::cli {
namespace {

using nlohmann::json;

struct StatusArguments {
    std::string control = record::kControlSocket;
    bool json = false;
};

void print_ledger(const json& ledger) {
    fmt::print("{:<16} {:>12} {:>12} {:>12} {:>8} {:>12} {:>8}\n", "class", "produced", "stored", "overwritten", "torn",
               "skipped", "pending");
    for (const auto& [name, l] : ledger.items())
        fmt::print("{:<16} {:>12} {:>12} {:>12} {:>8} {:>12} {:>8}\n", name, l.value("produced", uint64_t{0}),
                   l.value("stored", uint64_t{0}), l.value("overwritten", uint64_t{0}), l.value("torn", uint64_t{0}),
                   l.value("skipped", uint64_t{0}), l.value("pending", uint64_t{0}));
}

void print(const json& s) {
    fmt::print("flightrec {} pid {}, recording for {} s\n", s.value("version", ""), s.value("pid", 0),
               s.value("uptime_s", 0));
    const json window = s.value("window", json::object());
    fmt::print("window {} ({}): {} events in {} blocks so far\n", printable(window.value("path", "")),
               format_bytes(window.value("size", uint64_t{0})), window.value("events", uint64_t{0}),
               window.value("blocks", uint64_t{0}));
    fmt::print("memory ceiling {}\n", format_bytes(s.value("memory_ceiling", uint64_t{0})));
    const json i = s.value("incidents", json::object());
    fmt::print("incidents {}: dumps {}, failed {}; triggers {} (folded {}, suppressed {})\n", i.value("incidents", 0),
               i.value("dumps", 0), i.value("failed_dumps", 0), i.value("triggers", 0), i.value("folded", 0),
               i.value("suppressed", 0));
    for (const json& sink : s.value("sinks", json::array())) {
        fmt::print("sink {}: delivered {}, waiting {}, refused {}", printable(sink.value("name", "")),
                   sink.value("delivered", 0), sink.value("queued", 0), sink.value("refused", 0));
        if (const auto error = sink.value("last_error", std::string()); !error.empty())
            fmt::print("; last error: {}; next attempt in {} s", printable(error), sink.value("next_attempt_s", 0));
        fmt::print("\n");
    }
    print_ledger(s.value("ledger", json::object()));
    const json not_run = s.value("not_run", json::object());
    for (const auto& [program, times] : not_run.items())
        fmt::print("{} was not run {} times, because it was running on that CPU already\n", printable(program),
                   times.get<uint64_t>());
}

Result<int> run(const StatusArguments& a) {
    FR_ASSIGN(const auto reply, record::control_request(a.control, {{"cmd", "status"}}, std::chrono::seconds(10)));
    if (!reply.value("ok", false)) return fail(Code::io, "no status: " + reply.value("error", std::string("?")));
    if (a.json)
        puts(reply.dump(2).c_str());
    else
        print(reply);
    return exit_ok;
}

}  // namespace

void add_status(CLI::App& app, Command& chosen) {
    auto* cmd = app.add_subcommand("status", "Show the running recorder: what it recorded, lost, dumped and shipped");
    auto arguments = std::make_shared<StatusArguments>();
    cmd->footer(
        "\nExamples:\n"
        "  flightrec status\n"
        "  flightrec status --json | jq .ledger\n"
        "\nExits with 3 when no recorder is running.");
    cmd->add_option("--control", arguments->control, "The recorder's control socket")->capture_default_str();
    cmd->add_flag("--json", arguments->json, "Print JSON");
    cmd->callback([arguments, &chosen] { chosen = [arguments] { return run(*arguments); }; });
}

}  // namespace flightrec::cli
