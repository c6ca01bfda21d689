// SPDX-License-Identifier: Apache-2.0
// The recorder: puts the parts together and runs them until it is told to stop. What `flightrec record` is.
//
// Everything runs on the calling thread but the dump thread and the sinks' threads, which make() starts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "userspace/base/result.h"
#include "userspace/record/config.h"
#include "userspace/record/emit.h"
#include "userspace/ship/destination.h"

namespace flightrec::record {

struct RecorderOptions {
    Config config;
    ship::SinkOptions sinks;
    std::string version;
    uint64_t run_for_ns = 0;  // 0: until a signal
    SystemPaths paths;
};

class Recorder {
  public:
    // Takes everything it will need: window, programs, memory, threads, sockets. Errors: see the parts; nothing that
    // was there before is lost, a window left by an earlier recorder is kept as PATH.previous and shipped if it ended
    // badly.
    static Result<Recorder> make(const RecorderOptions& options);
    Recorder(Recorder&&) noexcept;
    Recorder& operator=(Recorder&&) noexcept;
    ~Recorder();

    // What is recorded by which variant, the memory ceiling, where dumps go: lines for people.
    [[nodiscard]] std::string summary() const;
    // Records until SIGTERM, SIGINT or the time is over. An error: recording could not go on.
    Result<void> run();

  private:
    struct Impl;
    explicit Recorder(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::record
