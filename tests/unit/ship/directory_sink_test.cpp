// SPDX-License-Identifier: Apache-2.0
// The directory sink: whole or not at all, private, within its limits.
#include "userspace/ship/directory_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using Answer = Delivery::Answer;

const Cancel no_cancel;

std::unique_ptr<Sink> sink_at(const std::filesystem::path& path, uint32_t files, uint64_t bytes) {
    SinkOptions options;
    options.directory = {files, bytes};
    return sink_for(path, options);
}

void expect_accepted(Sink& sink, const DumpFile& dump) {
    const auto delivery = sink.deliver(dump, no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_EQ(delivery->answer, Answer::accepted) << delivery->detail;
}

std::string name_of(uint64_t number) { return make_incident(number).file_name(); }

TEST(DirectorySink, DeliversPrivatelyUnderTheIncidentsName) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1 << 20);
    const DumpFile dump = make_dump(tree / "spool", 1, 5000);
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(dump.name));
    EXPECT_EQ(read_file(tree / "out" / dump.name), content(5000, 1));
    struct stat st {};
    ASSERT_EQ(stat((tree / "out" / dump.name).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777u, 0600u);
    EXPECT_EQ(st.st_nlink, 2u) << "on one file system it is the same file";
    ASSERT_EQ(stat((tree / "out").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777u, 0700u);
}

TEST(DirectorySink, TwiceTheSameIncidentIsOneFile) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1 << 20);
    const DumpFile dump = make_dump(tree / "spool", 1, 5000);
    expect_accepted(*sink, dump);
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(dump.name));
    // And when only a copy is there.
    std::filesystem::remove(tree / "out" / dump.name);
    write_file(tree / "out" / dump.name, "half of it");
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(dump.name));
    EXPECT_EQ(read_file(tree / "out" / dump.name), content(5000, 1));
}

TEST(DirectorySink, CopiesToAnotherFileSystem) {
    const TempDir tree;
    if (!mount_tmpfs(tree / "out", 4 << 20)) GTEST_SKIP() << "needs the right to mount";
    const auto sink = sink_at(tree / "out", 10, 1 << 24);
    const DumpFile dump = make_dump(tree / "spool", 1, 1'000'001);
    expect_accepted(*sink, dump);
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(dump.name));
    EXPECT_EQ(read_file(tree / "out" / dump.name), content(1'000'001, 1));
    struct stat st {};
    ASSERT_EQ(stat((tree / "out" / dump.name).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777u, 0600u);
}

TEST(DirectorySink, RemovesTheOldestBeyondTheCount) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 2, 1 << 20);
    for (uint64_t i = 1; i <= 4; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 100));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(3), name_of(4)));
}

TEST(DirectorySink, RemovesTheOldestBeyondTheBytes) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 100, 1000);
    for (uint64_t i = 1; i <= 4; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 400));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(3), name_of(4)));
}

TEST(DirectorySink, NeverRemovesTheNewestEvenWhenItsTimeIsOld) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 2, 1 << 20);
    expect_accepted(*sink, make_dump(tree / "spool", 5, 100));
    expect_accepted(*sink, make_dump(tree / "spool", 6, 100));
    expect_accepted(*sink, make_dump(tree / "spool", 1, 100));  // the clock was set back
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(1), name_of(6)));
}

TEST(DirectorySink, NeverTouchesWhatIsNotOurs) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 1, 1000);
    write_file(tree / "out/notes.txt", "mine");
    write_file(tree / "out/other.flight", "mine");
    std::filesystem::create_directory(tree / "out" / name_of(1));  // a directory with such a name
    write_file(tree / "victim", "precious");
    symlink((tree / "victim").c_str(), (tree / "out" / name_of(2)).c_str());
    if (geteuid() == 0) {
        write_file(tree / "out" / name_of(3), "of another user");
        ASSERT_EQ(chown((tree / "out" / name_of(3)).c_str(), 12345, 12345), 0);
    }
    expect_accepted(*sink, make_dump(tree / "spool", 7, 100));
    expect_accepted(*sink, make_dump(tree / "spool", 8, 100));
    auto expected = std::vector<std::string>{name_of(1), name_of(2), name_of(8), "notes.txt", "other.flight"};
    if (geteuid() == 0) expected.push_back(name_of(3));
    EXPECT_THAT(names_in(tree / "out"), testing::UnorderedElementsAreArray(expected));
    EXPECT_EQ(read_file(tree / "victim"), "precious");
}

TEST(DirectorySink, LinksPlantedUnderItsNamesAreReplacedNotFollowed) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1 << 20);
    const DumpFile dump = make_dump(tree / "spool", 1, 100);
    write_file(tree / "victim", "precious");
    symlink((tree / "victim").c_str(), (tree / "out" / dump.name).c_str());
    symlink((tree / "victim").c_str(), (tree / "out" / (dump.name + ".part")).c_str());
    expect_accepted(*sink, dump);
    EXPECT_EQ(read_file(tree / "victim"), "precious");
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(tree / "out" / dump.name)));
}

TEST(DirectorySink, ADirectoryThatBecameUnsafeIsRefusedAndItsErrorSaysSo) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1 << 20);
    const DumpFile dump = make_dump(tree / "spool", 1, 100);
    chmod((tree / "out").c_str(), 0777);
    auto delivery = sink->deliver(dump, no_cancel);
    ASSERT_FALSE(delivery);
    EXPECT_THAT(delivery.error().message, HasSubstr("chmod go-w"));
    chmod((tree / "out").c_str(), 0700);
    std::filesystem::rename(tree / "out", tree / "moved");
    symlink("moved", (tree / "out").c_str());
    delivery = sink->deliver(dump, no_cancel);
    ASSERT_FALSE(delivery);
    EXPECT_THAT(delivery.error().message, HasSubstr("symbolic link"));
    EXPECT_TRUE(names_in(tree / "moved").empty());
}

TEST(DirectorySink, AFullDiskLosesNothingOlderAndLeavesNoPart) {
    const TempDir tree;
    if (!mount_tmpfs(tree / "out", 1 << 20)) GTEST_SKIP() << "needs the right to mount";
    const auto sink = sink_at(tree / "out", 10, 1 << 24);
    expect_accepted(*sink, make_dump(tree / "spool", 1, 600'000));
    const auto delivery = sink->deliver(make_dump(tree / "spool", 2, 600'000), no_cancel);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().code, Code::no_space);
    EXPECT_THAT(delivery.error().message, HasSubstr("free some space"));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(1)));
    EXPECT_EQ(read_file(tree / "out" / name_of(1)), content(600'000, 1));
}

TEST(DirectorySink, AFullDiskGivesUpFirstWhatTheLimitsWouldRemoveAnyway) {
    const TempDir tree;
    if (!mount_tmpfs(tree / "out", 1 << 20)) GTEST_SKIP() << "needs the right to mount";
    const auto sink = sink_at(tree / "out", 1, 1 << 24);
    expect_accepted(*sink, make_dump(tree / "spool", 1, 600'000));
    expect_accepted(*sink, make_dump(tree / "spool", 2, 600'000));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(2)));
}

TEST(DirectorySink, ADumpOverTheByteLimitIsRefusedAndRemovesNothing) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1000);
    expect_accepted(*sink, make_dump(tree / "spool", 1, 900));
    const auto delivery = sink->deliver(make_dump(tree / "spool", 2, 1001), no_cancel);
    ASSERT_TRUE(delivery);
    EXPECT_EQ(delivery->answer, Answer::refused);
    EXPECT_THAT(delivery->detail, HasSubstr("raise its limit"));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(1)));
}

TEST(DirectorySink, OldUnfinishedCopiesAreRemovedAtStart) {
    const TempDir tree;
    const std::string part = name_of(1) + ".part", fresh = name_of(2) + ".part";
    mkdir((tree / "out").c_str(), 0700);
    write_file(tree / "out" / part, "half");
    write_file(tree / "out" / fresh, "half");
    write_file(tree / "out/film.part", "mine");
    const timespec old[2] = {{1'000'000, 0}, {1'000'000, 0}};
    utimensat(AT_FDCWD, (tree / "out" / part).c_str(), old, 0);
    utimensat(AT_FDCWD, (tree / "out/film.part").c_str(), old, 0);
    const auto sink = sink_at(tree / "out", 10, 1000);
    EXPECT_THAT(names_in(tree / "out"), UnorderedElementsAre(fresh, "film.part"));
}

TEST(DirectorySink, ARemovedDirectoryIsMadeAgain) {
    const TempDir tree;
    const auto sink = sink_at(tree / "out", 10, 1 << 20);
    std::filesystem::remove_all(tree / "out");
    expect_accepted(*sink, make_dump(tree / "spool", 1, 100));
    EXPECT_THAT(names_in(tree / "out"), ElementsAre(name_of(1)));
}

}  // namespace
}  // namespace flightrec::ship::test
