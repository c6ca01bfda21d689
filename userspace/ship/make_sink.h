// SPDX-License-Identifier: Apache-2.0
// From a destination to its sink.
#pragma once

#include <memory>

#include "userspace/ship/destination.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

// Functions for the memory that libcurl (curl_global_init_mem(3)) and OpenSSL (CRYPTO_set_mem_functions(3)) use: the
// place where a reserve taken at start is plugged in. All five are needed; they are called from every sink thread.
struct MemoryFunctions {
    void* (*allocate)(size_t size);
    void (*release)(void* block);
    void* (*resize)(void* block, size_t size);
    char* (*duplicate)(const char* text);
    void* (*allocate_zeroed)(size_t count, size_t size);
};

// Once per process, before any thread and any sink; further calls do nothing. nullptr: malloc(3). Code::busy when
// `memory` is given too late: something of OpenSSL is allocated already, or this function was called before.
Result<void> init_network(const MemoryFunctions* memory = nullptr);

// Checks everything that can be checked without sending: directories, certificates, keys, tokens, credentials.
// Takes what deliver() will need: handles, buffers, a resolver thread. Calls init_network().
Result<std::unique_ptr<Sink>> make_sink(const Destination& destination, const SinkOptions& options);

}  // namespace flightrec::ship
