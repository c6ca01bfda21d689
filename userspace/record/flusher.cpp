// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/flusher.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/ship/thread.h"

namespace flightrec::record {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds pause{200};  // from one call to the next: a busy machine seals more blocks than a disk likes

}  // namespace

struct Flusher::Shared {
    Fd fd;
    std::mutex mutex;
    std::condition_variable changed;
    bool dirty = false, ending = false;
    std::atomic<uint64_t> cpu_ns = 0;
    ship::Thread thread;

    void run();
};

void Flusher::Shared::run() {
    int last_error = 0;
    std::unique_lock lock(mutex);
    while (true) {
        changed.wait(lock, [&] { return dirty || ending; });
        if (ending) return;
        dirty = false;
        const auto next = steady_clock::now() + pause;
        lock.unlock();
        const int error = fdatasync(fd.get()) == 0 ? 0 : errno;
        if (error != 0 && error != last_error)
            log::warning("the window cannot be brought to the disk: {}", strerror(error));
        last_error = error;
        cpu_ns.store(thread_cpu_ns(), std::memory_order_relaxed);
        lock.lock();
        changed.wait_until(lock, next, [&] { return ending; });
    }
}

Result<std::unique_ptr<Flusher>> Flusher::make(int fd) {
    auto shared = std::make_shared<Shared>();
    shared->fd = Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!shared->fd.valid()) return fail_errno(errno, "cannot duplicate the window's descriptor");
    FR_ASSIGN(shared->thread, ship::Thread::start("fr-flush", [shared] { shared->run(); }));
    return std::unique_ptr<Flusher>(new Flusher(std::move(shared)));
}

Flusher::~Flusher() {
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->ending = true;
    }
    shared_->changed.notify_all();
    if (!shared_->thread.join_until(steady_clock::now() + std::chrono::seconds(1))) shared_->thread.detach();
}

uint64_t Flusher::cpu_ns() const { return shared_->cpu_ns.load(std::memory_order_relaxed); }

void Flusher::kick() {
    {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->dirty) return;
        shared_->dirty = true;
    }
    shared_->changed.notify_one();
}

}  // namespace flightrec::record
