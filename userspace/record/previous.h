// SPDX-License-Identifier: Apache-2.0
// The window an earlier recorder left: set aside before a new one is made, judged, and shipped if it ended badly.
// Runs once, at start, on the recorder's thread; allocates.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "userspace/base/result.h"
#include "userspace/ship/shipper.h"

namespace flightrec::record {

class PreviousWindow {
  public:
    // Renames an existing PATH to PATH.previous (which replaces an older one) after looking at how its recording ended.
    // Code::busy when a recorder still writes it. A file that is no window is Code::usage: it is left alone.
    static Result<PreviousWindow> set_aside(const std::filesystem::path& path);

    [[nodiscard]] bool found() const { return found_; }
    // "in order at …", "without a stop marker: …"; for people and for the marker in the new window.
    [[nodiscard]] const std::string& how_it_ended() const { return how_; }
    // It holds events and did not end in order: the machine or the recorder died.
    [[nodiscard]] bool worth_shipping() const { return found_ && !in_order_ && events_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    Result<void> ship(ship::Shipper& shipper, const std::string& host,
                      const std::map<std::string, std::string>& labels);

  private:
    std::filesystem::path path_;  // of the file set aside
    std::string how_;
    bool found_ = false, in_order_ = false, events_ = false;
    std::array<uint8_t, 16> recording_{};
    uint64_t last_realtime_ns_ = 0;
};

}  // namespace flightrec::record
