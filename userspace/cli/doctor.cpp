// SPDX-License-Identifier: Apache-2.0
// flightrec doctor: what this kernel lets be recorded, by which variant, and what is lost where the best is refused.
#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "userspace/cli/commands.h"
#include "userspace/kernel/probes.h"

namespace flightrec::cli {
namespace {

using nlohmann::json;

json to_json(const std::vector<kernel::CapabilityReport>& report) {
    json out = json::array();
    for (const auto& capability : report) {
        json entry{{"capability", capability.spec->name},
                   {"records", capability.spec->records},
                   {"available", capability.available()},
                   {"variants", json::array()}};
        if (!capability.available()) entry["lost"] = capability.spec->without;
        for (const auto& v : capability.variants)
            entry["variants"].push_back({{"variant", kernel::describe(*v.variant)},
                                         {"taken", v.taken},
                                         {"refused", v.refused},
                                         {"loses", v.variant->loses}});
        out.push_back(std::move(entry));
    }
    return out;
}

void print(const std::vector<kernel::CapabilityReport>& report) {
    for (const auto& capability : report) {
        fmt::print("{:<4}{}: {}\n", capability.available() ? "yes" : "NO", capability.spec->name,
                   capability.spec->records);
        bool taken_before = false;
        for (const auto& v : capability.variants) {
            const std::string how = kernel::describe(*v.variant);
            if (v.taken)
                fmt::print("      + {}{}{}\n", how, v.variant->loses.empty() ? "" : "; loses: ", v.variant->loses);
            else if (!v.refused.empty() && v.refused != kernel::not_needed)
                fmt::print("      - {}: {}\n", how, v.refused);
            else if (taken_before || !v.refused.empty())
                fmt::print("      . {}: {}\n", how, kernel::not_needed);
            taken_before = taken_before || v.taken;
        }
        if (!capability.available()) fmt::print("      lost: {}\n", capability.spec->without);
    }
}

Result<int> run(bool as_json) {
    // Everything is attached for a moment, with a scope that no process is in: nothing is recorded.
    kernel::ProbeOptions options;
    options.scope.push_back({~0ull, 0, {}});
    options.vital_ring = options.syscall_ring = 128u << 10;
    FR_ASSIGN(const auto probes, kernel::Probes::load(options));
    utsname name{};
    uname(&name);
    if (as_json) {
        puts(json{{"kernel", name.release},
                  {"architecture", name.machine},
                  {"bpf_rdonly_cast", probes.casts()},
                  {"capabilities", to_json(probes.report())}}
                 .dump(2)
                 .c_str());
    } else {
        fmt::print("kernel {} ({})\n", name.release, name.machine);
        print(probes.report());
        fmt::print("start: {}\n", probes.casts() ? "bpf_rdonly_cast is there"
                                                 : "no bpf_rdonly_cast; loses: nothing before 6.2, later some 100 ms");
    }
    return exit_ok;
}

}  // namespace

void add_doctor(CLI::App& app, Command& chosen) {
    auto* cmd = app.add_subcommand("doctor", "Show what this kernel lets be recorded, and how");
    auto as_json = std::make_shared<bool>(false);
    cmd->footer(
        "\nLoads and attaches every program for a moment, with a scope that holds nothing: nothing is recorded.\n"
        "Of each capability the variants stand best first: + taken, - refused and why, . not needed.\n"
        "\nExits with 0 whatever is missing, as long as anything can be recorded; 4 without the rights, 5 on a kernel\n"
        "that can record nothing.");
    cmd->add_flag("--json", *as_json, "Print JSON");
    cmd->callback([as_json, &chosen] { chosen = [as_json] { return run(*as_json); }; });
}

}  // namespace flightrec::cli
