// SPDX-License-Identifier: Apache-2.0
// The reading commands as a user meets them: exit codes, one clear line for each mistake, pipes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "userspace/flight/event_builder.h"
#include "userspace/flight/reader.h"
#include "userspace/flight/window.h"

namespace flightrec::cli {
namespace {

struct Ran {
    int code = -1;
    std::string out, err;
};

class CliTest : public ::testing::Test {
  protected:
    CliTest() {
        std::string name = (std::filesystem::temp_directory_path() / "cli-test-XXXXXX").string();
        dir_ = ::mkdtemp(name.data());
    }
    ~CliTest() override {
        std::error_code ignored;
        std::filesystem::remove_all(dir_, ignored);
    }
    Ran run(const std::string& arguments) { return shell(fmt::format("{} {}", FLIGHTREC_TOOL, arguments)); }
    Ran shell(const std::string& command) {
        const auto err = (dir_ / "stderr").string();
        FILE* pipe = ::popen(fmt::format("( {} ) 2>{}", command, err).c_str(), "r");
        Ran out;
        char piece[4096];
        for (size_t n = 0; (n = std::fread(piece, 1, sizeof piece, pipe)) != 0;) out.out.append(piece, n);
        const int status = ::pclose(pipe);
        out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        std::ifstream in(err);
        out.err.assign(std::istreambuf_iterator<char>(in), {});
        return out;
    }
    // One clear line, and nothing on the standard output.
    void refused(const std::string& arguments, int code, const std::string& message) {
        const Ran ran = run(arguments);
        EXPECT_EQ(ran.code, code) << arguments << "\n" << ran.err;
        EXPECT_EQ(ran.out, "") << arguments;
        EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << arguments << "\n" << ran.err;
        EXPECT_NE(ran.err.find(message), std::string::npos) << arguments << "\n" << ran.err;
    }
    // A window with kernel log lines and their ledger.
    std::string window(const std::string& name, size_t lines = 100) {
        const auto path = dir_ / name;
        flight::WindowConfig config;
        config.path = path;
        config.size = FR_WINDOW_SIZE_MIN;
        auto window = flight::Window::create(config, "{}");
        EXPECT_TRUE(window.has_value());
        auto encoder = flight::EventBlockEncoder::make(60000);
        flight::EventBuilder builder;
        for (size_t i = 0; i < lines; ++i) {
            builder.begin<fr_kmsg>(FR_CLASS_KMSG).event.time_ns = 1'000'000'000 + i;
            builder.blob(FR_BLOB_TEXT, fmt::format("line {}", i));
            if (encoder->add(builder.bytes(), 0)) continue;
            EXPECT_TRUE(window->append(FR_TRACK_VITAL, encoder->finish()).has_value());
            EXPECT_TRUE(encoder->add(builder.bytes(), 0));
        }
        auto& ledger = builder.begin<fr_ledger>(FR_CLASS_LEDGER);
        ledger.event.time_ns = 2'000'000'000;
        ledger.lines = FR_CLASS_COUNT;
        ledger.line[FR_CLASS_KMSG].produced = ledger.line[FR_CLASS_KMSG].stored = lines;
        ledger.line[FR_CLASS_LEDGER].produced = ledger.line[FR_CLASS_LEDGER].stored = 1;
        window->fill_ledger_position(ledger);
        if (!encoder->add(builder.bytes(), 0)) {
            EXPECT_TRUE(window->append(FR_TRACK_VITAL, encoder->finish()).has_value());
            EXPECT_TRUE(encoder->add(builder.bytes(), 0));
        }
        EXPECT_TRUE(window->append(FR_TRACK_VITAL, encoder->finish()).has_value());
        return path.string();
    }
    std::filesystem::path dir_;
};

TEST_F(CliTest, UsageErrorsAreOneLineAndExitWith2) {
    refused("", 2, "which command?");
    refused("repaly x", 2, "unknown command \"repaly\"");
    refused("--foo", 2, "unknown option --foo; see 'flightrec --help'");
    refused("replay", 2, "FILE is required");
    refused("replay --foo x", 2, "unknown option --foo; see 'flightrec replay --help'");
    refused("replay --foo=bar x", 2, "unknown option --foo;");
    refused("replay x y", 2, "unexpected argument \"y\"");
    refused("repaly x", 2, "did you mean replay?");
    refused("replay --falied x", 2, "unknown option --falied; did you mean --failed? See 'flightrec replay --help'");
    refused("replay x --time releative", 2,
            "--time: \"releative\" is none of relative, utc, boot, delta; did you mean relative?");
    refused("replay x --pid abc", 2, "--pid: \"abc\" is no number");
    refused("replay x --pid -1", 2, "--pid");
    refused("replay x --last 0", 2, "\"0\" is no positive number");
    refused("replay x --last x", 2, "\"x\" is no positive number");
    refused("replay x --color blue", 2, "--color");
    refused("replay x --follow --stats", 2, "exclude each other");
    refused("verify --pid 3 x", 2, "unknown option --pid; see 'flightrec verify --help'");
}

TEST_F(CliTest, ValuesOfFiltersAreCheckedAgainstTheFile) {
    const auto file = window("w.flight");
    refused("replay --class nope " + file, 2, "--class: there is no class \"nope\"");
    refused("replay --syscall opennat " + file, 2, "--syscall");
    refused("replay --errno ENOPE " + file, 2, "--errno");
    refused("replay --since tomorrow " + file, 2, "--since");
    refused("replay --slower-than fast " + file, 2, "--slower-than");
    refused("replay --incident 4 " + file, 3, "no such incident");
    refused("report --incident 4 " + file, 3, "no such incident");
}

TEST_F(CliTest, FilesThatCannotBeRead) {
    refused("replay " + (dir_ / "none").string(), 3, "there is no such file");
    refused("replay " + dir_.string(), 2, "is a directory");
    std::ofstream(dir_ / "empty");
    refused("report " + (dir_ / "empty").string(), 6, "is empty");
    std::ofstream(dir_ / "text") << "not a flight\n";
    refused("verify " + (dir_ / "text").string(), 6, "not a flight file");
    refused("replay " + (dir_ / "a\x1b[31m").string(), 3, "a\\33[31m");
}

TEST_F(CliTest, NewerFormatIsNamed) {
    const auto path = window("w.flight");
    {
        std::fstream raw(path, std::ios::in | std::ios::out | std::ios::binary);
        fr_file_header header;
        raw.read(reinterpret_cast<char*>(&header), sizeof header);
        header.version = 7;
        header.hash = 0;
        header.hash = flight::hash64(std::as_bytes(std::span(&header, 1)));
        raw.seekp(0);
        raw.write(reinterpret_cast<const char*>(&header), sizeof header);
    }
    refused("replay " + path, 5, "newer flightrec");
}

TEST_F(CliTest, FlightsFromPipesAndCompressedOnes) {
    const auto path = window("w.flight");
    const auto whole = run("replay --time boot " + path).out;
    ASSERT_EQ(std::count(whole.begin(), whole.end(), '\n'), 100);
    const auto same = [&](const std::string& command) {
        const Ran ran = shell(command);
        EXPECT_EQ(ran.code, 0) << command << ran.err;
        EXPECT_EQ(ran.out, whole) << command;
    };
    same(fmt::format("cat {} | {} replay --time boot -", path, FLIGHTREC_TOOL));
    same(fmt::format("{} replay --time boot - < {}", FLIGHTREC_TOOL, path));
    same(fmt::format("{} replay --time boot /dev/stdin < {}", FLIGHTREC_TOOL, path));
    ASSERT_EQ(shell(fmt::format("zstd -q -o {0}.zst {0}; gzip -k {0}", path)).code, 0);
    same(fmt::format("{} replay --time boot {}.zst", FLIGHTREC_TOOL, path));
    same(fmt::format("cat {}.zst | {} replay --time boot -", path, FLIGHTREC_TOOL));
    refused("replay " + path + ".gz", 2, "gunzip it first");
    const Ran cut = shell(fmt::format("head -c 400 {}.zst | {} replay -", path, FLIGHTREC_TOOL));
    EXPECT_EQ(cut.code, 6) << cut.err;
    const Ran text = shell(fmt::format("echo hello | {} report -", FLIGHTREC_TOOL));
    EXPECT_EQ(text.code, 6);
    EXPECT_NE(text.err.find("standard input is not a flight file"), std::string::npos) << text.err;
    EXPECT_EQ(shell(fmt::format("{} report - </dev/null", FLIGHTREC_TOOL)).code, 6);
}

TEST_F(CliTest, AQuestionWithoutAnAnswerSaysWhatTheFileHas) {
    const auto path = window("w.flight");
    const Ran ran = run("replay --comm nobody " + path);
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find("no event fits these options; the file has 101 events, from "), std::string::npos)
        << ran.err;
    EXPECT_EQ(run("replay --class kmsg " + path).err, "");
}

TEST_F(CliTest, AFullDiskIsOneLineAndAnError) {
    const auto path = window("w.flight");
    for (const auto& command : {"replay " + path, "report " + path, "verify " + path, std::string("--help")}) {
        const Ran ran = shell(fmt::format("{} {} >/dev/full", FLIGHTREC_TOOL, command));
        EXPECT_EQ(ran.code, 10) << command;
        EXPECT_NE(ran.err.find("cannot write the output: No space left on device"), std::string::npos) << ran.err;
        EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    }
}

TEST_F(CliTest, LinesAreCutOnlyWhenAsked) {
    const auto path = window("w.flight", 1);
    EXPECT_EQ(shell(fmt::format("COLUMNS=20 {} replay --time boot --no-full {}", FLIGHTREC_TOOL, path)).out,
              "   1.000000 kernel \u2026\n");
    EXPECT_EQ(shell(fmt::format("COLUMNS=20 {} replay --time boot {}", FLIGHTREC_TOOL, path)).out,
              "   1.000000 kernel <emerg> line 0\n");
}

TEST_F(CliTest, NegativeTimesAreNotOptions) {
    const auto ran = run("replay --since -1s --until +1s " + window("w.flight"));
    EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(CliTest, OutputIntoAPipeThatClosesEndsQuietly) {
    const auto file = window("w.flight", 20000);
    const auto ran = shell(fmt::format("bash -c 'set -o pipefail; {} replay {} | head -1'", FLIGHTREC_TOOL, file));
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.err, "");
    EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1);
}

TEST_F(CliTest, VerifyTellsWholeFromDamaged) {
    const auto path = window("w.flight");
    auto ran = run("verify " + path);
    EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
    EXPECT_NE(ran.out.find("intact, the ledger balances"), std::string::npos) << ran.out;
    {
        std::fstream raw(path, std::ios::in | std::ios::out | std::ios::binary);
        const auto file = flight::FlightFile::open(path);
        ASSERT_TRUE(file.has_value());
        raw.seekp(static_cast<std::streamoff>(file->segments()[0].blocks[0].file_offset + 100));
        raw.put('\x5a').put('\xa5');
    }
    ran = run("verify " + path);
    EXPECT_EQ(ran.code, 6);
    EXPECT_NE(ran.out.find("DAMAGED"), std::string::npos) << ran.out;
    ran = run("replay " + path);
    EXPECT_EQ(ran.code, 6);
    EXPECT_NE(ran.err.find("is damaged; what could be read is shown"), std::string::npos);
    ran = run("report " + path);
    EXPECT_EQ(ran.code, 6);
    EXPECT_NE(ran.out.find("the file is damaged in 1 place ("), std::string::npos);
}

TEST_F(CliTest, ColourOnlyWhereItIsWanted) {
    const auto file = window("w.flight");
    EXPECT_EQ(run("replay " + file).out.find('\x1b'), std::string::npos) << "a pipe is no terminal";
    EXPECT_NE(run("replay --color always " + file).out.find('\x1b'), std::string::npos);
    EXPECT_EQ(run("replay --color never " + file).out.find('\x1b'), std::string::npos);
}

TEST_F(CliTest, HelpAndVersion) {
    const auto help = run("--help");
    EXPECT_EQ(help.code, 0);
    for (const auto* part : {"replay", "report", "verify", "Examples:", "Exit codes:"})
        EXPECT_NE(help.out.find(part), std::string::npos) << part;
    EXPECT_EQ(run("replay --help").code, 0);
    EXPECT_EQ(run("--version").out.rfind("flightrec ", 0), 0u);
    EXPECT_EQ(run("-V").out, run("--version").out);
    EXPECT_EQ(run("help").out, help.out);
    EXPECT_EQ(run("help report").out, run("report --help").out);
    EXPECT_NE(run("help report").out, help.out);
}

TEST_F(CliTest, JsonOfVerifyIsValid) {
    const auto file = window("w.flight");
    const auto ran =
        shell(fmt::format("{0} verify --json {1} | python3 {2}/tests/unit/replay/check_schema.py "
                          "{2}/schemas/json/verify.schema.json && {0} replay --stats --json {1} | python3 "
                          "{2}/tests/unit/replay/check_schema.py {2}/schemas/json/stats.schema.json",
                          FLIGHTREC_TOOL, file, FLIGHTREC_SOURCE_DIR));
    EXPECT_EQ(ran.code, 0) << ran.out;
}

}  // namespace
}  // namespace flightrec::cli
