// SPDX-License-Identifier: Apache-2.0
// Text made safe to show, and sizes and durations read from text.
#include "userspace/base/text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flightrec {
namespace {

using namespace std::string_literals;

TEST(Escaped, SpellsBytesAsStraceDoes) {
    EXPECT_EQ(escaped("plain text"), "plain text");
    EXPECT_EQ(escaped("a\n\t\r\v\f\"\\"), "a\\n\\t\\r\\v\\f\\\"\\\\");
    EXPECT_EQ(escaped("\0"s), "\\0");
    EXPECT_EQ(escaped("\x1b[31m"), "\\33[31m");
    EXPECT_EQ(escaped("\x1b"
                      "1"),
              "\\0331")
        << "a digit follows: the octal form must not take it in";
    EXPECT_EQ(escaped("\x1b"
                      "9"),
              "\\339")
        << "9 is no octal digit";
    EXPECT_EQ(escaped("\xff\x80"), "\\377\\200");
    EXPECT_EQ(escaped("é"), "\\303\\251");
}

TEST(Printable, KeepsUtf8AndNothingATerminalActsOn) {
    EXPECT_EQ(printable("naïve ✓ \"quoted\""), "naïve ✓ \"quoted\"");
    EXPECT_EQ(printable("\x1b]0;title\x07"), "\\33]0;title\\7");
    EXPECT_EQ(printable("a\xc2\x9b"
                        "b"),
              "a\\302\\233b")
        << "C1 control characters act on terminals too";
    EXPECT_EQ(printable("\xc0\xaf"), "\\300\\257") << "overlong";
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\355\\240\\200") << "surrogate";
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\364\\220\\200\\200") << "beyond Unicode";
    EXPECT_EQ(printable("\xe2\x9c"), "\\342\\234") << "cut in the middle";
    EXPECT_EQ(printable("\x7f"), "\\177");
}

TEST(Printable, EveryByteAloneIsHarmless) {
    for (int i = 0; i < 256; ++i)
        for (const char c : printable(std::string(1, static_cast<char>(i)))) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << i;
}

TEST(JsonString, IsValidForAnyBytes) {
    std::string out;
    append_json_string(out, "a\"b\\c\n\0\xff✓"s);
    EXPECT_EQ(out, "\"a\\\"b\\\\c\\u000a\\u0000\\\\xff✓\"");
}

TEST(JsonString, EscapesControlCharactersOfTwoBytes) {
    std::string out;
    append_json_string(out, "\xc2\x80\xc2\x9b\xc2\xa0\x7f"s);
    EXPECT_EQ(out, "\"\\u0080\\u009b\xc2\xa0\\u007f\"");
}

// Every byte at every place of texts of 0 to 40 bytes, whatever stands around it.
TEST(Plain, FindsEveryOtherByteAnywhere) {
    for (const char filler : {'a', ' ', '~', '!', '#', '[', ']', '@', '`'})
        for (size_t size = 0; size <= 40; ++size) {
            std::string text(size, filler);
            EXPECT_TRUE(is_plain(text));
            EXPECT_TRUE(is_json_plain(text));
            for (size_t at = 0; at < size; ++at) {
                for (unsigned c = 0; c < 256; ++c) {
                    text[at] = static_cast<char>(c);
                    const bool plain = c >= 0x20 && c < 0x7f;
                    ASSERT_EQ(is_plain(text), plain) << c << " at " << at << " of " << size;
                    ASSERT_EQ(is_json_plain(text), plain && c != '"' && c != '\\')
                        << c << " at " << at << " of " << size;
                }
                text[at] = filler;
            }
        }
}

TEST(FormatBytes, PicksTheUnit) {
    EXPECT_EQ(format_bytes(312), "312 B");
    EXPECT_EQ(format_bytes(1536), "1.5 KiB");
    EXPECT_EQ(format_bytes(64u << 20), "64.0 MiB");
    EXPECT_EQ(format_bytes(~0ull), "16384.0 PiB");
}

TEST(ParseSize, TakesUnitsAndRefusesTheRest) {
    uint64_t n = 0;
    for (const auto& [text, bytes] : {std::pair{"4096", 4096ull},
                                      {"512k", 512ull << 10},
                                      {"64M", 64ull << 20},
                                      {"1GiB", 1ull << 30},
                                      {"1.5g", 3ull << 29},
                                      {"2T", 2ull << 40},
                                      {"10B", 10ull},
                                      {"3KB", 3ull << 10}}) {
        ASSERT_TRUE(parse_size(text, n)) << text;
        EXPECT_EQ(n, bytes) << text;
    }
    for (const char* text : {"", "x", "-1", "1X", "1MM", "64 M", "1e400", "99999999999T", "nan", "inf", "1kk"})
        EXPECT_FALSE(parse_size(text, n)) << text;
}

TEST(ParseDuration, TakesUnitsAndSigns) {
    int64_t ns = 0;
    for (const auto& [text, expected] : {std::pair{"10", 10'000'000'000ll},
                                         {"250ms", 250'000'000ll},
                                         {"5us", 5'000ll},
                                         {"7ns", 7ll},
                                         {"1.5m", 90'000'000'000ll},
                                         {"2h", 7'200'000'000'000ll},
                                         {"1d", 86'400'000'000'000ll},
                                         {"-10s", -10'000'000'000ll},
                                         {"+3s", 3'000'000'000ll}}) {
        ASSERT_TRUE(parse_duration(text, ns)) << text;
        EXPECT_EQ(ns, expected) << text;
    }
    for (const char* text : {"", "s", "1x", "1 s", "1e300", "10y"}) EXPECT_FALSE(parse_duration(text, ns)) << text;
}

}  // namespace
}  // namespace flightrec
