// SPDX-License-Identifier: Apache-2.0
#include "userspace/flight/container.h"

#include <algorithm>
#include <array>

namespace flightrec::flight {
namespace {

bool is_hex(std::string_view s, size_t length) {
    return s.size() == length &&
           std::all_of(s.begin(), s.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<ContainerId> container_of_component(std::string_view name, std::string_view above) {
    struct Prefix {
        std::string_view text, runtime;
    };
    static constexpr std::array<Prefix, 6> prefixes{{{"docker-", "docker"},
                                                     {"cri-containerd-", "containerd"},
                                                     {"crio-", "crio"},
                                                     {"libpod-", "podman"},
                                                     {"cri-o-", "crio"},
                                                     {"nerdctl-", "containerd"}}};
    std::string_view stem = name;
    if (stem.ends_with(".scope")) stem.remove_suffix(6);
    for (const auto& prefix : prefixes)
        if (stem.starts_with(prefix.text) && is_hex(stem.substr(prefix.text.size()), 64))
            return ContainerId{prefix.runtime, stem.substr(prefix.text.size())};
    if (stem.size() != name.size() && stem.starts_with("machine-")) return ContainerId{"machine", stem.substr(8)};
    if (name.starts_with("lxc.payload.")) return ContainerId{"lxc", name.substr(12)};
    if (above.ends_with("/lxc")) return ContainerId{"lxc", name};
    // kubelet with the cgroupfs driver and containerd: "kubepods-….slice:cri-containerd:<id>"
    const size_t colon = name.rfind(':');
    if (colon != std::string_view::npos && is_hex(name.substr(colon + 1), 64))
        return ContainerId{name.find("crio") != std::string_view::npos ? "crio" : "containerd", name.substr(colon + 1)};
    if (!is_hex(name, 64)) return std::nullopt;
    if (above.find("kubepods") != std::string_view::npos) return ContainerId{"kubernetes", name};
    return ContainerId{above.find("libpod") != std::string_view::npos ? "podman" : "docker", name};
}

}  // namespace

std::optional<ContainerId> container_of(std::string_view path) {
    while (!path.empty()) {
        const size_t slash = path.rfind('/');
        if (slash == std::string_view::npos) break;
        const std::string_view above = path.substr(0, slash);
        if (auto found = container_of_component(path.substr(slash + 1), above)) return found;
        path = above;
    }
    return std::nullopt;
}

}  // namespace flightrec::flight
