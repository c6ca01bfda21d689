// SPDX-License-Identifier: Apache-2.0
// Finding the triggers of a flight and reading moments from text.
#include "userspace/replay/timeline.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/replay/flight_info.h"

namespace flightrec::replay {
namespace {

// Exactly `digits` decimal digits at the front of text, which moves on.
std::optional<int> take_number(std::string_view& text, size_t digits) {
    if (text.size() < digits) return std::nullopt;
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9') return std::nullopt;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

// ".123456789" at the front of text, in nanoseconds.
uint64_t take_fraction(std::string_view& text) {
    if (!text.starts_with('.') && !text.starts_with(',')) return 0;
    text.remove_prefix(1);
    uint64_t value = 0;
    uint64_t unit = 100'000'000;
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
        value += unit * static_cast<uint64_t>(text[0] - '0');
        unit /= 10;
        text.remove_prefix(1);
    }
    return value;
}

// "Z", "", "+02:00": seconds east of UTC.
std::optional<int64_t> take_zone(std::string_view text) {
    if (text.empty() || text == "Z" || text == "z" || text == " UTC") return 0;
    const int64_t sign = text[0] == '-' ? -1 : 1;
    if (!take(text, '+') && !take(text, '-')) return std::nullopt;
    const auto hours = take_number(text, 2);
    take(text, ':');
    const auto minutes = take_number(text, 2);
    if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
    return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t day_ns = 86400 * second_ns;

// "11:10", "11:10:02.5", with a zone: nanoseconds since midnight UTC; may be negative.
std::optional<int64_t> take_time_of_day(std::string_view text) {
    const auto hour = take_number(text, 2);
    if (!hour || !take(text, ':')) return std::nullopt;
    const auto minute = take_number(text, 2);
    if (!minute) return std::nullopt;
    int second = 0;
    if (take(text, ':')) {
        const auto given = take_number(text, 2);
        if (!given) return std::nullopt;
        second = *given;
    }
    const uint64_t fraction = take_fraction(text);
    const auto zone = take_zone(text);
    if (!zone || *hour > 23 || *minute > 59 || second > 60) return std::nullopt;
    return (*hour * 3600 + *minute * 60 + second - *zone) * static_cast<int64_t>(second_ns) +
           static_cast<int64_t>(fraction);
}

// "11:10" is the last one before the end of the flight; "today 11:10" one of the reader's days.
std::optional<uint64_t> parse_day_time(std::string_view text, uint64_t end_realtime_ns) {
    for (const auto& [name, back] : {std::pair{"today", 0u}, std::pair{"yesterday", 1u}}) {
        if (!text.starts_with(name)) continue;
        text.remove_prefix(std::string_view(name).size());
        const uint64_t day = (realtime_ns() / day_ns - back) * day_ns;
        if (text.empty()) return day;
        if (!take(text, ' ')) return std::nullopt;
        const auto time = take_time_of_day(text);
        return time ? std::optional(day + static_cast<uint64_t>(*time)) : std::nullopt;
    }
    const auto time = take_time_of_day(text);
    if (!time) return std::nullopt;
    uint64_t at = end_realtime_ns / day_ns * day_ns + static_cast<uint64_t>(*time);
    if (at > end_realtime_ns) at -= day_ns;
    return at;
}

}  // namespace

std::optional<uint64_t> parse_utc(std::string_view text) {
    tm parts{};
    const auto year = take_number(text, 4);
    if (!year || !take(text, '-')) return std::nullopt;
    const auto month = take_number(text, 2);
    if (!month || !take(text, '-')) return std::nullopt;
    const auto day = take_number(text, 2);
    if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return std::nullopt;
    parts.tm_year = *year - 1900;
    parts.tm_mon = *month - 1;
    parts.tm_mday = *day;
    int64_t time = 0;
    if (!text.empty()) {
        if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
        const auto given = take_time_of_day(text);
        if (!given) return std::nullopt;
        time = *given;
    }
    const int64_t at = static_cast<int64_t>(timegm(&parts)) * static_cast<int64_t>(second_ns) + time;
    return at < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(at));
}

Result<uint64_t> parse_moment(std::string_view option, std::string_view text, const Timeline& timeline,
                              const WallClock& clock) {
    const auto bad = [&] {
        return fail(Code::usage, fmt::format("{}: \"{}\" is no time; write -10s or +2s (from the trigger), "
                                             "11:10 or 11:10:02, \"today 11:10\", \"2026-11-23 11:10:02\" (UTC), "
                                             "2026-11-23T13:10:02+02:00, or @123.4 (seconds since boot)",
                                             option, printable(text)));
    };
    if (text.starts_with('@')) {
        double seconds = 0;
        const auto number = text.substr(1);
        const auto [end, ec] =
            std::from_chars(number.data(), number.data() + number.size(), seconds, std::chars_format::fixed);
        if (ec != std::errc{} || end != number.data() + number.size() || !(seconds >= 0) || seconds > 9e9) return bad();
        return static_cast<uint64_t>(std::llround(seconds * 1e9));
    }
    if (text.starts_with('-') || text.starts_with('+') || text == "0") {
        int64_t offset = 0;
        if (!parse_duration(text, offset)) return bad();
        const uint64_t from = timeline.reference_or_end();
        if (offset < 0) {
            const uint64_t back = 0 - static_cast<uint64_t>(offset);
            return back > from ? 0 : from - back;
        }
        return from + static_cast<uint64_t>(offset);
    }
    auto realtime = parse_utc(text);
    if (!realtime) realtime = parse_day_time(text, clock.realtime_of(timeline.last_ns));
    if (!realtime) return bad();
    return option == "--since" ? clock.first_boot_of_realtime(*realtime) : clock.boot_of_realtime(*realtime);
}

Timeline read_timeline(const flight::FlightFile& file) {
    Timeline out;
    out.first_ns = file.first_ns();
    out.last_ns = file.last_ns();
    flight::ReadOptions options;
    options.syscalls = false;
    options.keyframes = false;
    auto reader = file.read(options);
    auto early = std::make_shared<EarlyNames>();
    while (const auto event = reader.next()) {
        early->learn(*event);
        if (event->head().cls != FR_CLASS_MARKER) continue;
        const auto marker = event->as<fr_marker>();
        if (marker.kind != FR_MARKER_TRIGGER) continue;
        const auto text = flight::find_blob(*event, FR_BLOB_TEXT);
        out.triggers.push_back({event->head().time_ns, marker.value[0], static_cast<uint32_t>(marker.value[1]),
                                marker.value[2], marker.value[3], text ? trigger_note(text->text) : std::string{}});
    }
    out.early = std::move(early);
    if (!out.triggers.empty()) out.reference_ns = out.triggers.back().time_ns;
    if (const auto own = FlightInfo::parse(file.info_json()).trigger)
        for (const auto& trigger : out.triggers)
            if (trigger.number == *own) out.reference_ns = trigger.time_ns;
    return out;
}

}  // namespace flightrec::replay
