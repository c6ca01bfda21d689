// SPDX-License-Identifier: Apache-2.0
// The kernel log that pstore keeps over a panic.
#include "userspace/record/previous.h"

#include <gtest/gtest.h>

namespace flightrec::record {
namespace {

TEST(Pstore, LinesWithLevelAndStamp) {
    const auto lines = parse_pstore(
        "Panic#1 Part1\n<4>[   12.345678] sysrq: Trigger a crash\n<0>[   12.400001] Kernel panic - not syncing: x\n");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].level, 4U);
    EXPECT_EQ(lines[0].time_ns, 12'345'678'000U);
    EXPECT_EQ(lines[0].text, "sysrq: Trigger a crash");
    EXPECT_EQ(lines[1].level, 0U);
    EXPECT_EQ(lines[1].time_ns, 12'400'001'000U);
}

TEST(Pstore, WhatIsNoLineIsPassedOver) {
    EXPECT_TRUE(parse_pstore("").empty());
    EXPECT_TRUE(parse_pstore("<4>").empty());
    EXPECT_TRUE(parse_pstore("<4>[").empty());
    EXPECT_TRUE(parse_pstore("<4>[] ").empty());
    EXPECT_TRUE(parse_pstore("<4>[nan] x\n<4>[-1] x\n<4>[1e300] x\n<4] [>\n").empty());
    EXPECT_TRUE(parse_pstore(std::string_view("\0<4>[ 1.0] x\n", 13)).empty());
    EXPECT_EQ(parse_pstore("<4>[    1.000000] no newline at the end").size(), 1U);
}

}  // namespace
}  // namespace flightrec::record
