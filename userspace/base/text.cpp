// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

namespace flightrec {
namespace {

bool is_octal_digit(char c) { return c >= '0' && c <= '7'; }

// Length of the valid UTF-8 sequence at the start of s, 0 when there is none (RFC 3629, no surrogates, no overlong).
size_t utf8_length(std::string_view s) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char b = at(0);
    if (b < 0x80) return 1;
    const size_t n = b >= 0xc2 && b <= 0xdf ? 2 : (b & 0xf0) == 0xe0 ? 3 : b >= 0xf0 && b <= 0xf4 ? 4 : 0;
    if (n == 0 || s.size() < n) return 0;
    for (size_t i = 1; i < n; ++i)
        if ((at(i) & 0xc0) != 0x80) return 0;
    if ((b == 0xe0 && at(1) < 0xa0) || (b == 0xed && at(1) > 0x9f) || (b == 0xf0 && at(1) < 0x90) ||
        (b == 0xf4 && at(1) > 0x8f))
        return 0;
    return n;
}

void append_escaped_byte(std::string& out, unsigned char c, bool digit_follows) {
    switch (c) {
        case '\n': out += "\\n"; return;
        case '\t': out += "\\t"; return;
        case '\r': out += "\\r"; return;
        case '\v': out += "\\v"; return;
        case '\f': out += "\\f"; return;
        default: break;
    }
    // As strace: the shortest octal form that the next character cannot lengthen.
    if (digit_follows)
        fmt::format_to(std::back_inserter(out), "\\{:03o}", c);
    else
        fmt::format_to(std::back_inserter(out), "\\{:o}", c);
}

}  // namespace

namespace {

constexpr uint64_t each_byte = 0x0101010101010101u, top_bits = each_byte << 7;

// The top bit of each byte of a word that is 0 (Hacker's Delight, 6-1); those above the lowest such byte may be set
// too.
constexpr uint64_t zero_bytes(uint64_t word) { return (word - each_byte) & ~word & top_bits; }

// Not 0 when some byte is not printable ASCII. Adding 0x60 carries 0x20…0x7f into the top bit.
constexpr uint64_t other_bytes(uint64_t word) {
    const uint64_t low = word & ~top_bits;
    return (word & top_bits) | (~(low + each_byte * 0x60) & top_bits) | zero_bytes(word ^ (each_byte * 0x7f));
}

// `other` of all bytes, eight at a time; the last word overlaps the one before, a short text is filled up with 'a'.
template <class Other>
bool none_of_words(std::string_view bytes, Other&& other) {
    uint64_t word = each_byte * 'a';
    if (bytes.size() < sizeof word) {
        if (bytes.empty()) return true;
        std::memcpy(&word, bytes.data(), bytes.size());
        return other(word) == 0;
    }
    uint64_t found = 0;
    for (size_t i = 0; i + sizeof word <= bytes.size(); i += sizeof word) {
        std::memcpy(&word, bytes.data() + i, sizeof word);
        found |= other(word);
    }
    std::memcpy(&word, bytes.data() + bytes.size() - sizeof word, sizeof word);
    return (found | other(word)) == 0;
}

}  // namespace

bool is_plain(std::string_view bytes) { return none_of_words(bytes, other_bytes); }

bool is_json_plain(std::string_view bytes) {
    return none_of_words(bytes, [](uint64_t word) {
        return other_bytes(word) | zero_bytes(word ^ (each_byte * '"')) | zero_bytes(word ^ (each_byte * '\\'));
    });
}

// Bytes at the front that stand for themselves in any quoted form.
static size_t plain_length(std::string_view bytes) {
    static constexpr auto special = [] {
        std::array<bool, 256> out{};
        for (size_t c = 0; c < out.size(); ++c) out[c] = c < 0x20 || c >= 0x7f || c == '"' || c == '\\';
        return out;
    }();
    size_t n = 0;
    while (n < bytes.size() && !special[static_cast<unsigned char>(bytes[n])]) ++n;
    return n;
}

void append_escaped(std::string& out, std::string_view bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
        const size_t plain = plain_length(bytes.substr(i));
        out.append(bytes, i, plain);
        i += plain;
        if (i == bytes.size()) return;
        const auto c = static_cast<unsigned char>(bytes[i]);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else {
            append_escaped_byte(out, c, i + 1 < bytes.size() && is_octal_digit(bytes[i + 1]));
        }
    }
}

std::string escaped(std::string_view bytes) {
    std::string out;
    append_escaped(out, bytes);
    return out;
}

std::string printable(std::string_view bytes) {
    std::string out;
    for (size_t i = 0; i < bytes.size();) {
        const auto c = static_cast<unsigned char>(bytes[i]);
        const size_t n = utf8_length(bytes.substr(i));
        // U+0080…U+009F are control characters too (C2 80 … C2 9F).
        const bool c1 = n == 2 && c == 0xc2 && static_cast<unsigned char>(bytes[i + 1]) < 0xa0;
        if (n == 0 || c < 0x20 || c == 0x7f || c1) {
            append_escaped_byte(out, c, i + 1 < bytes.size() && is_octal_digit(bytes[i + 1]));
            ++i;
        } else {
            out.append(bytes, i, n);
            i += n;
        }
    }
    return out;
}

void append_json_string(std::string& out, std::string_view bytes) {
    out += '"';
    for (size_t i = 0; i < bytes.size();) {
        const size_t plain = plain_length(bytes.substr(i));
        out.append(bytes, i, plain);
        i += plain;
        if (i == bytes.size()) break;
        const auto c = static_cast<unsigned char>(bytes[i]);
        const size_t n = utf8_length(bytes.substr(i));
        if (n == 0) {
            fmt::format_to(std::back_inserter(out), "\\\\x{:02x}", c);
            ++i;
            continue;
        }
        if (c == '"' || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (n == 2 && c == 0xc2 && static_cast<unsigned char>(bytes[i + 1]) < 0xa0) {  // U+0080…U+009F
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(bytes[i + 1]));
        } else if (c < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        } else {
            out.append(bytes, i, n);
        }
        i += n;
    }
    out += '"';
}

std::string format_bytes(uint64_t bytes) {
    static constexpr std::array<const char*, 6> units{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

namespace {
// A decimal number with an optional fraction; what follows it goes to `rest`.
bool parse_number(std::string_view text, double& value, std::string_view& rest) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (ec != std::errc{} || !std::isfinite(value)) return false;
    rest = text.substr(static_cast<size_t>(end - text.data()));
    return true;
}
}  // namespace

bool parse_size(std::string_view text, uint64_t& bytes) {
    double value = 0;
    std::string_view rest;
    if (!parse_number(text, value, rest) || value < 0) return false;
    double factor = 1;
    if (!rest.empty()) {
        static constexpr std::string_view letters = "kmgt";
        const auto power = letters.find(static_cast<char>(rest[0] | 0x20));
        if (power != std::string_view::npos) {
            factor = std::pow(1024.0, static_cast<double>(power + 1));
            rest.remove_prefix(1);
            if (rest.starts_with("i")) rest.remove_prefix(1);
        }
        if (rest == "B" || rest == "b") rest = {};
    }
    if (!rest.empty() || value * factor >= 0x1p63) return false;
    bytes = static_cast<uint64_t>(value * factor);
    return true;
}

bool parse_duration(std::string_view text, int64_t& ns) {
    double value = 0;
    std::string_view rest;
    if (text.starts_with('+')) text.remove_prefix(1);
    if (!parse_number(text, value, rest)) return false;
    double factor = 0;
    if (rest.empty() || rest == "s")
        factor = 1e9;
    else if (rest == "ms")
        factor = 1e6;
    else if (rest == "us")
        factor = 1e3;
    else if (rest == "ns")
        factor = 1;
    else if (rest == "m" || rest == "min")
        factor = 60e9;
    else if (rest == "h")
        factor = 3600e9;
    else if (rest == "d")
        factor = 86400e9;
    if (factor == 0 || std::fabs(value * factor) >= 0x1p63) return false;
    ns = static_cast<int64_t>(value * factor);
    return true;
}

}  // namespace flightrec
