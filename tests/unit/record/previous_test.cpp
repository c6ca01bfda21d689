// SPDX-License-Identifier: Apache-2.0
// What an earlier recorder left: its window, and the kernel log that pstore keeps over a panic.
#include "userspace/record/previous.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/unit/flight/support.h"
#include "userspace/flight/block.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/window.h"

namespace flightrec::record {
namespace {

TEST(Pstore, LinesWithLevelAndStamp) {
    const auto lines = parse_pstore(
        "Panic#1 Part1\n<4>[   12.345678] sysrq: Trigger a crash\n<0>[   12.400001] Kernel panic - not syncing: x\n");
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].level, 4U);
    EXPECT_EQ(lines[0].time_ns, 12'345'678'000U);
    EXPECT_EQ(lines[0].text, "sysrq: Trigger a crash");
    EXPECT_EQ(lines[1].level, 0U);
    EXPECT_EQ(lines[1].time_ns, 12'400'001'000U);
}

TEST(Pstore, WhatIsNoLineIsPassedOver) {
    EXPECT_TRUE(parse_pstore("").empty());
    EXPECT_TRUE(parse_pstore("<4>").empty());
    EXPECT_TRUE(parse_pstore("<4>[").empty());
    EXPECT_TRUE(parse_pstore("<4>[] ").empty());
    EXPECT_TRUE(parse_pstore("<4>[nan] x\n<4>[-1] x\n<4>[1e300] x\n<4] [>\n").empty());
    EXPECT_TRUE(parse_pstore(std::string_view("\0<4>[ 1.0] x\n", 13)).empty());
    EXPECT_EQ(parse_pstore("<4>[    1.000000] no newline at the end").size(), 1U);
}

// A recorder's window with one event, as SIGTERM leaves it.
void make_window(const std::filesystem::path& path, const std::string& version, const std::string& config_hash) {
    const nlohmann::json info = {
        {"identity",
         {{"boot_id", "of some boot"}, {"recorder", {{"version", version}, {"config_hash", config_hash}}}}}};
    flight::WindowConfig config;
    config.path = path;
    config.size = 4u << 20;
    auto window = flight::Window::create(config, info.dump());
    ASSERT_TRUE(window) << window.error().message;
    flight::EventBuilder builder;
    auto& marker = builder.begin<fr_marker>(FR_CLASS_MARKER);
    marker.event.time_ns = 5'000'000'000;
    marker.kind = FR_MARKER_STOP;
    auto encoder = flight::EventBlockEncoder::make(64u << 10);
    ASSERT_TRUE(encoder && encoder->add(builder.bytes(), 0));
    ASSERT_TRUE(window->append(FR_TRACK_VITAL, encoder->finish()));
}

class Previous : public testing::Test {
  protected:
    flight::test::TempDir dir;
    const std::filesystem::path path = dir / "w.flight", aside = dir / "w.flight.previous";
    const SystemPaths paths;
    std::string story(const Result<PreviousWindow>& found) {
        return found ? found->story("2", "new", clock_pair(), false) : found.error().message;
    }
};

TEST_F(Previous, OfAnotherVersionAndConfigurationIsSaid) {
    make_window(path, "1", "old");
    const std::string said = story(PreviousWindow::set_aside(path, paths));
    EXPECT_NE(said.find("made by flightrec 1, this is 2"), std::string::npos) << said;
    EXPECT_NE(said.find("the configuration is another"), std::string::npos) << said;
    EXPECT_NE(said.find("nothing is recorded of the "), std::string::npos) << said;
    EXPECT_TRUE(flight::FlightFile::open(aside));
}

TEST_F(Previous, OfTheSameVersionAndConfigurationSaysNothingOfThem) {
    make_window(path, "2", "new");
    const std::string said = story(PreviousWindow::set_aside(path, paths));
    EXPECT_EQ(said.find("made by"), std::string::npos) << said;
    EXPECT_EQ(said.find("configuration"), std::string::npos) << said;
    EXPECT_EQ(said.find("given up"), std::string::npos) << said;
}

TEST_F(Previous, AnOlderOneThatGivesWayIsNotLostSilently) {
    make_window(aside, "1", "old");
    make_window(path, "2", "new");
    const std::string said = story(PreviousWindow::set_aside(path, paths));
    EXPECT_NE(said.find("the window before that, from "), std::string::npos) << said;
}

// After a roll-back to an older program the machine is recorded all the same.
TEST_F(Previous, OfANewerFormatIsSetAsideUnread) {
    make_window(path, "9", "old");
    auto bytes = flight::test::read_file(path);
    fr_file_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    header.version = FR_FORMAT_VERSION + 1;
    header.hash = flight::header_hash(header);
    std::memcpy(bytes.data(), &header, sizeof header);
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
    const auto found = PreviousWindow::set_aside(path, paths);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_NE(story(found).find("another version of the format"), std::string::npos) << story(found);
    EXPECT_FALSE(found->worth_shipping());
    EXPECT_EQ(flight::test::read_file(aside), bytes);
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(Previous, AnEmptyFileDoesNotKeepTheRecorderFromStarting) {
    std::ofstream(path).flush();
    const auto found = PreviousWindow::set_aside(path, paths);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_TRUE(found->replaceable());
    EXPECT_FALSE(found->found());
}

TEST_F(Previous, OurMagicAndNothingReadableIsSetAsideBesideTheOneBefore) {
    for (const char* name : {"w.flight.unreadable", "w.flight.unreadable.2"}) {
        std::ofstream(path) << std::string_view(FR_FILE_MAGIC, sizeof(fr_file_header::magic)) << "then nothing";
        const auto found = PreviousWindow::set_aside(path, paths);
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_FALSE(found->found());
        EXPECT_TRUE(std::filesystem::exists(dir / name)) << name;
    }
}

TEST_F(Previous, WhatIsNoWindowIsLeftAlone) {
    std::ofstream(path) << "precious";
    const auto found = PreviousWindow::set_aside(path, paths);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Code::usage);
    EXPECT_EQ(flight::test::read_file(path).size(), 8U);
}

}  // namespace
}  // namespace flightrec::record
