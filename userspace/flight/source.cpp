// SPDX-License-Identifier: Apache-2.0
// Reading by position with pread(2).
#include "userspace/flight/source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace flightrec::flight {

Result<Source> Source::open(const std::filesystem::path& path) {
    Source out;
    out.name_ = path.native();
    // O_NONBLOCK: a FIFO at that path must not hang us.
    out.fd_ = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!out.fd_.valid()) return fail_errno(errno, fmt::format("cannot open {}", out.name_));
    struct stat st {};
    if (::fstat(out.fd_.get(), &st) != 0) return fail_errno(errno, fmt::format("cannot look at {}", out.name_));
    if (S_ISDIR(st.st_mode)) return fail(Code::usage, fmt::format("{} is a directory, not a flight file", out.name_));
    if (!S_ISREG(st.st_mode)) return fail(Code::usage, fmt::format("{} is not a regular file", out.name_));
    out.size_ = static_cast<uint64_t>(st.st_size);
    return out;
}

Source Source::memory(std::span<const std::byte> bytes, std::string name) {
    Source out;
    out.memory_ = bytes;
    out.size_ = bytes.size();
    out.name_ = std::move(name);
    return out;
}

bool Source::locked() const {
    if (!fd_.valid()) return false;
    if (::flock(fd_.get(), LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    ::flock(fd_.get(), LOCK_UN);
    return false;
}

bool Source::read(uint64_t offset, std::span<std::byte> to) const {
    if (offset > size_ || to.size() > size_ - offset) return false;
    if (!fd_.valid()) {
        if (!to.empty()) std::memcpy(to.data(), memory_.data() + offset, to.size());
        return true;
    }
    while (!to.empty()) {
        const ssize_t n = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        offset += static_cast<uint64_t>(n);
        to = to.subspan(static_cast<size_t>(n));
    }
    return true;
}

}  // namespace flightrec::flight
