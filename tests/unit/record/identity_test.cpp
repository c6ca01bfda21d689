// SPDX-License-Identifier: Apache-2.0
// Who recorded: the machine's own words, made safe.
#include "userspace/record/identity.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include "tests/unit/record/fake_tree.h"

namespace flightrec::record {
namespace {

TEST(OsRelease, QuotesEscapesAndComments) {
    const auto values = parse_os_release(
        "# comment\nID=debian\nPRETTY_NAME=\"Debian \\\"12\\\"\"\nIMAGE_ID='web "
        "node'\nEMPTY=\nbroken\nIMAGE_VERSION=2026.11\n");
    EXPECT_EQ(values.at("ID"), "debian");
    EXPECT_EQ(values.at("PRETTY_NAME"), "Debian \"12\"");
    EXPECT_EQ(values.at("IMAGE_ID"), "web node");
    EXPECT_EQ(values.at("EMPTY"), "");
    EXPECT_EQ(values.at("IMAGE_VERSION"), "2026.11");
    EXPECT_EQ(values.size(), 5u);
}

TEST(BuildId, FromNotesEvenDamagedOnes) {
    const auto word = [](uint32_t v) { return std::string(reinterpret_cast<const char*>(&v), 4); };
    const std::string other =
        word(6) + word(4) + word(0x101) + std::string("Linux\0\0\0", 8) + std::string("\1\2\3\4", 4);
    const std::string build =
        word(4) + word(4) + word(3) + std::string("GNU\0", 4) + std::string("\xde\xad\xbe\xef", 4);
    EXPECT_EQ(build_id_of_notes(other + build), "deadbeef");
    EXPECT_EQ(build_id_of_notes(other), "");
    for (size_t n = 0; n < build.size(); ++n) EXPECT_EQ(build_id_of_notes(build.substr(0, n)), "") << n;
    EXPECT_EQ(build_id_of_notes(word(0xffffffff) + word(0xffffffff) + word(3) + "GNU"), "");
}

TEST(MachineId, IsHashedWithTheApplication) {
    const std::string hashed = hashed_machine_id("0123456789abcdef0123456789abcdef\n");
    EXPECT_EQ(hashed.size(), 32u);
    EXPECT_EQ(hashed[12], '4') << "marked as a random UUID";
    EXPECT_NE(std::string("89ab").find(hashed[16]), std::string::npos);
    // printf 5c1e943ad7064b8fa26d30e971bc5804 | xxd -r -p |
    //   openssl dgst -sha256 -mac HMAC -macopt hexkey:0123456789abcdef0123456789abcdef
    EXPECT_EQ(hashed, "b273857de8074efebfdf629ecaa34603");
    EXPECT_NE(hashed, hashed_machine_id("0123456789abcdef0123456789abcde0"));
    EXPECT_EQ(hashed_machine_id("uninitialized"), "");
    EXPECT_EQ(hashed_machine_id(std::string(32, 'x')), "");
}

TEST(Label, IsKeyAndValue) {
    const auto label = parse_label("zone=eu-west 1=a");
    ASSERT_TRUE(label);
    EXPECT_EQ(label->first, "zone");
    EXPECT_EQ(label->second, "eu-west 1=a");
    EXPECT_TRUE(parse_label("a.b_c-d9="));
    for (const char* bad : {"", "zone", "=x", "9a=x", "a b=x", "../x=y", "a=\x01", "a=\xff", "a=b\nc"}) {
        const auto refused = parse_label(bad);
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().code, Code::usage);
        EXPECT_EQ(refused.error().message.find('\n'), std::string::npos);
    }
    EXPECT_FALSE(parse_label(std::string(64, 'k') + "=v"));
    EXPECT_FALSE(parse_label("k=" + std::string(256, 'v')));
}

TEST(Identity, FromAMadeUpMachine) {
    const FakeTree tree;
    tree.write("etc/os-release", "ID=debian\nIMAGE_ID=web\nIMAGE_VERSION=7\nVERSION_ID=\"12\"\n");
    tree.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    tree.write("proc/sys/kernel/hostname", "web-1\x1b[31m\n");
    tree.write("proc/sys/kernel/random/boot_id", "8d3f0c66-0000-4000-8000-000000000001\n");
    tree.write("proc/sys/kernel/osrelease", "6.1.0-cloud\n");
    tree.write("proc/sys/kernel/version", "#1 SMP\n");
    tree.write("proc/cmdline", "root=/dev/vda quiet\n");
    tree.write("proc/meminfo", "MemTotal: 2000 kB\n");
    tree.write("proc/cpuinfo", "processor : 0\nmodel name : Fast CPU\n");
    tree.write("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    tree.write("sys/class/dmi/id/product_name", "m5.large\n");
    tree.write("sys/class/dmi/id/board_asset_tag", "i-0abc\n");
    tree.write("sys/class/dmi/id/product_uuid", "ec2-uuid\n");
    IdentityInput input{.recorder_version = "0.1", .config_hash = "ff", .instance_id = "", .labels = {{"zone", "a"}}};
    auto id = read_identity(tree.paths(), input);
    EXPECT_EQ(id["hostname"], "web-1\\33[31m");
    EXPECT_EQ(id["os"]["image_id"], "web");
    EXPECT_EQ(id["os"]["image_version"], "7");
    EXPECT_EQ(id["boot_id"], "8d3f0c66-0000-4000-8000-000000000001");
    EXPECT_EQ(id["kernel"]["release"], "6.1.0-cloud");
    EXPECT_EQ(id["kernel"]["command_line"], "root=/dev/vda quiet");
    EXPECT_EQ(id["machine_id"].get<std::string>().size(), 32u);
    EXPECT_EQ(id["instance"]["id"], "i-0abc");
    EXPECT_EQ(id["instance"]["provider"], "aws");
    EXPECT_EQ(id["memory_bytes"], 2000 * 1024);
    EXPECT_EQ(id["cpus"]["model"], "Fast CPU");
    EXPECT_EQ(id["recorder"]["config_hash"], "ff");
    EXPECT_EQ(id["labels"]["zone"], "a");
    EXPECT_NO_THROW(id.dump());
    tree.write("var/lib/cloud/data/instance-id", "ci-1\n");
    EXPECT_EQ(read_identity(tree.paths(), input)["instance"]["id"], "ci-1");
    input.instance_id = "mine";
    EXPECT_EQ(read_identity(tree.paths(), input)["instance"]["id"], "mine");
    EXPECT_EQ(read_identity(tree.paths(), input)["instance"]["source"], "configuration");
}

TEST(Identity, AnEmptyMachineAndHostileBytesStillGiveJson) {
    const FakeTree tree;
    tree.write("etc/os-release", "ID=\xff\xfe\n");
    tree.write("proc/cmdline", std::string("a\0b\xff", 4));
    const auto id = read_identity(tree.paths(), {});
    EXPECT_NO_THROW(id.dump());
    EXPECT_FALSE(id.contains("machine_id"));
    EXPECT_FALSE(id.contains("instance"));
}

TEST(Identity, ThisMachine) {
    const auto id = read_identity({}, {.recorder_version = "test"});
    utsname name{};
    ::uname(&name);
    EXPECT_EQ(id["kernel"]["release"], name.release);
    EXPECT_EQ(id["kernel"]["architecture"], name.machine);
    EXPECT_EQ(id["boot_id"].get<std::string>().size(), 36u);
    EXPECT_TRUE(id["os"].contains("id"));
}

}  // namespace
}  // namespace flightrec::record
