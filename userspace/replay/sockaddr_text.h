// SPDX-License-Identifier: Apache-2.0
// A short text for a raw socket address: "127.0.0.1:80", "[::1]:80", "/run/x.sock", "@abstract"; "" when unreadable.
#pragma once

#include <string>
#include <string_view>

namespace flightrec::replay {

// bytes: a struct sockaddr as the kernel took or gave it. The text may hold any bytes of a UNIX path: escape it.
[[nodiscard]] std::string sockaddr_text(std::string_view bytes);

}  // namespace flightrec::replay
