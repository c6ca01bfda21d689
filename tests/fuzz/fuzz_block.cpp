// SPDX-License-Identifier: Apache-2.0
// Any bytes as the payload of a block: an error at most. What decodes is walked blob by blob; SYSCALLS that decode are
// encoded again and must come back the same.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "userspace/flight/block.h"

using namespace flightrec::flight;

namespace {

const std::array<uint16_t, 64>& fixed_sizes() {
    static const auto sizes = [] {
        std::array<uint16_t, 64> out{};
        for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) out[c] = fixed_size_of(c);
        return out;
    }();
    return sizes;
}

void expect_same(std::span<const EventRef> events, BlockDecoder& decoder) {
    static auto encoder = SyscallBlockEncoder::make(4096, 1 << 20);
    std::vector<std::vector<std::byte>> records;
    for (const auto& e : events) {
        encoder->run(e.cpu);
        if (!encoder->add(e.bytes)) break;
        records.emplace_back(e.bytes.begin(), e.bytes.end());
    }
    const auto block = encoder->finish();
    const auto again = decoder.decode(block.header, block.payload, fixed_sizes());
    if (!again || again->size() != records.size()) std::abort();
    for (size_t i = 0; i < records.size(); ++i)
        if (!std::equal(records[i].begin(), records[i].end(), (*again)[i].bytes.begin(), (*again)[i].bytes.end()))
            std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 5) return 0;
    static BlockDecoder decoder;
    fr_block_header header{};
    header.kind = static_cast<uint8_t>(data[0] % 4);
    header.codec = data[0] & 0x80 ? FR_CODEC_ZSTD : FR_CODEC_NONE;
    header.events = static_cast<uint32_t>(data[1] | data[2] << 8);
    const auto payload = std::as_bytes(std::span(data + 4, size - 4));
    header.stored_size = static_cast<uint32_t>(payload.size());
    header.raw_size = header.codec == FR_CODEC_NONE ? header.stored_size : static_cast<uint32_t>(data[3]) << 8;
    const auto events = decoder.decode(header, payload, fixed_sizes());
    if (!events) return 0;
    size_t bytes = 0;
    uint64_t last = 0;
    for (const auto& e : *events) {
        if (e.head().time_ns < last) std::abort();
        last = e.head().time_ns;
        BlobWalk walk(e.blob_bytes());
        while (const auto blob = walk.next())
            for (const char c : blob->text) bytes += static_cast<unsigned char>(c);
        bytes += e.as<fr_syscall>().nr;
    }
    if (header.kind == FR_BLOCK_SYSCALLS) expect_same(*events, decoder);
    return bytes == 1 ? 0 : 0;
}
