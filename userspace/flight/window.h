// SPDX-License-Identifier: Apache-2.0
// The window: a preallocated, memory-mapped file of fixed-size segments (flight-format.md). The oldest segment of a
// track is reused. After create() nothing allocates and nothing but the mapping is touched.
//
// Threads: append(), begin of segments and set_info() belong to one writer thread. pin() and Pinned may be used by one
// dump thread at the same time. Readers of other processes need no lock: every block carries a hash and is
// written payload first, header last.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/flightrec/format.h"
#include "userspace/base/clock.h"
#include "userspace/base/result.h"
#include "userspace/flight/block.h"

namespace flightrec::flight {

struct WindowConfig {
    std::filesystem::path path;
    uint64_t size = 64u << 20;      // bytes of the whole file; at least FR_WINDOW_SIZE_MIN
    double vital_share = 0.25;      // of the segments, at least two segments each track
    uint64_t segment_size = 0;      // 0: the power of two at or below size / 32, at most 4 MiB
    bool replace_existing = false;  // false: an existing file is refused with Code::busy
};

// What append() asks the owner to provide when a new segment of the vital track begins (of no other track).
// Called on the writer thread, inside append(); appends the keyframe's blocks with Window::append, from an encoder of
// its own (the block that waits to be appended must stay valid). In there no further segment is begun: what does not
// fit in half of the segment is refused with Code::no_space, and the keyframe is shorter for it.
using SegmentStarted = std::function<void(uint8_t track)>;

class Window {
  public:
    // Makes PATH.new (mode 0600), takes its lock (flock(2)), allocates every block on disk (Code::no_space), maps it
    // and renames it to PATH: an old file is never overwritten in place, and only replaced by a complete one.
    // Code::busy: another recorder holds PATH, or a window is there and replace_existing is false. Code::usage: too
    // small.
    static Result<Window> create(const WindowConfig& config, std::string_view info_json);

    Window(Window&&) noexcept;
    Window& operator=(Window&&) noexcept;
    ~Window();

    void on_segment_started(SegmentStarted callback);

    // Writes the block to the track's open segment; opens the next one first when it does not fit, evicting the oldest.
    // Code::usage when it can never fit (see max_payload()); Code::busy when the oldest segment, the one to reuse, is
    // pinned: the block is not written, the caller tries again later. An error's message is the only allocation.
    Result<void> append(uint8_t track, const EncodedBlock& block);
    // Largest payload of a block that always fits; encoders' payload_bound() must not be above it.
    [[nodiscard]] size_t max_payload() const;
    // Locks the mapping in memory and faults it in (mlock(2)). The window works without.
    Result<void> lock_memory();
    // Where each track stands, for the ledger record that is added to a block as its last event before the block is
    // finished and appended: line[c].stored of the vital classes must then be stored()[c] plus that block's own events,
    // the ledger included.
    void fill_ledger_position(fr_ledger& ledger) const;

    // Replaces the information JSON (two slots in turn, the newer one counts). At most FR_INFO_SLOT_SIZE less header.
    Result<void> set_info(std::string_view json);

    // Events of each class ever stored, and evicted with reused segments. Keyframes are not counted. Writer thread.
    [[nodiscard]] std::array<uint64_t, FR_CLASS_COUNT> stored() const;
    [[nodiscard]] std::array<uint64_t, FR_CLASS_COUNT> evicted() const;
    [[nodiscard]] uint64_t segment_size() const;
    [[nodiscard]] uint64_t size() const;
    [[nodiscard]] const std::filesystem::path& path() const;
    [[nodiscard]] std::span<const std::byte> mapping() const;
    // Starts writing to disk what was written since the last call (sync_file_range(2)), or waits until it is there
    // (msync(2), MS_SYNC): a power loss then costs at most what came after. Writer thread.
    Result<void> flush(bool wait);
    [[nodiscard]] int fd() const;  // of the file, for fdatasync(2)

    // One segment as it stood at the pin: header plus committed bytes. Not reused until released.
    struct PinnedSegment {
        uint32_t slot = 0;
        uint64_t used = 0;  // bytes, header included
    };
    // Pins every segment that holds data, oldest sequence first, at one moment for all tracks.
    // Slots of a pinned segment are released one by one with unpin() as the dump has copied them. Pins are counted.
    std::vector<PinnedSegment> pin();           // any thread
    void pin(std::vector<PinnedSegment>& out);  // the same; does not allocate when out has room for slots()
    void unpin(uint32_t slot);                  // any thread
    [[nodiscard]] uint32_t slots() const;
    [[nodiscard]] std::span<const std::byte> segment_bytes(const PinnedSegment& segment) const;
    [[nodiscard]] fr_file_header header() const;

  private:
    struct Impl;
    explicit Window(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Writes a dump of what `pin()` holds: file header of kind DUMP, the information JSON, then the segments, trimmed.
// `write` gets consecutive pieces (each valid during the call only); its error ends the dump and is returned. Unpins
// every segment in any case. Returns the bytes written. Never allocates more than a few KiB.
using WritePiece = std::function<Result<void>(std::span<const std::byte>)>;
Result<uint64_t> write_dump(Window& window, std::string_view info_json, const WritePiece& write);
// The size write_dump would write for these segments.
uint64_t dump_size(const std::vector<Window::PinnedSegment>& segments);
// A dump of what a dead recorder's window holds, for as far as it can be read, and `closing` (may be null) as one more
// block of its last vital segment when there is room: what is known of how the recording ended. `source` is the file
// itself, open for reading.
class FlightFile;
Result<uint64_t> write_recovered(const FlightFile& file, int source, const EncodedBlock* closing,
                                 std::string_view info_json, const WritePiece& write);
// The same for segments already pinned (so that the size could be told beforehand); unpins them.
Result<uint64_t> write_dump(Window& window, const std::vector<Window::PinnedSegment>& segments,
                            std::string_view info_json, const WritePiece& write);

}  // namespace flightrec::flight
