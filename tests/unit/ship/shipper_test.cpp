// SPDX-License-Identifier: Apache-2.0
// The shipper: retries, independence of the sinks, restart, stop.
#include "userspace/ship/shipper.h"

#include <dirent.h>
#include <gmock/gmock.h>

#include <condition_variable>
#include <fstream>
#include <mutex>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using Answer = Delivery::Answer;

const Backoff quick{milliseconds(5), milliseconds(40)};

// A sink whose answers the test decides, one a call, the last one for ever; nullopt: hangs until cancelled.
class ScriptedSink final : public Sink {
  public:
    using Step = std::optional<Result<Delivery>>;
    ScriptedSink(std::string name, std::vector<Step> steps) : name_(std::move(name)), steps_(std::move(steps)) {}
    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] std::string describe() const override { return name_; }
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override {
        Step step;
        {
            const std::lock_guard lock(mutex_);
            step = steps_[std::min(calls_.size(), steps_.size() - 1)];
            calls_.push_back(dump.incident.number);
        }
        if (step) return *step;
        while (!cancel.requested()) {
            timespec nap{0, 5'000'000};
            nanosleep(&nap, nullptr);
        }
        return fail(Code::interrupted, "stopped");
    }
    [[nodiscard]] std::vector<uint64_t> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }

  private:
    std::string name_;
    std::vector<Step> steps_;
    mutable std::mutex mutex_;
    std::vector<uint64_t> calls_;
};

ScriptedSink::Step accepted() { return Delivery{Answer::accepted, "there", {}}; }
ScriptedSink::Step refused() { return Delivery{Answer::refused, "404", {}}; }
ScriptedSink::Step later(int seconds = 0) { return Delivery{Answer::later, "503", std::chrono::seconds(seconds)}; }
ScriptedSink::Step unreachable() { return Result<Delivery>(fail(Code::network, "no route")); }
ScriptedSink::Step hangs() { return std::nullopt; }

struct Fixture {
    TempDir tree;
    std::vector<std::unique_ptr<Sink>> sinks;
    std::unique_ptr<Shipper> shipper;
    Backoff backoff = quick;

    ScriptedSink* add(const std::string& name, std::vector<ScriptedSink::Step> steps) {
        auto sink = std::make_unique<ScriptedSink>(name, std::move(steps));
        auto* raw = sink.get();
        sinks.push_back(std::move(sink));
        return raw;
    }
    void start(uint32_t max_incidents = 100) {
        auto made = Shipper::make({{tree / "s", 1 << 20, max_incidents, 0}, backoff}, std::move(sinks));
        if (!made) throw std::runtime_error(made.error().message);
        shipper = std::move(*made);
        sinks.clear();
    }
    void ship(uint64_t number) {
        auto writer = shipper->begin(make_incident(number), 100);
        ASSERT_TRUE(writer);
        const std::string bytes = content(100, static_cast<unsigned>(number));
        ASSERT_TRUE(writer->write(std::as_bytes(std::span(bytes))));
        const auto dump = writer->commit();
        ASSERT_TRUE(dump);
        shipper->submit(*dump);
    }
    bool idle() const {
        for (const auto& sink : shipper->status().sinks)
            if (sink.queued > 0 || sink.sending) return false;
        return true;
    }
};

TEST(Shipper, DeliversToEverySinkAndEmptiesTheSpool) {
    Fixture f;
    auto* a = f.add("a", {accepted()});
    auto* b = f.add("b", {accepted()});
    f.start();
    f.ship(1);
    f.ship(2);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_THAT(a->calls(), testing::ElementsAre(1, 2));
    EXPECT_THAT(b->calls(), testing::ElementsAre(1, 2));
    EXPECT_THAT(names_in(f.tree / "s"), testing::ElementsAre("lock"));
    const auto status = f.shipper->status();
    EXPECT_EQ(status.sinks[0].delivered, 2u);
    EXPECT_EQ(status.sinks[0].last_delivery, "there");
    EXPECT_EQ(status.spool.incidents, 0u);
}

TEST(Shipper, TriesAgainUntilItWorks) {
    Fixture f;
    auto* sink = f.add("a", {unreachable(), later(), unreachable(), accepted()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_EQ(sink->calls().size(), 4u);
    const auto status = f.shipper->status().sinks[0];
    EXPECT_EQ(status.attempts, 4u);
    EXPECT_EQ(status.delivered, 1u);
    EXPECT_EQ(status.last_error, "");
}

TEST(Shipper, ASuccessMakesTheNextFailureWaitShortlyAgain) {
    Fixture f;
    const std::vector<ScriptedSink::Step> four(4, unreachable());
    auto steps = four;
    steps.push_back(accepted());
    steps.push_back(unreachable());
    f.add("a", steps);
    f.backoff = {milliseconds(20), milliseconds(60'000)};
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    f.ship(2);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].attempts == 6; }));
    EXPECT_LE(f.shipper->status().sinks[0].next_attempt.count(), 20) << "it would be 160 to 320";
}

TEST(Shipper, ADeadSinkDelaysNoOther) {
    Fixture f;
    f.add("hangs", {hangs()});
    f.add("unreachable", {unreachable()});
    f.add("works", {accepted()});
    f.start();
    for (uint64_t i = 1; i <= 5; ++i) f.ship(i);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[2].delivered == 5; }, milliseconds(3000)));
    const auto status = f.shipper->status();
    EXPECT_EQ(status.sinks[0].queued, 5u);
    EXPECT_TRUE(status.sinks[0].sending);
    EXPECT_EQ(status.sinks[1].queued, 5u);
    EXPECT_EQ(status.sinks[1].last_error, "no route");
    EXPECT_EQ(status.spool.incidents, 5u);
}

TEST(Shipper, SubmitAndStatusNeverWaitForASink) {
    Fixture f;
    f.add("hangs", {hangs()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].sending; }));
    const auto dump = [&] {
        auto writer = f.shipper->begin(make_incident(2), 10);
        return writer->commit();
    }();
    ASSERT_TRUE(dump);
    EXPECT_LT(timed([&] {
                  for (int i = 0; i < 1000; ++i) {
                      f.shipper->submit(*dump);
                      (void)f.shipper->status();
                  }
              }).count(),
              1000);
    EXPECT_EQ(f.shipper->status().sinks[0].queued, 2u);
}

TEST(Shipper, WhatIsRefusedWaitsForARestartAndBlocksNothing) {
    Fixture f;
    auto* sink = f.add("a", {refused(), accepted()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    f.ship(2);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_THAT(sink->calls(), testing::ElementsAre(1, 2));
    EXPECT_EQ(f.shipper->status().sinks[0].refused, 1u);
    EXPECT_TRUE(std::filesystem::exists(f.tree / "s" / make_incident(1).file_name()));
    f.shipper.reset();
    sink = f.add("a", {accepted()});
    f.start();
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_THAT(sink->calls(), testing::ElementsAre(1));
    EXPECT_THAT(names_in(f.tree / "s"), testing::ElementsAre("lock"));
}

TEST(Shipper, WhatIsRefusedIsTriedAgainMuchLater) {
    Fixture f;
    auto* sink = f.add("a", {refused(), refused(), accepted()});
    f.backoff.refused = milliseconds(100);
    f.start();
    const auto took = timed([&] {
        f.ship(1);
        ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].delivered == 1; }));
    });
    EXPECT_EQ(sink->calls().size(), 3u);
    EXPECT_GE(took.count(), 200);
}

TEST(Shipper, ARestartGoesOnWhereTheLastRunStopped) {
    Fixture f;
    f.add("dir", {accepted()});
    f.add("remote", {unreachable()});
    f.start();
    for (uint64_t i = 1; i <= 3; ++i) f.ship(i);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].delivered == 3; }));
    ASSERT_TRUE(f.shipper->stop(steady_clock::now() + milliseconds(1000)));
    f.shipper.reset();
    auto* dir = f.add("dir", {accepted()});
    auto* remote = f.add("remote", {accepted()});
    f.start();
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_TRUE(dir->calls().empty()) << "it has them";
    EXPECT_THAT(remote->calls(), testing::UnorderedElementsAre(1, 2, 3));
    EXPECT_THAT(names_in(f.tree / "s"), testing::ElementsAre("lock"));
}

TEST(Shipper, OneBadIncidentDoesNotBlockTheOthers) {
    Fixture f;
    // Incident 1 fails at first; 2 and 3 come before its next attempt.
    auto* sink = f.add("a", {later(1), accepted()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return sink->calls().size() == 1; }));
    f.ship(2);
    f.ship(3);
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_THAT(sink->calls(), testing::ElementsAre(1, 2, 3, 1));
}

TEST(Shipper, AReceiversWishToWaitIsKept) {
    Fixture f;
    auto* sink = f.add("a", {later(1), accepted()});
    f.start();
    const auto took = timed([&] {
        f.ship(1);
        ASSERT_TRUE(eventually([&] { return f.idle(); }));
    });
    EXPECT_EQ(sink->calls().size(), 2u);
    EXPECT_GE(took.count(), 900);
}

TEST(Shipper, FlushTriesEverythingNowAndTellsWhetherItWent) {
    Fixture f;
    auto* sink = f.add("a", {later(3600), accepted()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].attempts == 1; }));
    EXPECT_GT(f.shipper->status().sinks[0].next_attempt, std::chrono::seconds(3000));
    EXPECT_TRUE(f.shipper->flush(steady_clock::now() + milliseconds(5000)));
    EXPECT_EQ(sink->calls().size(), 2u);
    EXPECT_TRUE(f.idle());
}

TEST(Shipper, FlushGivesUpAtItsDeadline) {
    Fixture f;
    f.add("a", {unreachable()});
    f.start();
    f.ship(1);
    const auto took = timed([&] { EXPECT_FALSE(f.shipper->flush(steady_clock::now() + milliseconds(300))); });
    EXPECT_GE(took.count(), 300);
    EXPECT_LT(took.count(), 1000);
}

TEST(Shipper, StopEndsAHangingTransferAndKeepsItsDump) {
    Fixture f;
    f.add("a", {hangs()});
    f.start();
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[0].sending; }));
    bool ended = false;
    const auto took = timed([&] { ended = f.shipper->stop(steady_clock::now() + milliseconds(2000)); });
    EXPECT_TRUE(ended);
    EXPECT_LT(took.count(), 200);
    EXPECT_TRUE(std::filesystem::exists(f.tree / "s" / make_incident(1).file_name()));
    EXPECT_EQ(f.shipper->status().sinks[0].attempts, 0u) << "cancelled is not failed";
}

// A sink in an uninterruptible wait, as on a dead network file system.
class StuckSink final : public Sink {
  public:
    struct Gate {
        std::mutex mutex;
        std::condition_variable changed;
        bool open = false, inside = false, left = false;
    };
    explicit StuckSink(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {}
    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] std::string describe() const override { return name_; }
    Result<Delivery> deliver(const DumpFile&, const Cancel&) override {
        std::unique_lock lock(gate_->mutex);
        gate_->inside = true;
        gate_->changed.notify_all();
        gate_->changed.wait(lock, [&] { return gate_->open; });
        gate_->left = true;
        gate_->changed.notify_all();
        return Delivery{Answer::accepted, "late", {}};
    }

  private:
    std::string name_ = "stuck";
    std::shared_ptr<Gate> gate_;
};

TEST(Shipper, StopLeavesAThreadBehindThatHangsInTheKernel) {
    auto gate = std::make_shared<StuckSink::Gate>();
    Fixture f;
    f.sinks.push_back(std::make_unique<StuckSink>(gate));
    f.start();
    f.ship(1);
    {
        std::unique_lock lock(gate->mutex);
        gate->changed.wait(lock, [&] { return gate->inside; });
    }
    EXPECT_FALSE(f.shipper->stop(steady_clock::now() + milliseconds(50)));
    f.shipper.reset();
    std::unique_lock lock(gate->mutex);
    gate->open = true;  // it comes back after all: what it uses must still be there
    gate->changed.notify_all();
    gate->changed.wait(lock, [&] { return gate->left; });
    lock.unlock();
    EXPECT_TRUE(eventually([&] { return gate.use_count() == 1; })) << "the last owner was the thread";
}

TEST(Shipper, AnIncidentDroppedWhileItIsSentHarmsNothing) {
    Fixture f;
    auto* sink = f.add("a", {hangs()});
    f.start(1);
    f.ship(1);
    ASSERT_TRUE(eventually([&] { return sink->calls().size() == 1; }));
    f.ship(2);
    const auto status = f.shipper->status();
    EXPECT_EQ(status.spool.dropped, 1u);
    EXPECT_EQ(status.sinks[0].queued, 1u);
    f.shipper->stop(steady_clock::now() + milliseconds(1000));
    EXPECT_FALSE(std::filesystem::exists(f.tree / "s" / make_incident(1).file_name()));
}

TEST(Shipper, ADumpThatVanishedIsReportedOnce) {
    Fixture f;
    auto* sink = f.add("a", {unreachable(), Result<Delivery>(fail_errno(ENOENT, "cannot open the dump"))});
    f.start();
    f.ship(1);
    std::filesystem::remove(f.tree / "s" / make_incident(1).file_name());
    ASSERT_TRUE(eventually([&] { return f.idle(); }));
    EXPECT_LE(sink->calls().size(), 2u);
    EXPECT_EQ(f.shipper->status().sinks[0].refused, 1u);
}

TEST(Shipper, BadSetsOfSinksAreRefused) {
    Fixture f;
    EXPECT_FALSE(Shipper::make({{f.tree / "s", 1000, 10, 0}, quick}, {}));
    f.add("a", {accepted()});
    f.add("a", {accepted()});
    auto twice = Shipper::make({{f.tree / "s", 1000, 10, 0}, quick}, std::move(f.sinks));
    ASSERT_FALSE(twice);
    EXPECT_THAT(twice.error().message, HasSubstr("given twice"));
    f.sinks.clear();
    f.add((f.tree / "s").string(), {accepted()});
    auto same = Shipper::make({{f.tree / "s", 1000, 10, 0}, quick}, std::move(f.sinks));
    ASSERT_FALSE(same);
    EXPECT_THAT(same.error().message, HasSubstr("is the spool"));
}

size_t thread_count() {
    size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
        (void)entry;
        ++n;
    }
    return n;
}

TEST(Shipper, StartsAllItsThreadsAtTheBeginning) {
    Fixture f;
    f.add("a", {unreachable()});
    f.add("b", {accepted()});
    f.start();
    const size_t before = thread_count();
    for (uint64_t i = 1; i <= 20; ++i) f.ship(i);
    ASSERT_TRUE(eventually([&] { return f.shipper->status().sinks[1].delivered == 20; }));
    EXPECT_EQ(thread_count(), before);
}

TEST(Backoff, DoublesUpToTheLongestAndSpreads) {
    const Backoff b;
    EXPECT_EQ(backoff_delay(b, 0, 0.5).count(), 0);
    EXPECT_EQ(backoff_delay(b, 1, 0).count(), 500);
    EXPECT_EQ(backoff_delay(b, 1, 1).count(), 1000);
    EXPECT_EQ(backoff_delay(b, 4, 1).count(), 8000);
    EXPECT_EQ(backoff_delay(b, 10, 1).count(), 300'000);
    EXPECT_EQ(backoff_delay(b, 4'000'000'000u, 1).count(), 300'000);
    EXPECT_EQ(backoff_delay(b, 4'000'000'000u, 0).count(), 150'000);
}

}  // namespace
}  // namespace flightrec::ship::test
