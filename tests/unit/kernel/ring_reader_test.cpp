// SPDX-License-Identifier: Apache-2.0
// Reading rings: wrapping, being lapped (also between the look and the copy), unfinished and damaged records.
#include "userspace/kernel/ring_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <functional>

#include "tests/unit/kernel/ring_writer.h"

namespace flightrec::kernel::test {
namespace {

constexpr uint8_t cls = FR_CLASS_SYSCALL;
constexpr uint32_t two_pages = 2 * RingWriter::page;

RingReader reader_of(const RingWriter& ring) {
    return {ring.memory(), 1, ring.size(), ring.length(), RingWriter::page, ring.ahead()};
}

// The numbers of what is handed out; every byte of every record must be its writer's.
std::vector<uint64_t> drained(RingReader& reader, size_t most_bytes = SIZE_MAX) {
    std::vector<uint64_t> out;
    reader.drain(0, most_bytes, [&](std::span<std::byte> record) {
        const auto& event = *reinterpret_cast<const fr_event*>(record.data());
        out.push_back(event.time_ns);
        EXPECT_EQ(event.size, record.size());
        const auto text = record.subspan(sizeof event);
        EXPECT_TRUE(std::all_of(text.begin(), text.end(),
                                [&](std::byte b) { return b == static_cast<std::byte>(event.time_ns & 0xff); }))
            << "record " << event.time_ns << " holds another's bytes";
        return true;
    });
    return out;
}

std::vector<uint64_t> range(uint64_t first, uint64_t end) {
    std::vector<uint64_t> out;
    for (uint64_t n = first; n < end; ++n) out.push_back(n);
    return out;
}

class EitherTrack : public testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Ring, EitherTrack, testing::Values(0u, two_pages),
                         [](const auto& value) { return value.param == 0 ? "vital" : "syscalls"; });

TEST_P(EitherTrack, EveryRecordIsHandedOutOnceAlsoAcrossTheEnd) {
    RingWriter ring(8, GetParam());
    RingReader reader = reader_of(ring);
    uint64_t next = 1;
    for (int round = 0; round < 300; ++round) {  // some thirty times around; sizes leave rests of every kind
        const uint64_t first = next;
        while (next < first + 40) {
            ring.put(next, 40 + static_cast<uint32_t>(next * 104 % 1200),
                     next % 3 == 0 ? uint8_t{FR_CLASS_SYSCALL_ENTER} : cls);
            ++next;
        }
        ASSERT_EQ(drained(reader), range(first, next)) << "round " << round;
    }
    EXPECT_GT(ring.head().reserved, 20u * ring.size());
    EXPECT_EQ(reader.cursor(0).overruns, 0u);
    EXPECT_EQ(reader.overwritten(0), 0u);
    const RingTotals totals = reader.totals(Upto::cursor);
    EXPECT_EQ(totals.produced[cls], totals.drained[cls]);
    EXPECT_EQ(totals.drained[cls] + totals.drained[FR_CLASS_SYSCALL_ENTER], next - 1);
}

TEST_P(EitherTrack, ARecordThatIsRefusedComesAgain) {
    RingWriter ring(8, GetParam());
    RingReader reader = reader_of(ring);
    for (uint64_t n = 1; n <= 10; ++n) ring.put(n);
    int taken = 0;
    reader.drain(0, SIZE_MAX, [&](std::span<std::byte>) { return taken++ < 4; });
    EXPECT_EQ(reader.totals(Upto::cursor).pending[cls], 6u) << "what was refused has not been handed out";
    EXPECT_EQ(drained(reader), range(5, 11));
}

TEST_P(EitherTrack, LappedTheNewestIsKeptAndTheLossIsExact) {
    RingWriter ring(8, GetParam());
    RingReader reader = reader_of(ring);
    for (uint64_t n = 1; n <= 10; ++n) ring.put(n);
    EXPECT_EQ(drained(reader).size(), 10u);
    const uint64_t last = 3 * ring.size() / 64;
    for (uint64_t n = 11; n <= last; ++n) ring.put(n);
    const auto kept = drained(reader);
    ASSERT_FALSE(kept.empty());
    EXPECT_EQ(kept.back(), last);
    EXPECT_EQ(kept, range(kept.front(), last + 1)) << "what is left has no hole";
    EXPECT_GE(kept.size() * 64, ring.size() - ring.ahead() - RingWriter::page) << "too much was given up";
    EXPECT_LE(kept.size() * 64, ring.size() - ring.ahead()) << "what may be overwritten at any time was taken";
    EXPECT_EQ(reader.cursor(0).overruns, 1u);
    EXPECT_EQ(reader.overwritten(0), kept.front() - 11);
    const RingTotals totals = reader.totals(Upto::cursor);
    EXPECT_EQ(totals.produced[cls], last);
    EXPECT_EQ(totals.drained[cls] + totals.overwritten[cls], last);
}

TEST_P(EitherTrack, TheLastEventsLostOfAClassCountOnceTheRingIsEmpty) {
    RingWriter ring(8, GetParam());
    RingReader reader = reader_of(ring);
    for (uint64_t n = 1; n <= 5; ++n) ring.put(n, 64, FR_CLASS_SYSCALL_ENTER);  // never again: no later sequence tells
    const uint64_t last = 2 * ring.size() / 64;
    for (uint64_t n = 6; n <= last; ++n) ring.put(n);
    drained(reader);
    EXPECT_EQ(reader.totals(Upto::cursor).overwritten[FR_CLASS_SYSCALL_ENTER], 5u);
    EXPECT_EQ(reader.totals(Upto::cursor).pending[FR_CLASS_SYSCALL_ENTER], 0u);
}

TEST(Ring, WhatIsBeingWrittenIsNotLost) {
    RingWriter ring(8, two_pages);
    RingReader reader = reader_of(ring);
    ring.put(1);
    ring.head().busy = 1;  // counted, and `reserved` not yet moved on
    ++ring.head().placed[cls];
    EXPECT_EQ(drained(reader), range(1, 2));
    EXPECT_EQ(reader.overwritten(0), 0u);
    EXPECT_EQ(reader.totals(Upto::cursor).pending[cls], 1u);
    --ring.head().placed[cls];
    ring.put(2);
    ring.head().busy = 0;
    EXPECT_EQ(drained(reader), range(2, 3));
    EXPECT_EQ(reader.overwritten(0), 0u);
}

TEST(Ring, SequencesGoOnAboveThirtyTwoBits) {
    RingWriter ring(8, 0);
    RingReader reader = reader_of(ring);
    RingMark mark;
    mark.next_seq[cls] = ring.head().placed[cls] = 0xfffffffeu;
    reader.resume(0, mark, {});
    for (uint64_t n = 1; n <= 6; ++n) ring.put(n);
    ring.take(64);  // unfinished: nothing but the sequences tells the reader where it is
    EXPECT_EQ(drained(reader), range(1, 7));
    EXPECT_EQ(reader.cursor(0).next_seq[cls], 0x100000004u);
    EXPECT_EQ(reader.overwritten(0), 0u);
}

TEST(Ring, NestedWritersMaySwapTwoSequences) {
    RingWriter ring(8, 0);
    RingReader reader = reader_of(ring);
    const uint64_t outer = ring.take(64), inner = ring.take(64);
    ring.fill(inner, 2, cls, 64);  // the interrupt finishes first and gets the lower number
    ring.fill(outer, 1, cls, 64);
    ring.take(64);  // unfinished: nothing but the sequences tells the reader where it is
    EXPECT_EQ(drained(reader), range(1, 3));
    EXPECT_EQ(reader.overwritten(0), 0u);
    EXPECT_EQ(reader.totals(Upto::cursor).pending[cls], 0u);
}

TEST(Ring, AnUnfinishedRecordHoldsBackWhatFollows) {
    RingWriter ring(8, 0);
    RingReader reader = reader_of(ring);
    ring.put(1);
    const uint64_t open = ring.take(64);
    ring.put(3);
    EXPECT_EQ(drained(reader), range(1, 2));
    EXPECT_EQ(drained(reader), range(0, 0));
    EXPECT_EQ(reader.backlog(0), 128u);
    ring.fill(open, 2, cls, 64);
    EXPECT_EQ(drained(reader), range(2, 4));
    EXPECT_EQ(reader.cursor(0).torn, 0u);
}

// How a record may be damaged: each stops at it, and is given up with the rest of its page after a second.
struct Damage {
    const char* name;
    void (*apply)(fr_event&);
};
class DamagedRecord : public testing::TestWithParam<std::tuple<Damage, uint32_t>> {};
INSTANTIATE_TEST_SUITE_P(
    Ring, DamagedRecord,
    testing::Combine(testing::Values(Damage{"no_stamp", [](fr_event& e) { e.stamp = 0; }},
                                     Damage{"stamp_of_the_round_before", [](fr_event& e) { e.stamp -= 8 * 32768; }},
                                     Damage{"no_length", [](fr_event& e) { e.size = 0; }},
                                     Damage{"shorter_than_its_head",
                                            [](fr_event& e) { e.size = sizeof(fr_event) - 8; }},
                                     Damage{"longer_than_its_page", [](fr_event& e) { e.size = 32768 - 64 + 8; }}),
                     testing::Values(0u, two_pages)),
    [](const auto& value) {
        return std::string(std::get<0>(value.param).name) + (std::get<1>(value.param) == 0 ? "_vital" : "_syscalls");
    });

TEST_P(DamagedRecord, IsGivenUpWithItsPageAndTheNextPageIsRead) {
    const auto& [damage, ahead] = GetParam();
    RingWriter ring(8, ahead);
    RingReader reader = reader_of(ring);
    ring.put(1);
    damage.apply(ring.at(ring.put(2)));
    uint64_t next = 3;
    while (ring.head().reserved < RingWriter::page) ring.put(next++);
    const uint64_t behind = next;
    ring.put(next++);
    EXPECT_EQ(drained(reader), range(1, 2)) << "nothing behind it yet: it may be being written";
    std::vector<uint64_t> rest;
    while (rest.empty()) rest = drained(reader);  // a second by the machine's own clock
    EXPECT_EQ(rest, range(behind, next));
    EXPECT_EQ(reader.cursor(0).torn, 1u);
    EXPECT_EQ(reader.overwritten(0), behind - 2) << "what went with the page is counted";
}

TEST(Ring, AnUnknownClassIsNotHandedOut) {
    RingWriter ring(8, 0);
    RingReader reader = reader_of(ring);
    ring.put(1);
    ring.at(ring.put(2)).cls = FR_CLASS_COUNT;
    EXPECT_EQ(drained(reader), range(1, 2));
}

// Calls something the first time that a page of memory is touched: the moment between the reader's look and its copy.
class Tripwire {
  public:
    Tripwire(std::byte* page, std::function<void()> sprung) : page_(page), sprung_(std::move(sprung)) {
        armed = this;
        struct sigaction action {};
        action.sa_sigaction = [](int, siginfo_t* info, void*) { armed->spring(info->si_addr); };
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSEGV, &action, &before_);
        mprotect(page_, 4096, PROT_NONE);
    }
    Tripwire(const Tripwire&) = delete;
    Tripwire& operator=(const Tripwire&) = delete;
    ~Tripwire() {
        mprotect(page_, 4096, PROT_READ | PROT_WRITE);
        sigaction(SIGSEGV, &before_, nullptr);
    }
    [[nodiscard]] bool has_sprung() const { return sprung_times_ == 1; }

  private:
    void spring(void* address) {
        auto* at = static_cast<std::byte*>(address);
        if (at < page_ || at >= page_ + 4096 || sprung_times_ != 0) _exit(99);
        ++sprung_times_;
        mprotect(page_, 4096, PROT_READ | PROT_WRITE);
        sprung_();
    }
    static inline Tripwire* armed = nullptr;
    std::byte* page_;
    std::function<void()> sprung_;
    struct sigaction before_ {};
    int sprung_times_ = 0;
};

TEST_P(EitherTrack, LappedBetweenLookAndCopyNothingTornIsHandedOut) {
    RingWriter ring(8, GetParam());
    RingReader reader = reader_of(ring);
    // The records are so long that the second memory page of the first holds no other's head: on the vital track the
    // reader looks at heads first, and touches that page only when it copies.
    constexpr uint32_t long_record = 8184;
    uint64_t next = 1;
    for (; next <= 4; ++next) ring.put(next, long_record);
    const uint64_t already = next - 1;
    std::vector<uint64_t> got;
    {
        const Tripwire wire(ring.memory() + FR_RING_HEAD_SIZE + 4096, [&] {
            for (const uint64_t until = next + 40; next < until; ++next) ring.put(next, long_record);  // once around
        });
        got = drained(reader);
        EXPECT_TRUE(wire.has_sprung());
    }
    EXPECT_GT(got.front(), already) << "what was lapped while it was copied";
    EXPECT_EQ(got, range(got.front(), next));
    EXPECT_EQ(reader.cursor(0).overruns, 1u);
    EXPECT_EQ(reader.overwritten(0), got.front() - 1);
}

TEST(Ring, OnTheSystemCallTrackWhatTheWriterMayBeFillingIsGivenUp) {
    RingWriter ring(8, two_pages);
    RingReader reader = reader_of(ring);
    uint64_t next = 1;
    while (ring.head().reserved < ring.size()) ring.put(next++);
    // A full ring: the writer may be filling the first two pages again without having moved `reserved` on.
    std::memset(&ring.at(0), 0xff, two_pages);
    const auto got = drained(reader);
    EXPECT_EQ(got, range(two_pages / 64 + 1, next));
    EXPECT_EQ(reader.overwritten(0), two_pages / 64);
}

}  // namespace
}  // namespace flightrec::kernel::test
