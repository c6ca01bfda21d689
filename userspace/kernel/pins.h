// SPDX-License-Identifier: Apache-2.0
// What a recorder leaves in bpffs (bpf(2), BPF_OBJ_PIN), so that the kernel goes on recording without it and the next
// recorder goes on from where the window of the last one ends.
//
//   DIR/state          a map of our own that only recorders write: the layout's signature and the cursors
//   DIR/map_NAME       the maps of bpf/
//   DIR/link_PROGRAM   the attachments
//
// DIR is made with mode 0700 and held with flock(2): one recorder at a time. `state` is pinned last; without it the
// rest is a remainder and removed. Gone with a reboot, as the rings are. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"
#include "userspace/kernel/ring_reader.h"

namespace flightrec::kernel {

class Pins {
  public:
    // Code::usage when DIR is not on a bpf file system, Code::busy when another recorder holds it.
    static Result<Pins> open(const std::string& directory);
    Pins(Pins&& other) noexcept;
    Pins& operator=(Pins&& other) noexcept;
    ~Pins();

    // Whether a recorder of this layout left its pins here. Maps state() then.
    bool adopt(uint64_t signature, uint32_t cpus);
    // Something is pinned, of whatever layout.
    [[nodiscard]] bool any() const;
    // Removes all of it: programs whose links were pinned here stop.
    void clear();

    [[nodiscard]] Result<Fd> map(std::string_view name) const;
    [[nodiscard]] bool has_link(std::string_view program) const;
    [[nodiscard]] Result<Fd> link(std::string_view program) const;
    Result<void> pin_map(std::string_view name, int fd) const;
    Result<void> pin_link(std::string_view program, int fd) const;
    // Makes and pins `state` with where the rings' reader stands; from here on the pins are complete.
    using Rings = std::array<const RingReader*, FR_TRACK_COUNT>;
    Result<void> complete(uint64_t signature, uint32_t cpus, const Rings& rings);

    // Where the earlier recorder stood. A save that was prepared and not committed counts when the block it was made
    // for is among `last_blocks` (payload hash of the last block of each track in the last window): the block is
    // stored.
    struct Saved {
        uint64_t boot_ns = 0;             // when
        std::span<const RingMark> marks;  // of each CPU
    };
    void resolve(const std::array<uint64_t, FR_TRACK_COUNT>& last_blocks);
    [[nodiscard]] std::optional<Saved> saved(uint8_t track) const;
    // What the last stored ledger told of a track's losses, of each CPU; empty when there was none.
    [[nodiscard]] std::span<const RingTold> told(uint8_t track) const;

    // prepare() is called before a block of the track is stored, commit() behind it: a kill at any moment then leaves
    // cursors that fit the window. Vital blocks carry what their ledger tells of all tracks. No system call.
    void prepare(uint8_t track, const Rings& rings, uint64_t block);
    void commit(uint8_t track);

  private:
    Pins(std::string directory, Fd held) : directory_(std::move(directory)), held_(std::move(held)) {}
    struct Header;
    struct Slot;
    [[nodiscard]] std::string path(std::string_view kind, std::string_view name) const;
    [[nodiscard]] Slot& slot(uint8_t track, uint64_t generation) const;
    [[nodiscard]] static size_t bytes_of(uint32_t cpus);
    Result<void> map_state(int fd, uint32_t cpus);

    std::string directory_;
    Fd held_;
    std::byte* state_ = nullptr;  // the mapping of `state`
    size_t length_ = 0;
    uint32_t cpus_ = 0;
};

}  // namespace flightrec::kernel
