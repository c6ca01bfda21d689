// SPDX-License-Identifier: Apache-2.0
// Finding the tick: the period at which the samples lie in phase.
#include "userspace/flight/clock_tick.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "userspace/flight/syscall_model.h"

namespace flightrec::flight {
namespace {

// The unit circle in 2048 steps, straight between them: some 200,000 phases are looked at to find a tick, which takes
// 5 ms by std::cos(). Short samples tell a tick by phases that differ by less than a step.
struct Circle {
    static constexpr unsigned bits = 11;
    static constexpr size_t steps = 1u << bits;
    std::array<double, steps> cos, sin;
    Circle() {
        for (size_t i = 0; i < steps; ++i) {
            const double angle = (static_cast<double>(i) + 0.5) * 2 * std::numbers::pi / steps;
            cos[i] = std::cos(angle);
            sin[i] = std::sin(angle);
        }
    }
};

}  // namespace

// How well the samples below a limit are multiples of the tick: 1 all, 0 none.
double TickFinder::fit(double tick_ns, uint32_t limit_ns) const {
    static const Circle circle;
    const double turns_per_ns = 0x1p32 / tick_ns;
    constexpr unsigned fine_bits = 32 - Circle::bits;
    constexpr double angle_of_fine = 2 * std::numbers::pi * 0x1p-32;
    double c = 0, s = 0;
    size_t n = 0;
    for (const uint32_t d : samples_) {
        if (d >= limit_ns) continue;
        const auto phase = static_cast<uint32_t>(static_cast<uint64_t>(d * turns_per_ns));
        const size_t step = phase >> fine_bits;
        const auto beyond = static_cast<int32_t>(phase & ((1u << fine_bits) - 1)) - (1 << (fine_bits - 1));
        const double angle = beyond * angle_of_fine;
        c += circle.cos[step] - angle * circle.sin[step];
        s += circle.sin[step] + angle * circle.cos[step];
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
