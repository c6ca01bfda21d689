// SPDX-License-Identifier: Apache-2.0
// Bytes of a file or of memory, read by position. Not for writing. One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"

namespace flightrec::flight {

class Source {
  public:
    static Result<Source> open(const std::filesystem::path& path);
    static Source memory(std::span<const std::byte> bytes, std::string name);

    [[nodiscard]] uint64_t size() const { return size_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    // Somebody holds an exclusive lock on the file (flock(2)): its recorder.
    [[nodiscard]] bool locked() const;
    // Fills `to` whole; false when the range ends after the file or cannot be read.
    [[nodiscard]] bool read(uint64_t offset, std::span<std::byte> to) const;
    template <class T>
    [[nodiscard]] bool read_value(uint64_t offset, T& value) const {
        return read(offset, std::as_writable_bytes(std::span(&value, 1)));
    }

  private:
    Fd fd_;
    std::span<const std::byte> memory_;
    uint64_t size_ = 0;
    std::string name_;
};

}  // namespace flightrec::flight
