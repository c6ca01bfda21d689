// SPDX-License-Identifier: Apache-2.0
// Writing to a console that may be slow or stuck, without waiting for ever.
#include "userspace/ship/console_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "userspace/base/text.h"

namespace flightrec::ship {
namespace {

constexpr size_t facts_max = 100;
constexpr std::chrono::seconds console_patience{10};

}  // namespace

std::string console_text(const DumpFile& dump) {
    const auto& incident = dump.incident;
    std::string out = fmt::format("flightrec: {} {} (incident {}, {})\r\n", incident.time_text(),
                                  printable(incident.summary.empty() ? incident.reason : incident.summary),
                                  incident.id(), format_bytes(dump.size));
    size_t count = 0;
    for (const auto& fact : incident.facts) {
        if (++count > facts_max) break;
        out += fmt::format("flightrec:   {}\r\n", printable(fact));
    }
    return out;
}

Result<std::unique_ptr<Sink>> ConsoleSink::make(const Destination& destination) {
    const auto& path = destination.path;
    struct stat st {};
    if (stat(path.c_str(), &st) != 0) return fail_errno(errno, fmt::format("console {}", printable(path.string())));
    if (!S_ISCHR(st.st_mode))
        return fail(Code::usage, fmt::format("console {} is not a terminal device: use /dev/console or /dev/ttyS0",
                                             printable(path.string())));
    return std::unique_ptr<Sink>(new ConsoleSink(destination));
}

std::string ConsoleSink::describe() const { return fmt::format("facts to {}", printable(destination_.path.string())); }

Result<Delivery> ConsoleSink::deliver(const DumpFile& dump, const Cancel& cancel) {
    const auto name = printable(destination_.path.string());
    // O_NOCTTY: it must not become our controlling terminal.
    const Fd fd(open(destination_.path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open {}", name));
    const std::string text = console_text(dump);
    std::string_view rest = text;
    const auto deadline = std::chrono::steady_clock::now() + console_patience;
    while (!rest.empty()) {
        const ssize_t n = write(fd.get(), rest.data(), rest.size());
        if (n > 0) {
            rest.remove_prefix(static_cast<size_t>(n));
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail_errno(errno, fmt::format("cannot write to {}", name));
        if (cancel.requested()) return fail(Code::interrupted, "stopped");
        if (std::chrono::steady_clock::now() > deadline) return fail(Code::io, fmt::format("{} takes no output", name));
        pollfd poller{fd.get(), POLLOUT, 0};
        poll(&poller, 1, 50);
    }
    return Delivery{Delivery::Answer::accepted, name, {}};
}

}  // namespace flightrec::ship
