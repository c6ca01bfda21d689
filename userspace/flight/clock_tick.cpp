// SPDX-License-Identifier: Apache-2.0
// Finding the tick: the period at which the samples lie in phase.
#include "userspace/flight/clock_tick.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "userspace/flight/syscall_model.h"

namespace flightrec::flight {

// How well the samples below a limit are multiples of the tick: 1 all, 0 none.
double TickFinder::fit(double tick_ns, uint32_t limit_ns) const {
    double c = 0, s = 0;
    size_t n = 0;
    for (const uint32_t d : samples_) {
        if (d >= limit_ns) continue;
        const double turns = d / tick_ns;
        const double phase = (turns - std::floor(turns)) * 2 * std::numbers::pi;
        c += std::cos(phase);
        s += std::sin(phase);
        ++n;
    }
    return n < 256 ? 0 : std::sqrt(c * c + s * s) / static_cast<double>(n);
}

// The distance at which short times cluster: the first clear peak of their autocorrelation; 0: none.
unsigned TickFinder::step_seen() const {
    constexpr size_t span = 4096, lags = 128;
    std::array<uint16_t, span + lags> count{};
    for (const uint32_t d : samples_)
        if (d < span) ++count[d];
    std::array<uint64_t, lags> alike{};
    uint64_t sum = 0;
    for (size_t lag = 3; lag < lags; ++lag) {
        for (size_t i = 0; i < span; ++i) alike[lag] += uint64_t{count[i]} * count[i + lag];
        sum += alike[lag];
    }
    const uint64_t mean = sum / (lags - 3);
    for (unsigned lag = 4; lag + 1 < lags; ++lag)
        if (alike[lag] > 2 * mean && alike[lag] >= alike[lag - 1] && alike[lag] >= alike[lag + 1]) return lag;
    return 0;
}

void TickFinder::find() {
    tick_ = 0;
    const unsigned step = step_seen();
    if (step == 0) return;
    double best = step, best_fit = 0;
    // Ever longer times tell ever more exactly: a hundredth of a tick at most is left open at each limit.
    struct Round {
        double width, by;
        uint32_t limit;
    };
    for (const Round r : {Round{1.0, 0.02, 4000}, Round{0.04, 0.002, 10000}, Round{0.004, 0.0002, 50000},
                          Round{0.0004, 0.00002, 1'000'000}}) {
        const double middle = best;
        best_fit = 0;
        for (double t = middle - r.width; t <= middle + r.width; t += r.by) {
            const double f = fit(t, r.limit);
            if (f <= best_fit) continue;
            best_fit = f;
            best = t;
        }
    }
    if (best_fit < 0.7 || best < 3.5) return;
    tick_ = static_cast<uint64_t>(best * (1u << tick_bits) + 0.5);
}

void TickFinder::block_done(uint64_t values, uint64_t misses) {
    if (looking_) {
        if (have_ < samples_.size()) return;
        find();
        looking_ = false;
        wait_ = next_wait_;
        next_wait_ = std::min<uint64_t>(next_wait_ * 2, 4096);
        return;
    }
    if (tick_ != 0) {
        if (values < 256 || misses * 5 <= values) {
            next_wait_ = std::max<uint64_t>(next_wait_ / 2, 1);
            return;
        }
        tick_ = 0;  // it fits no longer
    }
    if (--wait_ > 0) return;
    wait_ = 1;
    looking_ = true;
    have_ = 0;
}

}  // namespace flightrec::flight
