// SPDX-License-Identifier: Apache-2.0
// One HTTP(S) PUT of a file with libcurl, on handles and connections that are made at start and used again.
//
// Policy (RFC 9110, RFC 9112; TLS by OpenSSL): HTTP/1.1; TLS 1.2 or newer, certificate and host name always verified;
// no redirects, no proxy unless one is given, no environment, no .netrc, no cookies. Trust anchors are parsed at start
// and live in memory. Owned and used by one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/ship/destination.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

struct Endpoint {
    bool tls = true;
    std::string host;  // without brackets
    uint16_t port = 443;
    // "https://host:port", brackets and default port as RFC 3986 wants them.
    [[nodiscard]] std::string origin() const;
};

// For AWS signature version 4; empty fields: not used.
struct SigningKey {
    std::string scope;  // "aws:amz:REGION:s3"
    std::string access_key;
    std::string secret_key;
};

struct PutReply {
    long status = 0;       // HTTP
    std::string text;      // the first few hundred bytes of the answer, made safe to show
    std::string location;  // of a redirect, safe to show, without query
    std::chrono::seconds retry_after{0};
};

class Transfer {
  public:
    // Errors: certificates, keys and tokens that cannot be used, each with the file's name; a token over plain HTTP.
    static Result<Transfer> make(const Endpoint& endpoint, const HttpOptions& options, SigningKey key = {});
    Transfer(Transfer&&) noexcept;
    Transfer& operator=(Transfer&&) noexcept;
    ~Transfer();

    // Resolves the host so that a first answer is known before it is needed.
    Result<void> warm_up(const Cancel& cancel);
    // Other credentials for the next put().
    void set_key(const std::string& access_key, const std::string& secret_key);
    // PUTs `size` bytes of `fd` (pread(2) from 0) to the endpoint's `target` (path and query, encoded). Errors:
    // Code::network with what failed (name, connection, certificate, time); Code::io for the file;
    // Code::interrupted within 200 ms after `cancel`.
    Result<PutReply> put(const std::string& target, const std::vector<std::string>& headers, int fd, uint64_t size,
                         const Cancel& cancel);

  private:
    struct Impl;
    explicit Transfer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// 2xx accepted; 408, 425, 429 and 5xx later; everything else, redirects too, refused.
[[nodiscard]] Delivery judge(const PutReply& reply, const std::string& where);

}  // namespace flightrec::ship
