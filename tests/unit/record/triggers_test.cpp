// SPDX-License-Identifier: Apache-2.0
// Triggers: what becomes an incident, what is folded or suppressed, and that nothing is lost from the counts.
#include "userspace/record/triggers.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/unit/record/fake_tree.h"
#include "userspace/flight/event_builder.h"

namespace flightrec::record {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kHour = 3600 * kSecond;

class Triggers : public ::testing::Test {
  protected:
    void crash(uint64_t now, const char* comm = "web", int signal = 11, uint64_t cgroup = 5, uint32_t dumps_core = 1,
               uint32_t pid = 100) {
        auto& event = builder_.begin<fr_crash>(FR_CLASS_CRASH);
        event.event.time_ns = now;
        event.event.pid = event.event.tid = pid;
        event.signal = signal;
        event.cgroup_id = cgroup;
        event.dumps_core = dumps_core;
        std::strncpy(event.comm, comm, sizeof event.comm - 1);
        feed(sizeof(fr_crash), now);
    }
    void oom(uint64_t now, const char* victim = "hog", uint32_t pid = 200, uint32_t constraint = FR_OOM_MEMCG) {
        auto& event = builder_.begin<fr_oom_kill>(FR_CLASS_OOM_KILL);
        event.event.time_ns = now;
        event.event.pid = 1;
        event.victim_pid = pid;
        event.victim_anon = 1 << 20;
        event.constraint = constraint;
        if (constraint == FR_OOM_MEMCG) {
            event.domain_cgroup_id = 77;
            event.domain_limit = 2 << 20;
        }
        std::strncpy(event.victim_comm, victim, sizeof event.victim_comm - 1);
        feed(sizeof(fr_oom_kill), now);
    }
    void fork_failure(uint64_t now) {
        auto& event = builder_.begin<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE);
        event.event.time_ns = now;
        event.kind = FR_ALLOC_FORK;
        event.cause = FR_FORK_PIDS_CGROUP;
        event.result = -11;
        event.cgroup_id = 5;
        feed(sizeof(fr_alloc_failure), now);
    }
    void allocation_failure(uint64_t now, uint32_t kind, uint32_t gfp_mask) {
        auto& event = builder_.begin<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE);
        event.event.time_ns = now;
        event.kind = kind;
        event.gfp_mask = gfp_mask;
        event.cgroup_id = 5;
        feed(sizeof(fr_alloc_failure), now);
    }
    void feed(size_t fixed, uint64_t now) {
        engine_.on_event({builder_.bytes(), 0, static_cast<uint16_t>(fixed)}, now);
    }
    void expect_balance() const {
        const auto& c = engine_.counts();
        EXPECT_EQ(c.triggers, c.incidents + c.folded + c.suppressed);
    }
    void restart(const TriggerConfig& config) { engine_ = TriggerEngine(config, {1, 2, 3}); }

    flight::EventBuilder builder_;
    TriggerEngine engine_{TriggerConfig{}, {1, 2, 3}};
};

TEST_F(Triggers, AnOomKillIsAnIncidentAfterItsTail) {
    EXPECT_FALSE(engine_.next_due());
    oom(10 * kSecond);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond);
    EXPECT_FALSE(engine_.poll(12 * kSecond - 1));
    const auto incident = engine_.poll(12 * kSecond);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->number, 1u);
    EXPECT_EQ(incident->facts.reason, FR_TRIGGER_OOM_KILL);
    EXPECT_EQ(incident->facts.pid, 200u);
    EXPECT_STREQ(incident->facts.comm.data(), "hog");
    EXPECT_EQ(incident->facts.anon, 1u << 20);
    EXPECT_EQ(incident->facts.domain_cgroup_id, 77u);
    EXPECT_EQ(incident->facts.time_ns, 10 * kSecond);
    EXPECT_FALSE(engine_.poll(20 * kSecond)) << "told once";
    expect_balance();
}

TEST_F(Triggers, OnlySignalsThatDumpCoreAreCrashes) {
    crash(kSecond, "web", 15, 5, 0);
    EXPECT_FALSE(engine_.next_due());
    crash(kSecond);
    EXPECT_TRUE(engine_.next_due());
}

TEST_F(Triggers, WhatComesWithinTheTailIsFolded) {
    crash(10 * kSecond);
    crash(10 * kSecond + 1);
    oom(11 * kSecond);
    oom(11 * kSecond + 5);
    const auto incident = engine_.poll(12 * kSecond);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->folded, 3u);
    EXPECT_EQ(incident->folded_same, 1u);
    ASSERT_EQ(incident->other_count, 1u);
    EXPECT_EQ(incident->others[0].reason, FR_TRIGGER_OOM_KILL);
    // The folded one has been told: it is quiet as well.
    oom(15 * kSecond);
    EXPECT_FALSE(engine_.next_due());
    expect_balance();
}

TEST_F(Triggers, TheTailIsNotPutOffByMoreTriggers) {
    for (uint64_t t = 0; t < 100; ++t) crash(10 * kSecond + t * kSecond / 50);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond);
}

TEST_F(Triggers, ASecondKillOfTheWholeMachineShortensTheTail) {
    constexpr uint64_t kMs = 1'000'000;
    oom(10 * kSecond, "hog", 200, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond) << "one alone has the whole tail";
    oom(10 * kSecond + 300 * kMs, "cron", 201, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 10 * kSecond + 500 * kMs);
    oom(10 * kSecond + 400 * kMs, "sshd", 202, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 10 * kSecond + 500 * kMs) << "a third puts nothing off";
    const auto incident = engine_.poll(10 * kSecond + 500 * kMs);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->facts.pid, 200u);
    EXPECT_EQ(incident->folded, 2u);
    EXPECT_EQ(incident->other_count, 2u);
    EXPECT_FALSE(engine_.poll(13 * kSecond)) << "told once";
    expect_balance();
}

TEST_F(Triggers, ASecondKillJustBeforeTheEndOfTheTailPutsNothingOff) {
    oom(10 * kSecond, "hog", 200, FR_OOM_NONE);
    oom(12 * kSecond - 1, "cron", 201, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond);
}

TEST_F(Triggers, KillsInControlGroupsAndCrashesKeepTheTail) {
    oom(10 * kSecond);
    oom(10 * kSecond + 1, "other");
    crash(10 * kSecond + 2);
    oom(10 * kSecond + 3, "hog", 200, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond) << "one kill of the whole machine only";
    ASSERT_TRUE(engine_.poll(12 * kSecond));
    // What the incident before had seen does not count for the next.
    crash(100 * kSecond);
    oom(100 * kSecond + 1, "cron", 201, FR_OOM_NONE);
    EXPECT_EQ(engine_.next_due(), 102 * kSecond);
}

TEST_F(Triggers, AnEventReadLateIsDueAtOnce) {
    auto& event = builder_.begin<fr_crash>(FR_CLASS_CRASH);
    event.event.time_ns = 10 * kSecond;
    event.dumps_core = 1;
    feed(sizeof(fr_crash), 40 * kSecond);
    EXPECT_EQ(engine_.next_due(), 12 * kSecond);
    event.event.time_ns = UINT64_MAX;  // a damaged stamp does not put it off for ever
    restart({});
    feed(sizeof(fr_crash), 40 * kSecond);
    EXPECT_EQ(engine_.next_due(), 42 * kSecond);
}

TEST_F(Triggers, ACrashLoopGivesFewIncidentsAndRightCounts) {
    uint64_t crashes = 0, incidents = 0, told = 0;
    const auto take = [&](uint64_t now) {
        if (const auto incident = engine_.poll(now)) {
            ++incidents;
            told += 1 + incident->folded + incident->suppressed_total;
            EXPECT_EQ(incident->suppressed_same, incident->suppressed_total);
        }
    };
    for (uint64_t i = 0; i < 50 * 3600 * 3; ++i) {  // three hours, fifty a second
        const uint64_t now = kSecond + i * kSecond / 50;
        take(now);
        crash(now, "loop", 6, 5, 1, static_cast<uint32_t>(1000 + i));
        ++crashes;
    }
    take(4 * kHour);
    EXPECT_EQ(incidents, 12u) << "four an hour";
    EXPECT_EQ(engine_.counts().triggers, crashes);
    expect_balance();
    // Whatever was suppressed since the last one is told by the next, of whatever kind.
    engine_.request(FR_TRIGGER_COMMAND, "", 5 * kHour);
    const auto last = engine_.poll(6 * kHour);
    ASSERT_TRUE(last);
    EXPECT_EQ(told + last->suppressed_total, crashes);
    EXPECT_EQ(last->suppressed_same, 0u);
}

TEST_F(Triggers, SignaturesDoNotSilenceEachOther) {
    crash(kSecond, "a");
    ASSERT_TRUE(engine_.poll(10 * kSecond));
    crash(11 * kSecond, "b");
    ASSERT_TRUE(engine_.poll(20 * kSecond));
    crash(21 * kSecond, "a", 6);
    ASSERT_TRUE(engine_.poll(30 * kSecond));
    crash(31 * kSecond, "a", 11, 6);
    ASSERT_TRUE(engine_.poll(40 * kSecond));
    crash(41 * kSecond, "a");
    EXPECT_FALSE(engine_.next_due());
    crash(62 * kSecond, "a");
    EXPECT_TRUE(engine_.next_due()) << "the debounce time is over";
}

TEST_F(Triggers, AFloodOfDifferentSignaturesMeetsTheLimitOfAll) {
    restart({.tail_ns = 0, .debounce_ns = 0, .per_hour = 20});
    uint64_t incidents = 0;
    for (uint64_t i = 0; i < 5000; ++i) {
        crash(kSecond + i, std::to_string(i).c_str());
        if (engine_.poll(kSecond + i)) ++incidents;
    }
    EXPECT_EQ(incidents, 20u);
    EXPECT_EQ(engine_.counts().suppressed, 4980u);
    crash(2 * kHour, "later");
    const auto next = engine_.poll(2 * kHour);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->suppressed_total, 4980u);
    EXPECT_EQ(next->suppressed_by_limit, 4980u);
    expect_balance();
}

TEST_F(Triggers, APersonIsNeverSuppressed) {
    restart({.per_hour = 1, .per_hour_same = 1});
    for (uint64_t i = 0; i < 50; ++i) {
        const uint64_t now = kSecond + i * 3 * kSecond;
        EXPECT_EQ(engine_.request(FR_TRIGGER_COMMAND, "why", now, 42, 0), i + 1);
        const auto incident = engine_.poll(now + 2 * kSecond);
        ASSERT_TRUE(incident);
        EXPECT_STREQ(incident->facts.text.data(), "why");
        EXPECT_EQ(incident->facts.pid, 42u);
    }
    crash(200 * kSecond);
    EXPECT_TRUE(engine_.next_due()) << "nor do requests use up the limit";
}

TEST_F(Triggers, ARequestWithinATailJoinsIt) {
    crash(10 * kSecond);
    EXPECT_EQ(engine_.request(FR_TRIGGER_COMMAND, "look", 11 * kSecond), 1u);
    const auto incident = engine_.poll(12 * kSecond);
    ASSERT_TRUE(incident);
    ASSERT_EQ(incident->other_count, 1u);
    EXPECT_STREQ(incident->others[0].text.data(), "look");
}

TEST_F(Triggers, AShutdownDoesNotWaitForATail) {
    crash(10 * kSecond);
    engine_.request(FR_TRIGGER_SHUTDOWN, "reboot", 11 * kSecond, 0, 0, 0);
    EXPECT_TRUE(engine_.poll(11 * kSecond));
}

TEST_F(Triggers, AStallIsSuppressedLikeAnEvent) {
    EXPECT_EQ(engine_.request(FR_TRIGGER_STALL, "", kSecond), 1u);
    ASSERT_TRUE(engine_.poll(10 * kSecond));
    EXPECT_EQ(engine_.request(FR_TRIGGER_STALL, "", 11 * kSecond), 0u);
    EXPECT_EQ(engine_.counts().suppressed, 1u);
}

TEST_F(Triggers, ForkFailuresCountWhenRepeated) {
    for (int i = 0; i < 4; ++i) fork_failure(kSecond + static_cast<uint64_t>(i));
    EXPECT_FALSE(engine_.next_due());
    fork_failure(30 * kSecond);
    EXPECT_FALSE(engine_.next_due()) << "too far apart";
    for (int i = 0; i < 4; ++i) fork_failure(31 * kSecond);
    ASSERT_TRUE(engine_.next_due());
    const auto incident = engine_.poll(60 * kSecond);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->facts.cause, static_cast<uint32_t>(FR_FORK_PIDS_CGROUP));
}

TEST_F(Triggers, RulesCanBeSwitchedOff) {
    restart({.oom_kill = false, .crash = false, .fork_failure = false});
    crash(kSecond);
    oom(kSecond);
    for (int i = 0; i < 10; ++i) fork_failure(kSecond);
    EXPECT_FALSE(engine_.next_due());
    EXPECT_EQ(engine_.counts().triggers, 0u);
}

TEST_F(Triggers, IdsAreDifferentAndNumbersGoOn) {
    restart({.tail_ns = 0});
    engine_.request(FR_TRIGGER_COMMAND, "", 1);
    const auto a = engine_.poll(1);
    engine_.request(FR_TRIGGER_COMMAND, "", 2);
    const auto b = engine_.poll(2);
    EXPECT_NE(a->id, b->id);
    EXPECT_EQ(b->number, 2u);
    TriggerEngine other({.tail_ns = 0}, {1, 2, 4}, 7);
    EXPECT_EQ(other.request(FR_TRIGGER_COMMAND, "", 1), 7u);
    EXPECT_NE(other.poll(1)->id, a->id);
}

TEST_F(Triggers, JsonIsValidWhateverTheBytes) {
    crash(10 * kSecond, "w\x01\"\xff\n");
    for (int i = 0; i < 20; ++i) oom(11 * kSecond, ("v\\" + std::to_string(i)).c_str());
    engine_.request(FR_TRIGGER_COMMAND, std::string(1000, '\x02'), 11 * kSecond);
    const auto incident = engine_.poll(12 * kSecond);
    ASSERT_TRUE(incident);
    EXPECT_EQ(incident->other_count, Incident::kOthers);
    std::string out;
    out.reserve(16384);
    const uint64_t before = allocations();
    write_json(*incident, out);
    EXPECT_EQ(allocations(), before);
    const auto json = nlohmann::json::parse(out, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << out;
    EXPECT_EQ(json["reason"], "crash");
    EXPECT_EQ(json["facts"]["signal"], 11);
    EXPECT_EQ(json["folded"], 21);
    EXPECT_EQ(json["also"].size(), Incident::kOthers);
    EXPECT_EQ(json["also"][0]["constraint"], "memcg");
    EXPECT_EQ(json["suppressed"]["total"], 0);
}

TEST_F(Triggers, DecidingDoesNotAllocate) {
    const uint64_t before = allocations();
    for (uint64_t i = 0; i < 1000; ++i) {
        crash(i * kSecond);
        oom(i * kSecond);
        fork_failure(i * kSecond);
        engine_.request(FR_TRIGGER_COMMAND, "x", i * kSecond);
        engine_.poll(i * kSecond);
    }
    EXPECT_EQ(allocations(), before);
    expect_balance();
}

TEST(TriggerNames, BothWays) {
    for (uint32_t reason = 1; reason <= FR_TRIGGER_STALL; ++reason)
        EXPECT_EQ(trigger_of_name(trigger_name(reason)), reason);
    EXPECT_EQ(trigger_name(FR_TRIGGER_PREVIOUS_BOOT), "previous_boot");
    EXPECT_EQ(trigger_of_name("none"), std::nullopt);
    EXPECT_EQ(trigger_name(99), "unknown");
}

TEST_F(Triggers, AllocationFailuresThatTheKernelTellsOfWhenAskedFor) {
    constexpr uint32_t kernel = 0xcc0, silent = kernel | 0x2000;  // GFP_KERNEL, __GFP_NOWARN
    allocation_failure(kSecond, FR_ALLOC_PAGE, kernel);
    EXPECT_EQ(engine_.counts().triggers, 0u) << "nobody asked for it";
    TriggerConfig config;
    config.alloc_failure = true;
    for (const uint32_t kind : {FR_ALLOC_PAGE, FR_ALLOC_PAGE_WARN, FR_ALLOC_VMALLOC, FR_ALLOC_SLAB}) {
        restart(config);
        allocation_failure(kSecond, kind, silent);
        EXPECT_EQ(engine_.counts().triggers, 0u) << kind;
        allocation_failure(kSecond, kind, kernel);
        EXPECT_EQ(engine_.counts().incidents, 1u) << kind;
        const auto incident = engine_.poll(kHour);
        ASSERT_TRUE(incident);
        EXPECT_EQ(incident->facts.reason, FR_TRIGGER_ALLOC_FAILURE);
    }
    restart(config);
    for (const uint32_t kind : {FR_ALLOC_SYSCALL, FR_ALLOC_CGROUP}) allocation_failure(kSecond, kind, 0);
    EXPECT_EQ(engine_.counts().triggers, 0u);
}

TEST_F(Triggers, AVictimThatWasDyingAlreadyIsNoOomKill) {
    auto& event = builder_.begin<fr_oom_kill>(FR_CLASS_OOM_KILL);
    event.event.time_ns = kSecond;
    event.victim_pid = 7;
    event.flags = FR_OOM_MARKED;
    feed(sizeof(fr_oom_kill), kSecond);
    EXPECT_EQ(engine_.counts().triggers, 0u);
}

}  // namespace
}  // namespace flightrec::record
