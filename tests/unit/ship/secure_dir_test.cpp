// SPDX-License-Identifier: Apache-2.0
// Directories that other users could play tricks in are refused; writes are all or nothing.
#include "userspace/ship/secure_dir.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Privacy = SecureDir::Privacy;

constexpr uid_t stranger = 12345;

std::string problem_of(const std::filesystem::path& path, Privacy privacy = Privacy::trusted) {
    const auto dir = SecureDir::open(path, privacy);
    EXPECT_FALSE(dir) << path;
    return dir ? "" : dir.error().message;
}

TEST(SecureDir, IsMadeForItsOwnerOnly) {
    const TempDir tree;
    ASSERT_TRUE(SecureDir::open(tree / "a/b/c", Privacy::own));
    struct stat st {};
    for (const char* name : {"a", "a/b", "a/b/c"}) {
        ASSERT_EQ(stat((tree / name).c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 07777u, 0700u) << name;
    }
}

TEST(SecureDir, RefusesASymbolicLink) {
    const TempDir tree;
    mkdir((tree / "real").c_str(), 0700);
    symlink("real", (tree / "link").c_str());
    EXPECT_THAT(problem_of(tree / "link"), HasSubstr("symbolic link"));
    EXPECT_TRUE(SecureDir::open(tree / "link/below", Privacy::own)) << "a link of ours further up may be followed";
    EXPECT_TRUE(std::filesystem::is_directory(tree / "real/below"));
}

TEST(SecureDir, RefusesALinkOfAStrangerFurtherUp) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const TempDir tree;
    mkdir((tree / "real").c_str(), 0700);
    symlink((tree / "real").c_str(), (tree / "link").c_str());
    ASSERT_EQ(lchown((tree / "link").c_str(), stranger, stranger), 0);
    EXPECT_THAT(problem_of(tree / "link/below"), HasSubstr("symbolic link of user 12345"));
    EXPECT_FALSE(std::filesystem::exists(tree / "real/below"));
}

TEST(SecureDir, RefusesALinkLoop) {
    const TempDir tree;
    symlink("b", (tree / "a").c_str());
    symlink("a", (tree / "b").c_str());
    EXPECT_THAT(problem_of(tree / "a/x"), HasSubstr("not followed"));
}

TEST(SecureDir, RefusesOwnersAndModesThatLetOthersIn) {
    const TempDir tree;
    mkdir((tree / "open").c_str(), 0700);
    chmod((tree / "open").c_str(), 0770);
    EXPECT_THAT(problem_of(tree / "open"), HasSubstr("chmod go-w"));
    chmod((tree / "open").c_str(), 0755);
    EXPECT_TRUE(SecureDir::open(tree / "open", Privacy::trusted));
    EXPECT_THAT(problem_of(tree / "open", Privacy::own), HasSubstr("chmod 700"));
    mkdir((tree / "parent").c_str(), 0700);
    mkdir((tree / "parent/dir").c_str(), 0700);
    chmod((tree / "parent").c_str(), 0777);
    EXPECT_THAT(problem_of(tree / "parent/dir"), HasSubstr("parent is writable by other users"));
    chmod((tree / "parent").c_str(), 01777);
    EXPECT_TRUE(SecureDir::open(tree / "parent/dir", Privacy::trusted)) << "sticky, like /tmp";
    if (geteuid() != 0) return;
    ASSERT_EQ(chown((tree / "parent/dir").c_str(), stranger, stranger), 0);
    EXPECT_THAT(problem_of(tree / "parent/dir"), HasSubstr("belongs to user 12345"));
    EXPECT_THAT(problem_of(tree / "parent/dir/below"), HasSubstr("belongs to user 12345"));
    EXPECT_FALSE(std::filesystem::exists(tree / "parent/dir/below"));
}

TEST(SecureDir, AFileInThePlaceOfTheDirectoryIsAnError) {
    const TempDir tree;
    write_file(tree / "file", "x");
    EXPECT_THAT(problem_of(tree / "file"), HasSubstr("Not a directory"));
}

TEST(SecureDir, NeverFollowsALinkInTheDirectory) {
    const TempDir tree;
    auto dir = SecureDir::open(tree / "d", Privacy::own);
    ASSERT_TRUE(dir);
    write_file(tree / "victim", "precious");
    symlink((tree / "victim").c_str(), (tree / "d/name").c_str());
    symlink((tree / "victim").c_str(), (tree / "d/name.part").c_str());
    EXPECT_FALSE(dir->open_file("name"));
    ASSERT_TRUE(dir->write("name", "ours"));
    EXPECT_EQ(read_file(tree / "victim"), "precious");
    EXPECT_EQ(read_file(tree / "d/name"), "ours");
    EXPECT_FALSE(std::filesystem::is_symlink(tree / "d/name"));
}

TEST(SecureDir, NamesAreSingleParts) {
    const TempDir tree;
    const auto dir = SecureDir::open(tree / "d", Privacy::own);
    ASSERT_TRUE(dir);
    for (const std::string name : {"", ".", "..", "../x", "a/b", "/etc/x"}) {
        EXPECT_FALSE(dir->create(name)) << name;
        EXPECT_FALSE(dir->open_file(name)) << name;
        EXPECT_FALSE(dir->remove(name)) << name;
        EXPECT_FALSE(dir->rename("x", name)) << name;
    }
}

TEST(SecureDir, APlantedFifoDoesNotHang) {
    const TempDir tree;
    const auto dir = SecureDir::open(tree / "d", Privacy::own);
    ASSERT_TRUE(dir);
    mkfifo((tree / "d/fifo").c_str(), 0600);
    const auto opened = dir->open_file("fifo");
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, HasSubstr("not a file of ours"));
    EXPECT_TRUE(dir->files()->empty());
}

TEST(SecureDir, AFailedWriteKeepsTheOldContent) {
    const TempDir tree;
    if (!mount_tmpfs(tree / "d", 64u << 10)) GTEST_SKIP() << "needs the right to mount";
    const auto dir = SecureDir::open(tree / "d", Privacy::own);
    ASSERT_TRUE(dir);
    ASSERT_TRUE(dir->write("name", "old"));
    const auto failed = dir->write("name", content(256u << 10, 1));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::no_space);
    EXPECT_EQ(read_file(tree / "d/name"), "old");
    EXPECT_THAT(names_in(tree / "d"), ElementsAre("name"));
}

}  // namespace
}  // namespace flightrec::ship::test
