// SPDX-License-Identifier: Apache-2.0
// Credentials, endpoint and checksum for S3; the signature itself is libcurl's.
#include "userspace/ship/s3_sink.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/ship/http_sink.h"

namespace flightrec::ship {
namespace {

std::string environment(const char* name) {
    const char* value = secure_getenv(name);
    return value == nullptr ? "" : value;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

bool plain(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

Result<std::string> sha256_of(int fd, uint64_t size, const Cancel& cancel) {
    const Handle<EVP_MD_CTX*, [](EVP_MD_CTX* c) { EVP_MD_CTX_free(c); }> context(EVP_MD_CTX_new());
    if (!context.valid() || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
        return fail(Code::no_space, "no memory for SHA-256");
    std::array<char, 65536> buffer;  // on the stack: no allocation
    for (uint64_t done = 0; done < size;) {
        if (cancel.requested()) return fail(Code::interrupted, "stopped");
        const ssize_t n = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read the dump");
        if (n == 0) return fail(Code::io, "the dump is shorter than it was");
        EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(n));
        done += static_cast<uint64_t>(n);
    }
    std::array<unsigned char, 32> digest{};
    EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
    return fmt::format("{:02x}", fmt::join(digest, ""));
}

std::string region_of(const S3Options& options) {
    for (std::string region : {options.region, environment("AWS_REGION"), environment("AWS_DEFAULT_REGION")})
        if (!region.empty()) return region;
    return "us-east-1";
}

Result<Endpoint> endpoint_of(const Destination& destination, const S3Options& options, const std::string& region) {
    if (options.endpoint.empty()) {
        // Virtual-hosted style; a bucket with dots would not match Amazon's certificate.
        if (destination.bucket.contains('.'))
            return fail(Code::usage, fmt::format("{}: a bucket name with dots has no valid certificate: give "
                                                 "--s3-endpoint https://s3.{}.amazonaws.com",
                                                 destination.text, region));
        return Endpoint{true, fmt::format("{}.s3.{}.amazonaws.com", destination.bucket, region), 443};
    }
    auto parsed = parse_destination(options.endpoint);
    if (!parsed) return std::unexpected(parsed.error().within("S3 endpoint"));
    if (parsed->kind != DestinationKind::http || parsed->target != "/{name}")
        return fail(Code::usage, "the S3 endpoint must be given as https://HOST[:PORT], without a path");
    return Endpoint{parsed->tls, parsed->host, parsed->port};
}

}  // namespace

Result<S3Credentials> parse_credentials(std::string_view text, std::string_view file_name) {
    S3Credentials out;
    bool ours = true;  // before any section
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const auto line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[') {
            ours = line == "[default]";
            continue;
        }
        const size_t equals = line.find('=');
        if (!ours || equals == std::string_view::npos) continue;
        const auto key = trimmed(line.substr(0, equals));
        const auto value = trimmed(line.substr(equals + 1));
        if (key == "aws_access_key_id") out.access_key = value;
        if (key == "aws_secret_access_key") out.secret_key = value;
        if (key == "aws_session_token") out.session_token = value;
    }
    if (out.access_key.empty() || out.secret_key.empty())
        return fail(Code::usage,
                    fmt::format("{} needs aws_access_key_id and aws_secret_access_key", printable(file_name)));
    // The key id stands before a ':' in what libcurl is given.
    if (!plain(out.access_key) || !plain(out.secret_key) || !plain(out.session_token) || out.access_key.contains(':'))
        return fail(Code::usage, fmt::format("{} has characters that no key has", printable(file_name)));
    return out;
}

S3Sink::S3Sink(Destination destination, Endpoint endpoint, std::string path_prefix, S3Credentials credentials,
               std::optional<WatchedFile> file, Transfer transfer)
    : destination_(std::move(destination)),
      endpoint_(std::move(endpoint)),
      path_prefix_(std::move(path_prefix)),
      credentials_(std::move(credentials)),
      file_(std::move(file)),
      transfer_(std::move(transfer)) {}

Result<std::unique_ptr<Sink>> S3Sink::make(const Destination& destination, const HttpOptions& http,
                                           const S3Options& options) {
    const std::string region = region_of(options);
    if (!plain(region) || region.contains(':') || region.contains('/'))
        return fail(Code::usage, fmt::format("'{}' is no S3 region", printable(region)));
    FR_ASSIGN(Endpoint endpoint, endpoint_of(destination, options, region));
    std::optional<WatchedFile> file;
    S3Credentials credentials;
    if (!options.credentials_file.empty()) {
        FR_ASSIGN(file,
                  WatchedFile::open(options.credentials_file, "S3 credentials file", WatchedFile::Secrecy::secret));
        FR_ASSIGN(credentials, parse_credentials(file->content(), options.credentials_file.string()));
    } else {
        credentials = {environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY"),
                       environment("AWS_SESSION_TOKEN")};
        if (credentials.access_key.empty() || credentials.secret_key.empty())
            return fail(Code::usage,
                        fmt::format("{}: no credentials: give --s3-credentials FILE, or AWS_ACCESS_KEY_ID and "
                                    "AWS_SECRET_ACCESS_KEY in the environment",
                                    destination.text));
    }
    HttpOptions without_token = http;  // the bearer token is for HTTP(S) receivers; the signature stands in its place
    without_token.token_file.clear();
    auto transfer = Transfer::make(endpoint, without_token,
                                   {"aws:amz:" + region + ":s3", credentials.access_key, credentials.secret_key});
    if (!transfer) return std::unexpected(transfer.error().within(printable(destination.text)));
    const std::string prefix = options.endpoint.empty() ? "" : "/" + destination.bucket;
    return std::unique_ptr<Sink>(new S3Sink(destination, std::move(endpoint), prefix, std::move(credentials),
                                            std::move(file), std::move(*transfer)));
}

std::string S3Sink::describe() const {
    return fmt::format("PUT {} at {}, signed", printable(destination_.text), endpoint_.origin());
}

Result<Delivery> S3Sink::deliver(const DumpFile& dump, const Cancel& cancel) {
    if (file_ && file_->refresh()) {
        if (auto fresh = parse_credentials(file_->content(), file_->path().string())) {
            credentials_ = std::move(*fresh);
            transfer_.set_key(credentials_.access_key, credentials_.secret_key);
        } else {
            log::warning("{}; the former credentials are used", fresh.error().message);
        }
    }
    FR_ASSIGN(const Fd file, dump.open());
    FR_ASSIGN(const std::string digest, sha256_of(file.get(), dump.size, cancel));
    auto headers = dump_headers(dump);
    headers.push_back("x-amz-content-sha256: " + digest);
    if (!credentials_.session_token.empty()) headers.push_back("x-amz-security-token: " + credentials_.session_token);
    const std::string target = path_prefix_ + expand_target(destination_.target, dump.incident);
    FR_ASSIGN(const auto reply, transfer_.put(target, headers, file.get(), dump.size, cancel));
    return judge(reply, printable(endpoint_.origin() + target));
}

}  // namespace flightrec::ship
