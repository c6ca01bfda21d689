// SPDX-License-Identifier: Apache-2.0
// The spool: survives restarts, damage, full disks and strangers.
#include "userspace/ship/spool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::vector<std::string> two_sinks{"/dumps", "https://h/"};

SpoolConfig config_at(const std::filesystem::path& dir, uint64_t bytes = 1 << 20, uint32_t incidents = 10,
                      uint64_t reserve = 0) {
    return {dir, bytes, incidents, reserve};
}

std::unique_ptr<Spool> open_spool(const SpoolConfig& config, const std::vector<std::string>& sinks = two_sinks) {
    auto spool = Spool::open(config, sinks);
    if (!spool) throw std::runtime_error(spool.error().message);
    return std::move(*spool);
}

Result<DumpFile> put(Spool& spool, const Incident& incident, uint64_t size) {
    FR_ASSIGN(SpoolWriter writer, spool.begin(incident, size));
    const std::string bytes = content(size, static_cast<unsigned>(incident.number));
    const auto all = std::as_bytes(std::span(bytes));
    FR_TRY(writer.write(all.first(size / 2)));
    FR_TRY(writer.write(all.subspan(size / 2)));
    return writer.commit();
}
DumpFile put(Spool& spool, uint64_t number, uint64_t size = 1000) {
    auto dump = put(spool, make_incident(number), size);
    if (!dump) throw std::runtime_error(dump.error().message);
    return *dump;
}

Standing with_state(DeliveryState state, uint32_t attempts = 1, const std::string& error = "") {
    return {state, attempts, 0, error};
}

std::vector<std::string> dumps_in(const std::filesystem::path& dir) {
    auto names = names_in(dir);
    std::erase_if(names, [](const std::string& name) { return !name.ends_with(".flight"); });
    return names;
}

TEST(Spool, ADumpIsThereWithItsFactsOnceCommitted) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    const DumpFile dump = put(*spool, 1, 5000);
    EXPECT_EQ(dump.size, 5000u);
    EXPECT_NE(dump.hash, 0u);
    EXPECT_EQ(read_file(dump.path), content(5000, 1));
    EXPECT_THAT(names_in(tree / "s"), Contains(dump.name.substr(0, dump.name.size() - 7) + ".json"));
    struct stat st {};
    ASSERT_EQ(stat(dump.path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777u, 0600u);
    EXPECT_EQ(spool->pending(0), 1u);
    EXPECT_EQ(spool->counters().bytes, 5000u);
}

TEST(Spool, AnUncommittedDumpLeavesNothing) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    {
        auto writer = spool->begin(make_incident(1), 1000);
        ASSERT_TRUE(writer);
        ASSERT_TRUE(writer->write(std::as_bytes(std::span("half"))));
        EXPECT_THAT(names_in(tree / "s"), Contains(HasSubstr(".part")));
    }
    EXPECT_THAT(names_in(tree / "s"), ElementsAre("lock"));
    EXPECT_EQ(spool->pending(0), 0u);
}

TEST(Spool, ADumpThatNoDiskTakesIsKeptInMemory) {
    const TempDir dir;
    SpoolConfig config = config_at(dir.path() / "spool");
    config.memory_bytes = 5000;
    const auto spool = open_spool(config);
    std::filesystem::remove_all(dir.path() / "spool");
    const DumpFile dump = put(*spool, 1, 3000);
    EXPECT_EQ(spool->pending(0), 1U);
    const auto next = spool->next(0, 0);
    ASSERT_TRUE(next.dump);
    const auto fd = next.dump->open();
    ASSERT_TRUE(fd) << fd.error().message;
    std::string bytes(4000, '\0');
    EXPECT_EQ(pread(fd->get(), bytes.data(), bytes.size(), 0), 3000);
    bytes.resize(3000);
    EXPECT_EQ(bytes, content(3000, 1));
    // There is no memory for a second one until the first is delivered.
    EXPECT_FALSE(put(*spool, make_incident(2), 3000));
    for (const size_t sink : {0, 1}) spool->settle(dump.incident.id(), sink, with_state(DeliveryState::delivered));
    EXPECT_EQ(spool->counters().incidents, 0U);
    EXPECT_FALSE(dump.open());
    EXPECT_TRUE(put(*spool, make_incident(2), 3000));
}

TEST(Spool, IsEmptyWhenEverySinkHasTheDump) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    const DumpFile dump = put(*spool, 1);
    spool->settle(dump.incident.id(), 0, with_state(DeliveryState::delivered));
    EXPECT_TRUE(std::filesystem::exists(dump.path));
    EXPECT_EQ(spool->pending(0), 0u);
    EXPECT_EQ(spool->pending(1), 1u);
    spool->settle(dump.incident.id(), 1, with_state(DeliveryState::delivered));
    EXPECT_THAT(names_in(tree / "s"), ElementsAre("lock"));
    EXPECT_EQ(spool->counters().incidents, 0u);
    EXPECT_EQ(spool->counters().bytes, 0u);
}

TEST(Spool, ARestartKeepsDumpsFactsAndStandings) {
    const TempDir tree;
    Incident incident = make_incident(1);
    incident.host = "caf\xe9\x1b[31m";
    std::string id;
    {
        const auto spool = open_spool(config_at(tree / "s"));
        const auto dump = put(*spool, incident, 3000);
        ASSERT_TRUE(dump);
        id = incident.id();
        spool->settle(id, 0, with_state(DeliveryState::delivered));
        spool->settle(id, 1, with_state(DeliveryState::pending, 4, "no route\nto host"));
    }
    const auto spool = open_spool(config_at(tree / "s"));
    EXPECT_EQ(spool->pending(0), 0u);
    EXPECT_EQ(spool->pending(1), 1u);
    EXPECT_EQ(spool->standing(id, 1)->attempts, 4u);
    EXPECT_EQ(spool->standing(id, 1)->last_error, "no route\\nto host");
    const auto next = spool->next(1, 0);
    ASSERT_TRUE(next.dump);
    EXPECT_EQ(next.dump->incident.id(), id);
    EXPECT_EQ(next.dump->incident.summary, incident.summary);
    EXPECT_EQ(next.dump->incident.facts, incident.facts);
    EXPECT_EQ(next.dump->incident.labels, incident.labels);
    EXPECT_EQ(next.dump->incident.host, "caf\\351\\33[31m");
    EXPECT_EQ(next.dump->incident.realtime_ns, incident.realtime_ns);
    EXPECT_EQ(next.dump->incident.file_name(), incident.file_name());
    EXPECT_EQ(next.dump->size, 3000u);
    EXPECT_NE(next.dump->hash, 0u);
}

TEST(Spool, ANewDestinationGetsWhatWaitsAndAFormerOneIsForgotten) {
    const TempDir tree;
    std::string id;
    {
        const auto spool = open_spool(config_at(tree / "s"));
        id = put(*spool, 1).incident.id();
        spool->settle(id, 0, with_state(DeliveryState::delivered));
    }
    {
        const auto spool = open_spool(config_at(tree / "s"), {"/other", "/dumps"});
        EXPECT_EQ(spool->pending(0), 1u);
        EXPECT_EQ(spool->pending(1), 0u);
    }
    // Only the sink that has it already is left: there is nothing to wait for.
    const auto spool = open_spool(config_at(tree / "s"), {"/dumps"});
    EXPECT_EQ(spool->pending(0), 0u);
    EXPECT_THAT(dumps_in(tree / "s"), IsEmpty());
}

TEST(Spool, WhatWasRefusedIsTriedAgainAfterARestart) {
    const TempDir tree;
    std::string id;
    {
        const auto spool = open_spool(config_at(tree / "s"));
        id = put(*spool, 1).incident.id();
        spool->settle(id, 0, with_state(DeliveryState::delivered));
        Standing refused = with_state(DeliveryState::refused, 1, "404");
        refused.next_attempt_ns = 5000;
        spool->settle(id, 1, refused);
        spool->make_due(1, 0);
        EXPECT_EQ(spool->refused(1), 1u);
        EXPECT_EQ(spool->pending(1), 0u);
        EXPECT_FALSE(spool->next(1, 4999).dump);
        EXPECT_EQ(spool->next(1, 4999).due_ns, 5000u);
        EXPECT_TRUE(spool->next(1, 5000).dump) << "nobody can log in to say that it was put right";
        EXPECT_THAT(dumps_in(tree / "s"), Not(IsEmpty()));
    }
    const auto spool = open_spool(config_at(tree / "s"));
    EXPECT_EQ(spool->pending(1), 1u);
    EXPECT_EQ(spool->standing(id, 1)->last_error, "404");
}

TEST(Spool, DropsTheOldestBeyondTheCountAndCountsThemForEver) {
    const TempDir tree;
    {
        const auto spool = open_spool(config_at(tree / "s", 1 << 20, 2));
        for (uint64_t i = 1; i <= 5; ++i) put(*spool, i);
        EXPECT_EQ(spool->counters().dropped, 3u);
        EXPECT_THAT(dumps_in(tree / "s"), ElementsAre(make_incident(4).file_name(), make_incident(5).file_name()));
    }
    const auto spool = open_spool(config_at(tree / "s", 1 << 20, 1));
    EXPECT_EQ(spool->counters().dropped, 4u) << "the limit was lowered";
    EXPECT_EQ(spool->pending(0), 1u);
}

TEST(Spool, DropsTheOldestBeyondTheBytesOnlyOnceTheNewOneStands) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s", 2500));
    put(*spool, 1);
    put(*spool, 2);
    {
        auto writer = spool->begin(make_incident(3), 1000);
        ASSERT_TRUE(writer);
        EXPECT_EQ(dumps_in(tree / "s").size(), 2u);
    }
    EXPECT_EQ(dumps_in(tree / "s").size(), 2u) << "the new one was given up: nothing may be lost for it";
    put(*spool, 3);
    EXPECT_THAT(dumps_in(tree / "s"), ElementsAre(make_incident(2).file_name(), make_incident(3).file_name()));
    EXPECT_EQ(spool->counters().bytes, 2000u);
}

TEST(Spool, ADumpOverTheLimitIsAnErrorAndDropsNothing) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s", 2500));
    put(*spool, 1);
    EXPECT_EQ(spool->begin(make_incident(2), 2501).error().code, Code::no_space);
    auto writer = spool->begin(make_incident(2), 0);
    ASSERT_TRUE(writer);
    const std::string bytes = content(2501, 2);
    ASSERT_TRUE(writer->write(std::as_bytes(std::span(bytes))));
    const auto committed = writer->commit();
    ASSERT_FALSE(committed);
    EXPECT_THAT(committed.error().message, HasSubstr("raise its limit"));
    EXPECT_THAT(dumps_in(tree / "s"), ElementsAre(make_incident(1).file_name()));
}

TEST(Spool, TheSameIncidentTwiceIsOne) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    const DumpFile dump = put(*spool, 1, 1000);
    spool->enlist(dump);
    put(*spool, 1, 1500);
    EXPECT_EQ(spool->pending(0), 1u);
    EXPECT_EQ(spool->counters().bytes, 1500u);
    EXPECT_EQ(spool->counters().incidents, 1u);
}

TEST(Spool, NextPrefersWhatWasTriedLeastThenTheOldest) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    for (uint64_t i = 1; i <= 3; ++i) put(*spool, i);
    EXPECT_EQ(spool->next(0, 100).dump->incident.number, 1u);
    Standing failed = with_state(DeliveryState::pending, 1, "500");
    failed.next_attempt_ns = 1000;
    spool->settle(make_incident(1).id(), 0, failed);
    EXPECT_EQ(spool->next(0, 2000).dump->incident.number, 2u) << "one that fails must not block the others";
    EXPECT_EQ(spool->next(1, 100).dump->incident.number, 1u);
    spool->settle(make_incident(2).id(), 0, with_state(DeliveryState::delivered));
    spool->settle(make_incident(3).id(), 0, with_state(DeliveryState::delivered));
    EXPECT_FALSE(spool->next(0, 999).dump);
    EXPECT_EQ(spool->next(0, 999).due_ns, 1000u);
    EXPECT_TRUE(spool->next(0, 1000).dump);
    spool->make_due(0, 500);
    EXPECT_FALSE(spool->next(0, 499).dump);
    EXPECT_TRUE(spool->next(0, 500).dump);
}

TEST(Spool, ADamagedStateFileIsSetAsideAndItsDumpStillSent) {
    const TempDir tree;
    std::string json_name;
    {
        const auto spool = open_spool(config_at(tree / "s"));
        json_name = put(*spool, 1).name;
        json_name = json_name.substr(0, json_name.size() - 7) + ".json";
    }
    const std::string good = read_file(tree / "s" / json_name);
    std::vector<std::string> damaged{"",
                                     "{",
                                     "null",
                                     "[]",
                                     "\"x\"",
                                     "{\"hash\":1,\"state\":{}}",
                                     "{\"state\":{}}",
                                     "{\"hash\":\"0\",\"state\":[]}",
                                     std::string(1 << 20, '['),
                                     std::string(100, '\0')};
    for (size_t cut = 0; cut < good.size() - 1; cut += 7) damaged.push_back(good.substr(0, cut));
    for (size_t at = 0; at < good.size() - 1; at += 5) {
        std::string flipped = good;
        flipped[at] = static_cast<char>(flipped[at] ^ 1);
        damaged.push_back(flipped);
    }
    for (const auto& bytes : damaged) {
        write_file(tree / "s" / json_name, bytes);
        const auto spool = open_spool(config_at(tree / "s"));
        ASSERT_EQ(spool->counters().set_aside, 1u) << bytes;
        ASSERT_EQ(spool->pending(0), 1u) << bytes;
        ASSERT_EQ(spool->next(0, 0).dump->incident.id(), make_incident(1).id());
    }
    EXPECT_LE(names_in(tree / "s").size(), 20u) << "what was set aside does not pile up";
}

TEST(Spool, AStateFileOfAnotherDumpIsNotBelieved) {
    const TempDir tree;
    std::string one, two;
    {
        const auto spool = open_spool(config_at(tree / "s"));
        Incident second = make_incident(2);
        second.realtime_ns = make_incident(1).realtime_ns;  // only the number differs
        one = put(*spool, 1).name;
        two = put(*spool, second, 1000)->name;
        spool->settle(make_incident(1).id(), 0, with_state(DeliveryState::delivered));
    }
    const auto json_of = [&](const std::string& name) {
        return tree / "s" / (name.substr(0, name.size() - 7) + ".json");
    };
    std::filesystem::copy_file(json_of(one), json_of(two), std::filesystem::copy_options::overwrite_existing);
    const auto spool = open_spool(config_at(tree / "s"));
    EXPECT_EQ(spool->counters().set_aside, 1u);
    EXPECT_EQ(spool->standing(make_incident(2).id(), 0)->state, DeliveryState::pending);
}

TEST(Spool, RemaindersOfAKilledRecorderAreCleanedUp) {
    const TempDir tree;
    mkdir((tree / "s").c_str(), 0700);
    const std::string name = make_incident(1).file_name();
    const std::string stem = name.substr(0, name.size() - 7);
    write_file(tree / "s" / (make_incident(2).file_name() + ".part"), "half");
    write_file(tree / "s" / (stem + ".json"), "{}");  // its dump is gone
    write_file(tree / "s" / (stem + ".json.part"), "{");
    write_file(tree / "s/reserve.part", "");
    write_file(tree / "s" / make_incident(3).file_name(), "a dump without its state");
    write_file(tree / "s/notes.txt", "not ours");
    const auto spool = open_spool(config_at(tree / "s"));
    EXPECT_EQ(spool->counters().interrupted, 1u);
    EXPECT_THAT(names_in(tree / "s"), testing::UnorderedElementsAre("lock", "notes.txt", make_incident(3).file_name()));
    ASSERT_TRUE(spool->next(0, 0).dump);
    EXPECT_EQ(spool->next(0, 0).dump->incident.number, 3u);
}

// Ships one dump after another until it is killed.
[[noreturn]] void write_dumps_until_killed(const std::filesystem::path& dir, int ready) {
    const auto spool = open_spool(config_at(dir, 1 << 20, 5, 200'000));
    for (uint64_t i = 1;; ++i) {
        put(*spool, i, 50'000 + i);
        if (i == 2) (void)!write(ready, "x", 1);
        spool->settle(make_incident(i).id(), 0, with_state(DeliveryState::delivered));
        if (i % 3 == 0) spool->settle(make_incident(i).id(), 1, with_state(DeliveryState::delivered));
    }
}

TEST(Spool, AKillAtAnyMomentLeavesOnlyWholeDumps) {
    const TempDir tree;
    std::minstd_rand random(7);
    for (int round = 0; round < 25; ++round) {
        int ready[2];
        ASSERT_EQ(pipe(ready), 0);
        const pid_t child = fork();
        if (child == 0) write_dumps_until_killed(tree / "s", ready[1]);
        char byte = 0;
        ASSERT_EQ(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        const timespec nap{0, static_cast<long>(random() % 20'000'000)};
        nanosleep(&nap, nullptr);
        kill(child, SIGKILL);
        ASSERT_EQ(waitpid(child, nullptr, 0), child);
        const auto spool = open_spool(config_at(tree / "s", 1 << 20, 5));
        EXPECT_EQ(spool->counters().set_aside, 0u);
        const auto dumps = dumps_in(tree / "s");
        EXPECT_LE(dumps.size(), 5u);
        EXPECT_EQ(spool->counters().incidents, dumps.size());
        for (const auto& name : dumps) {
            const uint64_t number = incident_of_file_name(name)->number;
            EXPECT_TRUE(read_file(tree / "s" / name) == content(50'000 + number, static_cast<unsigned>(number)))
                << name;
            EXPECT_TRUE(spool->standing(make_incident(number).id(), 1));
        }
    }
}

TEST(Spool, ASecondRecorderIsRefused) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s"));
    const auto second = Spool::open(config_at(tree / "s"), two_sinks);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::busy);
    EXPECT_THAT(second.error().message, HasSubstr("another recorder"));
}

TEST(Spool, RefusesADirectoryThatOthersCanEnter) {
    const TempDir tree;
    mkdir((tree / "s").c_str(), 0700);
    chmod((tree / "s").c_str(), 0755);
    const auto spool = Spool::open(config_at(tree / "s"), two_sinks);
    ASSERT_FALSE(spool);
    EXPECT_THAT(spool.error().message, HasSubstr("chmod 700"));
}

TEST(Spool, LinksInTheSpoolAreIgnoredNotFollowed) {
    const TempDir tree;
    mkdir((tree / "s").c_str(), 0700);
    write_file(tree / "secret", "precious");
    symlink((tree / "secret").c_str(), (tree / "s" / make_incident(1).file_name()).c_str());
    symlink((tree / "secret").c_str(), (tree / "s/spool.json").c_str());
    const auto spool = open_spool(config_at(tree / "s"));
    EXPECT_EQ(spool->pending(0), 0u);
    EXPECT_EQ(read_file(tree / "secret"), "precious");
}

TEST(Spool, TheReserveTakesADumpWhenTheDiskIsFull) {
    const TempDir tree;
    if (!mount_tmpfs(tree / "s", 1 << 20)) GTEST_SKIP() << "needs the right to mount";
    const auto spool = open_spool(config_at(tree / "s", 600'000, 10, 500'000));
    ASSERT_TRUE(spool->counters().reserve_ready);
    // Somebody else fills the disk to the last block.
    const Fd filler(open((tree / "s/filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const std::string page(4096, 'x');
    while (write(filler.get(), page.data(), page.size()) > 0) {
    }
    const auto dump = put(*spool, make_incident(1), 480'000);
    ASSERT_TRUE(dump) << dump.error().message;
    EXPECT_EQ(read_file(dump->path), content(480'000, 1));
    EXPECT_EQ(spool->pending(0), 1u);
    EXPECT_FALSE(spool->counters().reserve_ready);
    // No reserve, no room: a clear error, and the first one stays.
    const auto second = put(*spool, make_incident(2), 480'000);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::no_space);
    EXPECT_THAT(second.error().message, HasSubstr("No space left"));
    EXPECT_THAT(dumps_in(tree / "s"), ElementsAre(dump->name));
    // Room again.
    std::filesystem::remove(tree / "s/filler");
    ftruncate(filler.get(), 0);
    spool->renew_reserve();
    EXPECT_TRUE(spool->counters().reserve_ready);
}

TEST(Spool, TheReserveNeedsNoFreeFileDescriptorToStart) {
    const TempDir tree;
    const auto spool = open_spool(config_at(tree / "s", 600'000, 10, 100'000));
    std::vector<Fd> all;
    for (int fd = 0; (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) all.emplace_back(fd);
    auto writer = spool->begin(make_incident(1), 1000);
    ASSERT_TRUE(writer) << writer.error().message;
    ASSERT_TRUE(writer->write(std::as_bytes(std::span("x"))));
    const auto dump = writer->commit();
    ASSERT_TRUE(dump) << dump.error().message;  // only its facts could not be written
    all.clear();
    EXPECT_EQ(spool->pending(0), 1u);
}

}  // namespace
}  // namespace flightrec::ship::test
