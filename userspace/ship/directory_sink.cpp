// SPDX-License-Identifier: Apache-2.0
// Linking or copying dumps into a directory, and keeping it within its limits.
#include "userspace/ship/directory_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::ship {
namespace {

constexpr size_t copy_chunk = 256u << 10;
constexpr int64_t leftover_age_s = 600;
constexpr uint64_t space_margin = 64u << 10;  // for the file system's own records

struct Kept {
    std::string name;
    uint64_t size = 0;
    Incident incident;
    // Oldest first; within a recording its numbers are surer than a clock that may have been set.
    [[nodiscard]] auto age() const { return std::tuple(incident.realtime_ns, incident.recording, incident.number); }
};

// Our dumps, oldest first.
Result<std::vector<Kept>> dumps_in(const SecureDir& dir) {
    FR_ASSIGN(const auto entries, dir.files());
    std::vector<Kept> out;
    for (const auto& entry : entries)
        if (auto incident = incident_of_file_name(entry.name))
            out.push_back({entry.name, entry.size, std::move(*incident)});
    std::sort(out.begin(), out.end(), [](const Kept& a, const Kept& b) { return a.age() < b.age(); });
    return out;
}

// How many of the oldest have to go for the rest and one more of `size` to be within the limits.
size_t surplus(const std::vector<Kept>& kept, uint64_t size, const DirectoryLimits& limits) {
    uint64_t bytes = size;
    for (const auto& dump : kept) bytes += dump.size;
    size_t out = 0;
    while (out < kept.size() && (kept.size() - out + 1 > limits.max_files || bytes > limits.max_bytes))
        bytes -= kept[out++].size;
    return out;
}

bool same_inode(const DumpFile& dump, const std::filesystem::path& other) {
    struct stat a {
    }, b{};
    return lstat(dump.path.c_str(), &a) == 0 && lstat(other.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

}  // namespace

DirectorySink::DirectorySink(SecureDir dir, const DirectoryLimits& limits)
    : name_(dir.path().string()), limits_(limits), dir_(std::move(dir)), buffer_(copy_chunk) {}

Result<std::unique_ptr<Sink>> DirectorySink::make(const std::filesystem::path& path, const DirectoryLimits& limits) {
    if (limits.max_files == 0 || limits.max_bytes == 0)
        return fail(Code::usage, "a dump directory must be allowed to keep at least one dump");
    FR_ASSIGN(SecureDir dir, SecureDir::open(path, SecureDir::Privacy::trusted));
    if (faccessat(AT_FDCWD, dir.path().c_str(), W_OK | X_OK, AT_EACCESS) != 0)
        return fail_errno(errno, fmt::format("cannot write to {}", printable(dir.path().string())));
    std::unique_ptr<DirectorySink> sink(new DirectorySink(std::move(dir), limits));
    sink->remove_leftovers();
    return sink;
}

std::string DirectorySink::describe() const {
    return fmt::format("directory {} (at most {} dumps, {})", printable(name_), limits_.max_files,
                       format_bytes(limits_.max_bytes));
}

Result<void> DirectorySink::reopen() {
    auto fresh = SecureDir::open(name_, SecureDir::Privacy::trusted);
    if (fresh) {
        dir_ = std::move(*fresh);
        return {};
    }
    // Without file descriptors or memory the one we hold still serves.
    const int err = fresh.error().sys_errno;
    if (err == EMFILE || err == ENFILE || err == ENOMEM) return {};
    return std::unexpected(fresh.error());
}

Result<Delivery> DirectorySink::deliver(const DumpFile& dump, const Cancel& cancel) {
    using Answer = Delivery::Answer;
    FR_TRY(reopen());
    const auto target = dir_.path() / dump.name;
    if (dump.size > limits_.max_bytes)
        return Delivery{Answer::refused,
                        fmt::format("the dump ({}) is larger than {} may hold ({}): raise its limit",
                                    format_bytes(dump.size), printable(name_), format_bytes(limits_.max_bytes)),
                        {}};
    // An attempt that was interrupted after the rename. (Also: rename(2) between two links of one file does nothing.)
    if (!same_inode(dump, target)) {
        const std::string part = dump.name + ".part";
        auto linked = dump.memory >= 0 ? copy(dump, part, cancel) : dir_.link_here(dump.path, part);
        if (!linked && linked.error().code == Code::unsupported) linked = copy(dump, part, cancel);
        if (linked) linked = dir_.rename(part, dump.name);
        if (!linked) {
            (void)dir_.remove(part);
            return std::unexpected(linked.error());
        }
    }
    FR_TRY(dir_.sync());
    if (auto trimmed = trim(dump.name); !trimmed) log::warning("{}", trimmed.error().message);
    return Delivery{Answer::accepted, printable(target.string()), {}};
}

// Removes what the limits will remove anyway, as long as space is missing.
Result<void> DirectorySink::make_room(const DumpFile& dump) {
    FR_ASSIGN(auto kept, dumps_in(dir_));
    std::erase_if(kept, [&](const Kept& k) { return k.name == dump.name; });
    const size_t removable = surplus(kept, dump.size, limits_);
    for (size_t i = 0;; ++i) {
        FR_ASSIGN(const uint64_t space, dir_.free_bytes());
        if (space >= dump.size + space_margin) return {};
        if (i == removable)
            return fail(Code::no_space,
                        fmt::format("{} has {} free, the dump needs {}: free some space or lower the limits",
                                    printable(name_), format_bytes(space), format_bytes(dump.size)));
        FR_TRY(dir_.remove(kept[i].name));
    }
}

Result<void> DirectorySink::copy(const DumpFile& dump, const std::string& part, const Cancel& cancel) {
    FR_TRY(make_room(dump));
    FR_ASSIGN(const Fd from, dump.open());
    FR_ASSIGN(const Fd to, dir_.create(part));
    const auto what = (dir_.path() / dump.name).string();
    // Blocks first: a full disk shows before anything is copied. Not every file system can.
    if (dump.size > 0 && fallocate(to.get(), 0, 0, static_cast<off_t>(dump.size)) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS && errno != EINTR)
        return fail_errno(errno, fmt::format("cannot write {}", printable(what)));
    uint64_t done = 0;
    while (done < dump.size) {
        if (cancel.requested()) return fail(Code::interrupted, "stopped");
        const ssize_t n = pread(from.get(), buffer_.data(), buffer_.size(), static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", printable(dump.path.string())));
        if (n == 0) return fail(Code::io, fmt::format("{} is shorter than it was", printable(dump.path.string())));
        FR_TRY(write_all(to.get(), std::span(buffer_).first(static_cast<size_t>(n)), done, what));
        done += static_cast<uint64_t>(n);
    }
    if (fsync(to.get()) != 0) return fail_errno(errno, fmt::format("cannot sync {}", printable(what)));
    return {};
}

Result<void> DirectorySink::trim(const std::string& newest) {
    FR_ASSIGN(auto kept, dumps_in(dir_));
    uint64_t size = 0;
    std::erase_if(kept, [&](const Kept& k) {
        if (k.name != newest) return false;
        size = k.size;
        return true;
    });
    const size_t count = surplus(kept, size, limits_);
    for (size_t i = 0; i < count; ++i) FR_TRY(dir_.remove(kept[i].name));
    remove_leftovers();
    return {};
}

// Unfinished copies of a recorder that was killed. Fresh ones may belong to another recorder on the same share.
void DirectorySink::remove_leftovers() {
    constexpr std::string_view suffix = ".part";
    const auto now_s = static_cast<int64_t>(realtime_ns() / 1'000'000'000u);
    const auto entries = dir_.files();
    if (!entries) return;
    for (const auto& entry : *entries) {
        const std::string_view name = entry.name;
        if (!name.ends_with(suffix) || !incident_of_file_name(name.substr(0, name.size() - suffix.size()))) continue;
        if (now_s - entry.modified_s > leftover_age_s) (void)dir_.remove(entry.name);
    }
}

}  // namespace flightrec::ship
