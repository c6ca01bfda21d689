// SPDX-License-Identifier: Apache-2.0
// Verdicts: each from a flight made for it, and that nothing is claimed without evidence.
#include "userspace/replay/report.h"

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "tests/unit/replay/story.h"
#include "userspace/replay/oom_memory.h"

namespace flightrec::replay::test {
namespace {

constexpr uint64_t mib = 1u << 20;

struct Reported {
    std::string text;
    nlohmann::json json;
    [[nodiscard]] nlohmann::json incident(size_t i = 0) const { return json["incidents"].at(i); }
    [[nodiscard]] nlohmann::json statement(const std::string& topic, size_t i = 0) const {
        const auto statements = incident(i)["statements"];
        for (const auto& one : statements)
            if (one["topic"] == topic) return one;
        return {};
    }
    [[nodiscard]] std::string said(const std::string& topic, size_t i = 0) const {
        const auto one = statement(topic, i);
        return one.is_object() ? one["text"].get<std::string>() : "";
    }
};

Reported report_of(Story& story) {
    Reported out;
    auto file = story.store();
    const auto report = make_report(file, {});
    EXPECT_TRUE(report.has_value());
    if (!report) return out;
    append_report_text(out.text, "x.flight", file, *report, false);
    std::string json;
    append_report_json(json, "x.flight", file, *report);
    std::ofstream(story.path().string() + ".json") << json;
    const std::string check =
        fmt::format("python3 {0}/tests/unit/replay/check_schema.py {0}/schemas/json/report.schema.json {1}.json >&2",
                    FLIGHTREC_SOURCE_DIR, story.path().string());
    EXPECT_EQ(std::system(check.c_str()), 0);
    out.json = nlohmann::json::parse(json);
    return out;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// A hog that lived for 400 ms between two samples; postgres was larger, but protected.
Story oom_of_a_fast_hog() {
    Story story;
    constexpr uint64_t cgroup = 42;
    story.keyframe.push_back(record<fr_cgroup>(
        FR_CLASS_CGROUP, 50 * s, 0, 0, [](fr_cgroup& e) { e.cgroup_id = cgroup; }, {{FR_BLOB_TEXT, "/shop.slice"}}));
    story.keyframe.push_back(process(600, 1, "postgres", "postgres\0"s, 40 * s, FR_PROCESS_PARENT_KNOWN, cgroup));
    story.keyframe.push_back(process(601, 1, "redis", "redis\0"s, 40 * s, FR_PROCESS_PARENT_KNOWN, cgroup));
    for (uint64_t i = 0; i < 10; ++i)
        for (const uint32_t pid : {600u, 601u})
            story.add(record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, 90 * s + i * s + 500 * ms, pid, pid,
                                                [&](fr_process_sample& e) {
                                                    e.start_ns = 40 * s;
                                                    e.rss = (pid == 600 ? 30 : 1) * mib;
                                                    set_comm(e.comm, pid == 600 ? "postgres" : "redis");
                                                }));
    story.add(record<fr_fork>(FR_CLASS_FORK, 99 * s + 600 * ms, 601, 601, [](fr_fork& e) {
        e.child_pid = e.child_tid = 900;
        e.parent_pid = 601;
        e.start_ns = 99 * s + 600 * ms;
        e.cgroup_id = cgroup;
        set_comm(e.comm, "hog");
    }));
    std::array<fr_oom_candidate, 3> list{};
    list[0].pid = 900;
    list[0].anon = 25 * mib;
    set_comm(list[0].comm, "hog");
    list[1].pid = 600;
    list[1].anon = 10 * mib;
    list[1].shmem = 20 * mib;
    list[1].oom_score_adj = -900;
    set_comm(list[1].comm, "postgres");
    list[2].pid = 601;
    list[2].anon = 5 * mib;
    set_comm(list[2].comm, "redis");
    story.add(record<fr_oom_kill>(FR_CLASS_OOM_KILL, 100 * s, 601, 601,
                                  [](fr_oom_kill& e) {
                                      e.victim_pid = e.victim_tid = 900;
                                      e.victim_anon = 25 * mib;
                                      e.victim_start_ns = 99 * s + 600 * ms;
                                      e.victim_cgroup_id = e.domain_cgroup_id = cgroup;
                                      e.domain_limit = e.domain_usage = 64 * mib;
                                      e.candidates = 5;
                                      e.memory_stat_ns = 100 * s + 4 * ms;
                                      e.constraint = FR_OOM_MEMCG;
                                      e.flags = FR_OOM_CONTEXT_KNOWN | FR_OOM_DOMAIN_KNOWN;
                                      set_comm(e.comm, "redis");
                                      set_comm(e.victim_comm, "hog");
                                  },
                                  {{FR_BLOB_CANDIDATES, {reinterpret_cast<const char*>(list.data()), sizeof list}},
                                   {FR_BLOB_MEMORY_STAT,
                                    "anon 39845888\nfile 22020096\nkernel_stack 16384\npagetables "
                                    "1572864\nsock 2097152\nshmem 20971520\nslab 3145728\n"}}));
    return story;
}

TEST(Report, CgroupOomSaysWhoWhyAndWhoGrew) {
    auto story = cgroup_oom_story();
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["cause"], "oom_cgroup");
    EXPECT_TRUE(has(report.incident()["verdict"], "python3[812] was killed by the OOM killer"));
    EXPECT_TRUE(has(report.incident()["verdict"], "limit of 64.0 MiB"));
    EXPECT_EQ(report.incident()["victim"]["argv"], nlohmann::json({"python3", "-c", "eat()"}));
    EXPECT_EQ(report.incident()["victim"]["container"], "container docker aaaaaaaaaaaa");
    EXPECT_EQ(report.incident()["victim"]["ancestors"][1]["pid"], 1);
    EXPECT_EQ(report.incident()["trigger"]["incident"], 1);
    // The victim's size and the domain's are two numbers.
    EXPECT_TRUE(has(report.said("victim_size"), "52.0 MiB resident: anon 48.0 MiB + file 4.0 MiB + shmem 0 B"));
    EXPECT_TRUE(has(report.said("victim_size"), "81 % of the 64.0 MiB its cgroup used"));
    EXPECT_TRUE(has(report.said("victim_size"), "says the same"));
    EXPECT_TRUE(has(report.said("invoker"), "python3[812], the victim itself: gfp 0xcc0(GFP_KERNEL), order 0"));
    EXPECT_TRUE(has(report.said("who_grew"), "over 10 s: python3[812] +22.0 MiB (30.0 MiB to 52.0 MiB at the kill"))
        << report.said("who_grew");
    EXPECT_TRUE(has(report.said("who_grew"), "steadily"));
    EXPECT_TRUE(has(report.said("failed_before"), "openat ENOENT (2 times), mmap ENOMEM"))
        << report.said("failed_before");
    EXPECT_EQ(report.statement("kernel_log")["evidence"].size(), 4u);
    EXPECT_TRUE(has(report.said("death"), "5 ms later"));
    const auto statements = report.incident()["statements"];
    for (const auto& statement : statements)
        if (statement["topic"] == "why" || statement["topic"] == "victim_size") {
            EXPECT_GE(statement["evidence"].size(), 2u) << "two witnesses";
        }
    // The verdict comes first.
    EXPECT_LT(report.text.find("VERDICT: python3[812]"), 200u) << report.text;
}

TEST(Report, OomStoryAsInTheGoldenFile) {
    auto story = cgroup_oom_story();
    std::string text = report_of(story).text;
    // The window's clock is of this moment.
    for (const std::string_view before : {"When           ", "begins ", "ends ", "from ", "broke off at "})
        for (size_t at = 0; (at = text.find(before, at)) != std::string::npos; at += before.size())
            if (text.compare(at + before.size() + 4, 1, "-") == 0) text.replace(at + before.size(), 30, "TIME");
    expect_golden("oom_report.txt", text);
}

TEST(Report, OomShowsCandidatesAndWhatTheDomainHeld) {
    auto story = oom_of_a_fast_hog();
    const auto report = report_of(story);
    const auto candidates = report.statement("candidates");
    ASSERT_EQ(candidates["evidence"].size(), 3u) << report.text;
    EXPECT_TRUE(has(candidates["evidence"][0]["text"],
                    "postgres[600] rss 30.0 MiB = anon 10.0 MiB + file 0 B + shmem "
                    "20.0 MiB, page tables 0 B, oom_score_adj -900, uid 0"));
    EXPECT_TRUE(has(candidates["evidence"][1]["text"], "hog[900] rss 25.0 MiB"));
    EXPECT_TRUE(has(candidates["evidence"][1]["text"], ", the victim"));
    EXPECT_TRUE(has(candidates["text"],
                    "5 processes could have been chosen; the victim was not the largest of them: "
                    "postgres[600] had 30.0 MiB with an oom_score_adj of -900, the victim's was "
                    "0; the largest 3 of them"))
        << candidates["text"];
    EXPECT_EQ(report.said("domain_memory"),
              "the memory of /shop.slice was anon 38.0 MiB, file 21.0 MiB, shmem 20.0 MiB, slab 3.0 MiB, page tables "
              "1.5 MiB, sock 2.0 MiB; read 4 ms after the kill, when the victim may have given some back");
    // The victim's size, the others' and the domain's stay apart.
    EXPECT_TRUE(has(report.said("victim_size"), "39 % of the 64.0 MiB its cgroup used")) << report.said("victim_size");
}

TEST(Report, AHogThatNoSampleSawIsSeenByItsSizeAtTheKill) {
    auto story = oom_of_a_fast_hog();
    const auto report = report_of(story);
    EXPECT_TRUE(has(report.said("who_grew"),
                    "over 10 s: hog[900] +25.0 MiB in the 400 ms of its life, in no sample before the kill, "
                    "redis[601] +4.0 MiB (1.0 MiB to 5.0 MiB at the kill in 9.50 s"))
        << report.said("who_grew");
    const auto evidence = report.statement("who_grew")["evidence"];
    ASSERT_EQ(evidence.size(), 2u);
    EXPECT_EQ(evidence[0]["text"], "hog[900] began");
    EXPECT_EQ(evidence[1]["text"], "hog[900] at the kill: rss 25.0 MiB");
}

TEST(Report, MemoryStatOfEitherVersionAndOfTheMachine) {
    const auto text = [](std::string_view stat) {
        std::string out;
        for (const auto& part : memory_parts(stat)) out += fmt::format("{}={} ", part.name, part.bytes);
        return out;
    };
    EXPECT_EQ(text("anon 4096\nfile 8192\nkernel 9\nslab 5\n"), "anon=4096 file=8192 slab=5 ");
    EXPECT_EQ(text("cache 1\nrss 2\nshmem 3\ntotal_cache 10\ntotal_rss 20\ntotal_shmem 30\ntotal_swap 40\n"),
              "anon=20 file=10 shmem=30 swap=40 ");
    EXPECT_EQ(text("MemTotal: 100 kB\nAnonPages:  4 kB\nSwapTotal: 8 kB\nSwapFree: 2 kB\nPageTables: 1 kB\n"),
              "anon=4096 page tables=1024 swap=6144 ");
    EXPECT_EQ(text("garbage\n\nanon\nanon x"), "");
}

TEST(Report, AMismatchBetweenProbeAndKernelLogIsFlagged) {
    auto story = cgroup_oom_story();
    for (auto& event : story.events)
        if (event.cls() == FR_CLASS_KMSG &&
            has(std::string(flight::find_blob(event.ref(), FR_BLOB_TEXT)->text), "Killed"))
            event =
                kmsg(event.time_ns(), 3,
                     "Memory cgroup out of memory: Killed process 812 (python3) total-vm:102400kB, anon-rss:9152kB, "
                     "file-rss:4096kB, shmem-rss:0kB, UID:1000 pgtables:200kB oom_score_adj:0");
    EXPECT_TRUE(
        has(report_of(story).said("victim_size"), "MISMATCH between the witnesses: anon 48.0 MiB by the probe"));
}

TEST(Report, GlobalOomIsToldFromACgroups) {
    Story story;
    story.add(record<fr_oom_kill>(FR_CLASS_OOM_KILL, 100 * s, 7, 7, [](fr_oom_kill& e) {
        e.victim_pid = 812;
        e.victim_anon = 900 * mib;
        e.flags = FR_OOM_CONTEXT_KNOWN;
        e.constraint = FR_OOM_NONE;
        e.gfp_mask = 0x140dca;
        set_comm(e.comm, "kswapd-like");
        set_comm(e.victim_comm, "hog");
    }));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["cause"], "oom_global");
    EXPECT_TRUE(
        has(report.incident()["verdict"], "hog[812] was killed by the OOM killer: the machine was out of memory"));
    EXPECT_TRUE(has(report.said("invoker"), "kswapd-like[7]: gfp 0x140dca"));
    EXPECT_FALSE(report.statement("who_grew")["known"]);
    EXPECT_FALSE(report.statement("failed_before")["known"]);
}

TEST(Report, WithoutEvidenceTheDomainIsUnknown) {
    Story story;
    story.add(record<fr_oom_kill>(FR_CLASS_OOM_KILL, 100 * s, 7, 7, [](fr_oom_kill& e) {
        e.victim_pid = 812;
        set_comm(e.victim_comm, "hog");
    }));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["cause"], "oom_unknown");
    EXPECT_TRUE(has(report.incident()["verdict"], "what ran out of memory is unknown"));
    EXPECT_FALSE(report.statement("why")["known"]);
    EXPECT_TRUE(has(report.said("who"), "command line unknown"));
    EXPECT_FALSE(report.statement("ancestry")["known"]);
}

TEST(Report, KernelLogAloneTellsTheDomainWhereTheProbeDidNot) {
    Story story;
    story.add(kmsg(100 * s - ms, 6,
                   "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/x,"
                   "task_memcg=/x/y,task=hog,pid=812,uid=0"));
    story.add(record<fr_oom_kill>(FR_CLASS_OOM_KILL, 100 * s, 7, 7, [](fr_oom_kill& e) {
        e.victim_pid = 812;
        set_comm(e.victim_comm, "hog");
    }));
    story.add(kmsg(100 * s + ms, 3,
                   "Memory cgroup out of memory: Killed process 812 (hog) total-vm:1kB, anon-rss:0kB, file-rss:0kB, "
                   "shmem-rss:0kB, UID:0 pgtables:0kB oom_score_adj:0"));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["cause"], "oom_cgroup");
    EXPECT_TRUE(has(report.incident()["verdict"], "the memory cgroup /x was at its limit"));
}

Record crash(uint64_t at, uint32_t pid, uint64_t start_ns, const std::function<void(fr_crash&)>& more = {}) {
    return record<fr_crash>(FR_CLASS_CRASH, at, pid, pid, [&](fr_crash& e) {
        e.signal = SIGSEGV;
        e.code = 1;
        e.address = 8;
        e.ip = 0x401136;
        e.dumps_core = 1;
        e.start_ns = start_ns;
        set_comm(e.comm, "shopd");
        if (more) more(e);
    });
}

TEST(Report, CrashSaysSignalAddressAndOrigin) {
    Story story;
    story.add(crash(100 * s, 812, 90 * s));
    story.add(record<fr_exit>(FR_CLASS_EXIT, 100 * s + ms, 812, 812, [](fr_exit& e) {
        e.exit_code = SIGSEGV | 0x80;
        e.flags = FR_EXIT_GROUP_DEAD;
    }));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["verdict"],
              "shopd[812] crashed with SIGSEGV (SEGV_MAPERR: address not mapped) at address 0x8, in the first page: a "
              "null pointer");
    EXPECT_TRUE(has(report.said("where"), "ip 0x401136"));
    EXPECT_TRUE(has(report.said("sender"), "the kernel raised it"));
    EXPECT_TRUE(has(report.said("death"), "a core was dumped"));
}

TEST(Report, WhoSentAFatalSignal) {
    Story story;
    story.add(process(77, 1, "watchdog", "watchdog\0"s, 10 * s));
    story.add(crash(100 * s, 812, 90 * s, [](fr_crash& e) {
        e.signal = SIGABRT;
        e.code = 0;
        e.address = 0;
        e.sender_pid = 77;
    }));
    EXPECT_TRUE(has(report_of(story).said("sender"), "sent by watchdog[77]"));
    Story self;
    self.add(crash(100 * s, 812, 90 * s, [](fr_crash& e) {
        e.signal = SIGABRT;
        e.code = -6;
        e.sender_pid = 812;
    }));
    const auto aborted = report_of(self);
    EXPECT_TRUE(has(aborted.said("sender"), "as abort(3) does"));
    EXPECT_EQ(aborted.incident()["verdict"], "shopd[812] crashed with SIGABRT: it called abort()");
    EXPECT_FALSE(aborted.statement("message")["known"]);
    self.add(call(100 * s - ms, 812, 812, "write", 20, {.args = {2, 0x1000, 20}}));
    EXPECT_TRUE(has(report_of(self).said("message"), "what it wrote to standard error before is not known"));
    self.add(kmsg(100 * s - 2 * ms, 3, "shopd[812]: assertion failed"));
    const auto told = report_of(self);
    EXPECT_TRUE(told.statement("message")["known"]);
    EXPECT_TRUE(has(told.statement("message")["evidence"][0]["text"], "assertion failed"));
}

TEST(Report, CrashLoopIsLinkedWithLifetimes) {
    Story story;
    for (uint32_t i = 0; i < 4; ++i) {
        story.add(process(800 + i, 1, "shopd", i < 3 ? "shopd\0-v\0"s : "shopd\0-q\0"s, (100 + 10 * i) * s));
        story.add(crash((105 + 10 * i) * s, 800 + i, (100 + 10 * i) * s));
    }
    story.add(crash(120 * s, 700, 90 * s, [](fr_crash& e) { set_comm(e.comm, "other"); }));
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 2u);
    EXPECT_EQ(report.incident(0)["cause"], "crash_loop");
    EXPECT_TRUE(has(report.incident(0)["verdict"], "a crash loop: this program crashed 4 times within 30.00 s"));
    const auto loop = report.said("crash_loop", 0);
    EXPECT_TRUE(has(loop, "crash 1 of 4 of this program")) << loop;
    EXPECT_TRUE(has(loop, "it lived for 5.00 s, 5.00 s, 5.00 s, 5.00 s"));
    EXPECT_TRUE(has(loop, "the command line changed (2 different ones)"));
    EXPECT_EQ(report.incident(1)["cause"], "crash");
    EXPECT_EQ(report.said("crash_loop", 1), "");
    EXPECT_TRUE(has(report.text, "\n2. VERDICT"));
}

TEST(Report, ThreadsOfOneExecutableAreOneCrashLoop) {
    Story story;
    for (uint32_t i = 0; i < 3; ++i) {
        story.add(record<fr_exec>(FR_CLASS_EXEC, (100 + 10 * i) * s, 800 + i, 800 + i,
                                  [&](fr_exec& e) {
                                      e.start_ns = (100 + 10 * i) * s;
                                      set_comm(e.comm, "shopd");
                                  },
                                  {{FR_BLOB_EXE, "shopd\0bin\0"s}}));
        story.add(crash((105 + 10 * i) * s, 800 + i, (100 + 10 * i) * s,
                        [&](fr_crash& e) { set_comm(e.comm, i == 1 ? "worker-1" : "worker-2"); }));
    }
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 1u) << report.text;
    EXPECT_EQ(report.incident()["cause"], "crash_loop");
    EXPECT_TRUE(has(report.incident()["verdict"], "worker-2[800] (shopd) crashed with SIGSEGV"));
}

TEST(Report, TwoCrashesAreLinkedButNoLoop) {
    Story story;
    for (uint32_t i = 0; i < 2; ++i) story.add(crash((105 + 10 * i) * s, 800 + i, (100 + 10 * i) * s));
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 2u);
    EXPECT_EQ(report.incident(1)["cause"], "crash");
    EXPECT_EQ(report.incident(1)["linked"], nlohmann::json({1}));
    EXPECT_TRUE(has(report.text, "the same program in the same cgroup: 1"));
}

Record waiting(uint64_t at, uint32_t pid, std::string_view function) {
    return record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, at, pid, pid,
                                     [](fr_process_sample& e) {
                                         e.state = 'D';
                                         set_comm(e.comm, "writer");
                                     },
                                     {{FR_BLOB_TEXT, std::string(function)}});
}

Record pressure(uint64_t at, uint32_t memory_full) {
    return record<fr_system_sample>(FR_CLASS_SYSTEM_SAMPLE, at, 0, 0, [&](fr_system_sample& e) {
        e.psi_memory_full_avg10 = memory_full;
        e.psi_cpu_some_avg10 = e.psi_io_full_avg10 = e.psi_memory_some_avg10 = 0xffffffff;
        e.blocked = 1;
    });
}

TEST(Report, ATaskInStateDForTenSecondsIsAStallThatNamesTheFunction) {
    Story story;
    for (uint64_t i = 0; i < 12; ++i) {
        story.add(pressure((100 + i) * s, 0xffffffff));
        story.add(waiting((100 + i) * s + ms, 812, "jbd2_log_wait_commit"));
    }
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 1u) << report.text;
    EXPECT_EQ(report.incident()["cause"], "stall_tasks");
    EXPECT_EQ(report.incident()["verdict"],
              "a task hung in uninterruptible sleep: writer[812] for 11.00 s in jbd2_log_wait_commit");
    EXPECT_FALSE(report.statement("why")["known"]) << "pressure was not measured";
    EXPECT_TRUE(has(report.said("machine"), "memory pressure unknown some, unknown full"));
}

TEST(Report, AShortWaitIsNoStallAndPressureIs) {
    Story calm;
    for (uint64_t i = 0; i < 5; ++i) calm.add(waiting((100 + i) * s, 812, "io_schedule"));
    EXPECT_EQ(report_of(calm).json["incidents"].size(), 0u);
    Story story;
    for (uint64_t i = 0; i < 5; ++i) story.add(pressure((100 + i) * s, 2500));
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 1u);
    EXPECT_EQ(report.incident()["cause"], "stall_memory");
    EXPECT_TRUE(has(report.incident()["verdict"], "the machine stalled on memory: 25.00 % of ten seconds"));
}

TEST(Report, ProcessLimitNamesTheLimitAndTheSpawner) {
    Story story;
    story.keyframe.push_back(process(500, 1, "bomb", "bomb\0"s, 10 * s));
    for (uint32_t i = 0; i < 50; ++i)
        story.add(record<fr_fork>(FR_CLASS_FORK, 90 * s + i * ms, 500, 500, [&](fr_fork& e) {
            e.child_pid = e.child_tid = 1000 + i;
            e.parent_pid = 500;
            e.start_ns = 90 * s + i * ms;
            set_comm(e.comm, "bomb");
        }));
    for (uint32_t i = 0; i < 10; ++i)
        story.add(record<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE, 91 * s + i * ms, 500, 500, [](fr_alloc_failure& e) {
            e.kind = FR_ALLOC_FORK;
            e.cause = FR_FORK_PIDS_CGROUP;
            e.limit = e.usage = 64;
            e.limit_cgroup_id = 5;
            e.result = -EAGAIN;
            e.syscall = nr("clone");
            set_comm(e.comm, "bomb");
        }));
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 1u);
    EXPECT_EQ(report.incident()["cause"], "fork_pids_cgroup");
    EXPECT_EQ(report.incident()["repeats"], 10);
    EXPECT_TRUE(has(report.incident()["verdict"], "with EAGAIN: refused by the pids limit of 64 (64 in use)"));
    EXPECT_TRUE(has(report.said("who_spawned"), "bomb[500] 50")) << report.said("who_spawned");
}

Record page_failure(uint64_t time_ns, uint32_t gfp_mask) {
    return record<fr_alloc_failure>(FR_CLASS_ALLOC_FAILURE, time_ns, 500, 500, [&](fr_alloc_failure& e) {
        e.kind = FR_ALLOC_PAGE;
        e.order = 9;
        e.gfp_mask = gfp_mask;
        set_comm(e.comm, "server");
    });
}

// A huge page in a page fault: small pages do as well.
TEST(Report, AnAllocationThatAskedForSilenceIsNoIncident) {
    constexpr uint32_t kernel = 0xcc0;  // GFP_KERNEL
    Story story;
    story.keyframe.push_back(process(500, 1, "server", "server\0"s, 10 * s));
    story.add(page_failure(90 * s, kernel | FR_GFP_NOWARN));
    EXPECT_EQ(report_of(story).json["incidents"].size(), 0u);
    story.add(page_failure(90 * s + ms, kernel));  // not one series with the silent one
    const auto report = report_of(story);
    ASSERT_EQ(report.json["incidents"].size(), 1u);
    EXPECT_EQ(report.incident()["repeats"], 1);
    EXPECT_TRUE(has(report.incident()["verdict"], "(GFP_KERNEL)")) << report.incident()["verdict"];
}

TEST(Report, ARequestedDumpClaimsNoFailure) {
    Story story;
    story.add(
        marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_COMMAND, 77, 3, 0}, R"({"facts":{"text":"slow since noon"}})"));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["verdict"],
              "this dump was asked for with 'flightrec dump': slow since noon; it is not about a failure");
    EXPECT_EQ(report.incident()["trigger"]["incident"], 3);
    EXPECT_EQ(report.said("incidents_before"), "nothing in this flight failed in the five minutes before it");
    EXPECT_FALSE(report.statement("activity")["known"]);
}

TEST(Report, ARequestedDumpShowsWhatWasGoingOn) {
    auto story = cgroup_oom_story();
    for (uint64_t i = 0; i < 8; ++i) {
        story.add(call(115 * s + i * ms, 500, 500, "write", 1, {.args = {1, 0x1000, 1}}));
        story.add(
            record<fr_process_sample>(FR_CLASS_PROCESS_SAMPLE, 112 * s + i * s, 500, 500, [&](fr_process_sample& e) {
                e.start_ns = 40 * s;
                e.rss = 3 * mib;
                e.utime_ms = 1000 + 500 * i;
                set_comm(e.comm, "bash");
            }));
    }
    story.add(call(119 * s, 500, 500, "fsync", -EIO, {.args = {3}, .took_ns = 700 * ms}));
    story.add(call(119 * s, 500, 500, "epoll_wait", 0, {.args = {3}, .took_ns = 3 * s}));
    story.add(marker(120 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_SIGNAL, 0, 2, 0}));
    for (const uint64_t at : {120 * s + ms, 130 * s})
        story.add(call(at, 500, 500, "read", 0, {.args = {0}, .took_ns = 60 * s, .cls = FR_CLASS_UNFINISHED}));
    const auto report = report_of(story);
    EXPECT_EQ(report.json["lead"], 2);
    EXPECT_EQ(report.incident(1)["verdict"], "this dump was asked for with SIGUSR1; it is not about a failure");
    EXPECT_EQ(report.said("incidents_before", 1), "1 incident in the five minutes before it");
    EXPECT_TRUE(has(report.statement("incidents_before", 1)["evidence"][0]["text"], "OOM kill of python3[812]"));
    EXPECT_EQ(report.said("activity", 1),
              "10 in the 10.00 s before it, 1 failed: write 8, fsync 1, epoll_wait 1; made by bash[500] 10; failures: "
              "fsync EIO 1");
    ASSERT_EQ(report.statement("slow_calls", 1)["evidence"].size(), 1u);
    EXPECT_EQ(report.statement("slow_calls", 1)["evidence"][0]["text"], "bash[500] fsync took 700 ms");
    EXPECT_EQ(report.said("unfinished", 1), "one call had not returned");
    EXPECT_EQ(report.said("largest", 1), "bash[500] 3.0 MiB");
    EXPECT_EQ(report.said("busiest", 1), "bash[500] 50.0 % of a CPU");
}

// Of 30 compilers with 0.1 s of CPU time each no sample tells; neither the one that lived long nor the one of long ago
// is theirs.
TEST(Report, AStormOfShortLivedProcessesIsCountedByProgram) {
    Story story;
    const auto ended = [&](uint64_t at, uint32_t pid, uint64_t life, std::string_view comm) {
        story.add(record<fr_exit>(FR_CLASS_EXIT, at, pid, pid, [&](fr_exit& e) {
            e.start_ns = at - life;
            e.utime_ns = 90 * ms;
            e.stime_ns = 10 * ms;
            e.flags = FR_EXIT_GROUP_DEAD;
            set_comm(e.comm, comm);
        }));
    };
    for (uint32_t i = 0; i < 30; ++i) ended(97 * s + i * 50 * ms, 1000 + i, 200 * ms, "cc1");
    ended(99 * s, 2000, 300 * ms, "as");
    ended(99 * s, 2001, 10 * s, "make");
    ended(60 * s, 2002, 200 * ms, "cc1");
    story.add(marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_COMMAND, 0, 1, 0}));
    const auto report = report_of(story);
    EXPECT_EQ(report.said("short_lived"),
              "processes that lived for less than 2.00 s, ended in the 5.00 s before it: 30 cc1 60.0 % of a CPU, 1 as "
              "2.0 % of a CPU");
    EXPECT_TRUE(has(report.text, "  Short-lived    processes")) << report.text;
}

// An OOM kill, then a crash that a dump was made for, then another one.
Story three_incidents() {
    auto story = cgroup_oom_story();
    story.add(crash(110 * s, 700, 90 * s));
    story.add(marker(110 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_CRASH, 700, 2, 0}));
    story.add(crash(112 * s, 701, 90 * s, [](fr_crash& e) { set_comm(e.comm, "other"); }));
    story.add(marker(112 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_CRASH, 701, 3, 0}));
    story.info.insert(1, R"("incident":{"number":2,"reason":"crash"},)");
    return story;
}

TEST(Report, TheDumpsOwnIncidentLeadsAndOthersFollowInShort) {
    auto story = three_incidents();
    auto file = story.store();
    const auto report = make_report(file, {.all = false});
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->lead, 2u);
    std::string text;
    append_report_text(text, "x.flight", file, *report, false);
    const auto own = text.find("2. VERDICT: shopd[700] crashed with SIGSEGV");
    const auto others = text.find("2 other incidents in this flight");
    const auto oom = text.find(" 1.  -10.000000  python3[812] was killed by the OOM killer");
    EXPECT_LT(own, 200u) << text;
    EXPECT_LT(own, others);
    EXPECT_LT(others, oom);
    EXPECT_NE(oom, std::string::npos) << text;
    EXPECT_TRUE(has(text, " 3.   +2.000000  other[701] crashed")) << text;
    EXPECT_TRUE(has(text, "[trigger 3]"));
    EXPECT_FALSE(has(text, "Victim's size")) << "in short";
}

TEST(Report, IncidentNumbersAreThoseOfTheReportEverywhere) {
    auto story = three_incidents();
    auto file = story.store();
    const auto one = make_report(file, {.incident = 3});
    ASSERT_TRUE(one.has_value());
    ASSERT_EQ(one->incidents.size(), 1u);
    EXPECT_EQ(one->incidents[0].number, 3u);
    EXPECT_TRUE(has(one->incidents[0].verdict, "other[701] crashed"));
    for (const uint64_t wrong : {0u, 4u}) {
        const auto none = make_report(file, {.incident = wrong});
        ASSERT_FALSE(none.has_value());
        EXPECT_EQ(none.error().code, Code::not_found);
        EXPECT_TRUE(has(none.error().message, "those in this file are 1 to 3")) << none.error().message;
    }
    // replay counts from the same one, and by default from the trigger that the dump was made for.
    EXPECT_TRUE(has(replayed(file, {.filter = {.classes = {"oom_kill"}}, .incident = 1}), "+0.000000"));
    EXPECT_TRUE(has(replayed(file, {.filter = {.classes = {"oom_kill"}}}), "-10.000000"));
}

TEST(Report, ARecordingThatBrokeOffSaysSo) {
    Story story;
    story.add(kmsg(100 * s, 4, "something odd"));
    auto report = report_of(story);
    EXPECT_TRUE(has(report.text,
                    "VERDICT: unknown. Nothing in this flight died of a signal, an OOM kill or a limit, but "
                    "it broke off."))
        << report.text;
    EXPECT_TRUE(
        has(report.json["ending"]["text"], "without being stopped: the recorder was killed, or the machine died"));
    EXPECT_FALSE(report.json["ending"]["known"]);
    EXPECT_TRUE(has(report.json["ending"]["evidence"][0]["text"], "something odd"));
    story.add(kmsg(101 * s, 0, "Kernel panic - not syncing: Fatal exception"));
    report = report_of(story);
    EXPECT_TRUE(has(report.json["ending"]["text"], "the kernel panicked"));
    EXPECT_TRUE(report.json["ending"]["known"]);
    story.add(marker(102 * s, FR_MARKER_STOP, {SIGTERM}));
    report = report_of(story);
    EXPECT_TRUE(report.json["ending"].is_null());
}

TEST(Report, AFileWithoutEventsSaysWhatIsMissing) {
    Story story;
    story.store();
    std::filesystem::resize_file(story.path(), 300000);
    auto file = flight::FlightFile::open(story.path());
    ASSERT_TRUE(file.has_value());
    const auto report = make_report(*file, {});
    ASSERT_TRUE(report.has_value());
    std::string text;
    append_report_text(text, "x.flight", *file, *report, false);
    EXPECT_TRUE(has(text, "VERDICT: unknown: there are no events in this file: the file ends in slot")) << text;
}

TEST(Report, AFlightWithoutIncidentsSaysUnknown) {
    Story story;
    story.add(call(100 * s, 1, 1, "getpid", 1));
    const auto report = report_of(story);
    EXPECT_EQ(report.json["incidents"].size(), 0u);
    EXPECT_TRUE(has(report.text, "VERDICT: unknown"));
}

TEST(Report, ATriggerWhoseEventIsLostIsStillAnIncident) {
    Story story;
    story.add(marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_CRASH, 812, 1, 2}));
    const auto report = report_of(story);
    EXPECT_EQ(report.incident()["cause"], "crash_unknown");
    EXPECT_TRUE(has(report.incident()["verdict"], "how is unknown"));
    EXPECT_TRUE(has(report.text, "2 triggers before it made no dump"));
}

TEST(Report, ProcessesThatASignalEndedAreListedWithTheSender) {
    Story story;
    story.add(process(1, 0, "systemd", "", 1 * s));
    story.add(record<fr_signal>(FR_CLASS_SIGNAL, 100 * s, 1, 1, [](fr_signal& e) {
        e.signal = SIGKILL;
        e.target_pid = e.target_tid = 812;
        set_comm(e.comm, "systemd");
        set_comm(e.target_comm, "shopd");
    }));
    story.add(record<fr_exit>(FR_CLASS_EXIT, 100 * s + ms, 812, 812, [](fr_exit& e) {
        e.exit_code = SIGKILL;
        e.flags = FR_EXIT_GROUP_DEAD;
        set_comm(e.comm, "shopd");
    }));
    const auto report = report_of(story);
    EXPECT_EQ(report.json["incidents"].size(), 0u);
    ASSERT_EQ(report.json["deaths"].size(), 1u);
    EXPECT_EQ(report.json["deaths"][0]["evidence"].size(), 2u);
    EXPECT_TRUE(has(report.text, "shopd[812] was ended by SIGKILL, sent by systemd[1]")) << report.text;
    auto oom = cgroup_oom_story();
    EXPECT_EQ(report_of(oom).json["deaths"].size(), 0u) << "the OOM victim's death is its incident's";
}

TEST(Report, DeathsThatAreAlikeAreOne) {
    Story story;
    for (uint32_t pid = 100; pid < 130; ++pid) {
        story.add(record<fr_signal>(FR_CLASS_SIGNAL, (10 + pid) * s, 1, 1, [&](fr_signal& e) {
            e.target_pid = e.target_tid = pid;
            e.signal = pid == 129 ? SIGTERM : SIGKILL;
        }));
        story.add(record<fr_exit>(FR_CLASS_EXIT, (10 + pid) * s + 1, pid, pid, [&](fr_exit& e) {
            e.exit_code = pid == 129 ? SIGTERM : SIGKILL;
            e.flags = FR_EXIT_GROUP_DEAD;
            set_comm(e.comm, "worker");
        }));
    }
    const auto report = report_of(story);
    ASSERT_EQ(report.json["deaths"].size(), 2u) << report.text;
    EXPECT_TRUE(has(report.text, "29 processes named worker were ended by SIGKILL")) << report.text;
    EXPECT_TRUE(has(report.text, "(100, 101, 102, 103, 104, …)")) << report.text;
    EXPECT_TRUE(has(report.text, "worker[129] was ended by SIGTERM")) << report.text;
    EXPECT_EQ(report.json["deaths"][0]["evidence"].size(), 6u) << "three deaths of the group";
}

TEST(Report, LossesAreListed) {
    auto story = cgroup_oom_story();
    story.ledger = false;
    story.info = R"({"config":{"scope":["/shop.slice"],"syscalls":"failed","classes_off":["rename"]},)"
                 R"("capabilities":[{"name":"crash","available":false},)"
                 R"({"name":"oom","available":true,"variants":[{"how":"x","taken":true,"loses":"no gfp mask"}]}]})";
    story.add(marker(99 * s, FR_MARKER_GAP, {0, FR_TRACK_SYSCALL, 777, 98 * s}));
    story.add(marker(99 * s, FR_MARKER_POLICY, {0, 1, 350}));
    story.add(marker(50 * s, FR_MARKER_PREVIOUS_END, {},
                     "the recording before ended in order; the configuration is another"));
    const auto report = report_of(story);
    for (const auto* part :
         {"  - the recording before ended in order; the configuration is another",
          "777 events of the syscalls track were overwritten", "no ledger", "/shop.slice",
          "not every system call was recorded, but: failed", "switched off: rename", "did not allow: crash",
          "poorer on this kernel, what is lost: oom: no gfp mask", "lowered what it recorded"})
        EXPECT_TRUE(has(report.text, part)) << part << "\n" << report.text;
}

// The second system call's block, long before the dump, is not read for the report.
TEST(Report, DamageInABlockThatTheReportDoesNotNeedIsToldToo) {
    Story story;
    story.block_events = 1;
    story.add(call(10 * s, 5, 5, "getpid", 5));
    story.add(call(11 * s, 5, 5, "getppid", 1));
    story.add(marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_COMMAND, 0, 1, 0}));
    EXPECT_FALSE(has(report_of(story).text, "the file is damaged"));
    story.change_last_call_block();
    auto file = flight::FlightFile::open(story.path());
    ASSERT_TRUE(file.has_value());
    const auto report = make_report(*file, {});
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->digest.damage.count, 1u);
    ASSERT_EQ(report->digest.damage.items.size(), 1u);
    EXPECT_TRUE(has(report->digest.damage.items[0].what, "the payload does not fit its hash"));
    std::string text;
    append_report_text(text, "x.flight", *file, *report, false);
    EXPECT_TRUE(has(text, "the file is damaged in 1 place (")) << text;
}

TEST(Report, NoFailureIsClaimedOfClassesThatWereNotRecorded) {
    Story story;
    story.info = R"({"config":{"classes_off":["crash","oom_kill","kmsg"]}})";
    story.add(marker(100 * s, FR_MARKER_TRIGGER, {FR_TRIGGER_COMMAND, 0, 1, 0}));
    const auto report = report_of(story);
    EXPECT_EQ(report.said("incidents_before"),
              "nothing that was recorded failed in the five minutes before it; not recorded: crash, oom_kill");
    EXPECT_FALSE(report.statement("incidents_before")["known"].get<bool>());
}

// Each dump and keyframe stores it again.
TEST(Report, ACallStillInProgressIsShownOnceAndNotAfterItHasReturned) {
    Story story;
    for (const uint64_t at : {90 * s, 95 * s, 100 * s + 100 * ms})
        story.add(call(at, 5, 6, "pause", 0, {.took_ns = at - 80 * s, .cls = FR_CLASS_UNFINISHED}));
    story.add(call(91 * s, 5, 7, "fsync", 0, {.args = {3}, .took_ns = s, .cls = FR_CLASS_UNFINISHED}));
    story.add(call(92 * s, 5, 7, "fsync", 0, {.args = {3}, .took_ns = 2 * s}));
    story.add(record<fr_crash>(FR_CLASS_CRASH, 100 * s, 5, 5, [](fr_crash& e) {
        e.signal = SIGSEGV;
        e.dumps_core = 1;
        set_comm(e.comm, "app");
    }));
    const auto report = report_of(story);
    size_t shown = 0;
    for (size_t at = 0; (at = report.text.find("<unfinished ...>", at)) != std::string::npos; ++at) ++shown;
    EXPECT_EQ(shown, 1u) << report.text;
    EXPECT_TRUE(has(report.text, "pause() <unfinished ...> for 20.1 s")) << report.text;
}

TEST(Report, ControlCharactersNeverReachTheTerminal) {
    Story story;
    const std::string nasty = "\x1b[31m\n\x07\xc2\x9b\xff";
    for (auto event : every_class(nasty)) story.add(std::move(event));
    story.info = R"({"identity":{"hostname":"h\u001b[31m","os":{"pretty_name":"\u0007"}}})";
    for (const char c : report_of(story).text)
        EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n') << int{c};
}

}  // namespace
}  // namespace flightrec::replay::test
