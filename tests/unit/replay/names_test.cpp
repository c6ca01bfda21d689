// SPDX-License-Identifier: Apache-2.0
// Names of kernel numbers.
#include "userspace/replay/names.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

namespace flightrec::replay {
namespace {

TEST(Names, ErrnoBothWays) {
    EXPECT_EQ(errno_name(ENOENT), "ENOENT");
    EXPECT_EQ(errno_name(EAGAIN), "EAGAIN");
    EXPECT_EQ(errno_name(516), "ERESTART_RESTARTBLOCK");
    EXPECT_EQ(errno_name(4000), "");
    for (int i = 1; i < 134; ++i)
        if (const auto name = errno_name(i); !name.empty()) {
            EXPECT_EQ(errno_of_name(name), i);
        }
    EXPECT_EQ(errno_of_name("enomem"), ENOMEM);
    EXPECT_EQ(errno_of_name("12"), ENOMEM);
    EXPECT_EQ(errno_of_name("EWOULDBLOCK"), EAGAIN);
    EXPECT_EQ(errno_of_name("ENOSUCH"), 0);
    EXPECT_EQ(errno_of_name(""), 0);
    EXPECT_EQ(errno_of_name("-2"), 0);
}

TEST(Names, SignalsAndTheirCodes) {
    EXPECT_EQ(signal_name(SIGSEGV), "SIGSEGV");
    EXPECT_EQ(signal_name(32), "SIGRTMIN");
    EXPECT_EQ(signal_name(34), "SIGRT_2");
    EXPECT_EQ(signal_name(0), "0");
    EXPECT_EQ(signal_code_name(SIGSEGV, 1), "SEGV_MAPERR");
    EXPECT_EQ(signal_code_name(SIGBUS, 2), "BUS_ADRERR");
    EXPECT_EQ(signal_code_name(SIGTERM, 0), "SI_USER");
    EXPECT_EQ(signal_code_name(SIGABRT, -6), "SI_TKILL");
    EXPECT_EQ(signal_code_name(SIGSEGV, 77), "77");
}

// The masks of real OOM reports of Linux 6.1 and 6.18.
TEST(Names, GfpMasksAsTheKernelWritesThem) {
    const auto gfp = [](uint32_t mask) {
        std::string out;
        append_gfp(out, mask);
        return out;
    };
    EXPECT_EQ(gfp(0xcc0), "0xcc0(GFP_KERNEL)");
    EXPECT_EQ(gfp(0x140dca), "0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP)");
    EXPECT_EQ(gfp(0x1c24ca), "0x1c24ca(GFP_TRANSHUGE)");
    EXPECT_EQ(gfp(0x400cc0), "0x400cc0(GFP_KERNEL_ACCOUNT)");
    EXPECT_EQ(gfp(0x500cc2), "0x500cc2(GFP_HIGHUSER|__GFP_ACCOUNT)");
    EXPECT_EQ(gfp(0), "0x0(0)");
}

TEST(Names, CloneFlagsAsTheKernelHasThem) {
    std::string out;
    append_clone_flags(out, 0x7d0f00);  // of musl's pthread_create()
    EXPECT_EQ(out,
              "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|CLONE_SETTLS|"
              "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID|CLONE_DETACHED");
}

TEST(Names, UnknownNumbersNeverReadPastATable) {
    EXPECT_EQ(trigger_name(~0ull), "unknown");
    EXPECT_EQ(marker_name(~0u), "unknown");
    EXPECT_EQ(kmsg_level_name(0xff), "unknown");
    EXPECT_EQ(fork_cause_name(99), "unknown");
    EXPECT_EQ(blob_name(255), "");
}

}  // namespace
}  // namespace flightrec::replay
