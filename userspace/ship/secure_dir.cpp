// SPDX-License-Identifier: Apache-2.0
// Opening a directory part by part, and atomic writes in it.
#include "userspace/ship/secure_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "userspace/base/text.h"
#include "userspace/ship/spare.h"

namespace flightrec::ship {
namespace {

constexpr int max_links = 40;  // as the kernel: MAXSYMLINKS, include/linux/namei.h

std::string shown(const std::filesystem::path& path) { return printable(path.string()); }

bool trusted_owner(uid_t uid) { return uid == 0 || uid == geteuid(); }

Result<struct stat> stat_of(int fd, const std::filesystem::path& path) {
    struct stat st {};
    if (fstat(fd, &st) != 0) return fail_errno(errno, fmt::format("cannot look at {}", shown(path)));
    return st;
}

// A parent is safe when nobody but root and us can exchange what stands in it.
Result<void> check_parent(const struct stat& st, const std::filesystem::path& path) {
    if (!trusted_owner(st.st_uid))
        return fail(Code::permission, fmt::format("{} belongs to user {}, who could exchange what is in it: choose a "
                                                  "directory whose parents are root's",
                                                  shown(path), st.st_uid));
    if ((st.st_mode & 0022) != 0 && (st.st_mode & S_ISVTX) == 0)
        return fail(Code::permission, fmt::format("{} is writable by other users (mode {:04o}): 'chmod go-w' it or "
                                                  "choose another directory",
                                                  shown(path), st.st_mode & 07777u));
    return {};
}

Result<void> check_last(const struct stat& st, const std::filesystem::path& path, SecureDir::Privacy privacy) {
    const bool own = privacy == SecureDir::Privacy::own;
    if (own ? st.st_uid != geteuid() : !trusted_owner(st.st_uid))
        return fail(Code::permission,
                    fmt::format("{} belongs to user {}: it must belong to {}; 'chown' it or choose "
                                "another directory",
                                shown(path), st.st_uid, own ? "the recorder's user" : "root or the recorder's user"));
    if ((st.st_mode & (own ? 0077u : 0022u)) != 0)
        return fail(Code::permission,
                    fmt::format("{} is open to other users (mode {:04o}): 'chmod {}' it or choose another directory",
                                shown(path), st.st_mode & 07777u, own ? "700" : "go-w"));
    return {};
}

Result<std::string> link_target(int dir, const std::string& part, const std::filesystem::path& path) {
    char buffer[4096];
    const ssize_t n = readlinkat(dir, part.c_str(), buffer, sizeof buffer);
    if (n < 0) return fail_errno(errno, fmt::format("cannot read the link {}", shown(path)));
    return std::string(buffer, static_cast<size_t>(n));
}

// The parts of a path still to be walked, last first.
std::vector<std::string> parts_reversed(const std::filesystem::path& path) {
    std::vector<std::string> out;
    for (const auto& part : path.relative_path())
        if (!part.empty() && part != ".") out.push_back(part.string());
    return {out.rbegin(), out.rend()};
}

Result<Fd> open_part(int dir, const std::string& part, const std::filesystem::path& path) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd fd(openat(dir, part.c_str(), flags));
    if (!fd.valid() && errno == ENOENT) {
        if (mkdirat(dir, part.c_str(), 0700) != 0 && errno != EEXIST)
            return fail_errno(errno, fmt::format("cannot make the directory {}", shown(path)));
        fd.reset(openat(dir, part.c_str(), flags));
    }
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open the directory {}", shown(path)));
    return fd;
}

// From "/" downwards, each part opened in the one before, links (only root's or ours, never the last part) by hand.
Result<Fd> walk(const std::filesystem::path& path, SecureDir::Privacy privacy) {
    Fd at(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!at.valid()) return fail_errno(errno, "cannot open /");
    auto todo = parts_reversed(path);
    std::filesystem::path done = "/";
    for (int links = 0; !todo.empty();) {
        FR_ASSIGN(const struct stat parent, stat_of(at.get(), done));
        FR_TRY(check_parent(parent, done));
        const std::string part = todo.back();
        todo.pop_back();
        struct stat st {};
        if (fstatat(at.get(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
            const auto here = done / part;
            if (todo.empty())
                return fail(Code::permission, fmt::format("{} is a symbolic link, which is not followed: name the "
                                                          "directory itself",
                                                          shown(here)));
            if (!trusted_owner(st.st_uid) || ++links > max_links)
                return fail(Code::permission,
                            fmt::format("{} is a symbolic link of user {}, which is not followed: name "
                                        "the directory itself",
                                        shown(here), st.st_uid));
            FR_ASSIGN(const std::filesystem::path target, link_target(at.get(), part, here));
            if (target.is_absolute()) {
                at.reset(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                done = "/";
            }
            for (auto& next : parts_reversed(target)) todo.insert(todo.end(), std::move(next));
            // parts_reversed gave last first and they were appended in that order: the first part is at the back.
            continue;
        }
        done /= part;
        FR_ASSIGN(at, open_part(at.get(), part, done));
    }
    FR_ASSIGN(const struct stat last, stat_of(at.get(), done));
    FR_TRY(check_last(last, done, privacy));
    return at;
}

bool is_single_part(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
           name.find('\0') == std::string_view::npos && name.size() <= 255;
}

}  // namespace

Result<SecureDir> SecureDir::open(const std::filesystem::path& path, Privacy privacy) {
    std::error_code ec;
    const auto absolute = std::filesystem::absolute(path, ec).lexically_normal();
    if (ec || path.empty()) return fail(Code::usage, fmt::format("'{}' is no directory", shown(path)));
    FR_ASSIGN(Fd fd, walk(absolute, privacy));
    auto text = absolute.string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return SecureDir(text, std::move(fd));
}

Result<std::vector<SecureDir::Entry>> SecureDir::files() const {
    Fd own(openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own.valid()) return fail_errno(errno, fmt::format("cannot read the directory {}", shown(path_)));
    Handle<DIR*, [](DIR* d) { closedir(d); }> dir(fdopendir(own.get()));
    if (!dir.valid()) return fail_errno(errno, fmt::format("cannot read the directory {}", shown(path_)));
    (void)own.release();  // the stream owns it
    std::vector<Entry> out;
    errno = 0;
    while (const dirent* entry = readdir(dir.get())) {
        struct stat st {};
        if (fstatat(fd_.get(), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone meanwhile
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) continue;
        out.push_back({entry->d_name, static_cast<uint64_t>(st.st_size), static_cast<uint64_t>(st.st_ino),
                       static_cast<int64_t>(st.st_mtim.tv_sec)});
    }
    return out;
}

Result<Fd> SecureDir::create(std::string_view name) const {
    if (!is_single_part(name)) return fail(Code::internal, fmt::format("'{}' is not a file name", printable(name)));
    FR_TRY(remove(name));
    const std::string text(name);
    Fd fd(with_spare(
        [&] { return openat(fd_.get(), text.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); }));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot make {}", shown(path_ / text)));
    return fd;
}

Result<Fd> SecureDir::open_file(std::string_view name, bool for_writing) const {
    if (!is_single_part(name)) return fail(Code::internal, fmt::format("'{}' is not a file name", printable(name)));
    const std::string text(name);
    // O_NONBLOCK: a planted FIFO must not hang us; it means nothing for a regular file.
    const int flags = (for_writing ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Fd fd(with_spare([&] { return openat(fd_.get(), text.c_str(), flags); }));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open {}", shown(path_ / text)));
    FR_ASSIGN(const struct stat st, stat_of(fd.get(), path_ / text));
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return fail(Code::permission, fmt::format("{} is not a file of ours: remove it", shown(path_ / text)));
    return fd;
}

Result<std::string> SecureDir::read(std::string_view name, size_t limit) const {
    FR_ASSIGN(const Fd fd, open_file(name));
    FR_ASSIGN(const struct stat st, stat_of(fd.get(), path_ / name));
    if (static_cast<uint64_t>(st.st_size) > limit)
        return fail(Code::corrupt, fmt::format("{} is too long ({} bytes)", shown(path_ / name), st.st_size));
    std::string out(static_cast<size_t>(st.st_size), '\0');
    size_t have = 0;
    while (have < out.size()) {
        const ssize_t n = pread(fd.get(), out.data() + have, out.size() - have, static_cast<off_t>(have));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", shown(path_ / name)));
        if (n == 0) break;
        have += static_cast<size_t>(n);
    }
    out.resize(have);
    return out;
}

Result<void> SecureDir::write(std::string_view name, std::string_view bytes) const {
    const std::string part = std::string(name) + ".part";
    const auto attempt = [&]() -> Result<void> {
        FR_ASSIGN(const Fd fd, create(part));
        FR_TRY(write_all(fd.get(), std::as_bytes(std::span(bytes)), 0, (path_ / name).string()));
        if (fdatasync(fd.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", shown(path_ / name)));
        return rename(part, name);
    };
    auto done = attempt();
    if (!done) {
        (void)remove(part);
        return done;
    }
    return sync();
}

Result<void> SecureDir::rename(std::string_view from, std::string_view to) const {
    if (!is_single_part(from) || !is_single_part(to)) return fail(Code::internal, "rename: not a file name");
    if (renameat(fd_.get(), std::string(from).c_str(), fd_.get(), std::string(to).c_str()) != 0)
        return fail_errno(errno, fmt::format("cannot rename {} to {}", shown(path_ / from), printable(to)));
    return {};
}

Result<void> SecureDir::remove(std::string_view name) const {
    if (!is_single_part(name)) return fail(Code::internal, fmt::format("'{}' is not a file name", printable(name)));
    if (unlinkat(fd_.get(), std::string(name).c_str(), 0) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("cannot remove {}", shown(path_ / name)));
    return {};
}

Result<void> SecureDir::link_here(const std::filesystem::path& from, std::string_view name) const {
    if (!is_single_part(name)) return fail(Code::internal, fmt::format("'{}' is not a file name", printable(name)));
    FR_TRY(remove(name));
    if (linkat(AT_FDCWD, from.c_str(), fd_.get(), std::string(name).c_str(), 0) == 0) return {};
    const int err = errno;
    // Other file system, one without links (FAT), or a refusal by policy (fs.protected_hardlinks): copy instead.
    if (err == EXDEV || err == EPERM || err == EOPNOTSUPP || err == EMLINK || err == EINVAL)
        return fail(Code::unsupported, fmt::format("cannot link {} to {}", shown(from), shown(path_ / name)));
    return fail_errno(err, fmt::format("cannot link {} to {}", shown(from), shown(path_ / name)));
}

Result<void> SecureDir::sync() const {
    // EINVAL: the file system has nothing to sync for a directory.
    if (fsync(fd_.get()) != 0 && errno != EINVAL)
        return fail_errno(errno, fmt::format("cannot sync the directory {}", shown(path_)));
    return {};
}

Result<uint64_t> SecureDir::free_bytes() const {
    struct statvfs vfs {};
    if (fstatvfs(fd_.get(), &vfs) != 0)
        return fail_errno(errno, fmt::format("cannot see the space of {}", shown(path_)));
    return static_cast<uint64_t>(geteuid() == 0 ? vfs.f_bfree : vfs.f_bavail) * vfs.f_frsize;
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, uint64_t offset, std::string_view what) {
    while (!bytes.empty()) {
        const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot write {}", printable(what)));
        bytes = bytes.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return {};
}

}  // namespace flightrec::ship
