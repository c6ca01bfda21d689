// SPDX-License-Identifier: Apache-2.0
// Open files in reserve: when the system (ENFILE) or the process (EMFILE) has no more, one of them is given up for what
// the way of a dump has to open. Whoever takes the freed place first has it, so there are several.
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

// Runs `open`, which returns a descriptor or -1 with errno, again for every spare that it takes.
template <class Open>
int with_spare(Open&& open) {
    for (;;) {
        const int fd = open();
        if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || !give_up_spare()) return fd;
    }
}

}  // namespace flightrec::ship
