// SPDX-License-Identifier: Apache-2.0
// Files that a recorded process named are opened only where that cannot wait for anybody.
#include "userspace/record/local_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/record/fake_tree.h"

namespace flightrec::record {
namespace {

uint64_t inode_of(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0);
    return st.st_ino;
}

uint64_t mount_of(const std::string& path) {
    struct statx st {};
    EXPECT_EQ(::statx(AT_FDCWD, path.c_str(), 0, STATX_MNT_ID, &st), 0);
    return st.stx_mnt_id;
}

TEST(LocalFiles, ARegularFileOfThatInodeIsOpened) {
    const FakeTree tree;
    tree.write("file", "text");
    const std::string path = tree.path("file");
    auto files = LocalFiles::open("/proc");
    const Fd file = files.open_regular(path.c_str(), inode_of(path));
    ASSERT_TRUE(file.valid());
    char text[8] = {};
    EXPECT_EQ(::read(file.get(), text, sizeof text), 4);
    EXPECT_FALSE(files.open_regular(path.c_str(), inode_of(path) + 1).valid()) << "another file of that name";
    const Fd root(::open(tree.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(files.open_regular("/file", inode_of(path), root.get(), mounts.get()).valid());
}

TEST(LocalFiles, WhatIsNoRegularFileIsNotOpened) {
    const FakeTree tree;
    const std::string fifo = tree.path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    auto files = LocalFiles::open("/proc");
    EXPECT_FALSE(files.open_regular(fifo.c_str(), inode_of(fifo)).valid());
    EXPECT_FALSE(files.open_regular(tree.path().c_str(), inode_of(tree.path())).valid());
    EXPECT_FALSE(files.open_regular("/proc/self/exe", inode_of("/proc/self/exe")).valid()) << "a magic link";
}

TEST(LocalFiles, OnAFileSystemThatWaitsForAServerOrAProcessNothingIsOpened) {
    const FakeTree tree;
    tree.write("file", "text");
    const std::string path = tree.path("file");
    // The mount the file is on, told as other types: what the kernel would tell of such a mount.
    for (const char* type : {"fuse", "fuse.sshfs", "fuseblk", "nfs", "nfs4", "cifs", "9p", "ceph", "unheard_of"}) {
        tree.write("proc/self/mountinfo",
                   fmt::format("1 0 0:1 / / rw - ext4 none rw\n{} 1 0:99 / / rw shared:1 - {} none rw\n",
                               mount_of(path), type));
        auto files = LocalFiles::open(tree.path("proc"));
        EXPECT_FALSE(files.open_regular(path.c_str(), inode_of(path)).valid()) << type;
        EXPECT_FALSE(is_local_filesystem(type)) << type;
    }
    EXPECT_TRUE(is_local_filesystem("ext4"));
}

}  // namespace
}  // namespace flightrec::record
