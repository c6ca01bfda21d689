// SPDX-License-Identifier: Apache-2.0
// The container a control group's path names.
//
// Source of facts: the names that docker and podman (cgroupfs and systemd drivers), containerd and CRI-O below kubelet
// (Kubernetes pkg/kubelet/cm, both drivers), nerdctl, LXC and systemd-machined give.
#pragma once

#include <optional>
#include <string_view>

namespace flightrec::flight {

struct ContainerId {
    std::string_view runtime;  // "docker", "containerd", "crio", "podman", "kubernetes", "lxc", "machine"
    std::string_view id;       // within the path given
};
// The innermost container a cgroup path names; nothing when none does. Allocates nothing; any thread.
std::optional<ContainerId> container_of(std::string_view cgroup_path);

}  // namespace flightrec::flight
