// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/config.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <bit>

#include "schemas/flightrec/kernel_interface.h"
#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/flight/event_ref.h"
#include "userspace/record/cgroups.h"
#include "userspace/record/identity.h"

namespace flightrec::record {
namespace {

std::string seconds(uint64_t ns) { return fmt::format("{} s", static_cast<double>(ns) / static_cast<double>(second)); }

template <class T, class Show>
Result<void> within(const char* setting, T value, T least, T most, Show show) {
    if (value >= least && value <= most) return {};
    return fail(Code::usage,
                fmt::format("{} is {}: it must be from {} to {}", setting, show(value), show(least), show(most)));
}
Result<void> size_within(const char* setting, uint64_t value, uint64_t least, uint64_t most) {
    return within(setting, value, least, most, [](uint64_t v) { return format_bytes(v); });
}
Result<void> time_within(const char* setting, uint64_t value, uint64_t least, uint64_t most) {
    return within(setting, value, least, most, seconds);
}
template <class T>
Result<void> number_within(const char* setting, T value, T least, T most) {
    return within(setting, value, least, most, [](T v) { return fmt::format("{}", v); });
}

Result<void> ring_size(const char* setting, uint64_t value, uint64_t least) {
    FR_TRY(size_within(setting, value, least, 2u << 20));  // a BPF array's element is at most 4 MiB before 6.3
    if (std::has_single_bit(value)) return {};
    return fail(Code::usage, fmt::format("{} is {} bytes: it must be a power of two, like {}", setting, value,
                                         format_bytes(std::bit_ceil(value))));
}

Result<void> absolute(const char* setting, const std::string& path) {
    if (path.starts_with('/') && path.find('\0') == std::string::npos) return {};
    return fail(Code::usage, fmt::format("{} is \"{}\": it must be an absolute path", setting, printable(path)));
}

Result<void> validate_window(const Config& c) {
    FR_TRY(absolute("--window", c.window_path));
    FR_TRY(size_within("--window-size", c.window_size, FR_WINDOW_SIZE_MIN, 1ull << 40));
    FR_TRY(number_within("--vital-share", c.vital_share, 0.05, 0.95));
    FR_TRY(time_within("seal after", c.seal_ns, second / 100, 10 * second));
    FR_TRY(ring_size("--vital-ring", c.vital_ring, 4 * FR_RING_PAGE_VITAL));
    return ring_size("--syscall-ring", c.syscall_ring, 4 * FR_RING_PAGE_SYSCALL);
}

Result<void> validate_recorded(const Config& c) {
    if (auto scope = Scope::make(c.scope); !scope) return std::unexpected(scope.error().within("scope"));
    for (const auto& name : c.classes_off)
        if (!flight::class_of_name(name))
            return fail(Code::usage, fmt::format("\"{}\" is not a class of events", printable(name)));
    if (c.syscalls.empty())
        return fail(Code::usage, "syscalls is empty: it must be \"all\", \"failed\", \"none\" or names with commas");
    FR_TRY(number_within<uint32_t>("--string-limit", c.string_limit, 16, FR_STRING_MAX));
    FR_TRY(number_within<uint64_t>("kernel log backlog", c.kernel_log_backlog, 0, 1'000'000));
    FR_TRY(time_within("--sample-period", c.sample_period, second / 10, 3600 * second));
    FR_TRY(number_within<uint32_t>("top processes", c.top_processes, 1, 1000));
    return number_within<uint32_t>("sampled cgroups", c.sampled_cgroups, 1, 1000);
}

Result<void> validate_triggers(const TriggerConfig& t) {
    FR_TRY(time_within("tail", t.tail_ns, 0, 60 * second));
    FR_TRY(time_within("debounce", t.debounce_ns, 0, 86400 * second));
    FR_TRY(number_within<uint32_t>("incidents per hour", t.per_hour, 1, 64));
    FR_TRY(number_within<uint32_t>("incidents of one kind per hour", t.per_hour_same, 1, 16));
    FR_TRY(number_within<uint32_t>("fork failures", t.fork_failures, 1, 1'000'000));
    return time_within("time of fork failures", t.fork_failures_within_ns, second / 10, 3600 * second);
}

}  // namespace

Result<void> validate(const Config& c) {
    FR_TRY(validate_window(c));
    FR_TRY(validate_recorded(c));
    FR_TRY(validate_triggers(c.triggers));
    if (c.destinations.empty())
        return fail(Code::usage, "no destination is given: say where dumps go with --to FOLDER or --to URL");
    for (const auto& to : c.destinations)
        if (to.empty() || to.find('\0') != std::string::npos) return fail(Code::usage, "a destination is empty");
    FR_TRY(absolute("spool path", c.spool_path));
    FR_TRY(size_within("spool size", c.spool_size, 1u << 20, 1ull << 40));
    FR_TRY(absolute("control path", c.control_path));
    FR_TRY(absolute("pin path", c.pin_path));
    FR_TRY(number_within("budget in percent", c.budget_percent, 0.0, 100.0));
    if (c.labels.size() > 32) return fail(Code::usage, "more than 32 labels are given");
    for (const auto& [key, value] : c.labels)
        if (auto label = parse_label(key + "=" + value); !label) return std::unexpected(label.error());
    if (c.instance_id.size() > 255 || printable(c.instance_id) != c.instance_id)
        return fail(Code::usage, "the instance id must be at most 255 bytes of text without control characters");
    return {};
}

std::string without_secrets(const std::string& destination) {
    const size_t scheme = destination.find("://");
    if (scheme == std::string::npos) return destination;
    const size_t host = scheme + 3;
    const size_t end = std::min(destination.find_first_of("/?#", host), destination.size());
    const size_t at = destination.rfind('@', end);
    const size_t query = std::min(destination.find_first_of("?#", host), destination.size());
    const size_t from = at != std::string::npos && at >= host && at < end ? at + 1 : host;
    return destination.substr(0, host) + destination.substr(from, query - from);
}

nlohmann::json to_json(const Config& c) {
    auto destinations = nlohmann::json::array();
    for (const auto& to : c.destinations) destinations.push_back(printable(without_secrets(to)));
    const TriggerConfig& t = c.triggers;
    return {{"window",
             {{"path", printable(c.window_path)},
              {"size", c.window_size},
              {"vital_share", c.vital_share},
              {"seal_ns", c.seal_ns}}},
            {"rings", {{"vital", c.vital_ring}, {"syscalls", c.syscall_ring}}},
            {"destinations", destinations},
            {"spool", {{"path", printable(c.spool_path)}, {"size", c.spool_size}}},
            {"scope", c.scope},
            {"syscalls", c.syscalls},
            {"classes_off", c.classes_off},
            {"string_limit", c.string_limit},
            {"durations", c.durations},
            {"kernel_log", c.kernel_log},
            {"kernel_log_backlog", c.kernel_log_backlog},
            {"sample_period_ns", c.sample_period},
            {"top_processes", c.top_processes},
            {"sampled_cgroups", c.sampled_cgroups},
            {"triggers",
             {{"oom_kill", t.oom_kill},
              {"crash", t.crash},
              {"fork_failure", t.fork_failure},
              {"alloc_failure", t.alloc_failure},
              {"tail_ns", t.tail_ns},
              {"debounce_ns", t.debounce_ns},
              {"per_hour", t.per_hour},
              {"per_hour_same", t.per_hour_same},
              {"fork_failures", t.fork_failures},
              {"fork_failures_within_ns", t.fork_failures_within_ns}}},
            {"labels", c.labels},
            {"instance_id", c.instance_id},
            {"control_path", printable(c.control_path)},
            {"pin", c.pin ? nlohmann::json(printable(c.pin_path)) : nlohmann::json(false)},
            {"budget_percent", c.budget_percent}};
}

std::string config_hash(const Config& c) {
    const std::string text = to_json(c).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return fmt::format("{:016x}", static_cast<uint64_t>(XXH3_64bits(text.data(), text.size())));
}

}  // namespace flightrec::record
