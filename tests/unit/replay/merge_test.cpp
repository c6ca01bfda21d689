// SPDX-License-Identifier: Apache-2.0
// Joining entry and return of a system call.
#include "userspace/replay/syscall_merge.h"

#include "tests/unit/replay/story.h"

namespace flightrec::replay::test {
namespace {

class MergeTest : public ::testing::Test {
  protected:
    void feed(const Record& event) {
        merge.feed(event.ref(), [&](const flight::EventRef& e) { shown.emplace_back(e.bytes, e.cpu); });
    }
    void finish() {
        merge.finish([&](const flight::EventRef& e) { shown.emplace_back(e.bytes, e.cpu); });
    }
    static Record entry(uint64_t time_ns, uint32_t tid, std::string_view name, const std::string& path = "/bin/sh") {
        return call(time_ns, 100, tid, name, 0,
                    {.args = {0x1000}, .blobs = {{FR_BLOB_ARG0, path}}, .cls = FR_CLASS_SYSCALL_ENTER});
    }
    SyscallMerge merge{schemas::Arch::x86_64};
    std::vector<Record> shown;
};

TEST_F(MergeTest, ExecveIsShownOnceWithItsEntrysArguments) {
    feed(entry(1 * s, 100, "execve"));
    EXPECT_TRUE(shown.empty());
    feed(record<fr_exec>(FR_CLASS_EXEC, 1 * s + 1, 100, 100, nullptr));
    feed(call(1 * s + 500, 100, 100, "execve", 0, {.args = {0xdead}, .took_ns = 500}));
    ASSERT_EQ(shown.size(), 2u);
    EXPECT_EQ(shown[0].cls(), FR_CLASS_EXEC);
    const auto call = shown[1].ref();
    EXPECT_EQ(call.head().cls, FR_CLASS_SYSCALL);
    EXPECT_EQ(call.as<fr_syscall>().args[0], 0x1000u);
    EXPECT_EQ(call.as<fr_syscall>().result, 0);
    EXPECT_EQ(call.head().time_ns, 1 * s + 500);
    EXPECT_EQ(flight::find_blob(call, FR_BLOB_ARG0)->text, "/bin/sh");
}

TEST_F(MergeTest, WhatOnlyTheReturnHasIsAdded) {
    feed(entry(1 * s, 100, "execve"));
    feed(call(2 * s, 100, 100, "execve", -2, {.blobs = {{FR_BLOB_ARG0, "changed"}, {FR_BLOB_DATA0 + 2, "12345678"}}}));
    ASSERT_EQ(shown.size(), 1u);
    EXPECT_EQ(flight::find_blob(shown[0].ref(), FR_BLOB_ARG0)->text, "/bin/sh");
    EXPECT_EQ(flight::find_blob(shown[0].ref(), FR_BLOB_DATA0 + 2)->text, "12345678");
    EXPECT_EQ(shown[0].ref().as<fr_syscall>().result, -2);
}

TEST_F(MergeTest, ExitGroupIsShownAtItsEntry) {
    feed(call(1 * s, 100, 100, "exit_group", 0, {.cls = FR_CLASS_SYSCALL_ENTER}));
    EXPECT_EQ(shown.size(), 1u);
    finish();
    EXPECT_EQ(shown.size(), 1u);
}

TEST_F(MergeTest, ExecveOfAThreadReturnsUnderTheLeadersTid) {
    feed(entry(1 * s, 105, "execve"));
    feed(record<fr_exec>(FR_CLASS_EXEC, 1 * s + 1, 100, 100, [](fr_exec& e) { e.old_tid = 105; }));
    feed(call(2 * s, 100, 100, "execve", 0));
    ASSERT_EQ(shown.size(), 2u);
    EXPECT_EQ(flight::find_blob(shown[1].ref(), FR_BLOB_ARG0)->text, "/bin/sh");
}

TEST_F(MergeTest, AnEntryWithoutAReturnIsNotLost) {
    feed(entry(1 * s, 100, "execve", "/a"));
    feed(call(2 * s, 100, 100, "getpid", 1));
    ASSERT_EQ(shown.size(), 2u) << "its return was lost: the next call of the thread shows that";
    EXPECT_EQ(shown[0].cls(), FR_CLASS_SYSCALL_ENTER);
    feed(entry(3 * s, 100, "execve", "/b"));
    feed(record<fr_exit>(FR_CLASS_EXIT, 4 * s, 100, 100, nullptr));
    ASSERT_EQ(shown.size(), 4u);
    EXPECT_EQ(flight::find_blob(shown[2].ref(), FR_BLOB_ARG0)->text, "/b");
    feed(entry(5 * s, 102, "execve", "/d"));
    feed(entry(4 * s, 101, "execve", "/c"));
    finish();
    ASSERT_EQ(shown.size(), 6u);
    EXPECT_EQ(flight::find_blob(shown[4].ref(), FR_BLOB_ARG0)->text, "/c") << "oldest first";
}

}  // namespace
}  // namespace flightrec::replay::test
