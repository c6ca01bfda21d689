// SPDX-License-Identifier: Apache-2.0
// Descriptors in reserve: when there are no more, one is given up for what has to be opened.
#include "userspace/ship/spare.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vector>

#include "userspace/base/handle.h"

namespace flightrec::ship {
namespace {

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

TEST(Spare, GivenUpOnlyWhenNothingElseIsLeft) {
    renew_spares();
    const size_t before = spares();
    ASSERT_GT(before, 4U);
    const Fd free(with_spare(open_null));
    ASSERT_TRUE(free.valid());
    EXPECT_EQ(spares(), before);
}

TEST(Spare, ServesWhenTheProcessMayOpenNoMore) {
    renew_spares();
    const size_t before = spares();
    rlimit old{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    const rlimit few{200, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    {
        std::vector<Fd> hog;
        for (;;) {
            Fd fd(open_null());
            if (!fd.valid()) break;
            hog.push_back(std::move(fd));
        }
        EXPECT_EQ(errno, EMFILE);
        std::vector<Fd> served;
        for (size_t i = 0; i < before; ++i) {
            served.emplace_back(with_spare(open_null));
            EXPECT_TRUE(served.back().valid());
            EXPECT_EQ(spares(), before - i - 1);
        }
        errno = 0;
        const Fd none(with_spare(open_null));
        EXPECT_FALSE(none.valid());
        EXPECT_EQ(errno, EMFILE);
        renew_spares();
        EXPECT_EQ(spares(), 0U);
    }
    renew_spares();
    EXPECT_EQ(spares(), before);
    setrlimit(RLIMIT_NOFILE, &old);
}

TEST(Spare, ASocketIsThereWhenNoneCanBeMadeAgainAndAgain) {
    renew_spares();
    rlimit old{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    const rlimit few{200, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    {
        std::vector<Fd> hog;  // takes what is free, and all that is given up
        for (;;) {
            Fd fd(with_spare(open_null));
            if (!fd.valid()) break;
            hog.push_back(std::move(fd));
        }
        for (const int family : {AF_INET, AF_INET6, AF_INET, AF_INET}) {
            const int fd = open_stream_socket(family);
            ASSERT_GE(fd, 0);
            close_stream_socket(fd);  // the hog is quicker …
            hog.emplace_back(open_null());
        }
    }
    renew_spares();
    setrlimit(RLIMIT_NOFILE, &old);
}

TEST(Spare, OtherFailuresCostNothing) {
    renew_spares();
    const size_t before = spares();
    const Fd fd(with_spare([] { return ::open("/nonexistent/file", O_RDONLY | O_CLOEXEC); }));
    EXPECT_FALSE(fd.valid());
    EXPECT_EQ(spares(), before);
}

}  // namespace
}  // namespace flightrec::ship
