// SPDX-License-Identifier: Apache-2.0
// The configuration: defaults are good, each bad value is refused in one line that names it.
#include "userspace/record/config.h"

#include <gtest/gtest.h>

namespace flightrec::record {
namespace {

TEST(Config, DefaultsAreValid) { EXPECT_TRUE(validate(Config{})); }

TEST(Config, EachBadValueIsNamed) {
    struct Case {
        const char* named;
        void (*spoil)(Config&);
    };
    const Case cases[] = {
        {"--window-size", [](Config& c) { c.window_size = 1 << 20; }},
        {"--window", [](Config& c) { c.window_path = "relative"; }},
        {"--vital-share", [](Config& c) { c.vital_share = 1.5; }},
        {"--vital-ring", [](Config& c) { c.vital_ring = 100'000; }},
        {"--syscall-ring", [](Config& c) { c.syscall_ring = 4096; }},
        {"destination", [](Config& c) { c.destinations.clear(); }},
        {"destination", [](Config& c) { c.destinations = {""}; }},
        {"spool size", [](Config& c) { c.spool_size = 1; }},
        {"scope", [](Config& c) { c.scope = {"no/slash"}; }},
        {"syscalls", [](Config& c) { c.syscalls = ""; }},
        {"explosions", [](Config& c) { c.classes_off = {"explosions"}; }},
        {"--sample-period", [](Config& c) { c.sample_period = 1; }},
        {"top processes", [](Config& c) { c.top_processes = 0; }},
        {"tail", [](Config& c) { c.triggers.tail_ns = UINT64_MAX; }},
        {"debounce", [](Config& c) { c.triggers.debounce_ns = UINT64_MAX; }},
        {"incidents per hour", [](Config& c) { c.triggers.per_hour = 0; }},
        {"label",
         [](Config& c) {
             c.labels = {{"bad key", "x"}};
         }},
        {"instance id", [](Config& c) { c.instance_id = "\x1b[2J"; }},
        {"control path", [](Config& c) { c.control_path = ""; }},
        {"budget", [](Config& c) { c.budget_percent = -1; }},
    };
    for (const auto& test : cases) {
        Config config;
        test.spoil(config);
        const auto result = validate(config);
        ASSERT_FALSE(result) << test.named;
        EXPECT_EQ(result.error().code, Code::usage) << test.named;
        EXPECT_NE(result.error().message.find(test.named), std::string::npos) << result.error().message;
        EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    }
}

TEST(Config, ATooSmallWindowSaysHowLargeItMustBe) {
    Config config;
    config.window_size = 1 << 20;
    EXPECT_EQ(validate(config).error().message, "--window-size is 1.0 MiB: it must be from 4.0 MiB to 1.0 TiB");
}

TEST(Config, SecretsOfDestinationsAreLeftOut) {
    EXPECT_EQ(without_secrets("https://user:pw@host:1/p/@x?token=s#f"), "https://host:1/p/@x");
    EXPECT_EQ(without_secrets("https://host"), "https://host");
    EXPECT_EQ(without_secrets("https://a@host?x"), "https://host");
    EXPECT_EQ(without_secrets("/var/dumps"), "/var/dumps");
    Config config;
    config.destinations = {"https://user:secret@host/?token=hidden"};
    const std::string text = to_json(config).dump();
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(text.find("hidden"), std::string::npos);
}

TEST(Config, TheHashFollowsEverySetting) {
    const Config plain;
    EXPECT_EQ(config_hash(plain).size(), 16u);
    EXPECT_EQ(config_hash(plain), config_hash(Config{}));
    Config config;
    config.triggers.tail_ns += 1;
    EXPECT_NE(config_hash(config), config_hash(plain));
    config = {};
    config.labels["a"] = "b";
    EXPECT_NE(config_hash(config), config_hash(plain));
}

}  // namespace
}  // namespace flightrec::record
