// SPDX-License-Identifier: Apache-2.0
// Comparing samples.
#include "userspace/replay/growth.h"

#include <algorithm>

namespace flightrec::replay {
namespace {

constexpr size_t samples_for_shape = 4;
constexpr double sudden_share = 0.5;  // of the growth, in one step
constexpr double steady_share = 0.34;

Shape shape_of(std::span<const Point> points) {
    if (points.size() < samples_for_shape) return Shape::unknown;
    const uint64_t first = points.front().value;
    const uint64_t last = points.back().value;
    if (last <= first) return Shape::none;
    uint64_t largest = 0;
    for (size_t i = 1; i < points.size(); ++i)
        if (points[i].value > points[i - 1].value) largest = std::max(largest, points[i].value - points[i - 1].value);
    const double share = static_cast<double>(largest) / static_cast<double>(last - first);
    return share >= sudden_share ? Shape::sudden : share <= steady_share ? Shape::steady : Shape::stepwise;
}

}  // namespace

std::string_view shape_name(Shape shape) {
    switch (shape) {
        case Shape::unknown: return "too few samples to say how";
        case Shape::none: return "did not grow";
        case Shape::steady: return "steadily";
        case Shape::sudden: return "suddenly";
        case Shape::stepwise: return "in steps";
    }
    return "unknown";
}

std::optional<Growth> growth_of(std::span<const Point> series, uint64_t to_ns, uint64_t span_ns) {
    const auto at_or_before = [&](uint64_t time_ns) {
        return std::upper_bound(series.begin(), series.end(), time_ns,
                                [](uint64_t t, const Point& p) { return t < p.time_ns; });
    };
    const auto end = at_or_before(to_ns);
    if (end - series.begin() < 2) return std::nullopt;
    const uint64_t from_ns = to_ns > span_ns ? to_ns - span_ns : 0;
    auto begin = at_or_before(from_ns);
    const bool whole = begin != series.begin();
    if (whole) --begin;
    if (end - begin < 2) return std::nullopt;
    const std::span<const Point> part(begin, end);
    return Growth{part.front().time_ns, part.back().time_ns, part.front().value, part.back().value, part.size(), whole,
                  shape_of(part)};
}

}  // namespace flightrec::replay
