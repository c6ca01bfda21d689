// SPDX-License-Identifier: Apache-2.0
// Recorders that are killed at any step and go on from pinned rings: whatever the order, every event is in one window
// or told as lost by one ledger, once. The steps are those of userspace/record/pipeline.cpp and
// userspace/kernel/pins.cpp.
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>
#include <set>

#include "tests/unit/kernel/ring_writer.h"
#include "userspace/kernel/ring_reader.h"

namespace flightrec::kernel::test {
namespace {

constexpr uint8_t cls = FR_CLASS_SYSCALL;

struct Killed {};

// What outlives a recorder: the pinned state (two slots a track, here the committed and the prepared one), the window.
struct Kept {
    struct Slot {
        RingMark mark;
        RingTold told;
        uint64_t block = 0;
    };
    std::array<Slot, 2> committed;  // of system calls, of the vital track
    std::array<std::optional<Slot>, 2> prepared;
    std::array<uint64_t, 2> last_block{};  // what the next start finds in the window
    std::vector<uint64_t> stored;
    uint64_t told_lost = 0;
    uint64_t blocks = 0;
};

enum Track : uint8_t { calls, vital };

// One life of a recorder. kill_in: how many steps it has left.
class Life {
  public:
    Life(const RingWriter& ring, Kept& kept, int kill_in)
        : kept_(kept),
          steps_(kill_in),
          reader_(ring.memory(), 1, ring.size(), ring.length(), RingWriter::page, ring.ahead()) {
        for (const Track track : {calls, vital}) {  // Pins::resolve()
            auto& prepared = kept_.prepared[track];
            if (prepared && prepared->block != 0 && prepared->block == kept_.last_block[track])
                kept_.committed[track] = *prepared;
            prepared.reset();
        }
        reader_.resume(0, kept_.committed[calls].mark, kept_.committed[vital].told);
    }

    void drain(size_t most) {
        size_t number = 0;
        reader_.drain(0, SIZE_MAX, [&](std::span<std::byte> record) {
            if (number++ >= most) return false;
            if (encoder_.size() >= 50) flush_calls();  // the record in hand is not in the block
            encoder_.push_back(reinterpret_cast<const fr_event*>(record.data())->time_ns);
            return true;
        });
    }
    void flush_calls() {
        if (encoder_.empty()) return;
        const std::vector<uint64_t> block = std::exchange(encoder_, {});
        prepare(calls, ++kept_.blocks);
        step();
        kept_.stored.insert(kept_.stored.end(), block.begin(), block.end());
        kept_.last_block[calls] = kept_.blocks;
        step();
        commit(calls);
        step();
    }
    // A vital block ends with a ledger.
    void flush_vital() {
        if (encoder_.empty()) {
            prepare(calls, 0);
            step();
            commit(calls);
        }
        const uint64_t lost = reader_.totals(Upto::stored, true).overwritten[cls];
        reader_.tell();
        prepare(vital, ++kept_.blocks);
        step();
        kept_.told_lost += lost - std::exchange(told_, lost);
        kept_.last_block[vital] = kept_.blocks;
        step();
        commit(vital);
        step();
    }

  private:
    void step() {
        if (steps_-- == 0) throw Killed();
    }
    void prepare(Track track, uint64_t block) {
        if (track == calls) reader_.prepare();
        kept_.prepared[track] = Kept::Slot{reader_.prepared_mark(0), reader_.prepared_told(0), block};
    }
    void commit(Track track) {
        if (track == calls) reader_.commit();
        kept_.committed[track] = *kept_.prepared[track];
        kept_.prepared[track].reset();
    }

    Kept& kept_;
    int steps_;
    uint64_t told_ = 0;  // by this recorder's ledgers, which count from its start
    std::vector<uint64_t> encoder_;
    RingReader reader_;
};

class Scene {
  public:
    explicit Scene(uint64_t seed) : random_(seed), ring_(4, seed % 2 == 0 ? 0 : 2 * RingWriter::page) {}

    void write(uint64_t most) {
        for (uint64_t n = random_() % most; n > 0; --n) ring_.put(next_++, 512);
    }
    void live(int kill_in) {
        try {
            Life life(ring_, kept_, kill_in);
            for (;;) {
                write(random_() % 8 == 0 ? 600 : 60);  // 256 records fill the ring
                life.drain(random_() % 3 == 0 ? random_() % 40 : SIZE_MAX);
                if (random_() % 3 == 0) life.flush_calls();
                if (random_() % 3 == 0) life.flush_vital();
            }
        } catch (const Killed&) {
        }
    }
    void run() {
        for (int lives = 0; lives < 12; ++lives) {
            live(static_cast<int>(random_() % 25));
            write(400);
        }
        Life last(ring_, kept_, INT_MAX);
        last.drain(SIZE_MAX);
        last.flush_calls();
        last.flush_vital();
    }
    void expect_exact() const {
        const std::set<uint64_t> once(kept_.stored.begin(), kept_.stored.end());
        EXPECT_EQ(once.size(), kept_.stored.size()) << "an event is in two windows";
        EXPECT_EQ(next_ - 1 - once.size(), kept_.told_lost) << "missing, and told";
    }
    [[nodiscard]] uint64_t lost() const { return kept_.told_lost; }

  private:
    std::mt19937_64 random_;
    RingWriter ring_;
    Kept kept_;
    uint64_t next_ = 1;
};

TEST(RingResume, WhateverTheMomentOfAKillEveryEventIsStoredOrToldOnce) {
    uint64_t lost = 0;
    for (uint64_t seed = 1; seed <= 2000 && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Scene scene(seed);
        scene.run();
        scene.expect_exact();
        lost += scene.lost();
    }
    EXPECT_GT(lost, 100000u) << "the rings hardly ever wrapped";
}

TEST(RingResume, GoesOnBehindTheMarkAndTellsOnlyWhatWasNotTold) {
    RingWriter ring(8, 0);
    RingReader first(ring.memory(), 1, ring.size(), ring.length(), RingWriter::page, 0);
    for (uint64_t n = 1; n <= 10; ++n) ring.put(n);
    size_t seen = 0;
    const auto count = [&](std::span<std::byte>) {
        ++seen;
        return true;
    };
    first.drain(0, SIZE_MAX, count);
    first.prepare();
    first.commit();
    RingMark mark = first.prepared_mark(0);
    mark.lost[cls] = 7;  // of an earlier lap, of which a ledger told three
    mark.next_seq[cls] = 10;
    RingTold told;
    told.lost[cls] = 3;
    for (uint64_t n = 11; n <= 15; ++n) ring.put(n);
    RingReader second(ring.memory(), 1, ring.size(), ring.length(), RingWriter::page, 0);
    second.resume(0, mark, told);
    seen = 0;
    second.drain(0, SIZE_MAX, count);
    EXPECT_EQ(seen, 5u);
    EXPECT_EQ(second.totals(Upto::cursor).overwritten[cls], 4u);
    EXPECT_EQ(second.totals(Upto::cursor).drained[cls], 5u);
}

}  // namespace
}  // namespace flightrec::kernel::test
