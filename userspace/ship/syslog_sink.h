// SPDX-License-Identifier: Apache-2.0
// One line an incident to a syslog receiver: the dump itself does not travel, only what happened and its id.
//
// To another machine RFC 5424, over UDP (RFC 5426) or TCP with octet counting (RFC 6587 3.4.1). To the local socket
// the form that syslog(3) uses, because that is what journald and rsyslog expect there. UDP tells nothing about
// arrival.
#pragma once

#include <optional>

#include "userspace/ship/destination.h"
#include "userspace/ship/resolver.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

// "<PRI>1 TIME HOST flightrec - incident [flightrec@32473 …] text"; facility daemon, severity critical.
[[nodiscard]] std::string syslog_line(const DumpFile& dump);

class SyslogSink final : public Sink {
  public:
    static Result<std::unique_ptr<Sink>> make(const Destination& destination);

    [[nodiscard]] const std::string& name() const override { return destination_.text; }
    [[nodiscard]] std::string describe() const override;
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override;

  private:
    SyslogSink(Destination destination, std::optional<Resolver> resolver)
        : destination_(std::move(destination)), resolver_(std::move(resolver)) {}
    Result<void> send_local(const std::string& line) const;
    Result<void> send_remote(const std::string& line, const Cancel& cancel);
    Destination destination_;
    std::optional<Resolver> resolver_;  // of a remote receiver
};

}  // namespace flightrec::ship
