// SPDX-License-Identifier: Apache-2.0
// Text that may hold any bytes, made safe to show.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flightrec {

// Escapes as strace does inside double quotes: \n \t \r \v \f \" \\ and octal (\33) for other control bytes and
// for bytes >= 0x7f. The result is plain ASCII. No quotes are added.
void append_escaped(std::string& out, std::string_view bytes);
[[nodiscard]] std::string escaped(std::string_view bytes);

// Printable ASCII alone; and such that a JSON string holds as it is.
[[nodiscard]] bool is_plain(std::string_view bytes);
[[nodiscard]] bool is_json_plain(std::string_view bytes);

// For text shown outside quotes: like escaped() but valid UTF-8 sequences (no control characters, RFC 3629) and
// quotes stay as they are. Never emits a byte that a terminal acts on.
[[nodiscard]] std::string printable(std::string_view bytes);

// A JSON string literal with its quotes, RFC 8259; control characters, U+007F…U+009F among them, as \uNNNN. Bytes
// that are not valid UTF-8 become U+DC80…U+DCFF-free text: each invalid byte 0xNN is written as the two characters of
// the private escape "\\xNN" (backslash doubled).
void append_json_string(std::string& out, std::string_view bytes);

// "1.5 MiB", "312 B"; 1024-based.
[[nodiscard]] std::string format_bytes(uint64_t bytes);
// "64M", "1GiB", "4096", "512k" (1024-based); nothing when it is not a size.
[[nodiscard]] bool parse_size(std::string_view text, uint64_t& bytes);
// "250ms", "10s", "1.5m", "2h", "1d", "5us", plain number = seconds; may be negative.
[[nodiscard]] bool parse_duration(std::string_view text, int64_t& ns);

}  // namespace flightrec
