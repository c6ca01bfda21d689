// SPDX-License-Identifier: Apache-2.0
// Brings the window to the disk soon after every block, so that a loss of power costs about a second and not the half
// minute that the kernel may take (Documentation/admin-guide/sysctl/vm.rst, dirty_expire_centisecs).
//
// fdatasync(2) on a thread of its own: the recorder never waits for a disk. Not sync_file_range(2): the window's blocks
// are allocated and not yet written at first, and what the file system notes when they are is metadata.
#pragma once

#include <cstdint>
#include <memory>

#include "userspace/base/result.h"

namespace flightrec::record {

class Flusher {
  public:
    // Starts the thread; `fd` is duplicated.
    static Result<std::unique_ptr<Flusher>> make(int fd);
    ~Flusher();  // waits for a call in progress, at most a second; a disk that hangs keeps the thread, not us
    // Something was written. Takes a lock for a moment, never waits for the disk.
    void kick();
    [[nodiscard]] uint64_t cpu_ns() const;  // CPU time that the thread has taken, as of its last call

  private:
    struct Shared;  // co-owned by this object and the thread, which may outlive it
    explicit Flusher(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    std::shared_ptr<Shared> shared_;
};

}  // namespace flightrec::record
