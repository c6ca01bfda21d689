// SPDX-License-Identifier: Apache-2.0
// A handful of descriptors on /dev/null, and a socket of each family.
#include "userspace/ship/spare.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <mutex>

#include "userspace/base/handle.h"

namespace flightrec::ship {
namespace {

// A delivery opens the dump, a socket and a state file; twice that, and some for lost races.
constexpr size_t most = 12;

std::mutex mutex;
std::array<Fd, most> held;
size_t count = 0;

struct SpareSocket {
    int family;
    Fd fd;
};
std::array<SpareSocket, 2> sockets{{{AF_INET, Fd()}, {AF_INET6, Fd()}}};

Fd new_socket(int family) { return Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP)); }

}  // namespace

void renew_spares() {
    const std::lock_guard lock(mutex);
    for (SpareSocket& spare : sockets)
        if (!spare.fd.valid()) spare.fd = new_socket(spare.family);
    while (count < most) {
        // Each an open file of its own: dup(2) would share one.
        Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        if (!fd.valid()) return;
        held[count++] = std::move(fd);
    }
}

int open_stream_socket(int family) {
    Fd fresh = new_socket(family);
    if (fresh.valid() || (errno != EMFILE && errno != ENFILE)) return fresh.release();
    {
        const std::lock_guard lock(mutex);
        for (SpareSocket& spare : sockets)
            if (spare.family == family && spare.fd.valid()) return spare.fd.release();
    }
    errno = ENFILE;
    return with_spare([&] { return new_socket(family).release(); });
}

int close_stream_socket(int fd) {
    Fd socket(fd);
    int family = 0;
    socklen_t length = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0) return 0;
    const std::lock_guard lock(mutex);
    for (SpareSocket& spare : sockets) {
        if (spare.family != family || spare.fd.valid()) continue;
        spare.fd = new_socket(family);
        // connect(2): an address of AF_UNSPEC dissolves the association, and the socket can be connected anew.
        const sockaddr nowhere{AF_UNSPEC, {}};
        if (!spare.fd.valid() && ::connect(fd, &nowhere, sizeof nowhere) == 0) spare.fd = std::move(socket);
        break;
    }
    return 0;
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
