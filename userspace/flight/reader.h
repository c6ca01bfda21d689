// SPDX-License-Identifier: Apache-2.0
// Reading a `.flight` file: a dump, a live window, or a window left by a dead machine. One reader for all.
// Nothing read is trusted. Damage is skipped, counted and reported; it never ends a reading.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schemas/flightrec/format.h"
#include "userspace/base/result.h"
#include "userspace/flight/block.h"
#include "userspace/flight/block_summary.h"
#include "userspace/flight/event_ref.h"
#include "userspace/flight/ledger.h"

namespace flightrec::flight {

// What could not be read, and where. Readers print it; `verify` exits non-zero for it.
struct Damage {
    struct Item {
        uint64_t offset = 0;  // in the file
        uint64_t bytes = 0;
        std::string what;  // "segment header: hash does not match", "block 3: payload ends after the file", …
    };
    std::vector<Item> items;  // the first 100 (damage_items_max)
    uint64_t count = 0;
    [[nodiscard]] bool none() const { return count == 0; }
    void add(const Damage& other);
};

struct BlockInfo {
    fr_block_header header{};
    uint64_t file_offset = 0;  // of the block header
};

struct SegmentInfo {
    fr_segment_header header{};
    uint64_t file_offset = 0;
    std::vector<BlockInfo> blocks;  // in order
    uint64_t end = 0;               // where the next block would stand, from the start of the segment
    bool rebuilt = false;           // its header was damaged and made anew from its blocks; stored_before is not known
};

struct ReadOptions {
    uint64_t from_ns = 0;                                   // boot time, of an event's return
    uint64_t to_ns = std::numeric_limits<uint64_t>::max();  // inclusive
    bool vital = true;
    bool syscalls = true;
    // Yield one keyframe's records first (before any event, with their own time): of the last vital segment that was
    // begun at or before from_ns and has one, else of the first that has one.
    bool keyframes = true;
    // Asked of each SYSCALLS block that has a summary; false: the block is not read. Empty: all are wanted.
    std::function<bool(const BlockInfo&, const BlockSummary&)> wanted{};
};

// Blocks of an EventReader's times and tracks, keyframes apart.
struct BlockCounts {
    uint64_t read = 0;
    uint64_t left_out = 0;  // by ReadOptions::wanted
};

// Yields events in order of time_ns over all tracks and CPUs; ties in the order of the file. Reads a block when its
// time has come and drops it when it is through. One thread; the file must live as long.
class EventReader {
  public:
    EventReader(EventReader&&) noexcept;
    EventReader& operator=(EventReader&&) noexcept;
    ~EventReader();
    // The next event, valid until the next call; nullopt at the end.
    std::optional<EventRef> next();
    // True while next() has been yielding a keyframe's records rather than events.
    [[nodiscard]] bool in_keyframe() const;
    // A block of a live window that was overwritten while reading counts here, not as damage.
    [[nodiscard]] uint64_t blocks_lost() const;
    [[nodiscard]] BlockCounts blocks() const;
    // Of the blocks read so far.
    [[nodiscard]] const Damage& damage() const;
    // Compares the payloads of all blocks of the file that were not read with their hashes, without decoding them; what
    // is wrong is in damage() then. A block overwritten meanwhile is neither damage nor counted in blocks_lost():
    // nobody asked for it.
    void check_rest();

  private:
    friend class FlightFile;
    struct Impl;
    explicit EventReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// One thread at a time. A file is read with pread(2), not mapped: neither a file that is cut while it is read nor a bad
// sector can raise SIGBUS.
class FlightFile {
  public:
    // Finds every readable segment and block header (payloads are not read). Errors: not found or permission;
    // Code::corrupt when it is not a flight file at all; Code::unsupported for a newer version (the message names both
    // versions). A damaged file header is survived when segments can still be found by scanning.
    static Result<FlightFile> open(const std::filesystem::path& path);
    static Result<FlightFile> from_memory(std::span<const std::byte> bytes, std::string name);  // not owned

    FlightFile(FlightFile&&) noexcept;
    FlightFile& operator=(FlightFile&&) noexcept;
    ~FlightFile();

    [[nodiscard]] const fr_file_header& header() const;
    [[nodiscard]] const std::string& info_json() const;  // "{}" when both slots are damaged
    // Segments by sequence, oldest first.
    [[nodiscard]] std::span<const SegmentInfo> segments() const;
    [[nodiscard]] const Damage& damage() const;
    [[nodiscard]] uint64_t first_ns() const;  // of events, over all tracks; 0 for an empty file
    [[nodiscard]] uint64_t last_ns() const;

    [[nodiscard]] EventReader read(const ReadOptions& options = {}) const;

    // Somebody holds the window's lock: a recorder is writing it.
    [[nodiscard]] bool live() const;
    // For a live window: looks again; returns the blocks that have appeared since the last call or open(), oldest
    // first.
    std::vector<BlockInfo> refresh();
    // Decodes one block (hash checked). Valid until the next call.
    Result<std::span<const EventRef>> decode(const BlockInfo& block);

    // What a block says it holds, without decoding it; nullopt when it does not say so.
    [[nodiscard]] std::optional<BlockSummary> summary(const BlockInfo& block) const;

    // Wall clock for a boot time, through the clock pairs of the segments and CLOCK markers seen in the file.
    [[nodiscard]] uint64_t realtime_of(uint64_t boot_ns) const;
    [[nodiscard]] uint64_t boot_of_realtime(uint64_t realtime_ns) const;        // the last one, where there are two
    [[nodiscard]] uint64_t first_boot_of_realtime(uint64_t realtime_ns) const;  // after a step back

    struct Impl;  // of this layer

  private:
    friend Result<struct Verification> verify(const FlightFile& file);
    explicit FlightFile(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// The whole account of one file, by decoding everything (flight-format.md, "Ledger").
struct Verification {
    struct Line {
        uint64_t produced = 0, stored = 0, evicted = 0, overwritten = 0, torn = 0, skipped = 0, pending = 0;
        uint64_t found = 0;  // counted by decoding, blocks up to the last ledger
        uint64_t after = 0;  // counted in blocks after the last ledger (a recorder that was killed)
        bool balanced = true;
    };
    bool has_ledger = false;
    std::array<Line, FR_CLASS_COUNT> line{};
    Damage damage;
    uint64_t lost_blocks = 0;  // live window: overwritten while it was being verified
    uint64_t summaries = 0;    // blocks with one
    uint64_t segments = 0, blocks = 0, events = 0, keyframe_records = 0, stored_bytes = 0, raw_bytes = 0;
    uint64_t syscall_events = 0, syscall_stored_bytes = 0;
    // Sequences missing between the first and the last segment of a track.
    std::array<uint64_t, FR_TRACK_COUNT> missing_segments{};
    [[nodiscard]] bool intact() const;    // no damage, nothing missing
    [[nodiscard]] bool balanced() const;  // there is a ledger, and every line of it balances
};
Result<Verification> verify(const FlightFile& file);

}  // namespace flightrec::flight
