// SPDX-License-Identifier: Apache-2.0
// flightrec record: the recorder itself.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/cli/commands.h"
#include "userspace/cli/config_file.h"
#include "userspace/record/identity.h"
#include "userspace/record/recorder.h"

namespace flightrec::cli {
namespace {

// What the command line says, as text where it is a size or a duration.
struct RecordArguments {
    record::RecorderOptions options;
    std::string window_size, vital_ring, syscall_ring, spool_size, tail, debounce, run_for, sample_period, seal_after,
        config_file, budget;
    std::vector<std::string> labels;
    bool verbose = false, quiet = false;
    bool no_oom = false, no_crash = false, no_fork = false, no_durations = false;
};

Result<void> read_size(const char* option, const std::string& text, uint64_t& value) {
    if (text.empty()) return {};
    if (!parse_size(text, value))
        return fail(Code::usage, fmt::format("{} {}: not a size like 64M", option, printable(text)));
    return {};
}
Result<void> read_duration(const char* option, const std::string& text, uint64_t& value) {
    if (text.empty()) return {};
    int64_t ns = 0;
    if (!parse_duration(text, ns) || ns < 0)
        return fail(Code::usage, fmt::format("{} {}: not a duration like 2s or 500ms", option, printable(text)));
    value = static_cast<uint64_t>(ns);
    return {};
}

// "3%" or "3": percent of each CPU; 0 or "off": no budget.
Result<void> read_budget(std::string text, double& value) {
    if (text.empty()) return {};
    if (text == "off") text = "0";
    if (text.ends_with('%')) text.pop_back();
    const char* end = text.data() + text.size();
    if (const auto read = std::from_chars(text.data(), end, value); read.ec == std::errc{} && read.ptr == end)
        return {};
    return fail(Code::usage, fmt::format("--budget {}: not a share of a CPU like 3%", printable(text)));
}

// What is not recorded cannot set off a dump: that is said, once, and is in the configuration that every file carries.
void switch_off_triggers(record::Config& c) {
    record::TriggerConfig& t = c.triggers;
    const std::pair<std::string_view, std::vector<bool*>> triggers[] = {
        {"crash", {&t.crash}}, {"oom_kill", {&t.oom_kill}}, {"alloc_failure", {&t.fork_failure, &t.alloc_failure}}};
    for (const auto& [name, switches] : triggers) {
        if (std::find(c.classes_off.begin(), c.classes_off.end(), name) == c.classes_off.end()) continue;
        bool was_on = false;
        for (bool* one : switches) was_on = std::exchange(*one, false) || was_on;
        if (was_on) log::warning("--without {0}: no dump will be made for {0}, as it is not recorded", name);
    }
}

Result<void> convert(RecordArguments& a) {
    record::Config& c = a.options.config;
    FR_TRY(read_size("--window-size", a.window_size, c.window_size));
    FR_TRY(read_size("--vital-ring", a.vital_ring, c.vital_ring));
    FR_TRY(read_size("--syscall-ring", a.syscall_ring, c.syscall_ring));
    FR_TRY(read_size("--spool-size", a.spool_size, c.spool_size));
    FR_TRY(read_duration("--tail", a.tail, c.triggers.tail_ns));
    FR_TRY(read_duration("--debounce", a.debounce, c.triggers.debounce_ns));
    FR_TRY(read_duration("--run-for", a.run_for, a.options.run_for_ns));
    FR_TRY(read_duration("--seal-after", a.seal_after, c.seal_ns));
    FR_TRY(read_duration("--sample-period", a.sample_period, c.sample_period));
    if (a.no_durations) c.durations = false;
    if (a.no_oom) c.triggers.oom_kill = false;
    if (a.no_crash) c.triggers.crash = false;
    if (a.no_fork) c.triggers.fork_failure = false;
    switch_off_triggers(c);
    FR_TRY(read_budget(a.budget, c.budget_percent));
    for (const std::string& text : a.labels) {
        FR_ASSIGN(auto label, record::parse_label(text));
        c.labels.insert(std::move(label));
    }
    return {};
}

Result<int> run(RecordArguments& a) {
    if (a.verbose) log::set_level(log::Level::debug);
    if (std::getenv("JOURNAL_STREAM")) log::set_journal_prefix(true);
    FR_TRY(convert(a));
    a.options.version = FLIGHTREC_VERSION;
    FR_ASSIGN(auto recorder, record::Recorder::make(a.options));
    if (!a.quiet) fputs(recorder.summary().c_str(), stdout);
    puts("recording");
    fflush(stdout);
    FR_TRY(recorder.run());
    return exit_ok;
}

void add_window_options(CLI::App& cmd, RecordArguments& a) {
    record::Config& c = a.options.config;
    cmd.add_option("--window", c.window_path, "The window file")->capture_default_str()->group("Window");
    cmd.add_option("--window-size", a.window_size, "Its size (default 64M, at least 4M)")->group("Window");
    cmd.add_option("--seal-after", a.seal_after,
                   "Write a block at the latest so long after its first event (default 500ms)")
        ->group("Window");
    cmd.add_option("--vital-share", c.vital_share, "Share of the window for lifecycle, OOM, samples, kernel log")
        ->capture_default_str()
        ->group("Window");
    cmd.add_option("--vital-ring", a.vital_ring, "Kernel ring of each CPU for the same (default 512K)")
        ->group("Window");
    cmd.add_option("--syscall-ring", a.syscall_ring, "Kernel ring of each CPU for system calls (default 2M)")
        ->group("Window");
}

void add_what_options(CLI::App& cmd, RecordArguments& a) {
    record::Config& c = a.options.config;
    cmd.add_option("--scope", c.scope, "Record only this cgroup (version 2) and those below it; may be repeated")
        ->group("What is recorded");
    cmd.add_option("--syscalls", c.syscalls,
                   "all, failed, none (then nothing is attached at their entry, and where failures are seen otherwise "
                   "not at their "
                   "return), or names: openat,connect:failed")
        ->capture_default_str()
        ->group("What is recorded");
    cmd.add_option(
           "--without", c.classes_off,
           "Classes of events to leave out: signal,rename,…; what is not recorded makes no dump either: without "
           "crash no crash does")
        ->delimiter(',')
        ->group("What is recorded");
    cmd.add_option("--string-limit", c.string_limit, "Bytes kept of a path or other string")
        ->capture_default_str()
        ->group("What is recorded");
    cmd.add_flag("--no-durations", a.no_durations,
                 "Do not attach to the entry of system calls: cheaper; no durations, no calls in progress")
        ->group("What is recorded");
    cmd.add_option("--sample-period", a.sample_period, "Time between two samples (default 1s)")
        ->group("What is recorded");
    cmd.add_option("--budget", a.budget,
                   "What recording may cost, as a share of each CPU; above it system calls are recorded more "
                   "poorly (default 3%; off)")
        ->group("What is recorded");
    cmd.add_option("--label", a.labels, "KEY=VALUE, kept in every file; may be repeated")->group("What is recorded");
    cmd.add_option("--instance-id", c.instance_id, "Identity of this instance (default: from cloud-init or DMI)")
        ->group("What is recorded");
}

void add_incident_options(CLI::App& cmd, RecordArguments& a) {
    record::Config& c = a.options.config;
    record::TriggerConfig& t = c.triggers;
    cmd.add_option(
           "--tail", a.tail,
           "Go on so long after a trigger before the dump (default 2s; at most 200ms after a second OOM kill of the "
           "whole machine)")
        ->group("Incidents");
    cmd.add_option("--debounce", a.debounce, "The same again within this time makes no new dump (default 60s)")
        ->group("Incidents");
    cmd.add_option("--dumps-per-hour", t.per_hour, "At most so many")->capture_default_str()->group("Incidents");
    cmd.add_option("--dumps-per-hour-same", t.per_hour_same, "At most so many of one kind")
        ->capture_default_str()
        ->group("Incidents");
    cmd.add_flag("--no-oom-trigger", a.no_oom, "No dump for OOM kills")->group("Incidents");
    cmd.add_flag("--no-crash-trigger", a.no_crash, "No dump for crashes")->group("Incidents");
    cmd.add_flag("--no-fork-trigger", a.no_fork,
                 "No dump when processes cannot be made (else: 5 times for one cause in one cgroup within 10 s)")
        ->group("Incidents");
    cmd.add_flag("--alloc-trigger", t.alloc_failure,
                 "A dump when the kernel gets no pages, slab or vmalloc memory and says so")
        ->group("Incidents");
    cmd.add_option("--control", c.control_path, "Socket for flightrec dump and status")
        ->capture_default_str()
        ->group("Incidents");
}

void add_shipping_options(CLI::App& cmd, RecordArguments& a) {
    record::Config& c = a.options.config;
    ship::HttpOptions& h = a.options.sinks.http;
    cmd.add_option("--to", c.destinations,
                   "Where dumps go: a directory, https://…, s3://…, syslog:…, console:…; may be "
                   "repeated")
        ->capture_default_str()
        ->group("Shipping");
    cmd.add_option("--spool", c.spool_path, "Where dumps wait until they are delivered")
        ->capture_default_str()
        ->group("Shipping");
    cmd.add_option("--spool-size", a.spool_size, "At most so much of them (default 256M)")->group("Shipping");
    cmd.add_option("--keep", a.options.sinks.directory.max_files, "Directory: dumps kept")
        ->capture_default_str()
        ->group("Shipping");
    cmd.add_option("--ca-file", h.ca_file, "HTTPS: CA certificates (PEM) instead of the system's")->group("Shipping");
    cmd.add_option("--client-cert", h.client_cert, "HTTPS: client certificate (PEM)")->group("Shipping");
    cmd.add_option("--client-key", h.client_key, "HTTPS: its key (PEM)")->group("Shipping");
    cmd.add_option("--token-file", h.token_file, "HTTP: file that holds a bearer token")->group("Shipping");
    cmd.add_option("--header", h.headers, "HTTP: 'Name: value'; may be repeated")->group("Shipping");
    cmd.add_option("--proxy", h.proxy, "HTTP: http://host:port")->group("Shipping");
    cmd.add_option("--s3-endpoint", a.options.sinks.s3.endpoint, "S3: https://host of a compatible server")
        ->group("Shipping");
    cmd.add_option("--s3-region", a.options.sinks.s3.region, "S3: region")->group("Shipping");
    cmd.add_option("--s3-credentials", a.options.sinks.s3.credentials_file, "S3: credentials file")->group("Shipping");
}

}  // namespace

void add_record(CLI::App& app, Command& chosen) {
    auto* cmd = app.add_subcommand("record", "Record until SIGTERM; dump and ship what happened when something dies");
    auto arguments = std::make_shared<RecordArguments>();
    cmd->footer(
        "\nNeeds root, or CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE ('flightrec doctor' shows what this kernel "
        "gives).\n"
        "Sizes: 512K, 64M, 1G. Times: 500ms, 2s, 5m, 1h.\n"
        "\nExamples:\n"
        "  flightrec record --to /var/crash                     dumps into a directory\n"
        "  flightrec record --to https://sink.example/in/ --label role=db\n"
        "  flightrec record --scope /sys/fs/cgroup/system.slice/shop.service --syscalls failed --to /var/crash\n"
        "  flightrec record --config /etc/flightrec.conf\n"
        "\nIt prints \"recording\" once it does. SIGTERM and SIGINT end it in order, SIGUSR1 makes a dump.\n"
        "Exits with 0 when it was ended so, 2 for an option that makes no sense, 4 without the rights, 5 on a kernel\n"
        "that cannot do it, 9 when another recorder uses the window, 10 without space for it.");
    for (auto add : {add_window_options, add_what_options, add_incident_options, add_shipping_options})
        add(*cmd, *arguments);
    cmd->add_flag("--pin", arguments->options.config.pin,
                  "The kernel goes on recording when the recorder ends, and the next one goes on from there; "
                  "rm -r the folder to stop it");
    cmd->add_option("--pin-folder", arguments->options.config.pin_path, "Where, on a bpf file system")
        ->capture_default_str();
    cmd->add_option("--config", arguments->config_file,
                    "Read options from this file too, a line each: window-size = 64M");
    cmd->add_option("--run-for", arguments->run_for, "Stop by itself after this time");
    cmd->add_flag("-q,--quiet", arguments->quiet, "Print no summary at start");
    cmd->add_flag("-v,--verbose", arguments->verbose, "Print what is being done");
    cmd->callback([arguments, cmd, &chosen] {
        chosen = [arguments, cmd]() -> Result<int> {
            if (!arguments->config_file.empty()) FR_TRY(read_config_file(*cmd, arguments->config_file));
            return run(*arguments);
        };
    });
}

}  // namespace flightrec::cli
