// SPDX-License-Identifier: Apache-2.0
// The syscall table: look-up, argument order of each architecture, what is captured.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "schemas/syscalls/syscalls.h"

namespace flightrec::schemas {
namespace {

const SyscallInfo& x86(std::string_view name) {
    const SyscallInfo* info = find_syscall(Arch::x86_64, name);
    if (info == nullptr) throw std::runtime_error(std::string(name));
    return *info;
}

TEST(SyscallTable, FindsByNumberOfEachArchitecture) {
    EXPECT_EQ(find_syscall(Arch::x86_64, 257U)->name, "openat");
    EXPECT_EQ(find_syscall(Arch::arm64, 56U)->name, "openat");
    EXPECT_EQ(find_syscall(Arch::x86_64, 469U)->name, "file_setattr");
    EXPECT_EQ(find_syscall(Arch::arm64, 462U)->name, "mseal");
}

TEST(SyscallTable, HasNoEntryForNumbersThatDoNotExist) {
    EXPECT_EQ(find_syscall(Arch::x86_64, 400U), nullptr);
    EXPECT_EQ(find_syscall(Arch::x86_64, 0xffffffffU), nullptr);
    EXPECT_EQ(find_syscall(Arch::arm64, 1023U), nullptr);
    EXPECT_EQ(find_syscall(Arch::arm64, "open"), nullptr);
    EXPECT_EQ(find_syscall(Arch::x86_64, "no_such_call"), nullptr);
}

TEST(SyscallTable, IsConsistent) {
    std::set<std::string> seen;
    for (const SyscallInfo& info : all_syscalls()) {
        for (const Arch arch : {Arch::x86_64, Arch::arm64}) {
            if (info.number(arch) < 0) continue;
            EXPECT_EQ(find_syscall(arch, static_cast<uint32_t>(info.number(arch))), &info) << info.name;
            EXPECT_TRUE(seen.insert(std::string(info.name) + (arch == Arch::arm64 ? "/arm64" : "")).second)
                << info.name;
        }
        for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(info.args[i].kind != ArgKind::none, i < info.nargs) << info.name;
    }
    EXPECT_GT(all_syscalls().size(), 380U);
}

// A kind whose meaning refers to the next argument must have one.
TEST(SyscallTable, LengthArgumentsExist) {
    for (const SyscallInfo& info : all_syscalls()) {
        const SyscallCapture plan = capture_of(info, Arch::x86_64);
        unsigned captured = 0;
        for (unsigned i = 0; i < info.nargs; ++i) {
            captured += plan.args[i].type != CaptureType::none ? 1U : 0U;
            if (plan.args[i].length_arg != 0) {
                EXPECT_LT(plan.args[i].length_arg, info.nargs) << info.name;
                EXPECT_EQ(plan.args[i].length_arg, i + 1) << info.name;
            }
            if (plan.args[i].conditional) {
                EXPECT_NE(plan.condition.values, 0U) << info.name;
            }
        }
        EXPECT_LE(captured, 5U) << info.name << ": the kernel side takes five a call";
    }
}

TEST(SyscallTable, CloneTakesItsArgumentsInTheOrderOfTheArchitecture) {
    EXPECT_EQ(x86("clone").args[3].name, "child_tidptr");
    EXPECT_EQ(find_syscall(Arch::arm64, "clone")->args[3].name, "tls");
}

TEST(SyscallTable, StringsToCapture) {
    EXPECT_EQ(string_mask(x86("openat")), 0b10);
    EXPECT_EQ(string_mask(x86("rename")), 0b11);
    EXPECT_EQ(string_mask(x86("linkat")), 0b1010);
    EXPECT_EQ(string_mask(x86("symlinkat")), 0b101);
    EXPECT_EQ(string_mask(x86("mount")), 0b10111);
    EXPECT_EQ(string_mask(x86("setxattr")), 0b11);
    EXPECT_EQ(string_mask(x86("memfd_create")), 0b1);
    EXPECT_EQ(string_mask(x86("request_key")), 0b111);
    EXPECT_EQ(string_mask(x86("read")), 0);
    EXPECT_EQ(string_mask(x86("write")), 0);
    EXPECT_EQ(string_mask(x86("prctl")), 0) << "only PR_SET_NAME takes a string";
}

TEST(SyscallTable, BuffersAreNeverCaptured) {
    for (const SyscallInfo& info : all_syscalls()) {
        for (unsigned i = 0; i < info.nargs; ++i) {
            const ArgKind kind = info.args[i].kind;
            if (kind != ArgKind::buffer_in && kind != ArgKind::buffer_out && kind != ArgKind::envp) continue;
            EXPECT_EQ(capture_of(info, Arch::x86_64).args[i].type, CaptureType::none) << info.name;
        }
    }
}

TEST(SyscallTable, ExecStringsAreReadAtEntry) {
    EXPECT_TRUE(x86("execve").strings_at_entry);
    const SyscallCapture plan = capture_of(x86("execveat"), Arch::x86_64);
    EXPECT_TRUE(plan.args[1].at_entry);
    EXPECT_EQ(plan.args[2].type, CaptureType::argv);
    EXPECT_TRUE(x86("exit_group").may_not_return);
}

TEST(SyscallTable, ConditionsFollowTheCommand) {
    const CaptureCondition prctl = capture_of(x86("prctl"), Arch::x86_64).condition;
    EXPECT_TRUE(prctl.holds(15));
    EXPECT_FALSE(prctl.holds(16));
    EXPECT_FALSE(prctl.holds(15 + 64));
    const CaptureCondition futex = capture_of(x86("futex"), Arch::x86_64).condition;
    EXPECT_TRUE(futex.holds(0x189)) << "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME";
    EXPECT_FALSE(futex.holds(0x81)) << "FUTEX_WAKE_PRIVATE";
    const CaptureCondition fcntl = capture_of(x86("fcntl"), Arch::x86_64).condition;
    EXPECT_TRUE(fcntl.holds(6)) << "F_SETLK";
    EXPECT_TRUE(fcntl.holds(38)) << "F_OFD_SETLKW";
    EXPECT_FALSE(fcntl.holds(1)) << "F_GETFD";
}

TEST(SyscallTable, EpollEventIsPackedOnX86Only) {
    EXPECT_EQ(capture_of(x86("epoll_ctl"), Arch::x86_64).args[3].size, 12);
    EXPECT_EQ(capture_of(x86("epoll_ctl"), Arch::arm64).args[3].size, 16);
}

}  // namespace
}  // namespace flightrec::schemas
