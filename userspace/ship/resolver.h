// SPDX-License-Identifier: Apache-2.0
// Host names to addresses on a thread made at start. libcurl's own resolver makes a thread for each look-up, which
// fails when the machine has no process slots left, and getaddrinfo(3) cannot be interrupted: so the look-up is left to
// a thread of its own, is waited for only so long, and its last good answer serves when DNS is dead.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

class Resolver {
  public:
    // `host` may be an address literal: then no thread is made and the answer is that address.
    static Result<Resolver> make(const std::string& host, uint16_t port);
    Resolver(Resolver&&) noexcept;
    Resolver& operator=(Resolver&&) noexcept;
    ~Resolver();  // does not wait for a look-up that hangs

    // Numeric addresses, IPv6 without brackets, in the system's order of preference. Asks anew each time; falls back on
    // the last good answer. Code::network when there never was one. One caller at a time.
    Result<std::vector<std::string>> addresses(std::chrono::milliseconds patience, const Cancel& cancel);

  private:
    struct Shared;  // co-owned by this object and the look-up thread, which may outlive it
    explicit Resolver(std::shared_ptr<Shared> shared);
    std::shared_ptr<Shared> shared_;
};

}  // namespace flightrec::ship
