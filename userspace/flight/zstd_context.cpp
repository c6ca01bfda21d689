// SPDX-License-Identifier: Apache-2.0
// zstd contexts in memory of our own (zstd.h, "Memory management": ZSTD_initStaticCCtx).
#define ZSTD_STATIC_LINKING_ONLY
#include "userspace/flight/zstd_context.h"

#include <zstd.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace flightrec::flight {
namespace {
// Cannot happen: the buffers are as large as zstd's own bound, the memory as large as its own estimate.
void must(size_t code, const char* what) {
    if (!ZSTD_isError(code)) return;
    std::fprintf(stderr, "flightrec: impossible: zstd %s: %s\n", what, ZSTD_getErrorName(code));
    std::abort();
}
}  // namespace

std::optional<Compressor> Compressor::make(int level) {
    if (level < -5 || level > 9) return std::nullopt;
    const size_t need = ZSTD_estimateCStreamSize(level);
    if (ZSTD_isError(need)) return std::nullopt;
    Compressor out;
    const size_t words = need / sizeof(uint64_t) + 1;
    out.workspace_.reset(new (std::nothrow) uint64_t[words]());  // touched here: no page fault later
    if (!out.workspace_) return std::nullopt;
    out.context_ = ZSTD_initStaticCCtx(out.workspace_.get(), words * sizeof(uint64_t));
    if (out.context_ == nullptr) return std::nullopt;
    must(ZSTD_CCtx_setParameter(out.context_, ZSTD_c_compressionLevel, level), "level");
    must(ZSTD_CCtx_setParameter(out.context_, ZSTD_c_checksumFlag, 0), "checksum");
    return out;
}

size_t Compressor::bound(size_t size, size_t cuts) {
    // Each cut can add a block header of 3 bytes and leave one more partial block.
    return ZSTD_compressBound(size) + 16 * (cuts + 1);
}

void Compressor::begin(std::span<std::byte> out, size_t size) {
    must(ZSTD_CCtx_reset(context_, ZSTD_reset_session_only), "reset");
    must(ZSTD_CCtx_setPledgedSrcSize(context_, size), "size");
    out_ = out;
    written_ = 0;
}

void Compressor::run(std::span<const std::byte> piece, int directive) {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    ZSTD_outBuffer out{out_.data(), out_.size(), written_};
    size_t left = 0;
    do {
        left = ZSTD_compressStream2(context_, &out, &in, static_cast<ZSTD_EndDirective>(directive));
        must(left, "compress");
    } while (in.pos < in.size || (directive != ZSTD_e_continue && left != 0));
    written_ = out.pos;
}

void Compressor::add(std::span<const std::byte> piece, bool cut) { run(piece, cut ? ZSTD_e_flush : ZSTD_e_continue); }

size_t Compressor::end() {
    run({}, ZSTD_e_end);
    return written_;
}

size_t Compressor::compress(std::span<std::byte> out, std::span<const std::byte> in) {
    const size_t size = ZSTD_compress2(context_, out.data(), out.size(), in.data(), in.size());
    must(size, "compress");
    return size;
}

void Decompressor::Free::operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }

Decompressor::Decompressor() : context_(ZSTD_createDCtx()) {
    if (!context_) throw std::bad_alloc();
}

bool Decompressor::decompress(std::span<std::byte> out, std::span<const std::byte> in) {
    const size_t size = ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), in.data(), in.size());
    return !ZSTD_isError(size) && size == out.size();
}

}  // namespace flightrec::flight
