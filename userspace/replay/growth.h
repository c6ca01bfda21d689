// SPDX-License-Identifier: Apache-2.0
// How a quantity grew before a moment: by how much over a span, and whether steadily or at once. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace flightrec::replay {

struct Point {
    uint64_t time_ns = 0;
    uint64_t value = 0;
};

enum class Shape : uint8_t {
    unknown,   // fewer than four samples of it: nothing can be said
    none,      // did not grow
    steady,    // no single step is much of it
    sudden,    // one step made most of it
    stepwise,  // between the two
};
[[nodiscard]] std::string_view shape_name(Shape shape);

struct Growth {
    uint64_t from_ns = 0, to_ns = 0;  // times of the samples compared
    uint64_t before = 0, after = 0;
    size_t samples = 0;
    bool whole_span = false;  // false: the first sample is younger than the span asked for
    Shape shape = Shape::unknown;
    [[nodiscard]] int64_t change() const { return static_cast<int64_t>(after - before); }
};

// series: in time order. Compares the last sample at or before to_ns with the last one at or before to_ns - span_ns,
// else with the first one there is. nullopt when there are not two samples to compare.
[[nodiscard]] std::optional<Growth> growth_of(std::span<const Point> series, uint64_t to_ns, uint64_t span_ns);

}  // namespace flightrec::replay
