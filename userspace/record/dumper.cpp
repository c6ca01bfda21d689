// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/dumper.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/ship/thread.h"

namespace flightrec::record {

struct Dumper::Impl {
    flight::Window& window;
    ship::Shipper& shipper;
    Fd done;
    std::mutex mutex;
    std::condition_variable wake;
    bool working = false, ending = false;  // under mutex
    std::optional<DumpOutcome> outcome;    // under mutex
    ship::Incident incident;               // the thread's while working
    std::string info;                      // the same
    std::vector<flight::Window::PinnedSegment> pinned;
    uint64_t started_ns = 0;
    ship::Thread thread;

    Impl(flight::Window& w, ship::Shipper& s) : window(w), shipper(s) { pinned.reserve(w.slots()); }
    void run();
    Result<ship::DumpFile> dump(uint64_t& bytes);
};

Result<ship::DumpFile> Dumper::Impl::dump(uint64_t& bytes) {
    auto writer = shipper.begin(incident, flight::dump_size(pinned));
    if (!writer) {
        for (const auto& segment : pinned) window.unpin(segment.slot);
        return std::unexpected(writer.error());
    }
    FR_ASSIGN(bytes, flight::write_dump(window, pinned, info,
                                        [&](std::span<const std::byte> piece) { return writer->write(piece); }));
    return writer->commit();
}

void Dumper::Impl::run() {
    std::unique_lock lock(mutex);
    for (;;) {
        wake.wait(lock, [this] { return working || ending; });
        if (!working) return;
        lock.unlock();
        DumpOutcome result;
        result.incident = incident.number;
        auto file = dump(result.bytes);
        if (file) {
            result.file = file->path.string();
            shipper.submit(*file);
        } else {
            result.error = file.error();
        }
        result.took_ns = boot_ns() - started_ns;
        lock.lock();
        outcome = std::move(result);
        working = false;
        eventfd_write(done.get(), 1);
    }
}

Result<std::unique_ptr<Dumper>> Dumper::make(flight::Window& window, ship::Shipper& shipper) {
    auto impl = std::make_unique<Impl>(window, shipper);
    impl->done = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!impl->done.valid()) return fail_errno(errno, "cannot make an eventfd");
    Impl* self = impl.get();
    FR_ASSIGN(impl->thread, ship::Thread::start("fr-dump", [self] { self->run(); }));
    return std::unique_ptr<Dumper>(new Dumper(std::move(impl)));
}

Dumper::Dumper(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Dumper::~Dumper() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->ending = true;
    }
    impl_->wake.notify_one();
    impl_->thread.join();
}

bool Dumper::busy() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->working || impl_->outcome.has_value();
}

void Dumper::start(const ship::Incident& incident, std::string info_json) {
    const std::lock_guard lock(impl_->mutex);
    impl_->incident = incident;
    impl_->info = std::move(info_json);
    impl_->started_ns = boot_ns();
    impl_->window.pin(impl_->pinned);
    impl_->working = true;
    impl_->wake.notify_one();
}

int Dumper::fd() const { return impl_->done.get(); }

std::optional<DumpOutcome> Dumper::finished() {
    eventfd_t count = 0;
    eventfd_read(impl_->done.get(), &count);
    const std::lock_guard lock(impl_->mutex);
    return std::exchange(impl_->outcome, std::nullopt);
}

}  // namespace flightrec::record
