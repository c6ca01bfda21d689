// SPDX-License-Identifier: Apache-2.0
// Where the pieces of the recorder hand the event records they build, and which files of the system they read.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

namespace flightrec::record {

// Takes one whole record (schemas/flightrec/event.h); the bytes are valid during the call only. Called on the
// recorder's thread. Calling it does not allocate; what it does must not either.
using Emit = std::function<void(std::span<const std::byte>)>;

// Roots of what is read from the system; tests point them at a tree of their own.
struct SystemPaths {
    std::string root = "/";  // os-release, and the file system whose free space is sampled
    std::string proc = "/proc";
    std::string sys = "/sys";
    std::string kmsg = "/dev/kmsg";
};

}  // namespace flightrec::record
