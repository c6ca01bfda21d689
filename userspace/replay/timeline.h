// SPDX-License-Identifier: Apache-2.0
// The moments of a flight that times are told from: its triggers, its end, and the wall clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/reader.h"
#include "userspace/replay/early_names.h"

namespace flightrec::replay {

struct Trigger {
    uint64_t time_ns = 0;     // of the event that rang, CLOCK_BOOTTIME
    uint64_t kind = 0;        // enum fr_trigger
    uint32_t pid = 0;         // 0: none
    uint64_t number = 0;      // within the recording
    uint64_t suppressed = 0;  // triggers like it that made no incident before
    std::string text;         // --reason, or what the rule said
};

struct Timeline {
    uint64_t first_ns = 0, last_ns = 0;
    std::vector<Trigger> triggers;            // oldest first
    std::shared_ptr<const EarlyNames> early;  // owned by this and by the states that were given it
    // What relative times count from: the trigger of the dump, or the incident that was asked for; else nothing.
    std::optional<uint64_t> reference_ns;

    bool from_end = false;  // a running recorder's window: times count from its end, which is now

    [[nodiscard]] uint64_t reference_or_end() const { return from_end ? last_ns : reference_ns.value_or(last_ns); }
};

// Reads the vital track once. Times count from the trigger that the dump was made for, else from the last one.
Timeline read_timeline(const flight::FlightFile& file);

// The wall clock as a FlightFile maps it, apart so that it can be replaced.
struct WallClock {
    virtual ~WallClock() = default;
    [[nodiscard]] virtual uint64_t boot_of_realtime(uint64_t realtime_ns) const = 0;
    [[nodiscard]] virtual uint64_t realtime_of(uint64_t boot_ns) const = 0;
    // After the clock was set back, a time comes twice: this is the first one, boot_of_realtime() the last.
    [[nodiscard]] virtual uint64_t first_boot_of_realtime(uint64_t realtime_ns) const {
        return boot_of_realtime(realtime_ns);
    }
};
class FileClock final : public WallClock {
  public:
    explicit FileClock(const flight::FlightFile& file) : file_(file) {}  // borrowed
    [[nodiscard]] uint64_t boot_of_realtime(uint64_t realtime_ns) const override {
        return file_.boot_of_realtime(realtime_ns);
    }
    [[nodiscard]] uint64_t first_boot_of_realtime(uint64_t realtime_ns) const override {
        return file_.first_boot_of_realtime(realtime_ns);
    }
    [[nodiscard]] uint64_t realtime_of(uint64_t boot_ns) const override { return file_.realtime_of(boot_ns); }

  private:
    const flight::FlightFile& file_;
};

// A moment as --since and --until take it, to CLOCK_BOOTTIME: "-10s" and "+2s" from the reference, "0", "@123.4"
// seconds since boot, "2026-11-23T11:10:02.5Z", "2026-11-23 11:10:02", "2026-11-23" and "2026-11-23T13:10:02+02:00"
// (RFC 3339; UTC where nothing else is said), "11:10" and "11:10:02.5" (the last such time before the end of the
// flight), "today", "yesterday", "today 11:10" (days of the reader's clock, UTC). option: its name, for the message; a
// wall-clock time that came twice, because the clock was set back, is the first of the two for "--since" and the last
// for all others.
Result<uint64_t> parse_moment(std::string_view option, std::string_view text, const Timeline& timeline,
                              const WallClock& clock);
// The UTC form alone, to CLOCK_REALTIME; nullopt when it is no such time.
std::optional<uint64_t> parse_utc(std::string_view text);

}  // namespace flightrec::replay
