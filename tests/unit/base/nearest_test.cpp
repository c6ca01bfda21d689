// SPDX-License-Identifier: Apache-2.0
// What is near enough to be meant, and what is not.
#include "userspace/base/nearest.h"

#include <gtest/gtest.h>

#include <array>

namespace flightrec {
namespace {

constexpr std::array<std::string_view, 6> words = {"--failed", "--follow", "--file", "exec", "openat", "open"};

TEST(Nearest, OneLetterInThreeMayDiffer) {
    EXPECT_EQ(nearest("--falied", words), "--failed") << "swapped";
    EXPECT_EQ(nearest("--failde", words), "--failed");
    EXPECT_EQ(nearest("--folow", words), "--follow") << "missing";
    EXPECT_EQ(nearest("opennat", words), "openat") << "added";
    EXPECT_EQ(nearest("EXEC", words), "exec") << "capitals";
    EXPECT_EQ(nearest("opem", words), "open");
    EXPECT_EQ(nearest("nope", words), "");
    EXPECT_EQ(nearest("x", words), "");
    EXPECT_EQ(nearest("", words), "");
    EXPECT_EQ(nearest(std::string(100, 'a'), words), "");
}

TEST(Nearest, IsAskedInWords) {
    EXPECT_EQ(did_you_mean("--falied", words), "; did you mean --failed?");
    EXPECT_EQ(did_you_mean("--quite-other", words), "");
}

}  // namespace
}  // namespace flightrec
