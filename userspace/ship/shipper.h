// SPDX-License-Identifier: Apache-2.0
// The shipper: brings every dump of the spool to every sink, however long that takes, without ever holding up the
// recorder.
//
//   Shipper::begin() -> SpoolWriter … commit() -> submit()          one writing thread (the recorder's dump thread)
//        spool  --next()-->  one thread a sink, each with its own pace  -->  Sink::deliver()
//
// All threads are started by make(). A dead or slow sink delays no other. Failures are tried again after 1 s, 2 s, 4 s
// … 5 min (each time between half of that and all of it, at random, so that a fleet does not come back at once); a new
// incident is tried at once. What a receiver has refused (Delivery::refused) stays in the spool, is reported, and is
// tried again every hour and at the next start: nobody can log in to the machine to say that the receiver was put
// right.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/ship/sink.h"
#include "userspace/ship/spool.h"

namespace flightrec::ship {

struct Backoff {
    std::chrono::milliseconds first{1'000};
    std::chrono::milliseconds longest{300'000};
    std::chrono::milliseconds refused{3'600'000};  // until a refused incident is tried again
};
// The wait after `failures` (1, 2, …) failures in a row; `random` in [0, 1).
[[nodiscard]] std::chrono::milliseconds backoff_delay(const Backoff& backoff, uint32_t failures, double random);

struct ShipperConfig {
    SpoolConfig spool;
    Backoff backoff;
};

struct SinkStatus {
    std::string name;
    std::string describe;
    uint64_t queued = 0;        // pending incidents
    uint64_t refused = 0;       // incidents the receiver would not have
    uint64_t delivered = 0;     // since start
    uint64_t attempts = 0;      // since start
    bool sending = false;       // at this moment
    std::string last_error;     // empty after a success
    std::string last_delivery;  // where the last one went
    uint64_t last_delivery_realtime_ns = 0;
    std::chrono::milliseconds next_attempt{0};  // from now; 0 when nothing waits
};

struct ShipStatus {
    std::vector<SinkStatus> sinks;
    SpoolCounters spool;
};

class Shipper {
  public:
    // At least one sink. Starts sending what the spool still holds.
    static Result<std::unique_ptr<Shipper>> make(const ShipperConfig& config, std::vector<std::unique_ptr<Sink>> sinks);
    ~Shipper();  // stop(now + 1 s)

    Result<SpoolWriter> begin(const Incident& incident, uint64_t expected_size);
    // Any thread; takes one short lock. The dump must come from this shipper's begin().
    void submit(const DumpFile& dump);
    [[nodiscard]] ShipStatus status() const;  // any thread

    // Tries everything pending now and waits. True when nothing is left pending. For an orderly shutdown.
    bool flush(std::chrono::steady_clock::time_point deadline);
    // Ends transfers (within 200 ms where the sink can) and threads; pending incidents stay in the spool. True when all
    // threads have ended; false when one hangs in the kernel (a dead network file system): it is left behind, which
    // is harmless only because the process is about to end.
    bool stop(std::chrono::steady_clock::time_point deadline);

  private:
    struct Core;  // co-owned by this object and the sink threads, which may outlive it (see stop)
    explicit Shipper(std::shared_ptr<Core> core);
    std::shared_ptr<Core> core_;
};

}  // namespace flightrec::ship
