// SPDX-License-Identifier: Apache-2.0
// What the renderers write to: a buffer in front of a file descriptor, written in pieces of 64 KiB.
//
// One thread. The descriptor is borrowed. A reader that went away (EPIPE) is not an error: open() turns false and
// everything after that is dropped, so that `flightrec replay FILE | head` ends quietly. SIGPIPE must be ignored.
#pragma once

#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace flightrec::replay {

class Output {
  public:
    explicit Output(int fd) : fd_(fd) { buffer_.reserve(flush_at + 16384); }

    // Append to it, then call commit() at the end of each line.
    [[nodiscard]] std::string& buffer() { return buffer_; }
    // Writes what has gathered when it is enough; `now`: whatever there is.
    void commit(bool now = false);
    // False when there is no use in writing more: the reader is gone, or an error was met.
    [[nodiscard]] bool open() const { return open_; }
    // Writes the rest. The first error met by any write, but for EPIPE.
    [[nodiscard]] Result<void> finish();

  private:
    static constexpr size_t flush_at = 65536;
    int fd_;
    bool open_ = true;
    int error_ = 0;
    std::string buffer_;
};

}  // namespace flightrec::replay
