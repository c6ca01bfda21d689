// SPDX-License-Identifier: Apache-2.0
// Text and JSON of every class.
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/unit/replay/story.h"
#include "userspace/base/text.h"
#include "userspace/replay/json_renderer.h"
#include "userspace/replay/text_renderer.h"

namespace flightrec::replay::test {
namespace {

struct TestClock final : WallClock {
    static constexpr uint64_t began = 1'793'445'000 * s;
    uint64_t boot_of_realtime(uint64_t realtime_ns) const override { return realtime_ns - began; }
    uint64_t realtime_of(uint64_t boot_ns) const override { return boot_ns + began; }
};

std::string text_of(const std::vector<Record>& events, TimeStyle style = TimeStyle::relative, bool color = false) {
    const TestClock clock;
    TextRenderer renderer(style, 100 * s, clock, {.color = color});
    ReplayState state(schemas::Arch::x86_64);
    std::string out;
    for (const auto& event : events) {
        state.begin(event.ref());
        renderer.append(out, event.ref(), state);
        state.end(event.ref());
    }
    return out;
}

std::string json_of(const std::vector<Record>& events) {
    const TestClock clock;
    JsonRenderer renderer(100 * s, clock);
    ReplayState state(schemas::Arch::x86_64);
    std::string out;
    for (const auto& event : events) {
        state.begin(event.ref());
        renderer.append(out, event.ref(), state);
        state.end(event.ref());
    }
    return out;
}

const std::vector<std::string> nasty = {
    "a\x1b[31mred\x1b]0;title\x07",  // escape sequences
    "new\nline\rback\tspace\b\x7f",
    "\xc2\x9b"
    "31m",  // CSI as one C1 character in UTF-8
    "bad\xff\xfe\x80utf8\xc0\xaf",
    "quote\"back\\slash",
    std::string("nul\0inside", 10),
    "",
};

TEST(Text, EveryClassAsInTheGoldenFile) { expect_golden("every_class.txt", text_of(every_class("shop"))); }

TEST(Text, TimesInEveryStyle) {
    const std::vector<Record> events = {kmsg(99 * s + 500 * ms, 6, "one"), kmsg(100 * s + 1, 6, "two")};
    EXPECT_EQ(text_of(events), "  -0.500000 kernel <info> one\n  +0.000000 kernel <info> two\n");
    EXPECT_EQ(text_of(events, TimeStyle::boot), "  99.500000 kernel <info> one\n 100.000000 kernel <info> two\n");
    EXPECT_EQ(text_of(events, TimeStyle::delta), "  +0.000000 kernel <info> one\n  +0.500000 kernel <info> two\n");
    EXPECT_EQ(text_of(events, TimeStyle::utc),
              "2026-10-31T11:11:39.500000Z kernel <info> one\n2026-10-31T11:11:40.000000Z kernel <info> two\n");
}

// The only control bytes are line feeds, and with colour the escape sequences of our own palette.
TEST(Text, ControlCharactersNeverReachTheTerminal) {
    for (const auto& text : nasty)
        for (const bool color : {false, true}) {
            std::string out = text_of(every_class(text), TimeStyle::relative, color);
            if (color)
                for (const std::string_view ours : {"\x1b[0m", "\x1b[2m", "\x1b[1m", "\x1b[1;31m", "\x1b[32m",
                                                    "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m"})
                    for (size_t at = 0; (at = out.find(ours, at)) != std::string::npos;) out.erase(at, ours.size());
            for (size_t i = 0; i < out.size(); ++i) {
                const auto c = static_cast<unsigned char>(out[i]);
                EXPECT_TRUE(c >= 0x20 || c == '\n') << "byte " << int{c} << " at " << i << " for " << printable(text);
                EXPECT_NE(c, 0x7f);
                const bool c1 = c == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0;
                EXPECT_FALSE(c1) << "a C1 control character for " << printable(text);
            }
        }
}

TEST(Text, FailuresAndDeathsAreColoured) {
    const auto failed = text_of({call(s, 1, 1, "close", -9, {.args = {77}})}, TimeStyle::boot, true);
    EXPECT_NE(failed.find("\x1b[33m-1 EBADF"), std::string::npos) << failed;
    const auto good = text_of({call(s, 1, 1, "close", 0, {.args = {77}})}, TimeStyle::boot, true);
    EXPECT_EQ(good.find("\x1b[33m"), std::string::npos);
}

TEST(Text, FieldsAnOlderWriterDidNotHaveAreLeftOut) {
    auto event = every_class("shop").front();
    auto ref = event.ref();
    ref.fixed_size = 64;  // an fr_exec that ends after exe_inode
    ReplayState state(schemas::Arch::x86_64);
    state.begin(ref);
    std::string out;
    append_event_text(out, ref, state, {});
    EXPECT_EQ(out.rfind("exec ", 0), 0u) << out;
}

TEST(Text, AnUnknownClassIsSaidToBeUnknown) {
    auto event = kmsg(s, 6, "x");
    std::vector<std::byte> bytes(event.bytes().begin(), event.bytes().end());
    reinterpret_cast<fr_event*>(bytes.data())->cls = 200;
    std::string out;
    append_event_text(out, {bytes, 0, 32}, ReplayState(schemas::Arch::x86_64), {});
    EXPECT_EQ(out, "event of class 200, which this version does not know");
}

TEST(Text, LinesAreCutToAWidth) {
    const auto cut = [](std::string text, size_t columns) {
        text.insert(0, "before ");
        cut_lines(text, 7, columns);
        return text.substr(7);
    };
    EXPECT_EQ(cut("abcdef\n", 6), "abcdef\n");
    EXPECT_EQ(cut("abcdefg\n", 6), "abcde\u2026\n");
    EXPECT_EQ(cut("abcdefg\nxy\nabcdefgh\n", 4), "abc\u2026\nxy\nabc\u2026\n");
    EXPECT_EQ(cut("\u00e4\u00f6\u00fc\u00df\n", 3), "\u00e4\u00f6\u2026\n");
    EXPECT_EQ(cut("\x1b[31mabc\x1b[0mdef\n", 4), "\x1b[31mabc\x1b[0m\u2026\x1b[0m\n");
    EXPECT_EQ(cut("\x1b[31mabcdef\x1b[0m\n", 3), "\x1b[31mab\u2026\x1b[0m\n");
}

TEST(Text, AStackThatLeadsNowhereEndsThere) {
    std::array<fr_frame, 4> list{};
    const uint64_t addresses[] = {0, 0x401000, 0xbe552274c0854800, 0x402000};
    for (size_t i = 0; i < list.size(); ++i) {
        list[i].status = 2;
        list[i].offset_or_ip = addresses[i];
    }
    const auto text =
        text_of({record<fr_crash>(FR_CLASS_CRASH, 101 * s, 812, 812, [](fr_crash& e) { e.signal = 11; },
                                  {{FR_BLOB_USTACK, {reinterpret_cast<const char*>(list.data()), sizeof list}}})});
    const auto lines = lines_of(text);
    ASSERT_EQ(lines.size(), 5u) << text;
    EXPECT_EQ(lines[1], "        #0 ?? 0x0 (not in any mapping)") << "a call of a null pointer: its caller follows";
    EXPECT_EQ(lines[2], "        #1 0x401000");
    EXPECT_EQ(lines[3], "        #2 ?? 0xbe552274c0854800 (not in any mapping)");
    EXPECT_NE(lines[4].find("lead nowhere"), std::string::npos);
}

TEST(Text, AKernelStackBeginsBehindTheProbeThatTookIt) {
    const std::string stack =
        "bpf_prog_6deef7357e7b4530_mark+0x1\nbpf_trace_run2+0x4\n_einittext+0x2bd3\n__bpf_trace_mark_victim+0x9\n"
        "__traceiter_mark_victim+0x3\noom_kill_process+0x1\n_einittext+0x5\n";
    const auto lines = lines_of(
        text_of({record<fr_oom_kill>(FR_CLASS_OOM_KILL, 101 * s, 812, 812, [](fr_oom_kill& e) { e.victim_pid = 812; },
                                     {{FR_BLOB_KSTACK_TEXT, stack}})}));
    ASSERT_EQ(lines.size(), 3u) << lines.back();
    EXPECT_EQ(lines[1], "        oom_kill_process+0x1");
    EXPECT_EQ(lines[2], "        _einittext+0x5") << "only the innermost frames are the probe's";
}

TEST(Json, EventsThatTheRecorderMadeHaveNoCpu) {
    auto made = record<fr_kmsg>(
        FR_CLASS_KMSG, 101 * s, 0, 0, [](fr_kmsg&) {}, {{FR_BLOB_TEXT, "x"}}, 0xffff);
    EXPECT_TRUE(nlohmann::json::parse(json_of({made}))["cpu"].is_null());
    made = record<fr_kmsg>(
        FR_CLASS_KMSG, 101 * s, 0, 0, [](fr_kmsg&) {}, {{FR_BLOB_TEXT, "x"}}, 3);
    EXPECT_EQ(nlohmann::json::parse(json_of({made}))["cpu"], 3);
}

TEST(Json, EveryClassIsValidAgainstTheSchema) {
    const TempDir dir;
    for (const auto& text : nasty) {
        std::ofstream(dir / "events.json", std::ios::binary | std::ios::app) << json_of(every_class(text));
    }
    const std::string command =
        fmt::format("python3 {0}/tests/unit/replay/check_schema.py {0}/schemas/json/event.schema.json {1}",
                    FLIGHTREC_SOURCE_DIR, (dir / "events.json").string());
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

TEST(Json, FieldsOfASystemCall) {
    const auto event = call(100 * s + 5, 812, 813, "openat", -2,
                            {.args = {0xffffff9c, 0x1000, 0}, .blobs = {{FR_BLOB_ARG0 + 1, "/a\"\n"}}, .took_ns = 700});
    const auto json = nlohmann::json::parse(json_of({event}));
    EXPECT_EQ(json["class"], "syscall");
    EXPECT_EQ(json["syscall"], "openat");
    EXPECT_EQ(json["nr"], 257);
    EXPECT_EQ(json["args"][0], "0xffffff9c");
    EXPECT_EQ(json["text"][0], "AT_FDCWD");
    EXPECT_EQ(json["text"][1], "\"/a\\\"\\n\"");
    EXPECT_EQ(json["strings"]["1"], "/a\"\n");
    EXPECT_EQ(json["errno"], "ENOENT");
    EXPECT_EQ(json["duration_ns"], 700);
    EXPECT_EQ(json["since_trigger_ns"], 5);
    EXPECT_EQ(json["tid"], 813);
}

TEST(Json, ValuesThatAreNotKnownAreNullAndNoLimitIsMax) {
    const auto events = every_class("shop");
    const auto sample =
        std::find_if(events.begin(), events.end(), [](const Record& r) { return r.cls() == FR_CLASS_CGROUP_SAMPLE; });
    const auto json = nlohmann::json::parse(json_of({*sample}));
    EXPECT_TRUE(json["memory_swap"].is_null());
    EXPECT_EQ(json["memory_max"], "max");
    EXPECT_EQ(json["memory_current"], 0);
}

TEST(Json, BytesThatAreNotUtf8SurviveAsEscapes) {
    const auto json = nlohmann::json::parse(json_of({kmsg(s, 6, "a\xff")}));
    EXPECT_EQ(json["text"], "a\\xff");
}

}  // namespace
}  // namespace flightrec::replay::test
