// SPDX-License-Identifier: Apache-2.0
// After make() and create() nothing allocates: malloc and its kin are counted while the hot path runs.
#include <dlfcn.h>

#include <atomic>

#include "tests/unit/flight/support.h"
#include "userspace/flight/cgroup_table.h"
#include "userspace/flight/process_table.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLIGHT_TEST_SANITIZED 1
#endif

#ifndef FLIGHT_TEST_SANITIZED
namespace {
std::atomic<size_t> allocations{0};
}
// glibc's own entry points; the dynamic linker takes these definitions for the whole program, libzstd included.
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* malloc(size_t n) {
    ++allocations;
    return __libc_malloc(n);
}
void* calloc(size_t n, size_t m) {
    ++allocations;
    return __libc_calloc(n, m);
}
void* realloc(void* p, size_t n) {
    ++allocations;
    return __libc_realloc(p, n);
}
}

namespace flightrec::flight::test {
namespace {

TEST(Allocation, TheCountingItselfWorks) {
    const size_t before = allocations;
    delete new std::string(100, 'x');
    EXPECT_EQ(allocations - before, 2u);
}

TEST(Allocation, RecordingAndDumpingAllocateNothing) {
    const TempDir dir;
    Recorder recorder(small_window(dir / "w.flight"));
    auto processes = value_of(ProcessTable::make({1024, 0}));
    auto cgroups = value_of(CgroupTable::make({64, false}));
    Random random(1);
    std::vector<Bytes> markers, calls;
    for (uint64_t i = 0; i < 50; ++i) {
        const Bytes noise = random_bytes(random, 100 + random() % 300);
        markers.push_back(marker(random() % 1000, {reinterpret_cast<const char*>(noise.data()), noise.size()}));
    }
    for (uint64_t i = 0; i < 500; ++i) {
        Call call;
        call.enter = i;
        call.time = i + 5;
        call.tid = static_cast<uint32_t>(random() % 20);
        call.nr = static_cast<uint32_t>(random() % 40);
        call.args = {random(), random() % 5, random()};
        call.path = "/path/" + std::to_string(random() % 100);
        calls.push_back(syscall_record(call));
    }
    EventBuilder builder;
    size_t keyframes = 0;
    recorder.window.on_segment_started([&](uint8_t track) {
        const auto append = [&] {
            return recorder.window.append(track, recorder.keyframe.finish(FR_BLOCK_KEYFRAME)).has_value();
        };
        keyframes += processes.write_keyframe(recorder.keyframe, 1, append);
        keyframes += cgroups.write_keyframe(recorder.keyframe, 1, append);
        append();
    });
    std::vector<Window::PinnedSegment> pinned;
    pinned.reserve(recorder.window.slots());
    const std::string json = "{\"x\":1}";
    uint64_t dumped = 0;
    const WritePiece count = [&](std::span<const std::byte> piece) -> Result<void> {
        dumped += piece.size();
        return {};
    };
    bool good = true;

    const size_t before = allocations;
    for (uint32_t round = 0; round < 200; ++round) {
        auto& fork = builder.begin<fr_fork>(FR_CLASS_FORK);
        fork.child_pid = fork.child_tid = 100 + round;
        processes.apply({builder.bytes(), 0, sizeof(fr_fork)});
        auto& exec = builder.begin<fr_exec>(FR_CLASS_EXEC);
        exec.event.pid = 100 + round;
        builder.blob(FR_BLOB_ARGV, "some argument");
        builder.blob(FR_BLOB_EXE, std::string_view("prog\0bin\0", 9));
        processes.apply({builder.bytes(), 0, sizeof(fr_exec)});
        auto& cgroup = builder.begin<fr_cgroup>(FR_CLASS_CGROUP);
        cgroup.cgroup_id = round;
        builder.blob(FR_BLOB_TEXT, "/some/group");
        cgroups.apply({builder.bytes(), 0, sizeof(fr_cgroup)});
        for (const auto& m : markers) good &= recorder.vital.add(m, 0);
        good &= recorder.window.append(FR_TRACK_VITAL, recorder.vital.finish()).has_value();
        recorder.syscalls.run(static_cast<uint16_t>(round % 3));
        for (const auto& c : calls) good &= recorder.syscalls.add(c);
        good &= recorder.window.append(FR_TRACK_SYSCALL, recorder.syscalls.finish()).has_value();
        good &= recorder.window.set_info(json).has_value();
        good &= recorder.window.flush(false).has_value();
    }
    recorder.window.pin(pinned);
    good &= write_dump(recorder.window, pinned, json, count).has_value();
    const size_t after = allocations;

    EXPECT_EQ(after - before, 0u);
    EXPECT_TRUE(good);
    EXPECT_GT(keyframes, 0u);
    EXPECT_GT(recorder.window.evicted()[FR_CLASS_MARKER], 0u) << "the window did not wrap";
    EXPECT_EQ(dumped, dump_size(pinned));
}

}  // namespace
}  // namespace flightrec::flight::test
#endif
