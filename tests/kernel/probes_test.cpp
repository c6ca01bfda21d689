// SPDX-License-Identifier: Apache-2.0
// The loaded programs as the pipeline uses them: whose misses are counted, and what a block that is not written costs.
#include "userspace/kernel/probes.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "tests/kernel/scope.h"
#include "userspace/flight/ledger.h"
#include "userspace/flight/window.h"
#include "userspace/kernel/rules.h"
#include "userspace/record/pipeline.h"
#include "userspace/record/triggers.h"

namespace flightrec::record {
namespace {

kernel::ProbeOptions options_of(const test::Scope& scope) {
    kernel::ProbeOptions o;
    const auto& path = scope.relative_path();
    o.scope.push_back({scope.id(), static_cast<uint32_t>(std::count(path.begin(), path.end(), '/')), path});
    o.rules = *kernel::make_rules("none");
    return o;
}

TEST(Probes, EveryProgramThatRecordsEventsCountsItsMisses) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    auto scope = test::Scope::make({.name = "misses"});
    ASSERT_TRUE(scope);
    auto probes = kernel::Probes::load(options_of(*scope));
    ASSERT_TRUE(probes) << probes.error().message;
    // They record nothing themselves, or only rarely; the kernel log has an account of its own.
    const std::set<std::string_view> none{"sys_enter_tp", "sleep_tp",           "alloc_failure_tp",  "tasks_iter",
                                          "kmsg_tp",      "oom_context_fentry", "oom_context_kprobe"};
    size_t counted = 0;
    for (const auto& missed : probes->misses()) {
        EXPECT_EQ(missed.cls == FR_CLASS_NONE, none.contains(missed.program)) << missed.program;
        counted += missed.cls != FR_CLASS_NONE;
    }
    EXPECT_GE(counted, 10u);
}

// The bell must come from the writers: whoever waits for a timer finds a burst overwritten.
TEST(Probes, AWriterThatFillsAQuarterOfItsRingWakesTheRecorder) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    auto scope = test::Scope::make({.name = "burst"});
    ASSERT_TRUE(scope);
    for (const bool vital : {false, true}) {
        auto options = options_of(*scope);
        options.rules = *kernel::make_rules(vital ? "none" : "all");
        options.syscall_ring = options.vital_ring = 4 * FR_RING_PAGE_SYSCALL;
        auto probes = kernel::Probes::load(options);
        ASSERT_TRUE(probes) << probes.error().message;
        pollfd bell{probes->doorbell_fd(), POLLIN, 0};
        // A few records: nobody is woken. What the shell itself does is far less than a quarter.
        ASSERT_TRUE(scope->run({"true"}));
        EXPECT_EQ(poll(&bell, 1, 300), 0) << vital;
        ASSERT_TRUE(
            scope->run({"sh", "-c",
                        vital ? "for i in $(seq 400); do (:); done" : "dd if=/dev/zero of=/dev/null bs=1 count=2000"}));
        EXPECT_EQ(poll(&bell, 1, 10'000), 1) << vital;
        int heard = 0;
        probes->drain_doorbell(
            [](void* count, const fr_doorbell& b) { *static_cast<int*>(count) += b.cls == FR_CLASS_NONE; }, &heard);
        EXPECT_EQ(heard, 1) << vital;  // one is pending at most
    }
}

// A recorder's pipeline with a window of its own; the programs' maps stay in `pins`.
struct Recording {
    std::optional<kernel::Probes> probes;
    std::optional<flight::Window> window;
    std::optional<TriggerEngine> triggers;
    std::optional<Pipeline> pipeline;

    Recording(const test::Scope& scope, const std::filesystem::path& folder, const std::string& pins) {
        kernel::ProbeOptions o = options_of(scope);
        o.pins = pins;
        auto loaded = kernel::Probes::load(o);
        EXPECT_TRUE(loaded) << loaded.error().message;
        if (!loaded) return;
        probes.emplace(*std::move(loaded));
        window.emplace(*make_window(folder / "window.flight", 64u << 20));
        triggers.emplace(TriggerConfig{}, std::array<uint8_t, 16>{});
        PipelineParts parts;
        parts.probes = &*probes;
        parts.window = &*window;
        parts.triggers = &*triggers;
        auto made = Pipeline::make({}, parts);
        EXPECT_TRUE(made) << made.error().message;
        if (made) pipeline.emplace(*std::move(made));
        EXPECT_TRUE(probes->keep());
    }
    static Result<flight::Window> make_window(const std::filesystem::path& path, uint64_t size) {
        flight::WindowConfig config;
        config.path = path;
        config.size = size;
        config.replace_existing = true;
        return flight::Window::create(config, "{}");
    }
};

std::string noise(size_t size) {
    static std::minstd_rand random(1);
    std::string out(size, ' ');
    for (char& c : out) c = static_cast<char>(1 + random() % 255);
    return out;
}

void expect_balance(const flight::Ledger& ledger) {
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
        const fr_ledger_line& l = ledger.line[c];
        EXPECT_EQ(l.produced, l.stored + l.overwritten + l.torn + l.skipped + l.pending) << "class " << c;
    }
}

TEST(Pipeline, EventsOfAVitalBlockThatWasNotWrittenAreFoundByTheNextRecorder) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    auto scope = test::Scope::make({.name = "unwritten"});
    ASSERT_TRUE(scope);
    const auto folder = std::filesystem::temp_directory_path() / ("flightrec-unwritten-" + std::to_string(getpid()));
    // A file system for pins in a mount namespace of this process's own.
    const std::string pins = folder / "bpf";
    std::filesystem::create_directories(pins);
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("bpf", pins.c_str(), "bpf", 0, nullptr), 0);
    constexpr uint64_t processes = 40;  // whose arguments, not to be compressed, are more than a small segment holds
    {
        Recording first(*scope, folder, pins + "/kept");
        ASSERT_TRUE(first.pipeline);
        for (uint64_t i = 0; i < processes; ++i) ASSERT_TRUE(scope->run({"/bin/true", noise(7000)}));
        auto small = Recording::make_window(folder / "small.flight", FR_WINDOW_SIZE_MIN);
        ASSERT_TRUE(small) << small.error().message;
        *first.window = *std::move(small);  // its segments hold no block of that size: writing fails
        first.pipeline->drain();
        first.pipeline->seal();
        const auto ledger = first.pipeline->ledger();
        EXPECT_EQ(ledger.line[FR_CLASS_EXEC].torn, processes) << "the block was written: another test is needed";
        expect_balance(ledger);
    }
    {
        Recording second(*scope, folder, pins + "/kept");
        ASSERT_TRUE(second.pipeline);
        EXPECT_TRUE(second.probes->continues());
        second.pipeline->drain();
        second.pipeline->seal();
        const auto ledger = second.pipeline->ledger();
        EXPECT_EQ(ledger.line[FR_CLASS_EXEC].stored, processes);
        EXPECT_EQ(ledger.line[FR_CLASS_EXEC].produced, processes);
        expect_balance(ledger);
    }
    std::filesystem::remove_all(pins + "/kept");
    EXPECT_EQ(umount(pins.c_str()), 0);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace flightrec::record
