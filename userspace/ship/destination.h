// SPDX-License-Identifier: Apache-2.0
// What `--to` and its companion options say: parsed, checked, not yet used. Pure: touches neither disk nor network.
//
//   /var/lib/dumps, file:///var/lib/dumps   a directory
//   https://host[:port]/path/               PUT to /path/NAME
//   https://host/{host}/{incident}.flight   PUT to what the placeholders say: {host} {incident} {recording} {time}
//                                           {reason} {name} {label.KEY}; also in a query ("?sv=…&sig=…")
//   http://…                                the same without TLS
//   s3://bucket/prefix/                     PUT of an object, AWS signature version 4
//   syslog:  syslog://host[:514]  syslog+tcp://host[:601]  syslog:///dev/log     one line an incident
//   console:  console:///dev/ttyS0          the facts, on the machine's console
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/ship/dump_file.h"

namespace flightrec::ship {

enum class DestinationKind { directory, http, s3, syslog, console };

struct Destination {
    DestinationKind kind = DestinationKind::directory;
    std::string text;            // as given, without its query: safe to show, the sink's name
    std::filesystem::path path;  // directory: absolute; syslog and console: the local socket or device
    bool tls = false;            // http
    bool tcp = false;            // syslog: else UDP, or `path`
    std::string host;            // http, syslog; without brackets for IPv6
    uint16_t port = 0;
    std::string target;  // http: path and query with placeholders; s3: key with placeholders
    std::string bucket;  // s3
};

// `text` is absolute or relative to the current directory for a directory. Errors: Code::usage, one line with the
// remedy.
[[nodiscard]] Result<Destination> parse_destination(std::string_view text);

// `target` with its placeholders replaced. Each value is made a safe_part() and percent-encoded.
[[nodiscard]] std::string expand_target(std::string_view target, const Incident& incident);

// "http://host:port", no user, nothing after the port.
[[nodiscard]] Result<void> parse_proxy(std::string_view text, std::string& host, uint16_t& port);
// "Name: value" as RFC 9110 wants it, and none of those that we set ourselves.
[[nodiscard]] Result<void> check_header(std::string_view line);

// For every HTTP(S) sink of one recorder (--http-…). There is no option to switch verification off.
struct HttpOptions {
    std::filesystem::path ca_file;      // PEM; empty: the system's bundle
    std::filesystem::path client_cert;  // PEM, with its chain; needs client_key unless the key is in the same file
    std::filesystem::path client_key;   // PEM, not encrypted, readable by its owner only
    std::filesystem::path token_file;   // bearer token; readable by its owner only; read again at each delivery
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds stall_timeout{30'000};  // nothing moved for so long
    std::chrono::milliseconds max_time{600'000};      // one delivery as a whole
    std::string proxy;                                // "http://host:port"; empty: none, whatever the environment says
    std::vector<std::string> headers;                 // "Name: value"
};

struct S3Options {
    std::string region;    // empty: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1
    std::string endpoint;  // "https://host[:port]" of a compatible server (path style); empty: AWS
    // INI file with aws_access_key_id, aws_secret_access_key[, aws_session_token]; empty: AWS_ACCESS_KEY_ID, …
    // of the environment, read when the sink is made.
    std::filesystem::path credentials_file;
};

struct DirectoryLimits {
    uint32_t max_files = 32;          // dumps kept
    uint64_t max_bytes = 1ull << 30;  // of all dumps together
};

struct SinkOptions {
    HttpOptions http;
    S3Options s3;
    DirectoryLimits directory;
};

}  // namespace flightrec::ship
