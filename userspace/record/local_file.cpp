// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/local_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "userspace/base/text.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

// The type in the line of that mount: "36 35 98:0 /from /to rw,noatime shared:1 - ext4 /dev/root rw".
std::optional<bool> local_by_line(std::string_view line, uint64_t mount) {
    const auto id = take_number(line);
    if (!id || *id != mount) return std::nullopt;
    const size_t at = line.find(" - ");
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at + 3);
    return is_local_filesystem(line.substr(0, line.find(' ')));
}

bool look_up(int mountinfo, uint64_t mount) {
    std::array<char, 16384> text;
    size_t have = 0;
    if (::lseek(mountinfo, 0, SEEK_SET) != 0) return false;
    for (;;) {
        const ssize_t n = ::read(mountinfo, text.data() + have, text.size() - have);
        if (n <= 0) return false;
        std::string_view rest(text.data(), have + static_cast<size_t>(n));
        while (rest.find('\n') != std::string_view::npos)
            if (const auto local = local_by_line(take_until(rest, '\n'), mount)) return *local;
        have = rest.size() == text.size() ? 0 : rest.size();
        std::memmove(text.data(), rest.data(), have);
    }
}

}  // namespace

bool is_local_filesystem(std::string_view type) {
    static constexpr std::array<std::string_view, 24> local{
        "ext2",     "ext3",    "ext4",     "xfs",    "btrfs",    "tmpfs",    "ramfs",   "rootfs",
        "devtmpfs", "overlay", "squashfs", "erofs",  "f2fs",     "vfat",     "exfat",   "ntfs3",
        "zfs",      "jfs",     "udf",      "nilfs2", "bcachefs", "reiserfs", "iso9660", "hugetlbfs"};
    return std::find(local.begin(), local.end(), type) != local.end();
}

LocalFiles LocalFiles::open(const std::string& proc) {
    LocalFiles out;
    out.mountinfo_.reset(::open((proc + "/self/mountinfo").c_str(), O_RDONLY | O_CLOEXEC));
    return out;
}

// Whether a mount was made or removed since the last call: the kernel says so to who polls the file.
bool LocalFiles::changed() {
    pollfd p{mountinfo_.get(), POLLPRI, 0};
    return ::poll(&p, 1, 0) != 0;
}

bool LocalFiles::is_local(uint64_t mount, int mountinfo) {
    if (mountinfo >= 0) return look_up(mountinfo, mount);
    if (!mountinfo_.valid()) return false;
    if (changed()) known_.fill({});
    const auto known =
        std::find_if(known_.begin(), known_.end(), [&](const Known& k) { return k.mount == mount && mount != 0; });
    if (known != known_.end()) return known->local;
    const bool local = look_up(mountinfo_.get(), mount);
    known_[next_++ % known_.size()] = {mount, local};
    return local;
}

Fd LocalFiles::open_regular(const char* path, uint64_t inode, int root, int mountinfo) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_CACHED | RESOLVE_NO_MAGICLINKS | (root >= 0 ? RESOLVE_IN_ROOT : 0u);
    Fd found;
    for (int attempt = 0; attempt < 3 && !found.valid(); ++attempt) {  // a rename at the same time is EAGAIN, too
        found.reset(static_cast<int>(::syscall(SYS_openat2, root >= 0 ? root : AT_FDCWD, path, &how, sizeof how)));
        if (!found.valid() && errno != EAGAIN) return {};
    }
    // What the kernel knows already, without asking a server. From here on the mount cannot go away.
    struct statx st {};
    if (!found.valid() ||
        ::statx(found.get(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID, &st) != 0)
        return {};
    if (!S_ISREG(st.stx_mode) || st.stx_ino != inode || (st.stx_mask & STATX_MNT_ID) == 0) return {};
    if (!is_local(st.stx_mnt_id, mountinfo)) return {};
    std::array<char, 32> self;
    *fmt::format_to_n(self.data(), self.size() - 1, "/proc/self/fd/{}", found.get()).out = '\0';
    return Fd(::open(self.data(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

}  // namespace flightrec::record
