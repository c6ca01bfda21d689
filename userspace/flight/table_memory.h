// SPDX-License-Identifier: Apache-2.0
// What the process table and the cgroup table share: their arrays' memory, and the end of a chain.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "schemas/flightrec/event.h"

namespace flightrec::flight {

inline constexpr uint32_t nil = ~0u;  // the end of a chain of array indices

// For arrays from calloc(3): their pages are taken only when they are touched.
struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
};

// The flags of a blob whose text was cut.
inline uint8_t cut_flag(bool cut) { return static_cast<uint8_t>(cut ? FR_BLOB_CUT : 0); }

}  // namespace flightrec::flight
