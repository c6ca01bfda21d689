// SPDX-License-Identifier: Apache-2.0
// Hashes of the format's structures: XXH3-64 with the structure's own hash field taken as 0.
#pragma once

#include "schemas/flightrec/format.h"
#include "userspace/flight/block.h"

namespace flightrec::flight {

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
    return std::as_bytes(std::span(&value, 1));
}

[[nodiscard]] inline uint64_t header_hash(fr_block_header header) {
    header.hash = 0;
    return hash64(bytes_of(header));
}
[[nodiscard]] inline uint64_t header_hash(fr_segment_header header) {
    header.hash = 0;
    header.used = 0;
    return hash64(bytes_of(header));
}
[[nodiscard]] inline uint64_t header_hash(fr_file_header header) {
    header.hash = 0;
    return hash64(bytes_of(header));
}
[[nodiscard]] inline uint64_t header_hash(fr_info_header header, std::span<const std::byte> json) {
    header.hash = 0;
    return hash64(bytes_of(header), json);
}

}  // namespace flightrec::flight
