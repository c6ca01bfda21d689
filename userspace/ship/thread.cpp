// SPDX-License-Identifier: Apache-2.0
// Threads on pthreads, for the stack size and the timed join that std::thread lacks.
#include "userspace/ship/thread.h"

#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <utility>

#include "userspace/base/handle.h"
#include "userspace/base/privileges.h"

namespace flightrec::ship {
namespace {

// OpenSSL and getaddrinfo(3) need some tens of KiB; the sanitizers several times that.
constexpr size_t stack_size = 512u << 10;

}  // namespace

struct Thread::State {
    std::function<void()> body;
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;

    static void* run(void* argument) {
        const std::unique_ptr<std::shared_ptr<State>> own(static_cast<std::shared_ptr<State>*>(argument));
        State& state = **own;
        (void)keep_capabilities(0);  // files of root's and the network need none; dropping cannot fail
        state.body();
        state.body = nullptr;  // what it holds goes first: it may hold the owner of this thread
        const std::lock_guard lock(state.mutex);
        state.finished = true;
        state.changed.notify_all();
        return nullptr;
    }
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved from
Result<Thread> Thread::start(const char* name, std::function<void()> body) {
    pthread_attr_t attributes;
    if (const int err = pthread_attr_init(&attributes); err != 0) return fail_errno(err, "cannot prepare a thread");
    const Handle<pthread_attr_t*, [](pthread_attr_t* a) { pthread_attr_destroy(a); }> guard(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);

    // The new thread inherits the mask: no signal is ever handled on it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Thread thread;
    thread.state_ = std::make_shared<State>();
    thread.state_->body = std::move(body);
    auto owned = std::make_unique<std::shared_ptr<State>>(thread.state_);
    const int err = pthread_create(&thread.id_, &attributes, State::run, owned.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (err != 0) return fail_errno(err, "cannot start a thread");
    (void)owned.release();  // run() owns it now
    thread.running_ = true;
    pthread_setname_np(thread.id_, name);
    return thread;
}

Thread::Thread(Thread&& other) noexcept
    : id_(other.id_), running_(std::exchange(other.running_, false)), state_(std::move(other.state_)) {}

Thread& Thread::operator=(Thread&& other) noexcept {
    if (this != &other) {
        join();
        id_ = other.id_;
        running_ = std::exchange(other.running_, false);
        state_ = std::move(other.state_);
    }
    return *this;
}

Thread::~Thread() { join(); }

void Thread::join() {
    if (std::exchange(running_, false)) pthread_join(id_, nullptr);
}

bool Thread::join_until(std::chrono::steady_clock::time_point deadline) {
    if (!running_) return true;
    {
        std::unique_lock lock(state_->mutex);
        if (!state_->changed.wait_until(lock, deadline, [&] { return state_->finished; })) return false;
    }
    join();
    return true;
}

void Thread::detach() {
    if (std::exchange(running_, false)) pthread_detach(id_);
}

}  // namespace flightrec::ship
