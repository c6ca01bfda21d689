// SPDX-License-Identifier: Apache-2.0
// A handful of descriptors on /dev/null.
#include "userspace/ship/spare.h"

#include <fcntl.h>

#include <array>
#include <mutex>

#include "userspace/base/handle.h"

namespace flightrec::ship {
namespace {

// A delivery opens the dump, a socket and a state file; twice that, and some for lost races.
constexpr size_t most = 12;

std::mutex mutex;
std::array<Fd, most> held;
size_t count = 0;

}  // namespace

void renew_spares() {
    const std::lock_guard lock(mutex);
    while (count < most) {
        // Each an open file of its own: dup(2) would share one.
        Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!fd.valid()) return;
        held[count++] = std::move(fd);
    }
}

size_t spares() {
    const std::lock_guard lock(mutex);
    return count;
}

bool give_up_spare() {
    const std::lock_guard lock(mutex);
    if (count == 0) return false;
    held[--count].reset();
    return true;
}

}  // namespace flightrec::ship
