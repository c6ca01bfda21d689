// SPDX-License-Identifier: Apache-2.0
// The information JSON of a flight (schemas/json/info.schema.json): which machine, image and recorder it is from.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/syscalls/syscalls.h"

namespace flightrec::replay {

// What is not there, or is not of the expected type, is empty: the JSON of a damaged or foreign file is survived.
struct FlightInfo {
    std::string host;     // host name
    std::string kernel;   // release, as uname -r
    std::string machine;  // as uname -m
    std::string os;       // name of image or distribution
    std::string image;    // IMAGE_ID and IMAGE_VERSION of os-release(5)
    std::string boot_id;
    std::string instance;  // cloud instance id
    std::string recorder_version;
    std::map<std::string, std::string> labels;
    std::vector<std::string> scope;  // cgroups that were recorded; empty: the whole machine
    std::string syscalls;            // which calls were recorded, as configured
    std::vector<std::string> classes_off;
    std::vector<std::string> missing;  // capabilities this kernel did not have
    std::vector<std::string> losses;   // what the variants taken lose: "crash: no user stack"
    std::optional<uint64_t> trigger;   // number of the trigger that this dump was made for

    // Bytes of a page of its kernel.
    uint64_t page_size = 4096;

    // Of the machine; x86-64 where the file does not say.
    [[nodiscard]] schemas::Arch arch() const;
    static FlightInfo parse(const std::string& json);
};

// What a person or rule said in a trigger's marker: its text, or facts.text where the marker holds the incident's JSON.
[[nodiscard]] std::string trigger_note(std::string_view marker_text);

}  // namespace flightrec::replay
