// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/previous.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/flight/reader.h"

namespace flightrec::record {
namespace {

// The last thing the recording said of itself.
bool ended_in_order(const flight::FlightFile& file) {
    flight::ReadOptions options;
    options.syscalls = false;
    options.keyframes = false;
    options.from_ns = file.last_ns() > 10'000'000'000 ? file.last_ns() - 10'000'000'000 : 0;
    auto reader = file.read(options);
    bool stopped = false;
    while (const auto event = reader.next())
        if (event->head().cls == FR_CLASS_MARKER) stopped = event->as<fr_marker>().kind == FR_MARKER_STOP;
    return stopped;
}

}  // namespace

Result<PreviousWindow> PreviousWindow::set_aside(const std::filesystem::path& path) {
    PreviousWindow out;
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) {
        if (errno == ENOENT) return out;
        return fail_errno(errno, fmt::format("cannot look at the old window {}", path.string()));
    }
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(Code::busy,
                    fmt::format("another recorder writes {}: stop it, or choose another --window", path.string()));
    auto file = flight::FlightFile::open(path);
    if (!file)
        return fail(Code::usage, fmt::format("{} is there and is no window of flightrec ({}): move it away, or choose "
                                             "another --window",
                                             path.string(), file.error().message));
    out.found_ = true;
    out.events_ = !file->segments().empty();
    out.in_order_ = out.events_ && ended_in_order(*file);
    std::copy_n(file->header().recording_id, 16, out.recording_.begin());
    out.last_realtime_ns_ = out.events_ ? file->realtime_of(file->last_ns()) : 0;
    const std::string when = out.events_ ? format_utc(out.last_realtime_ns_) : "before any event";
    out.how_ = out.in_order_ ? "the recording before ended in order, " + when
                             : "the recording before broke off, last event " + when;
    out.path_ = path;
    out.path_ += ".previous";
    if (::rename(path.c_str(), out.path_.c_str()) != 0)
        return fail_errno(errno, fmt::format("cannot set the old window {} aside", path.string()));
    return out;
}

Result<void> PreviousWindow::ship(ship::Shipper& shipper, const std::string& host,
                                  const std::map<std::string, std::string>& labels) {
    const Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open {}", path_.string()));
    ship::Incident incident;
    incident.recording = recording_;
    incident.number = 0;  // the recorder's own incidents count from 1
    incident.realtime_ns = last_realtime_ns_;
    incident.host = host;
    incident.reason = "previous_boot";
    incident.summary = how_;
    incident.labels.assign(labels.begin(), labels.end());
    std::vector<std::byte> buffer(1u << 20);
    FR_ASSIGN(auto writer, shipper.begin(incident, std::filesystem::file_size(path_)));
    for (;;) {
        const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", path_.string()));
        if (n == 0) break;
        FR_TRY(writer.write({buffer.data(), static_cast<size_t>(n)}));
    }
    FR_ASSIGN(const auto dump, writer.commit());
    shipper.submit(dump);
    return {};
}

}  // namespace flightrec::record
