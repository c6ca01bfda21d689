// SPDX-License-Identifier: Apache-2.0
// zstd with all memory taken at start: compression never allocates afterwards. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

typedef struct ZSTD_CCtx_s ZSTD_CCtx;
typedef struct ZSTD_DCtx_s ZSTD_DCtx;

namespace flightrec::flight {

class Compressor {
  public:
    // Absent when memory is short or the level makes no sense. Level -5…9.
    static std::optional<Compressor> make(int level);

    // Begins one frame of `size` bytes of content, to `out` (at least bound(size) bytes).
    void begin(std::span<std::byte> out, size_t size);
    // Adds a piece; `cut`: ends the zstd block after it, so that the next piece gets entropy tables of its own.
    void add(std::span<const std::byte> piece, bool cut);
    // Ends the frame. Its bytes; never fails within the bound.
    size_t end();
    // All at once.
    size_t compress(std::span<std::byte> out, std::span<const std::byte> in);
    // For a frame of which at most `cuts` pieces were cut.
    static size_t bound(size_t size, size_t cuts = 0);

  private:
    void run(std::span<const std::byte> piece, int directive);
    std::unique_ptr<uint64_t[]> workspace_;
    ZSTD_CCtx* context_ = nullptr;  // in workspace_
    std::span<std::byte> out_;
    size_t written_ = 0;
};

class Decompressor {
  public:
    Decompressor();
    // True when `in` is a frame of exactly out.size() bytes.
    bool decompress(std::span<std::byte> out, std::span<const std::byte> in);

  private:
    struct Free {
        void operator()(ZSTD_DCtx* context) const;
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
};

}  // namespace flightrec::flight
