// SPDX-License-Identifier: Apache-2.0
// Exit codes of errors, and stopping on signals.
#include <csignal>

#include "userspace/cli/commands.h"

namespace flightrec::cli {

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

int exit_code(Code code) {
    switch (code) {
        case Code::internal: return exit_internal;
        case Code::usage: return exit_usage;
        case Code::not_found: return exit_not_found;
        case Code::permission: return exit_permission;
        case Code::unsupported: return exit_unsupported;
        case Code::corrupt: return exit_damaged;
        case Code::io: return exit_io;
        case Code::network: return exit_network;
        case Code::busy: return exit_busy;
        case Code::no_space: return exit_no_space;
        case Code::interrupted: return exit_interrupted;
    }
    return exit_internal;
}

void stop_on_signals() {
    struct sigaction action {};
    action.sa_handler = [](int) { stop_requested.store(true); };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

}  // namespace flightrec::cli
