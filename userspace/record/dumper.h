// SPDX-License-Identifier: Apache-2.0
// The dump thread: writes one incident's dump into the spool while recording goes on, and hands it to the shipper.
//
// The recorder's thread calls start() and, when fd() is readable, finished(). At most one dump is in the making.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/flight/window.h"
#include "userspace/ship/shipper.h"

namespace flightrec::record {

struct DumpOutcome {
    uint64_t incident = 0;
    uint64_t bytes = 0;
    uint64_t took_ns = 0;  // from start() to the dump being handed to the shipper
    std::string file;      // in the spool
    std::optional<Error> error;
};

class Dumper {
  public:
    // Starts the thread. Window and shipper outlive it.
    static Result<std::unique_ptr<Dumper>> make(flight::Window& window, ship::Shipper& shipper);
    ~Dumper();  // waits for the dump in the making

    [[nodiscard]] bool busy() const;
    // Pins what the window holds now and begins. Only when not busy().
    void start(const ship::Incident& incident, std::string info_json);
    [[nodiscard]] int fd() const;           // readable when a dump is done
    std::optional<DumpOutcome> finished();  // takes the outcome

  private:
    struct Impl;
    explicit Dumper(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
