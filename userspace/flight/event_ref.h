// SPDX-License-Identifier: Apache-2.0
// Looking at one event record (schemas/flightrec/event.h) without trusting it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "schemas/flightrec/event.h"

namespace flightrec::flight {

// One record. Does not own; valid as long as whoever gave it says. `bytes` is the whole record: at least
// sizeof(fr_event), exactly head().size, 8-aligned in memory.
struct EventRef {
    std::span<const std::byte> bytes;
    uint16_t cpu = 0;
    uint16_t fixed_size = 0;  // of its class, as the writer laid it out

    [[nodiscard]] const fr_event& head() const { return *reinterpret_cast<const fr_event*>(bytes.data()); }

    // The fixed part as this build knows it: fields the writer did not have are zero. T's class is not checked.
    template <class T>
    [[nodiscard]] T as() const {
        static_assert(std::is_trivially_copyable_v<T>);
        T out;
        const size_t have = std::min<size_t>(fixed_size, bytes.size());
        if (have >= sizeof out) {  // as ever but for older writers; a length the compiler knows
            std::memcpy(&out, bytes.data(), sizeof out);
            return out;
        }
        std::memset(&out, 0, sizeof out);
        std::memcpy(&out, bytes.data(), have);
        return out;
    }
    [[nodiscard]] std::span<const std::byte> blob_bytes() const {
        return bytes.subspan(std::min<size_t>(fixed_size, bytes.size()));
    }
};

struct Blob {
    uint8_t kind = 0;
    uint8_t flags = 0;
    std::string_view text;  // its bytes
};

// Walks the blobs of a record: `while (auto blob = walk.next())`. Stops at the first that does not fit.
class BlobWalk {
  public:
    explicit BlobWalk(std::span<const std::byte> bytes) : rest_(bytes) {}
    std::optional<Blob> next() {
        if (rest_.size() < sizeof(fr_blob)) return std::nullopt;
        fr_blob head;
        std::memcpy(&head, rest_.data(), sizeof head);
        const size_t whole = (sizeof head + head.len + FR_EVENT_ALIGN - 1) & ~size_t{FR_EVENT_ALIGN - 1};
        if (head.kind == FR_BLOB_NONE || whole > rest_.size()) return std::nullopt;
        const Blob blob{head.kind, head.flags, {reinterpret_cast<const char*>(rest_.data()) + sizeof head, head.len}};
        rest_ = rest_.subspan(whole);
        return blob;
    }

  private:
    std::span<const std::byte> rest_;
};

[[nodiscard]] inline std::optional<Blob> find_blob(const EventRef& event, uint8_t kind) {
    BlobWalk walk(event.blob_bytes());
    while (auto blob = walk.next())
        if (blob->kind == kind) return blob;
    return std::nullopt;
}

// "exec", "oom_kill", … and back; nullopt for a name that is no class. Names are those of --class and of JSON.
[[nodiscard]] std::string_view class_name(uint8_t cls);
[[nodiscard]] std::optional<uint8_t> class_of_name(std::string_view name);
// Bytes of the fixed part of a class in this build, 0 for a class it does not know.
[[nodiscard]] uint16_t fixed_size_of(uint8_t cls);
// Which track a class is written to.
[[nodiscard]] inline uint8_t track_of(uint8_t cls) {
    return cls == FR_CLASS_SYSCALL || cls == FR_CLASS_SYSCALL_ENTER ? FR_TRACK_SYSCALL : FR_TRACK_VITAL;
}

// "ls\0bin\0usr\0" (components leaf first) to "/usr/bin/ls". "…/bin/ls" when the root was not reached.
[[nodiscard]] std::string path_from_components(std::string_view components);

}  // namespace flightrec::flight
