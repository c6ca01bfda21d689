// SPDX-License-Identifier: Apache-2.0
// Builds one event record in user space: samples, kernel log lines, markers, keyframe entries.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "schemas/flightrec/event.h"

namespace flightrec::flight {

// Holds the record itself (16 KiB): keep one and reuse it. Not for several threads at once. Never allocates.
class EventBuilder {
  public:
    // Starts a record of class `cls` whose fixed part is T; returns it zeroed but for size and class.
    template <class T>
    T& begin(uint8_t cls) {
        static_assert(sizeof(T) % FR_EVENT_ALIGN == 0);
        std::memset(buffer_.data(), 0, sizeof(T));
        size_ = sizeof(T);
        head().cls = cls;
        finish();
        return *reinterpret_cast<T*>(buffer_.data());
    }
    // Starts with a whole record, so that blobs can be added to it; `record` is one, at most FR_EVENT_MAX bytes.
    void copy(std::span<const std::byte> record) {
        size_ = record.size() < buffer_.size() ? record.size() : buffer_.size();
        std::memcpy(buffer_.data(), record.data(), size_);
    }
    // Adds a blob; cuts it, and says so in its flags and the event's, when the record is full.
    void blob(uint8_t kind, std::string_view text, uint8_t flags = 0);
    [[nodiscard]] fr_event& head() { return *reinterpret_cast<fr_event*>(buffer_.data()); }
    [[nodiscard]] std::span<const std::byte> bytes() const { return {buffer_.data(), size_}; }

  private:
    void finish() { head().size = static_cast<uint16_t>(size_); }
    alignas(8) std::array<std::byte, FR_EVENT_MAX> buffer_;
    size_t size_ = 0;
};

}  // namespace flightrec::flight
