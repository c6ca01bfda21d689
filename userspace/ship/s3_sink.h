// SPDX-License-Identifier: Apache-2.0
// Dumps as objects in S3 or a compatible store: PUT signed with AWS signature version 4.
//
// The object is signed with its SHA-256, so that a store refuses what was damaged on the way. Credentials are read when
// the sink is made (environment) or again when their file changes; they are never shown or logged.
#pragma once

#include <optional>

#include "userspace/ship/destination.h"
#include "userspace/ship/secret_file.h"
#include "userspace/ship/sink.h"
#include "userspace/ship/transfer.h"

namespace flightrec::ship {

struct S3Credentials {
    std::string access_key;
    std::string secret_key;
    std::string session_token;  // empty: none
};
// The [default] section, or what stands before any section, of an AWS credentials file.
[[nodiscard]] Result<S3Credentials> parse_credentials(std::string_view text, std::string_view file_name);

class S3Sink final : public Sink {
  public:
    static Result<std::unique_ptr<Sink>> make(const Destination& destination, const HttpOptions& http,
                                              const S3Options& options);

    [[nodiscard]] const std::string& name() const override { return destination_.text; }
    [[nodiscard]] std::string describe() const override;
    Result<void> warm_up(const Cancel& cancel) override { return transfer_.warm_up(cancel); }
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override;

  private:
    S3Sink(Destination destination, Endpoint endpoint, std::string path_prefix, S3Credentials credentials,
           std::optional<WatchedFile> file, Transfer transfer);
    Destination destination_;
    Endpoint endpoint_;
    std::string path_prefix_;  // "/bucket" for path style
    S3Credentials credentials_;
    std::optional<WatchedFile> file_;
    Transfer transfer_;
};

}  // namespace flightrec::ship
