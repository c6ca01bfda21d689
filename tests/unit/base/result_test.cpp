// SPDX-License-Identifier: Apache-2.0
// Errors, handles and clocks.
#include "userspace/base/result.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"

namespace flightrec {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::usage, "odd");
    return n / 2;
}
Result<int> quarter(int n) {
    FR_ASSIGN(const int h, half(n));
    return half(h);
}
Result<void> check(int n) {
    FR_TRY(half(n));
    return {};
}

TEST(Result, ErrorsTravelUpAndValuesThrough) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().message, "odd");
    EXPECT_EQ(quarter(3).error().code, Code::usage);
    EXPECT_TRUE(check(2));
    EXPECT_FALSE(check(1));
    EXPECT_EQ(half(1).error().within("cannot halve 1").message, "cannot halve 1: odd");
}

TEST(Result, ErrnoBecomesTextAndCode) {
    const auto e = fail_errno(ENOENT, "cannot open /x").error();
    EXPECT_EQ(e.message, "cannot open /x: No such file or directory");
    EXPECT_EQ(e.code, Code::not_found);
    EXPECT_EQ(e.sys_errno, ENOENT);
    EXPECT_EQ(code_of_errno(EACCES), Code::permission);
    EXPECT_EQ(code_of_errno(ENOSPC), Code::no_space);
    EXPECT_EQ(code_of_errno(EIO), Code::io);
}

TEST(Fd, ClosesOnceAndMoves) {
    const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ASSERT_GE(raw, 0);
    {
        Fd a(raw);
        Fd b(std::move(a));
        EXPECT_FALSE(a.valid());  // NOLINT(bugprone-use-after-move): that is what is tested
        EXPECT_EQ(b.get(), raw);
        EXPECT_EQ(::fcntl(raw, F_GETFD), FD_CLOEXEC);
    }
    EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(Clock, PairLiesBetweenTwoReadings) {
    const uint64_t before = boot_ns();
    const ClockPair pair = clock_pair();
    EXPECT_GE(pair.boot, before);
    EXPECT_LE(pair.boot, boot_ns());
}

TEST(Clock, WritesUtcAsRfc3339) {
    EXPECT_EQ(format_utc(0), "1970-01-01T00:00:00.000000000Z");
    EXPECT_EQ(format_utc(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456789Z");
}

}  // namespace
}  // namespace flightrec
