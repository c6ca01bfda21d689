// SPDX-License-Identifier: Apache-2.0
// One thread a sink, and the pace at which each tries again.
#include "userspace/ship/shipper.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <mutex>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/ship/spare.h"
#include "userspace/ship/thread.h"

namespace flightrec::ship {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr milliseconds new_incident_pause{1'000};  // a new incident is tried at once, but no more often than that
constexpr milliseconds flush_longest{500};         // while flush() waits
constexpr milliseconds reserve_retry{10'000};

uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }
uint64_t to_ns(milliseconds ms) { return static_cast<uint64_t>(nanoseconds(ms).count()); }
steady_clock::time_point at_ns(uint64_t ns) {
    return steady_clock::time_point(nanoseconds(static_cast<int64_t>(std::min<uint64_t>(ns, INT64_MAX))));
}

// xorshift64*: enough to spread retries.
class Random {
  public:
    Random() {
        if (getrandom(&state_, sizeof state_, GRND_NONBLOCK) != sizeof state_ || state_ == 0)
            state_ = monotonic_ns() | 1;
    }
    double next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<double>((state_ * 0x2545f4914f6cdd1dull) >> 11) * 0x1p-53;
    }

  private:
    uint64_t state_ = 0;
};

bool is_gone(const DumpFile& dump) {
    if (dump.memory >= 0) return false;
    struct stat st {};
    return lstat(dump.path.c_str(), &st) != 0 && errno == ENOENT;
}

}  // namespace

milliseconds backoff_delay(const Backoff& backoff, uint32_t failures, double random) {
    if (failures == 0) return milliseconds(0);
    const double doubled = static_cast<double>(backoff.first.count()) * std::exp2(std::min(failures - 1, 40u));
    const double capped = std::min(doubled, static_cast<double>(backoff.longest.count()));
    return milliseconds(static_cast<int64_t>(capped * (0.5 + random / 2)));
}

struct Shipper::Core {
    struct Worker {
        std::unique_ptr<Sink> sink;
        Thread thread;
        Random random;
        uint64_t not_before_ns = 0;  // of the sink as a whole
        uint64_t last_attempt_ns = 0;
        uint32_t failures = 0;  // in a row
        SinkStatus status;
    };

    Backoff backoff;
    std::unique_ptr<Spool> spool;
    std::vector<Worker> workers;  // fixed after make()
    Cancel cancel;
    std::mutex mutex;  // everything below and in the workers but sink and thread; before the spool's own locks
    std::condition_variable changed;
    bool stopping = false;

    void run(size_t index);
    void wait(std::unique_lock<std::mutex>& lock, uint64_t until_ns);
    std::optional<Standing> account(size_t index, const DumpFile& dump, const Result<Delivery>& result);
    void put_off(Worker& worker, Standing& standing, std::chrono::seconds at_least);
};

void Shipper::Core::wait(std::unique_lock<std::mutex>& lock, uint64_t until_ns) {
    // Now and then the reserve is looked after; that needs no precision.
    changed.wait_until(lock, at_ns(std::min(until_ns, monotonic_ns() + to_ns(reserve_retry))));
}

void Shipper::Core::run(size_t index) {
    Worker& worker = workers[index];
    if (auto warm = worker.sink->warm_up(cancel); !warm && warm.error().code != Code::interrupted)
        log::warning("{}: {}", printable(worker.sink->name()), warm.error().message);
    std::unique_lock lock(mutex);
    while (!stopping) {
        const uint64_t now = monotonic_ns();
        if (now < worker.not_before_ns) {
            wait(lock, worker.not_before_ns);
            continue;
        }
        const auto next = spool->next(index, now);
        if (!next.dump) {
            lock.unlock();
            spool->renew_reserve();
            renew_spares();
            lock.lock();
            // Something may have come meanwhile; its due time says so.
            if (!stopping && spool->earliest_due(index) > monotonic_ns()) wait(lock, next.due_ns);
            continue;
        }
        worker.status.sending = true;
        worker.last_attempt_ns = now;
        lock.unlock();
        const auto result = worker.sink->deliver(*next.dump, cancel);
        lock.lock();
        const auto standing = account(index, *next.dump, result);
        lock.unlock();
        if (standing) spool->settle(next.dump->incident.id(), index, *standing);
        lock.lock();
        worker.status.sending = false;
        changed.notify_all();
    }
}

void Shipper::Core::put_off(Worker& worker, Standing& standing, std::chrono::seconds at_least) {
    const auto delay = [&](uint32_t failures) {
        return to_ns(std::max<milliseconds>(backoff_delay(backoff, failures, worker.random.next()), at_least));
    };
    const uint64_t now = monotonic_ns();
    worker.not_before_ns = now + delay(++worker.failures);
    standing.next_attempt_ns = now + delay(standing.attempts);
}

// Notes the outcome; what has to be written down, unless nothing has.
std::optional<Standing> Shipper::Core::account(size_t index, const DumpFile& dump, const Result<Delivery>& result) {
    Worker& worker = workers[index];
    auto& status = worker.status;
    if (!result && result.error().code == Code::interrupted) return std::nullopt;
    auto standing = spool->standing(dump.incident.id(), index);
    if (!standing) standing.emplace();  // dropped meanwhile; settle() will see that too
    ++standing->attempts;
    ++status.attempts;
    const std::string problem = !result                                        ? result.error().message
                                : result->answer == Delivery::Answer::accepted ? std::string()
                                                                               : result->detail;
    standing->last_error = problem;
    status.last_error = problem;
    if (!result && is_gone(dump)) {
        standing->state = DeliveryState::refused;
        standing->next_attempt_ns = UINT64_MAX;
        log::error("{} is gone from the spool and cannot be sent", printable(dump.name));
    } else if (!result) {
        put_off(worker, *standing, std::chrono::seconds(0));
        log::warning("{} waits in the spool: {}", printable(dump.name), problem);
    } else if (result->answer == Delivery::Answer::accepted) {
        standing->state = DeliveryState::delivered;
        worker.failures = 0;
        worker.not_before_ns = 0;
        ++status.delivered;
        status.last_delivery = result->detail;
        status.last_delivery_realtime_ns = realtime_ns();
        log::info("incident {} delivered to {}", dump.incident.id(), result->detail);
    } else if (result->answer == Delivery::Answer::later) {
        put_off(worker, *standing, result->wait);
        log::warning("{} waits in the spool: {}", printable(dump.name), problem);
    } else {
        standing->state = DeliveryState::refused;
        worker.failures = 0;
        worker.not_before_ns = 0;
        standing->next_attempt_ns = monotonic_ns() + to_ns(backoff.refused);
        log::error("{} is refused and stays in the spool: {}", printable(dump.name), problem);
    }
    return standing;
}

Shipper::Shipper(std::shared_ptr<Core> core) : core_(std::move(core)) {}
Shipper::~Shipper() { stop(steady_clock::now() + std::chrono::seconds(1)); }

Result<std::unique_ptr<Shipper>> Shipper::make(const ShipperConfig& config, std::vector<std::unique_ptr<Sink>> sinks) {
    if (sinks.empty()) return fail(Code::usage, "no destination: give --to at least once");
    std::vector<std::string> names;
    const auto spool_path = std::filesystem::absolute(config.spool.directory).lexically_normal();
    for (const auto& sink : sinks) {
        if (std::find(names.begin(), names.end(), sink->name()) != names.end())
            return fail(Code::usage, fmt::format("destination '{}' is given twice", printable(sink->name())));
        if (sink->name() == spool_path.string())
            return fail(Code::usage,
                        fmt::format("{} is the spool: give another directory for the dumps", spool_path.string()));
        names.push_back(sink->name());
    }
    auto core = std::make_shared<Core>();
    core->backoff = config.backoff;
    FR_ASSIGN(core->spool, Spool::open(config.spool, names));
    core->workers.resize(sinks.size());
    for (size_t i = 0; i < sinks.size(); ++i) {
        core->workers[i].status.name = sinks[i]->name();
        core->workers[i].status.describe = sinks[i]->describe();
        core->workers[i].sink = std::move(sinks[i]);
    }
    renew_spares();
    // From here on the destructor stops what has been started.
    std::unique_ptr<Shipper> shipper(new Shipper(core));
    for (size_t i = 0; i < core->workers.size(); ++i) {
        const std::string name = fmt::format("fr-ship-{}", i);
        FR_ASSIGN(core->workers[i].thread, Thread::start(name.c_str(), [core, i] { core->run(i); }));
    }
    return shipper;
}

Result<SpoolWriter> Shipper::begin(const Incident& incident, uint64_t expected_size) {
    return core_->spool->begin(incident, expected_size);
}

void Shipper::submit(const DumpFile& dump) {
    core_->spool->enlist(dump);
    {
        const std::lock_guard lock(core_->mutex);
        const uint64_t now = monotonic_ns();
        for (auto& worker : core_->workers)
            worker.not_before_ns =
                std::min(worker.not_before_ns, std::max(now, worker.last_attempt_ns + to_ns(new_incident_pause)));
    }
    core_->changed.notify_all();
}

ShipStatus Shipper::status() const {
    ShipStatus out;
    out.spool = core_->spool->counters();
    const std::lock_guard lock(core_->mutex);
    const uint64_t now = monotonic_ns();
    for (size_t i = 0; i < core_->workers.size(); ++i) {
        const auto& worker = core_->workers[i];
        SinkStatus status = worker.status;
        status.queued = core_->spool->pending(i);
        status.refused = core_->spool->refused(i);
        const uint64_t due = std::max(worker.not_before_ns, core_->spool->earliest_due(i));
        if (due != UINT64_MAX && due > now)
            status.next_attempt = std::chrono::ceil<milliseconds>(nanoseconds(due - now));
        out.sinks.push_back(std::move(status));
    }
    return out;
}

bool Shipper::flush(steady_clock::time_point deadline) {
    auto& core = *core_;
    std::unique_lock lock(core.mutex);
    const auto done = [&] {
        for (size_t i = 0; i < core.workers.size(); ++i)
            if (core.workers[i].status.sending || core.spool->pending(i) > 0) return false;
        return true;
    };
    // At first everything at once, then what fails again no later than twice a second.
    uint64_t latest = monotonic_ns();
    while (!core.stopping && !done() && steady_clock::now() < deadline) {
        for (size_t i = 0; i < core.workers.size(); ++i) {
            core.workers[i].not_before_ns = std::min(core.workers[i].not_before_ns, latest);
            core.spool->make_due(i, latest);
        }
        core.changed.notify_all();
        core.changed.wait_until(lock, std::min(deadline, steady_clock::now() + milliseconds(50)));
        latest = monotonic_ns() + to_ns(flush_longest);
    }
    return done();
}

bool Shipper::stop(steady_clock::time_point deadline) {
    {
        const std::lock_guard lock(core_->mutex);
        core_->stopping = true;
    }
    core_->cancel.request();
    core_->changed.notify_all();
    bool all = true;
    for (auto& worker : core_->workers) {
        if (worker.thread.join_until(deadline)) continue;
        log::warning("{} does not end: it is left behind", printable(worker.sink->name()));
        worker.thread.detach();
        all = false;
    }
    return all;
}

}  // namespace flightrec::ship
