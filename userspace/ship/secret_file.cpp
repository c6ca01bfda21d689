// SPDX-License-Identifier: Apache-2.0
// Reading tokens, certificates and keys, and noticing that they changed.
#include "userspace/ship/secret_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::ship {
namespace {

constexpr off_t size_max = 1 << 20;

bool same_file(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
           a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
           a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

bool group_is_ours(gid_t gid) { return gid == 0 || gid == getegid(); }

}  // namespace

void wipe(std::string& secret) {
    explicit_bzero(secret.data(), secret.size());
    secret.clear();
}

Result<WatchedFile> WatchedFile::open(const std::filesystem::path& path, std::string_view what, Secrecy secrecy) {
    WatchedFile file;
    std::error_code ec;
    file.path_ = std::filesystem::absolute(path, ec);
    file.what_ = what;
    file.secrecy_ = secrecy;
    FR_TRY(file.load());
    return file;
}

// Links are followed: secrets are often mounted as links. It is the file itself that must be safe.
Result<void> WatchedFile::load() {
    const auto shown = fmt::format("the {} {}", what_, printable(path_.string()));
    const Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) return fail_errno(errno, "cannot open " + shown);
    struct stat st {};
    if (fstat(fd.get(), &st) != 0) return fail_errno(errno, "cannot look at " + shown);
    if (!S_ISREG(st.st_mode)) return fail(Code::usage, shown + " is not a regular file");
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 0022) != 0)
        return fail(Code::permission, shown + " can be changed by other users: make it root's and 'chmod go-w' it");
    if (secrecy_ == Secrecy::secret &&
        ((st.st_mode & 0007) != 0 || ((st.st_mode & 0070) != 0 && !group_is_ours(st.st_gid))))
        return fail(Code::permission, shown + " can be read by other users: 'chmod 600' it");
    if (st.st_size > size_max) return fail(Code::usage, shown + " is larger than 1 MiB");
    std::string bytes(static_cast<size_t>(st.st_size), '\0');
    size_t have = 0;
    while (have < bytes.size()) {
        const ssize_t n = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read " + shown);
        if (n == 0) break;
        have += static_cast<size_t>(n);
    }
    bytes.resize(have);
    wipe(content_);
    content_ = std::move(bytes);
    seen_ = st;
    return {};
}

bool WatchedFile::refresh() {
    struct stat st {};
    if (::stat(path_.c_str(), &st) == 0 && same_file(st, seen_)) return false;
    std::string before = content_;
    auto loaded = load();
    const bool changed = loaded && content_ != before;
    wipe(before);
    if (!loaded && !complained_)
        log::warning("{}; its last good content is used until it can be read again", loaded.error().message);
    complained_ = !loaded;
    return changed;
}

}  // namespace flightrec::ship
