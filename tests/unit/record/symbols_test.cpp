// SPDX-License-Identifier: Apache-2.0
// Kernel symbols, from a made-up table and from this kernel's.
#include "userspace/record/symbols.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/record/fake_tree.h"

namespace flightrec::record {
namespace {

constexpr std::string_view kTable =
    "0000000000000000 A fixed_percpu_data\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 T _text\n"
    "ffffffff81002000 t later\n"
    "ffffffff81001000 T earlier\n"
    "ffffffff81001800 D data_is_not_code\n"
    "ffffffffc0100000 t xfs_read\t[xfs]\n"
    "ffffffffc0100100 W weak_one\t[xfs]\n"
    "broken line\n"
    "ffffffffc0100200 t no_newline_at_the_end\n";

TEST(KernelSymbols, NamesAddresses) {
    const FakeTree tree;
    tree.write("kallsyms", kTable);
    const auto symbols = KernelSymbols::load(tree.path("kallsyms"));
    ASSERT_TRUE(symbols) << symbols.error().message;
    EXPECT_EQ(symbols->size(), 7u);
    KernelSymbols::Symbol symbol;
    ASSERT_TRUE(symbols->find(0xffffffff81000004, symbol));
    EXPECT_EQ(symbol.name, "_stext") << "the first of two names";
    ASSERT_TRUE(symbols->find(0xffffffff81001810, symbol));
    EXPECT_EQ(symbol.name, "earlier");
    EXPECT_EQ(symbol.offset, 0x810u);
    ASSERT_TRUE(symbols->find(0xffffffffc0100010, symbol));
    EXPECT_EQ(symbol.name, "xfs_read");
    EXPECT_EQ(symbol.module, "xfs");
    EXPECT_FALSE(symbols->find(0xffffffff80ffffff, symbol));
    EXPECT_FALSE(symbols->find(0, symbol));
    EXPECT_FALSE(symbols->find(UINT64_MAX, symbol));
}

TEST(KernelSymbols, DescribesAStackInWholeLines) {
    const FakeTree tree;
    tree.write("kallsyms", kTable);
    const auto symbols = KernelSymbols::load(tree.path("kallsyms"));
    ASSERT_TRUE(symbols);
    const std::array<uint64_t, 3> stack{0xffffffff81001012, 0xffffffffc0100101, 0x1000};
    std::array<char, 256> out;
    const uint64_t before = allocations();
    EXPECT_EQ(symbols->describe(stack, out), "earlier+0x12\nweak_one+0x1 [xfs]\n0x1000\n");
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(symbols->describe(stack, std::span(out).first(20)), "earlier+0x12\n");
}

TEST(KernelSymbols, RefusesHiddenAddressesAbsentFilesAndTooManyNames) {
    const FakeTree tree;
    tree.write("hidden", "0000000000000000 T _stext\n0000000000000000 t foo\n");
    const auto hidden = KernelSymbols::load(tree.path("hidden"));
    ASSERT_FALSE(hidden);
    EXPECT_EQ(hidden.error().code, Code::permission);
    EXPECT_NE(hidden.error().message.find("kptr_restrict"), std::string::npos);
    EXPECT_EQ(KernelSymbols::load(tree.path("none")).error().code, Code::not_found);
    tree.write("empty", "");
    EXPECT_EQ(KernelSymbols::load(tree.path("empty")).error().code, Code::unsupported);
    tree.write("kallsyms", kTable);
    EXPECT_EQ(KernelSymbols::load(tree.path("kallsyms"), 64).error().code, Code::no_space);
}

TEST(KernelSymbols, ALineLongerThanTheBufferIsPassedOver) {
    const FakeTree tree;
    tree.write("kallsyms", "ffffffff81000000 T " + std::string(200'000, 'x') + "\nffffffff81001000 T good\n");
    const auto symbols = KernelSymbols::load(tree.path("kallsyms"));
    ASSERT_TRUE(symbols);
    KernelSymbols::Symbol symbol;
    ASSERT_TRUE(symbols->find(0xffffffff81001000, symbol));
    EXPECT_EQ(symbol.name, "good");
}

TEST(KernelSymbols, ThisKernel) {
    const auto symbols = KernelSymbols::load("/proc/kallsyms");
    if (!symbols) GTEST_SKIP() << symbols.error().message;
    EXPECT_GT(symbols->size(), 10'000u);
    EXPECT_LT(symbols->bytes(), 12u << 20);
    // Each function named by the file is found under a name of its address.
    std::ifstream file("/proc/kallsyms");
    std::string line;
    for (int i = 0; i < 1000 && std::getline(file, line); ++i) {
        if (std::string_view("tTwW").find(line[17]) == std::string_view::npos) continue;
        KernelSymbols::Symbol symbol;
        ASSERT_TRUE(symbols->find(std::stoull(line.substr(0, 16), nullptr, 16), symbol)) << line;
        EXPECT_EQ(symbol.offset, 0u) << line;
    }
}

}  // namespace
}  // namespace flightrec::record
