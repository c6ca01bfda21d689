// SPDX-License-Identifier: Apache-2.0
// A sink: one place that dumps are sent to.
//
// Threads: deliver() and warm_up() are called by one thread, the sink's own (Shipper); name() and describe() by any.
// Idempotent: delivering the same incident again replaces what is there with the same bytes under the same name, and
// never makes a second incident of it. A sink that can only send messages (syslog, console) repeats the incident's id.
// A sink neither starts threads nor forks in deliver().
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "userspace/base/result.h"
#include "userspace/ship/dump_file.h"

namespace flightrec::ship {

// Asks a running delivery to give up. Any thread.
class Cancel {
  public:
    void request() { flag_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool requested() const { return flag_.load(std::memory_order_relaxed); }

  private:
    std::atomic<bool> flag_{false};
};

// What the receiver said.
struct Delivery {
    enum class Answer {
        accepted,  // it has the whole dump, durably as far as it tells
        later,     // it is there but cannot take it now: try again
        refused,   // sending the same again would not help; somebody has to change something
    };
    Answer answer = Answer::accepted;
    std::string detail;            // accepted: where it is now; else: why not. One line, safe to show.
    std::chrono::seconds wait{0};  // later: how long the receiver asks us to wait at least; 0: it does not say
};

class Sink {
  public:
    virtual ~Sink() = default;
    // Stable over restarts and unique among the sinks of one recorder: the spool's key. No secrets.
    [[nodiscard]] virtual const std::string& name() const = 0;
    // One line for people: where dumps go and under which conditions. No secrets.
    [[nodiscard]] virtual std::string describe() const = 0;
    // What can be prepared before the first dump (resolve names, …). Its failure is only a warning.
    virtual Result<void> warm_up(const Cancel&) { return {}; }
    // An Error means that no answer was had (network, disk, a missing file): it is tried again, except for
    // Code::not_found of the dump itself. Code::interrupted: cancelled, within 200 ms of the request.
    virtual Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) = 0;
};

}  // namespace flightrec::ship
