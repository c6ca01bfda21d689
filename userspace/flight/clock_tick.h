// SPDX-License-Identifier: Apache-2.0
// The tick of the recorded machine's clock, found from the times themselves. Many clocks step by more than a
// nanosecond: AMD's time stamp counter by about 10 ns, arm64's timers by 10 to 52 ns. Between two readings lies a whole
// number of ticks, which takes three bits less to write than nanoseconds (flight-format.md, "Times").
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace flightrec::flight {

// Never allocates. One thread at a time. Looks at the first events and, when its tick no longer fits, at later ones,
// ever more seldom where none is found; a look costs about half a ms.
class TickFinder {
  public:
    // In 2^-20 ns; 0: none that is worth using.
    [[nodiscard]] uint64_t tick() const { return tick_; }
    // The time between two readings of the clock.
    void sample(uint64_t delta_ns) {
        if (looking_ && have_ < samples_.size() && delta_ns < longest_ns)
            samples_[have_++] = static_cast<uint32_t>(delta_ns);
    }
    // A block of `values` times ended, of which `misses` were not whole ticks.
    void block_done(uint64_t values, uint64_t misses);

  private:
    static constexpr uint64_t longest_ns = 1'000'000;
    [[nodiscard]] double fit(double tick_ns, uint32_t limit_ns) const;
    [[nodiscard]] unsigned step_seen() const;
    void find();

    std::array<uint32_t, 1024> samples_{};
    size_t have_ = 0;
    bool looking_ = true;
    uint64_t tick_ = 0;
    uint64_t wait_ = 0, next_wait_ = 1;  // blocks before the next look
};

}  // namespace flightrec::flight
