// SPDX-License-Identifier: Apache-2.0
// Threads on pthreads, for the stack size and the timed join that std::thread lacks.
#include "userspace/ship/thread.h"

#include <csignal>
#include <memory>
#include <utility>

#include "userspace/base/handle.h"

namespace flightrec::ship {
namespace {

// OpenSSL and getaddrinfo(3) need some tens of KiB; the sanitizers several times that.
constexpr size_t stack_size = 512u << 10;

void* run(void* argument) {
    const std::unique_ptr<std::function<void()>> body(static_cast<std::function<void()>*>(argument));
    (*body)();
    return nullptr;
}

}  // namespace

Result<Thread> Thread::start(const char* name, std::function<void()> body) {
    pthread_attr_t attributes;
    if (const int err = pthread_attr_init(&attributes); err != 0) return fail_errno(err, "cannot prepare a thread");
    const Handle<pthread_attr_t*, [](pthread_attr_t* a) { pthread_attr_destroy(a); }> guard(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);

    // The new thread inherits the mask: no signal is ever handled on it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    auto owned = std::make_unique<std::function<void()>>(std::move(body));
    Thread thread;
    const int err = pthread_create(&thread.id_, &attributes, run, owned.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (err != 0) return fail_errno(err, "cannot start a thread");
    (void)owned.release();  // run() owns it now
    thread.running_ = true;
    pthread_setname_np(thread.id_, name);
    return thread;
}

Thread::Thread(Thread&& other) noexcept : id_(other.id_), running_(std::exchange(other.running_, false)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
    if (this != &other) {
        join();
        id_ = other.id_;
        running_ = std::exchange(other.running_, false);
    }
    return *this;
}

Thread::~Thread() { join(); }

void Thread::join() {
    if (std::exchange(running_, false)) pthread_join(id_, nullptr);
}

bool Thread::join_until(std::chrono::steady_clock::time_point deadline) {
    if (!running_) return true;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
    const timespec when{ns / 1'000'000'000, ns % 1'000'000'000};
    // steady_clock is CLOCK_MONOTONIC in libstdc++.
    if (pthread_clockjoin_np(id_, nullptr, CLOCK_MONOTONIC, &when) != 0) return false;
    running_ = false;
    return true;
}

void Thread::detach() {
    if (std::exchange(running_, false)) pthread_detach(id_);
}

}  // namespace flightrec::ship
