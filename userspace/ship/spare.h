// SPDX-License-Identifier: Apache-2.0
// Open files in reserve: when the system (ENFILE) or the process (EMFILE) has no more, one of them is given up for what
// the way of a dump has to open. Whoever takes the freed place first has it, so there are several.
//
// A hog that tries again and again gets what is given up before we do: sockets, which a delivery cannot do without, are
// therefore made beforehand, and the dump itself stays open (spool.h).
//
// One reserve for the process. Any thread.
#pragma once

#include <cerrno>
#include <cstddef>

namespace flightrec::ship {

// Fills the reserve up as far as files can be opened; called at start and whenever a sink has nothing to do.
void renew_spares();
[[nodiscard]] size_t spares();
// Gives one up. False: none is left.
bool give_up_spare();

// A stream socket (close-on-exec): a new one, or else the one that was made beforehand. -1 with errno.
int open_stream_socket(int family);
// Closes it; where no new one can be made it is kept for the next open_stream_socket() instead, disconnected.
int close_stream_socket(int fd);

// Runs `open`, which returns a descriptor or -1 with errno, again for every spare that it takes.
template <class Open>
int with_spare(Open&& open) {
    for (;;) {
        const int fd = open();
        if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || !give_up_spare()) return fd;
    }
}

}  // namespace flightrec::ship
