// SPDX-License-Identifier: Apache-2.0
// Names and identities of dumps.
#include "userspace/ship/dump_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "userspace/base/text.h"
#include "userspace/ship/spare.h"

namespace flightrec::ship {
namespace {

constexpr std::string_view suffix = ".flight";
constexpr size_t time_length = 16;  // 20261123T111002Z
constexpr size_t part_max = 128;
constexpr size_t reason_max = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// A reason as part of a file name: lower case letters, digits and single hyphens.
std::string reason_slug(std::string_view reason) {
    std::string out;
    for (char c : reason.substr(0, reason_max)) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (is_lower(c) || is_digit(c))
            out += c;
        else if (!out.empty() && out.back() != '-')
            out += '-';
    }
    while (!out.empty() && out.back() == '-') out.pop_back();
    return out.empty() ? "incident" : out;
}

std::optional<uint64_t> parse_time(std::string_view text) {
    if (text.size() != time_length || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
    const auto number = [&](size_t at, size_t n) {
        int value = 0;
        for (char c : text.substr(at, n)) value = is_digit(c) ? value * 10 + (c - '0') : -100'000'000;
        return value;
    };
    std::tm tm{};
    tm.tm_year = number(0, 4) - 1900;
    tm.tm_mon = number(4, 2) - 1;
    tm.tm_mday = number(6, 2);
    tm.tm_hour = number(9, 2);
    tm.tm_min = number(11, 2);
    tm.tm_sec = number(13, 2);
    if (tm.tm_year < 70 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_hour < 0 || tm.tm_min < 0 ||
        tm.tm_sec < 0)
        return std::nullopt;
    return static_cast<uint64_t>(timegm(&tm)) * 1'000'000'000u;
}

bool parse_recording(std::string_view text, std::array<uint8_t, 16>& id) {
    if (text.size() != 32) return false;
    for (size_t i = 0; i < id.size(); ++i) {
        const char* at = text.data() + 2 * i;
        // Lower case only: one recording has one name.
        if (!std::all_of(at, at + 2, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); })) return false;
        std::from_chars(at, at + 2, id[i], 16);
    }
    return true;
}

}  // namespace

std::string Incident::recording_text() const { return fmt::format("{:02x}", fmt::join(recording, "")); }

std::string Incident::id() const { return fmt::format("{}-{}", recording_text(), number); }

std::string Incident::time_text() const {
    const auto seconds = static_cast<time_t>(realtime_ns / 1'000'000'000u);
    std::tm tm{};
    gmtime_r(&seconds, &tm);
    return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                       tm.tm_min, tm.tm_sec);
}

std::string Incident::file_name() const {
    return fmt::format("{}-{}-{}{}", time_text(), reason_slug(reason), id(), suffix);
}

std::optional<Incident> incident_of_file_name(std::string_view name) {
    if (!name.ends_with(suffix) || name.size() > 160) return std::nullopt;
    std::string_view rest = name.substr(0, name.size() - suffix.size());
    Incident out;
    const auto take_last = [&]() -> std::string_view {
        const size_t at = rest.rfind('-');
        if (at == std::string_view::npos) return {};
        const auto part = rest.substr(at + 1);
        rest = rest.substr(0, at);
        return part;
    };
    const auto number = take_last();
    const auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), out.number);
    if (number.empty() || ec != std::errc{} || end != number.data() + number.size()) return std::nullopt;
    if (!parse_recording(take_last(), out.recording)) return std::nullopt;
    if (rest.size() < time_length + 2 || rest[time_length] != '-') return std::nullopt;
    const auto time = parse_time(rest.substr(0, time_length));
    if (!time) return std::nullopt;
    out.realtime_ns = *time;
    out.reason = rest.substr(time_length + 1);
    // Whatever parses but would be spelt otherwise is not a name of ours.
    if (out.file_name() != name) return std::nullopt;
    return out;
}

Result<Fd> DumpFile::open() const {
    struct stat st {};
    if (memory >= 0) {
        Fd copy(fcntl(memory, F_DUPFD_CLOEXEC, 0));
        if (!copy.valid() || fstat(copy.get(), &st) != 0)
            return fail_errno(errno, fmt::format("cannot open the dump {}", name));
        if (st.st_ino != memory_inode) return fail(Code::not_found, fmt::format("the dump {} was dropped", name));
        return copy;
    }
    if (held >= 0) {
        Fd copy(fcntl(held, F_DUPFD_CLOEXEC, 0));
        if (copy.valid() && fstat(copy.get(), &st) == 0 && st.st_ino == held_inode &&
            st.st_size == static_cast<off_t>(size))
            return copy;
    }
    Fd fd(with_spare([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW); }));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open the dump {}", path.string()));
    return fd;
}

std::string safe_part(std::string_view bytes) {
    // printable() has turned all that is no text into backslash escapes; a backslash then becomes '_' like the rest.
    std::string out = printable(bytes.substr(0, part_max));
    for (char& c : out)
        if (c == '/' || c == '\\') c = '_';
    for (size_t i = 0; i < out.size() && out[i] == '.'; ++i) out[i] = '_';
    if (out.size() > part_max) {
        size_t cut = part_max;
        while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
        out.resize(cut);
    }
    return out.empty() ? "unknown" : out;
}

std::string percent_encoded(std::string_view bytes) {
    std::string out;
    for (char c : bytes) {
        const bool plain =
            is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace flightrec::ship
