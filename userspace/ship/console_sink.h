// SPDX-License-Identifier: Apache-2.0
// The facts of an incident on the machine's console, where a hypervisor's or a board's serial log keeps them.
#pragma once

#include "userspace/ship/destination.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

// "flightrec: SUMMARY (incident …)" and one line a fact; CR LF, safe for a terminal.
[[nodiscard]] std::string console_text(const DumpFile& dump);

class ConsoleSink final : public Sink {
  public:
    static Result<std::unique_ptr<Sink>> make(const Destination& destination);

    [[nodiscard]] const std::string& name() const override { return destination_.text; }
    [[nodiscard]] std::string describe() const override;
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override;

  private:
    explicit ConsoleSink(Destination destination) : destination_(std::move(destination)) {}
    Destination destination_;
};

}  // namespace flightrec::ship
