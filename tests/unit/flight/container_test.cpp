// SPDX-License-Identifier: Apache-2.0
// The container that a cgroup's path names.
#include "userspace/flight/container.h"

#include <gtest/gtest.h>

#include <string>

namespace flightrec::flight {
namespace {

TEST(ContainerOf, KnownPatterns) {
    const std::string id(64, 'a');
    const auto check = [](const std::string& path, std::string_view runtime, const std::string& expected) {
        const auto found = container_of(path);
        ASSERT_TRUE(found) << path;
        EXPECT_EQ(found->runtime, runtime) << path;
        EXPECT_EQ(found->id, expected) << path;
    };
    check("/system.slice/docker-" + id + ".scope", "docker", id);
    check("/docker/" + id, "docker", id);
    check("/docker/" + id + "/init.scope", "docker", id);
    check("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-" + id + ".scope",
          "containerd", id);
    check("/kubepods/besteffort/pod123/" + id, "kubernetes", id);
    check("/kubepods.slice/crio-" + id + ".scope", "crio", id);
    check("/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri-containerd:" + id, "containerd", id);
    check("/machine.slice/libpod-" + id + ".scope/container", "podman", id);
    check("/lxc.payload.web/system.slice/cron.service", "lxc", "web");
    check("/lxc/web", "lxc", "web");
    check("/machine.slice/machine-db.scope", "machine", "db");
    EXPECT_FALSE(container_of("/system.slice/nginx.service"));
    EXPECT_FALSE(container_of("/"));
    EXPECT_FALSE(container_of("/docker/" + std::string(63, 'a')));
    EXPECT_FALSE(container_of("/system.slice/docker-" + std::string(64, 'G') + ".scope"));
}

}  // namespace
}  // namespace flightrec::flight
