// SPDX-License-Identifier: Apache-2.0
// Syslog lines and the three ways to send them.
#include "userspace/ship/syslog_sink.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"

namespace flightrec::ship {
namespace {

constexpr int priority = 3 * 8 + 2;  // daemon, critical (RFC 5424 6.2.1)
constexpr size_t text_max = 1024;    // with the rest well below the 2048 octets that receivers should take
constexpr std::chrono::milliseconds patience{5'000};

// Printable ASCII without spaces, as HOSTNAME wants it.
std::string host_field(std::string_view host) {
    std::string out;
    for (char c : host.substr(0, 255)) out += c > 0x20 && c < 0x7f ? c : '_';
    return out.empty() ? "-" : out;
}

// A value of structured data (RFC 5424 6.3.3): '"', '\' and ']' are escaped.
std::string parameter(std::string_view text) {
    std::string out;
    for (char c : printable(text)) {
        if (c == '"' || c == '\\' || c == ']') out += '\\';
        out += c;
    }
    return out;
}

std::string message_text(const DumpFile& dump) {
    const auto& incident = dump.incident;
    std::string text = printable(incident.summary.empty() ? incident.reason : incident.summary).substr(0, text_max);
    return fmt::format("{} (incident {}, {})", text, incident.id(), format_bytes(dump.size));
}

std::string utc_microseconds(uint64_t ns) {
    std::string text = format_utc(ns);  // …:02.123456789Z; RFC 5424 6.2.3 allows six digits
    return text.substr(0, text.size() - 4) + "Z";
}

sockaddr_storage address_of(const std::string& host, uint16_t port, socklen_t& length) {
    sockaddr_storage out{};
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        length = sizeof v4;
        std::memcpy(&out, &v4, sizeof v4);
    } else {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr);
        length = sizeof v6;
        std::memcpy(&out, &v6, sizeof v6);
    }
    return out;
}

Result<void> wait_writable(int fd, const Cancel& cancel) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
        if (cancel.requested()) return fail(Code::interrupted, "stopped");
        pollfd poller{fd, POLLOUT, 0};
        const int n = poll(&poller, 1, 50);
        if (n < 0 && errno != EINTR) return fail_errno(errno, "cannot wait for the connection");
        if (n <= 0) continue;
        int err = 0;
        socklen_t length = sizeof err;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length);
        if (err != 0) return fail_errno(err, "no connection");
        return {};
    }
    return fail(Code::network, "no answer in time");
}

Result<void> send_all(int fd, std::string_view bytes, const Cancel& cancel) {
    while (!bytes.empty()) {
        FR_TRY(wait_writable(fd, cancel));
        const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) return fail_errno(errno, "sending failed");
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

}  // namespace

std::string syslog_line(const DumpFile& dump) {
    const auto& incident = dump.incident;
    // 32473 is the enterprise number for examples (RFC 5612); we have none of our own.
    return fmt::format(
        "<{}>1 {} {} flightrec - incident [flightrec@32473 incident=\"{}\" reason=\"{}\" file=\"{}\"] {}", priority,
        utc_microseconds(incident.realtime_ns), host_field(incident.host), incident.id(), parameter(incident.reason),
        parameter(dump.name), message_text(dump));
}

Result<std::unique_ptr<Sink>> SyslogSink::make(const Destination& destination) {
    std::optional<Resolver> resolver;
    if (destination.path.empty()) {
        FR_ASSIGN(resolver, Resolver::make(destination.host, destination.port));
    } else if (destination.path.string().size() >= sizeof(sockaddr_un::sun_path)) {
        return fail(Code::usage,
                    fmt::format("{}: the path of a socket has at most 107 bytes", printable(destination.text)));
    }
    return std::unique_ptr<Sink>(new SyslogSink(destination, std::move(resolver)));
}

std::string SyslogSink::describe() const {
    return fmt::format("one line to {}{}", printable(destination_.text),
                       destination_.path.empty() ? ", not encrypted" : "");
}

Result<Delivery> SyslogSink::deliver(const DumpFile& dump, const Cancel& cancel) {
    const auto sent = destination_.path.empty()
                          ? send_remote(syslog_line(dump), cancel)
                          : send_local(fmt::format("<{}>flightrec: {}", priority, message_text(dump)));
    if (!sent && sent.error().code == Code::interrupted) return std::unexpected(sent.error());
    if (!sent) return std::unexpected(sent.error().within(printable(destination_.text)));
    const bool unanswered = destination_.path.empty() && !destination_.tcp;
    return Delivery{Delivery::Answer::accepted,
                    printable(destination_.text) + (unanswered ? " (by UDP: whether it arrived, nobody says)" : ""),
                    {}};
}

Result<void> SyslogSink::send_local(const std::string& line) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, destination_.path.c_str(), destination_.path.string().size());
    int err = 0;
    for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
        const Fd fd(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd.valid()) return fail_errno(errno, "no socket");
        if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            // On a stream a NUL ends the line, as with syslog(3).
            const ssize_t n = send(fd.get(), line.c_str(), line.size() + (type == SOCK_STREAM ? 1 : 0), MSG_NOSIGNAL);
            if (n >= 0) return {};
        }
        err = errno;
        if (err != EPROTOTYPE) break;
    }
    return fail_errno(err, "the local log does not take it");
}

Result<void> SyslogSink::send_remote(const std::string& line, const Cancel& cancel) {
    FR_ASSIGN(const auto hosts, resolver_->addresses(patience, cancel));
    const std::string framed = destination_.tcp ? fmt::format("{} {}", line.size(), line) : line;
    Error last{Code::network, "no address", 0};
    for (const auto& host : hosts) {
        socklen_t length = 0;
        const sockaddr_storage address = address_of(host, destination_.port, length);
        const Fd fd(
            socket(address.ss_family, (destination_.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd.valid()) return fail_errno(errno, "no socket");
        if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS) {
            last = fail_errno(errno, "no connection").error();
            continue;
        }
        auto sent = send_all(fd.get(), framed, cancel);
        if (sent && destination_.tcp) shutdown(fd.get(), SHUT_WR);
        if (sent || sent.error().code == Code::interrupted) return sent;
        last = sent.error();
    }
    return std::unexpected(last);
}

}  // namespace flightrec::ship
