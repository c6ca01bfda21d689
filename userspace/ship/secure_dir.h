// SPDX-License-Identifier: Apache-2.0
// A directory that no other user can play tricks in, and atomic writes inside it.
//
// Everything goes through the open directory (openat(2) and friends) with O_NOFOLLOW, so a path that is exchanged later
// leads nowhere else. Names are single parts; anything with '/' is a broken promise of ours and refused.
// Threads: the calls are independent system calls; two writers of the same name are the caller's affair.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"

namespace flightrec::ship {

class SecureDir {
  public:
    enum class Privacy {
        trusted,  // owned by root or us, writable by nobody else
        own,      // owned by us, mode 0700
    };
    // Opens the directory, making it (0700) and missing parents of it. Refuses: a symbolic link as last part; an owner
    // other than root or us; a mode against `privacy`; a parent that another user could exchange (not root's or ours,
    // or writable by others without the sticky bit). Code::permission, with the remedy.
    static Result<SecureDir> open(const std::filesystem::path& path, Privacy privacy);

    struct Entry {
        std::string name;
        uint64_t size = 0;
        uint64_t inode = 0;
        int64_t modified_s = 0;  // wall clock
    };
    // Regular files owned by us, in no order. Links, directories and files of others are left out.
    [[nodiscard]] Result<std::vector<Entry>> files() const;

    // A new empty file, 0600, for reading and writing. Removes what stood under the name before (O_EXCL).
    [[nodiscard]] Result<Fd> create(std::string_view name) const;
    // Opens an existing regular file of ours for reading, or for reading and writing.
    [[nodiscard]] Result<Fd> open_file(std::string_view name, bool for_writing = false) const;
    // At most `limit` bytes; Code::corrupt for a longer file.
    [[nodiscard]] Result<std::string> read(std::string_view name, size_t limit) const;
    // NAME.part, fsync, rename to NAME, fsync of the directory: after a crash the old or the new content, never a mix.
    Result<void> write(std::string_view name, std::string_view bytes) const;
    Result<void> rename(std::string_view from, std::string_view to) const;
    Result<void> remove(std::string_view name) const;  // not there: fine
    // A second name in this directory for the file at `from`; Code::unsupported when they are on different file
    // systems.
    Result<void> link_here(const std::filesystem::path& from, std::string_view name) const;
    Result<void> sync() const;
    [[nodiscard]] Result<uint64_t> free_bytes() const;  // for us
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    SecureDir(std::filesystem::path path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
    std::filesystem::path path_;
    Fd fd_;
};

// Writes all of it at `offset`; an error names `what`.
Result<void> write_all(int fd, std::span<const std::byte> bytes, uint64_t offset, std::string_view what);

}  // namespace flightrec::ship
