// SPDX-License-Identifier: Apache-2.0
// Small helpers of the codecs: alignment, variable-length numbers, reading with bounds (flight-format.md, "Columns").
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace flightrec::flight {

template <class T>
constexpr T align_up(T value, T to) {
    return (value + to - 1) / to * to;
}

constexpr uint64_t zigzag(uint64_t v) { return (v << 1) ^ (0 - (v >> 63)); }
constexpr uint64_t unzigzag(uint64_t v) { return (v >> 1) ^ (0 - (v & 1)); }

inline constexpr size_t varint_max = 10;

// Writes at most varint_max bytes; returns the end.
inline uint8_t* put_varint(uint8_t* to, uint64_t v) {
    while (v >= 0x80) {
        *to++ = static_cast<uint8_t>(v | 0x80);
        v >>= 7;
    }
    *to++ = static_cast<uint8_t>(v);
    return to;
}

// A stream that is read to its end and never beyond: after an overrun it yields 0 and `bad()` is true.
class ByteStream {
  public:
    ByteStream() = default;
    explicit ByteStream(std::span<const std::byte> bytes)
        : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

    uint8_t u8() {
        if (at_ == end_) [[unlikely]] {
            bad_ = true;
            return 0;
        }
        return *at_++;
    }
    uint64_t varint() {
        if (at_ != end_ && *at_ < 0x80) [[likely]]
            return *at_++;
        return long_varint();
    }
    std::span<const std::byte> bytes(size_t n) {
        if (n > static_cast<size_t>(end_ - at_)) {
            bad_ = true;
            return {};
        }
        const auto* from = at_;
        at_ += n;
        return {reinterpret_cast<const std::byte*>(from), n};
    }
    // Marks the stream as bad; 0.
    uint64_t fail() {
        bad_ = true;
        return 0;
    }
    [[nodiscard]] size_t left() const { return static_cast<size_t>(end_ - at_); }
    [[nodiscard]] bool bad() const { return bad_; }

  private:
    uint64_t long_varint() {
        uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (at_ == end_) break;
            const uint8_t b = *at_++;
            v |= static_cast<uint64_t>(b & 0x7f) << shift;
            if (b < 0x80) return v;
        }
        bad_ = true;
        return 0;
    }
    const uint8_t* at_ = nullptr;
    const uint8_t* end_ = nullptr;
    bool bad_ = false;
};

// The bits of times, least significant first. Reading beyond the end yields zeros and `bad()`.
class BitReader {
  public:
    BitReader() = default;
    explicit BitReader(std::span<const std::byte> bytes)
        : data_(reinterpret_cast<const uint8_t*>(bytes.data())), bits_(bytes.size() * 8), size_(bytes.size()) {}
    // n in 0…32
    uint64_t take(unsigned n) {
        if (position_ + n > bits_) [[unlikely]] {
            bad_ = true;
            return 0;
        }
        const size_t byte = position_ >> 3;
        uint64_t word = 0;
        if (byte + 8 <= size_) [[likely]]
            std::memcpy(&word, data_ + byte, 8);
        else
            std::memcpy(&word, data_ + byte, size_ - byte);
        word >>= position_ & 7;
        position_ += n;
        return word & ((uint64_t{1} << n) - 1);
    }
    [[nodiscard]] bool bad() const { return bad_; }

  private:
    const uint8_t* data_ = nullptr;
    size_t bits_ = 0, size_ = 0, position_ = 0;
    bool bad_ = false;
};

}  // namespace flightrec::flight
