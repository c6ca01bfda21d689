// SPDX-License-Identifier: Apache-2.0
// The recorder's configuration: every setting with its default and its limits, in one place.
//
// The command line and /etc/flightrec/flightrec.conf fill it (userspace/cli); validate() judges it as a whole.
// Sizes are bytes, times nanoseconds.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "schemas/flightrec/format.h"
#include "userspace/base/result.h"
#include "userspace/record/control.h"
#include "userspace/record/triggers.h"

namespace flightrec::record {

inline constexpr const char* kPinFolder = "/sys/fs/bpf/flightrec";

struct Config {
    // The window.
    std::string window_path = "/var/lib/flightrec/window.flight";
    uint64_t window_size = 64u << 20;
    double vital_share = 0.25;       // of the window, for the vital track
    uint64_t seal_ns = 500'000'000;  // a block is written at the latest so long after its first event

    // The rings in the kernel, of each CPU; powers of two.
    uint64_t vital_ring = 512u << 10;
    uint64_t syscall_ring = 2u << 20;

    // Where dumps go: folders and URLs, as given with --to; what else they need is the ship layer's.
    std::vector<std::string> destinations = {"/var/lib/flightrec/dumps"};
    std::string spool_path = "/var/lib/flightrec/spool";
    uint64_t spool_size = 256u << 20;

    // What is recorded.
    std::vector<std::string> scope;        // cgroup paths; empty: the whole machine
    std::string syscalls = "all";          // "all", "failed", "none" or names with commas
    std::vector<std::string> classes_off;  // class names as in --class
    uint32_t string_limit = 256;           // bytes of a path or other string of a system call
    bool durations = true;                 // false: nothing is attached to sys_enter; entry times are unknown
    bool kernel_log = true;
    uint64_t kernel_log_backlog = 200;  // lines from before the start

    // Samples.
    uint64_t sample_period = 1'000'000'000;
    uint32_t top_processes = 15;
    uint32_t sampled_cgroups = 64;

    // Incidents.
    TriggerConfig triggers;

    // Who and how.
    std::map<std::string, std::string> labels;
    std::string instance_id;
    std::string control_path = kControlSocket;
    bool pin = false;  // keep maps and links in bpffs when the recorder ends
    std::string pin_path = kPinFolder;
    double budget_percent = 3;  // of each CPU, 0: no budget
};

// Code::usage with one line that names the setting, its value and what it may be.
Result<void> validate(const Config& config);

// Every setting, for the file's information and `status`: user names, passwords and queries of URLs are left out.
nlohmann::json to_json(const Config& config);

// 16 hexadecimal digits that change when a setting changes (labels and instance included).
std::string config_hash(const Config& config);

// "https://user:secret@host/path?token=x" as "https://host/path"; what is no URL stays as it is.
std::string without_secrets(const std::string& destination);

}  // namespace flightrec::record
