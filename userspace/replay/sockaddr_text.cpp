// SPDX-License-Identifier: Apache-2.0
// Socket addresses as short text; layouts from ip(7), ipv6(7), unix(7), netlink(7).
#include "userspace/replay/sockaddr_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

namespace flightrec::replay {

std::string sockaddr_text(std::string_view bytes) {
    sa_family_t family = 0;
    if (bytes.size() < sizeof family) return {};
    std::memcpy(&family, bytes.data(), sizeof family);
    char text[INET6_ADDRSTRLEN];
    if (family == AF_INET && bytes.size() >= sizeof(sockaddr_in)) {
        sockaddr_in in{};
        std::memcpy(&in, bytes.data(), sizeof in);
        if (inet_ntop(AF_INET, &in.sin_addr, text, sizeof text) == nullptr) return {};
        return fmt::format("{}:{}", text, ntohs(in.sin_port));
    }
    if (family == AF_INET6 && bytes.size() >= 24) {  // sin6_scope_id came later (RFC 2553)
        sockaddr_in6 in{};
        std::memcpy(&in, bytes.data(), std::min(sizeof in, bytes.size()));
        if (inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text) == nullptr) return {};
        return fmt::format("[{}]:{}", text, ntohs(in.sin6_port));
    }
    if (family == AF_UNIX) {
        std::string_view path = bytes.substr(sizeof family);
        if (path.starts_with('\0')) return "@" + std::string(path.substr(1));
        return std::string(path.substr(0, path.find('\0')));
    }
    if (family == AF_NETLINK && bytes.size() >= sizeof(sockaddr_nl)) {
        sockaddr_nl in{};
        std::memcpy(&in, bytes.data(), sizeof in);
        return fmt::format("pid {}", in.nl_pid);
    }
    return {};
}

}  // namespace flightrec::replay
