// SPDX-License-Identifier: Apache-2.0
// Dumps by HTTP(S) PUT: one request an incident, always to the same URL, so a repetition replaces the same thing.
//
// Headers: Content-Type application/vnd.flightrec, Content-Length, X-Flightrec-Incident, -Recording, -Reason, -Time,
// -Host, -Hash ("xxh3-64=" and 16 hexadecimal digits). Texts in them are percent-encoded.
#pragma once

#include <memory>

#include "userspace/ship/destination.h"
#include "userspace/ship/sink.h"
#include "userspace/ship/transfer.h"

namespace flightrec::ship {

class HttpSink final : public Sink {
  public:
    static Result<std::unique_ptr<Sink>> make(const Destination& destination, const HttpOptions& options);

    [[nodiscard]] const std::string& name() const override { return destination_.text; }
    [[nodiscard]] std::string describe() const override;
    Result<void> warm_up(const Cancel& cancel) override { return transfer_.warm_up(cancel); }
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override;

  private:
    HttpSink(Destination destination, const HttpOptions& options, Transfer transfer);
    Destination destination_;
    HttpOptions options_;
    Transfer transfer_;
};

// The X-Flightrec-… headers and the content type.
[[nodiscard]] std::vector<std::string> dump_headers(const DumpFile& dump);

}  // namespace flightrec::ship
