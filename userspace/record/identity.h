// SPDX-License-Identifier: Apache-2.0
// Who recorded: the machine, its image, kernel and boot, and the recorder, as the JSON object "identity" of a file.
//
// Source of facts: os-release(5), machine-id(5), proc(5), uname(2), elf(5) (the note NT_GNU_BUILD_ID in
// /sys/kernel/notes), Documentation/ABI/testing/sysfs-class-dmi. Read once, at start; allocates. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "userspace/base/result.h"
#include "userspace/record/emit.h"

namespace flightrec::record {

struct IdentityInput {
    std::string recorder_version = {};
    std::string config_hash = {};
    std::string instance_id = {};                    // of the configuration; empty: asked of cloud-init and DMI
    std::map<std::string, std::string> labels = {};  // as parse_label() allows
};

// {"hostname", "machine_id", "boot_id", "os": {…}, "kernel": {…}, "instance": {…}, "cpus", "memory_bytes",
//  "recorder": {…}, "labels": {…}}. What is not known is absent. Every text is valid UTF-8.
nlohmann::json read_identity(const SystemPaths& paths, const IdentityInput& input);

// The machine id as flightrec shows it: HMAC-SHA256 of flightrec's application id keyed with the machine id, its first
// 16 bytes marked as a version 4 UUID, as sd_id128_get_machine_app_specific(3) makes it: the same for every recording
// of a machine, and the machine id (which is confidential) does not follow from it. Empty for text that is no machine
// id.
std::string hashed_machine_id(std::string_view machine_id);

// "KEY=value": key of letters, digits and . _ - (first a letter, at most 63), value of at most 255 bytes of valid
// UTF-8 without control characters. Code::usage else.
Result<std::pair<std::string, std::string>> parse_label(std::string_view text);

// os-release(5) text as key and unquoted value.
std::map<std::string, std::string> parse_os_release(std::string_view text);

// NT_GNU_BUILD_ID of a notes section, as hexadecimal digits; empty when there is none.
std::string build_id_of_notes(std::string_view notes);

}  // namespace flightrec::record
