// SPDX-License-Identifier: Apache-2.0
// Name look-ups without new threads, and what is left when DNS is dead.
#include "userspace/ship/resolver.h"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using std::chrono::milliseconds;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const Cancel no_cancel;

// Puts `text` in the place of a file of /etc, for this process only. False: not permitted.
bool replace_etc(const TempDir& tree, const std::string& name, const std::string& text) {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    write_file(tree / name, text, 0644);
    return mount((tree / name).c_str(), ("/etc/" + name).c_str(), nullptr, MS_BIND, nullptr) == 0;
}

TEST(Resolver, AnAddressNeedsNoLookUp) {
    auto four = Resolver::make("127.0.0.1", 80);
    ASSERT_TRUE(four);
    EXPECT_THAT(*four->addresses(milliseconds(0), no_cancel), ElementsAre("127.0.0.1"));
    auto six = Resolver::make("::1", 80);
    EXPECT_THAT(*six->addresses(milliseconds(0), no_cancel), ElementsAre("::1"));
}

TEST(Resolver, FindsLocalhost) {
    auto resolver = Resolver::make("localhost", 80);
    ASSERT_TRUE(resolver);
    const auto found = resolver->addresses(milliseconds(5000), no_cancel);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_THAT(*found, Contains(AnyOf("127.0.0.1", "::1")));
}

TEST(Resolver, KeepsItsLastGoodAnswerWhenTheNameIsGone) {
    const TempDir tree;
    if (!replace_etc(tree, "hosts", "127.0.0.9 dumps.test\n") || !replace_etc(tree, "nsswitch.conf", "hosts: files\n"))
        GTEST_SKIP() << "needs the right to mount";
    auto resolver = Resolver::make("dumps.test", 443);
    ASSERT_TRUE(resolver);
    EXPECT_THAT(*resolver->addresses(milliseconds(5000), no_cancel), ElementsAre("127.0.0.9"));
    write_file(tree / "hosts", "127.0.0.10 dumps.test\n", 0644);
    EXPECT_THAT(*resolver->addresses(milliseconds(5000), no_cancel), ElementsAre("127.0.0.10"))
        << "it asks anew each time";
    write_file(tree / "hosts", "\n", 0644);
    EXPECT_THAT(*resolver->addresses(milliseconds(5000), no_cancel), ElementsAre("127.0.0.10"));
    auto fresh = Resolver::make("dumps.test", 443);
    const auto none = fresh->addresses(milliseconds(5000), no_cancel);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::network);
    EXPECT_THAT(none.error().message, HasSubstr("cannot resolve the name dumps.test"));
}

TEST(Resolver, ADeadNameServerHoldsUpNobody) {
    const TempDir tree;
    // A name server that never answers: a bound socket that nobody reads.
    const Fd hole(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(0x7f000135);  // 127.0.1.53
    if (bind(hole.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        !replace_etc(tree, "resolv.conf", "nameserver 127.0.1.53\n") ||
        !replace_etc(tree, "nsswitch.conf", "hosts: dns\n"))
        GTEST_SKIP() << "needs root";
    auto resolver = Resolver::make("dumps.example", 443);
    ASSERT_TRUE(resolver);
    const auto patient = timed([&] {
        const auto none = resolver->addresses(milliseconds(300), no_cancel);
        ASSERT_FALSE(none);
        EXPECT_THAT(none.error().message, HasSubstr("no answer in time"));
    });
    EXPECT_LT(patient.count(), 500);
    Cancel cancel;
    cancel.request();
    const auto cancelled =
        timed([&] { EXPECT_EQ(resolver->addresses(milliseconds(60'000), cancel).error().code, Code::interrupted); });
    EXPECT_LT(cancelled.count(), 200);
    const auto destroyed = timed([&] { resolver = fail(Code::internal, "gone"); });
    EXPECT_LT(destroyed.count(), 200);
}

}  // namespace
}  // namespace flightrec::ship::test
