// SPDX-License-Identifier: Apache-2.0
// Where things stand in a file, shared by window, dump and reader (flight-format.md).
#pragma once

#include "schemas/flightrec/format.h"
#include "userspace/flight/bytes.h"

namespace flightrec::flight {

// A window has two information slots, a dump one.
inline constexpr uint64_t info_offset_a = FR_FILE_HEADER_SIZE;
inline constexpr uint64_t info_offset_b = info_offset_a + FR_INFO_SLOT_SIZE;
inline constexpr uint64_t window_data_offset = info_offset_b + FR_INFO_SLOT_SIZE;
inline constexpr uint64_t dump_data_offset = info_offset_b;
inline constexpr size_t info_max = FR_INFO_SLOT_SIZE - sizeof(fr_info_header);

// A block with its header takes at most half of what a segment holds ("Limits").
constexpr uint64_t largest_block(uint64_t segment_size) {
    return (segment_size - FR_SEGMENT_HEADER_SIZE) / 2 / FR_BLOCK_ALIGN * FR_BLOCK_ALIGN;
}
constexpr uint64_t next_block(uint64_t offset, const fr_block_header& header) {
    return align_up<uint64_t>(offset + header.header_size + header.stored_size, FR_BLOCK_ALIGN);
}

}  // namespace flightrec::flight
