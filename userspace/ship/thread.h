// SPDX-License-Identifier: Apache-2.0
// A thread with a name, a small stack (it is locked into memory), all signals blocked and no capabilities.
#pragma once

#include <pthread.h>

#include <chrono>
#include <functional>
#include <memory>

#include "userspace/base/result.h"

namespace flightrec::ship {

class Thread {
  public:
    Thread() = default;
    // `name`: at most 15 characters, pthread_setname_np(3). `body` must not throw.
    static Result<Thread> start(const char* name, std::function<void()> body);
    Thread(Thread&& other) noexcept;
    Thread& operator=(Thread&& other) noexcept;
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread();  // joins

    void join();
    // False when it had not ended by then: it is still running and still to be joined or detached.
    bool join_until(std::chrono::steady_clock::time_point deadline);
    // Lets it run on; whatever its body uses must live as long as the process.
    void detach();
    [[nodiscard]] bool running() const { return running_; }

  private:
    struct State;  // co-owned by this object and the thread, which may outlive it
    pthread_t id_{};
    bool running_ = false;
    std::shared_ptr<State> state_;
};

}  // namespace flightrec::ship
