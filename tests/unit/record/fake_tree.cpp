// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/record/fake_tree.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>

namespace {
thread_local uint64_t allocation_count = 0;

void* count_and_allocate(size_t size) {
    ++allocation_count;
    if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
    throw std::bad_alloc();
}
}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads)
void* operator new(size_t size) { return count_and_allocate(size); }
void* operator new[](size_t size) { return count_and_allocate(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    ++allocation_count;
    return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete[](void* p, size_t) noexcept { std::free(p); }
// NOLINTEND(misc-new-delete-overloads)

namespace flightrec::record {

namespace fs = std::filesystem;

uint64_t allocations() { return allocation_count; }

FakeTree::FakeTree() {
    std::string name = (fs::temp_directory_path() / "flightrec-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
}

FakeTree::~FakeTree() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

void FakeTree::write(const std::string& name, std::string_view text) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
}

void FakeTree::link(const std::string& name, const std::string& target) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    fs::remove(path(name));
    fs::create_symlink(target, path(name));
}

void FakeTree::remove(const std::string& name) const { fs::remove_all(path(name)); }

SystemPaths FakeTree::paths() const {
    return {.root = path(), .proc = path("proc"), .sys = path("sys"), .kmsg = path("dev/kmsg")};
}

void FakeTree::add_process(const Process& p) const {
    const std::string dir = fmt::format("proc/{}/", p.pid);
    write(
        dir + "stat",
        fmt::format("{} ({}) {} {} 1 1 0 -1 {} 11 12 13 14 250 150 17 18 20 0 {} 0 {} 8192000 {} 18446744073709551615 "
                    "1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0\n",
                    p.pid, p.comm, p.state, p.ppid, p.flags, p.threads, p.start, p.rss_pages));
    write(dir + "status", fmt::format("Name:\t{0}\nTgid:\t{1}\nPid:\t{1}\nPPid:\t{2}\nUid:\t1000\t1001\t1000\t1000\n"
                                      "Gid:\t100\t101\t100\t100\nFDSize:\t64\nNSpid:\t{1}\n{3}Threads:\t{4}\n",
                                      p.comm, p.pid, p.ppid, p.status_more, p.threads));
    write(dir + "cmdline", p.cmdline);
    write(dir + "cgroup", "4:memory:/old\n0::" + p.cgroup + "\n");
    write(dir + "oom_score_adj", "-500\n");
    write(dir + "wchan", p.state == 'D' ? "io_schedule" : "0");
    link(dir + "exe", "/usr/bin/" + p.comm.substr(0, p.comm.find('/')));
    link(dir + "cwd", "/srv/data");
}

void FakeTree::add_cgroup2(bool controllers) const {
    write("proc/self/mountinfo", fmt::format("24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
                                             "30 27 0:26 / {} rw,relatime shared:9 - cgroup2 cgroup2 rw\n",
                                             path("cg2")));
    write("proc/self/cgroup", "0::/\n");
    write("cg2/cgroup.controllers", controllers ? "cpu memory pids\n" : "\n");
    write("cg2/cgroup.procs", "");
}

void FakeTree::add_cgroup(const std::string& cgroup, std::string_view procs) const {
    write("cg2" + cgroup + "/cgroup.procs", procs);
}

Emit Collector::emit() {
    return [this](std::span<const std::byte> bytes) {
        std::vector<uint64_t> copy((bytes.size() + 7) / 8);
        std::memcpy(copy.data(), bytes.data(), bytes.size());
        events_.push_back(std::move(copy));
    };
}

flight::EventRef Collector::ref(size_t i) const {
    const auto& words = events_.at(i);
    flight::EventRef ref;
    ref.bytes = std::as_bytes(std::span(words));
    ref.fixed_size = flight::fixed_size_of(ref.head().cls);
    return ref;
}

std::optional<std::string> Collector::blob(size_t i, uint8_t kind) const {
    const auto found = flight::find_blob(ref(i), kind);
    if (!found) return std::nullopt;
    return std::string(found->text);
}

uint8_t Collector::blob_flags(size_t i, uint8_t kind) const {
    const auto found = flight::find_blob(ref(i), kind);
    return found ? found->flags : uint8_t{0xff};
}

}  // namespace flightrec::record
