// SPDX-License-Identifier: Apache-2.0
// Opens files whose paths a recorded process chose, on the thread that drains: nothing here waits for anybody.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "userspace/base/handle.h"

namespace flightrec::record {

// File systems of this machine's own disks and memory. Those that wait for a server or a process (nfs, cifs, 9p, fuse,
// …), or for one that is not known, are none: opening or reading a file there may take for ever.
[[nodiscard]] bool is_local_filesystem(std::string_view type);

// Knows the mounts of this process's mount namespace (proc_pid_mountinfo(5)). One thread; never allocates after open().
class LocalFiles {
  public:
    // proc: the folder of /proc. Without a readable mountinfo no file is opened.
    static LocalFiles open(const std::string& proc);

    // The regular file of that inode at `path`, for reading; invalid where it is another one, is not on a local file
    // system, or could not be found without waiting. root: where absolute paths begin (O_PATH), -1: here. mountinfo: of
    // the namespace that `root` is in; -1: this one. Looked up in the kernel's cache alone (openat2(2),
    // RESOLVE_CACHED, 5.12): who has a file mapped keeps its path there.
    [[nodiscard]] Fd open_regular(const char* path, uint64_t inode, int root = -1, int mountinfo = -1);

  private:
    struct Known {
        uint64_t mount = 0;
        bool local = false;
    };
    bool is_local(uint64_t mount, int mountinfo);
    bool changed();

    Fd mountinfo_;
    std::array<Known, 16> known_{};  // of this namespace, until a mount changes
    size_t next_ = 0;
};

}  // namespace flightrec::record
