// SPDX-License-Identifier: Apache-2.0
// The window an earlier recorder left: set aside before a new one is made, judged, and shipped if it ended badly.
// Runs once, at start, on the recorder's thread; allocates.
//
// What is shipped is a dump of it with one more block: a PREVIOUS_END marker, the trigger, and the lines that the
// kernel kept in pstore when it panicked (Documentation/admin-guide/pstore-blk.rst, ramoops.rst), as kernel log events.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/base/result.h"
#include "userspace/flight/reader.h"
#include "userspace/record/emit.h"
#include "userspace/ship/shipper.h"

namespace flightrec::record {

// A line of a kernel log that pstore kept.
struct KeptLine {
    uint64_t time_ns = 0;  // since that boot
    uint32_t level = 0xff;
    std::string text;
};
// "<4>[   12.345678] text" for each line; what is no such line ("Panic#1 Part1") is passed over. Pure.
[[nodiscard]] std::vector<KeptLine> parse_pstore(std::string_view text);

class PreviousWindow {
  public:
    // Code::busy, naming the process, when a recorder writes the window at PATH; to be asked before anything else is
    // opened, so that a second recorder hears of the first and not of what it holds besides.
    static Result<void> check_free(const std::filesystem::path& path);
    // Renames an existing PATH to PATH.previous (which replaces an older one, told by story()) after looking at how its
    // recording ended. A window of another version of the format is set aside unread. Code::busy when a recorder still
    // writes it. A file that is no window is Code::usage: it is left alone. Zeros where its header was (a disk that
    // lost what it had acknowledged), or our magic and nothing that can be read, is set aside as PATH.unreadable (.2,
    // …).
    static Result<PreviousWindow> set_aside(const std::filesystem::path& path, const SystemPaths& paths);

    // The file at PATH was left there because there is nothing in it: empty, or of a recorder that never came to
    // record.
    [[nodiscard]] bool replaceable() const { return replaceable_; }
    [[nodiscard]] bool found() const { return found_; }
    // "the recording before ended in order, …", "… kernel panic …", "… without a stop …"; for people and for the marker
    // in the new window.
    [[nodiscard]] const std::string& how_it_ended() const { return how_; }
    // For the marker in the new window and the log: how it ended, of which version and whether of another configuration
    // than these, how long nothing was recorded (not when the pinned programs are `continued`), and which older window
    // was given up. Empty when nothing was found.
    [[nodiscard]] std::string story(const std::string& version, const std::string& config_hash, const ClockPair& now,
                                    bool continued) const;
    // It holds events and did not end in order: the machine or the recorder died.
    [[nodiscard]] bool worth_shipping() const { return found_ && !in_order_ && events_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    // Payload hash of the last block of each track that an earlier recorder stored, 0: none. Also when nothing was
    // found: then of the window that a recorder set aside which was killed before it had one of its own.
    [[nodiscard]] const std::array<uint64_t, FR_TRACK_COUNT>& last_blocks() const { return last_blocks_; }
    Result<void> ship(ship::Shipper& shipper, const std::string& host,
                      const std::map<std::string, std::string>& labels);

  private:
    Result<void> rename_aside(const std::filesystem::path& path, const std::filesystem::path& aside);
    void note_last_blocks(const flight::FlightFile& file);
    void judge(const flight::FlightFile& file, const SystemPaths& paths);
    std::filesystem::path path_;  // of the file set aside
    std::string how_, gave_up_;
    std::string version_, config_hash_;  // of the recorder that made it
    bool found_ = false, in_order_ = false, events_ = false, replaceable_ = false, same_boot_ = false;
    std::array<uint8_t, 16> recording_{};
    std::array<uint64_t, FR_TRACK_COUNT> last_blocks_{};
    uint64_t last_realtime_ns_ = 0;
    uint64_t last_boot_ns_ = 0;  // same boot only
    uint64_t last_kmsg_ns_ = 0;
    std::vector<KeptLine> kept_;
};

}  // namespace flightrec::record
