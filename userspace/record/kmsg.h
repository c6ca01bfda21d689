// SPDX-License-Identifier: Apache-2.0
// The kernel log as events: reads /dev/kmsg, one fr_kmsg a record.
//
// Source of facts: Documentation/ABI/testing/dev-kmsg; Linux kernel/printk/printk.c. A line's own stamp is the
// kernel's local_clock(): nanoseconds since boot without suspend, not disciplined by NTP, so it drifts from
// CLOCK_MONOTONIC by some ppm (seconds a week), and it begins some milliseconds apart from it. Where the printk:console
// tracepoint tells of each line as it is printed (announce()), the time it was told is the line's time on the boot time
// axis, and each such pair gives the offset between the two clocks: lines that were not told (from NMIs, from before
// the start) are placed at stamp + offset. Before the first pair the offset is boot time less monotonic time; without
// the tracepoint it is learned from live lines: a line is never later than the moment it was read, and of 16 lines in a
// row at least one is taken as read when it was logged (within 50 ms). Lines of the backlog are placed with the first
// offset: after months of uptime they may be seconds off.
// Threads: the recorder's. After open() nothing allocates.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"
#include "userspace/record/emit.h"

namespace flightrec::record {

struct KmsgLine {
    uint32_t level = 0xff;
    uint32_t facility = 0;
    uint64_t seq = 0;
    uint64_t stamp_us = 0;
    std::string_view text;  // still escaped; the dictionary lines (" KEY=value") are not part of it
};
// One record as read(2) gives it; nothing when it is not of that form.
std::optional<KmsgLine> parse_kmsg(std::string_view record);
// Undoes \xNN in `text` into `out` (at least as long); returns the bytes used.
std::string_view unescape_kmsg(std::string_view text, std::span<char> out);

struct KmsgConfig {
    uint64_t backlog = 0;         // lines before the start that are taken too; none in a scope
    bool announced = false;       // lines are told by announce(): each waits up to a second for it
    bool only_announced = false;  // scope: and those that are not told are left out
};

class KmsgReader {
  public:
    // read(2), or what stands for it in a test.
    using ReadCall = ssize_t (*)(int fd, void* buffer, size_t size);

    // Code::permission without CAP_SYSLOG (kernel.dmesg_restrict), Code::not_found in a container without the device.
    static Result<KmsgReader> open(const std::string& path, const KmsgConfig& config);
    // From a descriptor that gives one record a read; for tests.
    static Result<KmsgReader> from(Fd fd, const KmsgConfig& config, ReadCall call);
    KmsgReader(KmsgReader&&) noexcept;
    KmsgReader& operator=(KmsgReader&&) noexcept;
    ~KmsgReader();

    // To poll for POLLIN.
    [[nodiscard]] int fd() const;
    // Emits what can be read now, at most `limit` lines; call it when fd() is readable and at least once a second
    // (lines held back expire then). Returns how many lines were read: `limit` means there may be more.
    size_t read(const Emit& emit, size_t limit = 1000);
    // Emits the lines that wait for their announcement without waiting longer (in a scope: nothing, they stay).
    void release(const Emit& emit);

    // A task in scope printed this (from the printk:console tracepoint; `cut`: the probe did not take all of it) at
    // boot time `at_ns`. May come before or after the line itself, within one second. Emits the line if it waits.
    // Continuation pieces are matched in the order they are announced.
    void announce(std::string_view text, bool cut, uint64_t at_ns, const Emit& emit);

    // The account: produced = emitted + overwritten + skipped + waiting.
    struct Counts {
        uint64_t produced = 0;  // lines the kernel logged since the start
        uint64_t emitted = 0;
        uint64_t overwritten = 0;  // gone from the kernel's buffer before they were read
        uint64_t skipped = 0;      // outside the scope, or not understood
        uint64_t waiting = 0;      // held back until announced
    };
    [[nodiscard]] const Counts& counts() const;

  private:
    struct Impl;
    explicit KmsgReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
