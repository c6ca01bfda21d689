// SPDX-License-Identifier: Apache-2.0
// Parsing of destinations. Stricter than RFC 3986 on purpose: what is unusual is refused with a reason.
#include "userspace/ship/destination.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "userspace/base/text.h"

namespace flightrec::ship {
namespace {

constexpr std::string_view known_placeholders = "{host} {incident} {recording} {time} {reason} {name} {label.KEY}";

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    // A query may hold a secret: never shown.
    const auto shown = text.substr(0, text.find('?'));
    return fail(Code::usage, fmt::format("destination '{}': {}", printable(shown), why));
}

// A header name, RFC 9110 5.6.2.
bool is_token(std::string_view text) {
    constexpr std::string_view extra = "!#$%&'*+-.^_`|~";
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [&](char c) { return is_alnum(c) || extra.contains(c); });
}

bool is_host_name(std::string_view host) {
    return !host.empty() && host.size() <= 253 && host.front() != '-' && host.front() != '.' && !host.contains("..") &&
           std::all_of(host.begin(), host.end(),
                       [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; });
}

// "host", "host:port", "[v6]:port".
Result<void> parse_authority(std::string_view text, std::string_view authority, uint16_t standard, std::string& host,
                             uint16_t& port) {
    if (authority.contains('@'))
        return bad(text.substr(0, text.find("://") + 3),
                   "user names and passwords do not belong into an address, where every user can read them: use "
                   "--token-file or a client certificate");
    std::string_view rest = authority;
    if (rest.starts_with('[')) {
        const size_t end = rest.find(']');
        if (end == std::string_view::npos) return bad(text, "the '[' of the IPv6 address is not closed");
        host = rest.substr(1, end - 1);
        in6_addr address;
        if (inet_pton(AF_INET6, host.c_str(), &address) != 1) return bad(text, "this is no IPv6 address");
        rest.remove_prefix(end + 1);
    } else {
        const size_t end = std::min(rest.find(':'), rest.size());
        host = rest.substr(0, end);
        if (host.empty()) return bad(text, "the host is missing");
        if (!is_host_name(host)) return bad(text, "this is no host name");
        rest.remove_prefix(end);
    }
    port = standard;
    if (rest.empty()) return {};
    if (!rest.starts_with(':')) return bad(text, "only ':PORT' may follow the host");
    rest.remove_prefix(1);
    const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), port);
    if (ec != std::errc{} || end != rest.data() + rest.size() || port == 0)
        return bad(text, fmt::format("port '{}' is not between 1 and 65535", printable(rest)));
    return {};
}

// Calls for each piece: plain text, or the inside of {…}. False when braces do not pair.
template <class Plain, class Placeholder>
bool for_each_piece(std::string_view target, Plain&& plain, Placeholder&& placeholder) {
    while (!target.empty()) {
        const size_t open = std::min(target.find('{'), target.size());
        if (target.substr(0, open).contains('}')) return false;
        plain(target.substr(0, open));
        target.remove_prefix(open);
        if (target.empty()) break;
        const size_t close = target.find('}');
        if (close == std::string_view::npos || target.substr(1, close).contains('{')) return false;
        placeholder(target.substr(1, close - 1));
        target.remove_prefix(close + 1);
    }
    return true;
}

bool is_placeholder(std::string_view name) {
    constexpr std::array<std::string_view, 6> names{"host", "incident", "recording", "time", "reason", "name"};
    return std::find(names.begin(), names.end(), name) != names.end() ||
           (name.starts_with("label.") && name.size() > 6);
}

bool is_url_character(char c) {
    constexpr std::string_view extra = "-._~!$&'()*+,;=:@/?%";
    return is_alnum(c) || extra.contains(c);
}

// Path and query with placeholders; a path that ends in '/' gets the file's name. `text` only for messages.
Result<std::string> parse_target(std::string_view text, std::string_view target) {
    if (target.contains('#')) return bad(text, "'#…' means nothing here: leave it out");
    const size_t query = std::min(target.find('?'), target.size());
    std::string path(target.substr(0, query));
    if (path.empty()) path = "/";
    if (path.ends_with('/')) path += "{name}";
    std::string whole = path + std::string(target.substr(query));
    std::string unknown;
    bool unique = false;
    bool characters = true;
    const bool paired = for_each_piece(
        whole,
        [&](std::string_view plain) {
            characters = characters && std::all_of(plain.begin(), plain.end(), is_url_character);
        },
        [&](std::string_view name) {
            if (!is_placeholder(name)) unknown = name;
            unique = unique || name == "incident" || name == "name";
        });
    if (!paired) return bad(text, fmt::format("braces stand only around placeholders: {}", known_placeholders));
    if (!unknown.empty())
        return bad(text,
                   fmt::format("'{{{}}}' is not known; placeholders are {}", printable(unknown), known_placeholders));
    if (!characters) return bad(text, "only characters that a URL may hold: write others as %XX");
    if (!unique)
        return bad(text,
                   "every incident would overwrite the one before: end the path with '/' or put {incident} or {name} "
                   "in it");
    for (std::string_view rest = path; !rest.empty();) {
        const size_t slash = std::min(rest.find('/'), rest.size());
        const auto part = rest.substr(0, slash);
        if (part == "." || part == "..") return bad(text, "'.' and '..' are not allowed in the path");
        rest.remove_prefix(std::min(slash + 1, rest.size()));
    }
    return whole;
}

Result<Destination> parse_http(std::string_view text, std::string_view rest, bool tls) {
    Destination out;
    out.kind = DestinationKind::http;
    out.tls = tls;
    const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    FR_TRY(parse_authority(text, rest.substr(0, end), tls ? 443 : 80, out.host, out.port));
    FR_ASSIGN(out.target, parse_target(text, rest.substr(end)));
    return out;
}

Result<Destination> parse_s3(std::string_view text, std::string_view rest) {
    Destination out;
    out.kind = DestinationKind::s3;
    const size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    out.bucket = rest.substr(0, end);
    const bool good =
        out.bucket.size() >= 3 && out.bucket.size() <= 63 && is_host_name(out.bucket) &&
        std::none_of(out.bucket.begin(), out.bucket.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
    if (!good) return bad(text, "this is no bucket name (3 to 63 of a-z 0-9 - .)");
    if (rest.contains('?')) return bad(text, "a query means nothing here: use --s3-region and --s3-endpoint");
    FR_ASSIGN(out.target, parse_target(text, rest.substr(end)));
    return out;
}

Result<Destination> parse_syslog(std::string_view text, std::string_view rest, bool tcp) {
    Destination out;
    out.kind = DestinationKind::syslog;
    out.tcp = tcp;
    if (rest.starts_with('/') || (rest.empty() && !tcp)) {
        if (tcp) return bad(text, "a local socket has no transport: use syslog:///dev/log");
        out.path = rest.empty() ? "/dev/log" : rest;
        return out;
    }
    if (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.find_first_of("/?#") != std::string_view::npos) return bad(text, "nothing may follow host and port");
    // RFC 5426 (UDP): 514; RFC 6587 names no port, 601 is syslog-conn in the IANA registry.
    FR_TRY(parse_authority(text, rest, tcp ? 601 : 514, out.host, out.port));
    return out;
}

Result<Destination> parse_directory(std::string_view text, std::string_view path) {
    Destination out;
    out.kind = DestinationKind::directory;
    if (path.empty()) return bad(text, "the directory is missing");
    if (path.contains('\0')) return bad(text, "a path holds no NUL");
    std::error_code ec;
    out.path = std::filesystem::absolute(path, ec).lexically_normal();
    if (ec) return bad(text, "this is no directory path");
    return out;
}

Result<Destination> parse_kind(std::string_view text) {
    const auto after = [&](std::string_view prefix) -> std::optional<std::string_view> {
        if (!text.starts_with(prefix)) return std::nullopt;
        return text.substr(prefix.size());
    };
    if (text.empty()) return fail(Code::usage, "the destination is empty: give a directory or an https:// address");
    if (text == "-") return bad(text, "a dump is not written to standard output: give a directory");
    if (const auto rest = after("https://")) return parse_http(text, *rest, true);
    if (const auto rest = after("http://")) return parse_http(text, *rest, false);
    if (const auto rest = after("s3://")) return parse_s3(text, *rest);
    if (const auto rest = after("syslog+tcp://")) return parse_syslog(text, *rest, true);
    if (const auto rest = after("syslog+udp://")) return parse_syslog(text, *rest, false);
    if (const auto rest = after("syslog://")) return parse_syslog(text, *rest, false);
    if (text == "syslog:") return parse_syslog(text, "", false);
    if (const auto rest = after("file://")) {
        if (!rest->starts_with('/')) return bad(text, "write file:///DIRECTORY with three slashes");
        return parse_directory(text, *rest);
    }
    if (text == "console:" || text.starts_with("console:///")) {
        Destination out;
        out.kind = DestinationKind::console;
        out.path = text == "console:" ? "/dev/console" : text.substr(std::string_view("console://").size());
        return out;
    }
    // "s3:/x", "http:/x": a slip, not a folder that is to be made here.
    if (const size_t colon = text.find(':'); colon != std::string_view::npos && text.find('/') > colon)
        return bad(text,
                   fmt::format("'{}:' begins no known address: use https://, http://, s3://, syslog:// or console:, "
                               "and for a directory of that name ./{}",
                               printable(text.substr(0, colon)), printable(text)));
    return parse_directory(text, text);
}

std::string value_of(std::string_view name, const Incident& incident) {
    if (name == "host") return incident.host;
    if (name == "incident") return incident.id();
    if (name == "recording") return incident.recording_text();
    if (name == "time") return incident.time_text();
    if (name == "reason") return incident.reason;
    if (name == "name") return incident.file_name();
    name.remove_prefix(std::string_view("label.").size());
    for (const auto& [key, value] : incident.labels)
        if (key == name) return value;
    return {};
}

}  // namespace

Result<Destination> parse_destination(std::string_view text) {
    if (text.size() > 4096) return fail(Code::usage, "the destination is longer than 4096 characters");
    FR_ASSIGN(Destination out, parse_kind(text));
    out.text = out.kind == DestinationKind::directory ? out.path.string() : std::string(text.substr(0, text.find('?')));
    if (std::any_of(out.text.begin(), out.text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
        return bad(text, "control characters are not allowed");
    return out;
}

std::string expand_target(std::string_view target, const Incident& incident) {
    std::string out;
    for_each_piece(
        target, [&](std::string_view plain) { out += plain; },
        [&](std::string_view name) { out += percent_encoded(safe_part(value_of(name, incident))); });
    return out;
}

Result<void> parse_proxy(std::string_view text, std::string& host, uint16_t& port) {
    constexpr std::string_view scheme = "http://";
    std::string_view rest = text;
    if (!rest.starts_with(scheme)) return fail(Code::usage, "the proxy must be given as http://HOST:PORT");
    rest.remove_prefix(scheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.contains('@') || rest.find_first_of("/?#") != std::string_view::npos)
        return fail(Code::usage, "the proxy must be given as http://HOST:PORT, without user and path");
    auto parsed = parse_authority(text, rest, 3128, host, port);
    if (!parsed) return std::unexpected(parsed.error().within("proxy"));
    return {};
}

Result<void> check_header(std::string_view line) {
    const size_t colon = line.find(':');
    const auto name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name))
        return fail(Code::usage, fmt::format("header '{}': write it as 'Name: value'", printable(name)));
    const auto value = line.substr(colon + 1);
    const bool plain = std::all_of(value.begin(), value.end(),
                                   [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    if (!plain) return fail(Code::usage, fmt::format("header '{}': its value has control characters", printable(name)));
    if (value.find_first_not_of(' ') == std::string_view::npos)
        return fail(Code::usage, fmt::format("header '{}' has no value", printable(name)));
    std::string lower(name);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    constexpr std::array<std::string_view, 6> ours{"content-length", "transfer-encoding", "expect",
                                                   "host",           "connection",        "content-type"};
    if (std::find(ours.begin(), ours.end(), lower) != ours.end() || lower.starts_with("x-flightrec-"))
        return fail(Code::usage, fmt::format("header '{}' is set by the recorder itself", printable(name)));
    return {};
}

}  // namespace flightrec::ship
