// SPDX-License-Identifier: Apache-2.0
// Reading the information JSON without trusting it.
#include "userspace/replay/flight_info.h"

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

namespace flightrec::replay {
namespace {

using Json = nlohmann::json;

// What a path ("identity.kernel.release") leads to; nullptr where it leads nowhere.
const Json* value_at(const Json& root, std::string_view path) {
    const Json* at = &root;
    while (!path.empty()) {
        if (!at->is_object()) return nullptr;
        const auto dot = std::min(path.find('.'), path.size());
        const auto it = at->find(std::string(path.substr(0, dot)));
        if (it == at->end()) return nullptr;
        at = &*it;
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return at;
}

// The first of these paths that leads to a string.
std::string string_at(const Json& root, std::initializer_list<std::string_view> paths) {
    for (const auto path : paths)
        if (const Json* value = value_at(root, path); value != nullptr && value->is_string())
            return value->get<std::string>();
    return {};
}

std::vector<std::string> strings_at(const Json& root, std::string_view path) {
    std::vector<std::string> out;
    const Json* list = value_at(root, path);
    if (list == nullptr || !list->is_array()) return out;
    for (const auto& item : *list)
        if (item.is_string()) out.push_back(item.get<std::string>());
    return out;
}

void read_capabilities(const Json& root, FlightInfo& out) {
    const Json* list = value_at(root, "capabilities");
    if (list == nullptr || !list->is_array()) return;
    for (const auto& capability : *list) {
        const auto name = string_at(capability, {"name"});
        if (const auto* available = value_at(capability, "available");
            available != nullptr && available->is_boolean() && !available->get<bool>())
            out.missing.push_back(name);
        const auto* variants = value_at(capability, "variants");
        if (variants == nullptr || !variants->is_array()) continue;
        for (const auto& variant : *variants) {
            const auto* taken = value_at(variant, "taken");
            const auto loses = string_at(variant, {"loses"});
            if (taken != nullptr && taken->is_boolean() && taken->get<bool>() && !loses.empty())
                out.losses.push_back(name + ": " + loses);
        }
    }
}

}  // namespace

schemas::Arch FlightInfo::arch() const {
    return machine == "aarch64" || machine == "arm64" ? schemas::Arch::arm64 : schemas::Arch::x86_64;
}

FlightInfo FlightInfo::parse(const std::string& json) {
    FlightInfo out;
    const Json root = Json::parse(json, nullptr, false);
    if (!root.is_object()) return out;
    out.host = string_at(root, {"identity.hostname", "hostname"});
    out.kernel = string_at(root, {"identity.kernel.release"});
    out.machine = string_at(root, {"identity.kernel.architecture"});
    if (const auto* size = value_at(root, "identity.page_size"); size != nullptr && size->is_number_unsigned())
        if (const auto bytes = size->get<uint64_t>(); std::has_single_bit(bytes) && bytes >= 4096 && bytes <= 1u << 20)
            out.page_size = bytes;
    out.os = string_at(root, {"identity.os.pretty_name", "identity.os.id"});
    out.image = string_at(root, {"identity.os.image_id"});
    if (const auto version = string_at(root, {"identity.os.image_version"}); !version.empty()) {
        if (!out.image.empty()) out.image += ' ';
        out.image += version;
    }
    out.boot_id = string_at(root, {"identity.boot_id"});
    out.instance = string_at(root, {"identity.instance.id"});
    out.recorder_version = string_at(root, {"identity.recorder.version"});
    if (const auto* labels = value_at(root, "identity.labels"); labels != nullptr && labels->is_object())
        for (const auto& [key, value] : labels->items())
            if (value.is_string()) out.labels[key] = value.get<std::string>();
    out.scope = strings_at(root, "config.scope");
    out.syscalls = string_at(root, {"config.syscalls"});
    out.classes_off = strings_at(root, "config.classes_off");
    if (const auto* number = value_at(root, "incident.number"); number != nullptr && number->is_number_unsigned())
        out.trigger = number->get<uint64_t>();
    read_capabilities(root, out);
    return out;
}

std::string trigger_note(std::string_view marker_text) {
    if (!marker_text.starts_with('{')) return std::string(marker_text);
    return string_at(Json::parse(marker_text, nullptr, false), {"facts.text"});
}

}  // namespace flightrec::replay
