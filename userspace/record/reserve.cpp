// SPDX-License-Identifier: Apache-2.0
// Taking memory and limits beforehand.
#include "userspace/record/reserve.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::record {
namespace {

constexpr rlim_t wanted_files = 4096;       // the cgroup sampler alone may hold 512
constexpr size_t stack_bytes = 256u << 10;  // the recorder's thread; the others' stacks are mapped whole
constexpr int heap_growth = 1 << 20;        // when the reserve is used up all the same

// The soft limit, and the hard one where that is allowed, to at least `wanted`. False: less than that was given.
bool raise_limit(int resource, rlim_t wanted) {
    rlimit limit{};
    if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return false;
    if (limit.rlim_cur >= wanted) return true;
    rlimit more{wanted, std::max(limit.rlim_max, wanted)};
    if (setrlimit(static_cast<__rlimit_resource>(resource), &more) == 0) return true;
    more = {std::min(wanted, limit.rlim_max), limit.rlim_max};
    setrlimit(static_cast<__rlimit_resource>(resource), &more);
    return more.rlim_cur >= wanted;
}

// Makes the kernel give the stack its pages now.
[[gnu::noinline]] void touch_stack() {
    volatile char room[stack_bytes];
    for (size_t at = 0; at < sizeof room; at += 4096) room[at] = 0;
}

uint64_t number_in(const std::string& file) {
    uint64_t value = 0;
    std::ifstream stream(file);
    return stream >> value ? value : UINT64_MAX;  // "max", or not there: no limit
}

// Pages of files that the kernel can give up: they count in a group's use, and not against us.
uint64_t reclaimable(const std::string& directory) {
    std::ifstream file(directory + "/memory.stat");
    std::string key;
    uint64_t value = 0, sum = 0;
    while (file >> key >> value)
        if (key == "inactive_file" || key == "active_file") sum += value;
    return sum;
}

// The path of this process in the hierarchy: of the line "ID:CONTROLLERS:PATH" (cgroups(7)).
std::string own_group(const SystemPaths& paths, const CgroupMount& mount) {
    std::ifstream file(paths.proc + "/self/cgroup");
    const std::string start = fmt::format("{}:", mount.hierarchy);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(start)) return line.substr(line.find(':', start.size()) + 1);
    return "/";
}

uint64_t heap_end() { return reinterpret_cast<uint64_t>(sbrk(0)); }

}  // namespace

void Reserve::prepare() {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
    mallopt(M_TOP_PAD, heap_growth);
    if (!raise_limit(RLIMIT_NOFILE, wanted_files))
        log::warning("no more than {} file descriptors are allowed (RLIMIT_NOFILE): not every cgroup may be sampled",
                     sysconf(_SC_OPEN_MAX));
    raise_limit(RLIMIT_MEMLOCK, RLIM_INFINITY);  // what is refused shows in take()
}

Result<void> Reserve::check_room(const SystemPaths& paths, const CgroupMount& memory, uint64_t heap_bytes) {
    if (!memory.present()) return {};
    uint64_t size = 0, resident = 0;  // proc(5), statm: pages
    std::ifstream(paths.proc + "/self/statm") >> size >> resident;
    const uint64_t needed = (size - std::min(size, resident)) * 4096 + heap_bytes;
    for (std::string group = own_group(paths, memory);; group.resize(std::max<size_t>(group.rfind('/'), 1))) {
        std::array<char, 4096> directory{};
        if (memory.directory_of(group, directory)) {
            const std::string at = directory.data();
            const bool v2 = memory.hierarchy == 0;
            const uint64_t limit = number_in(at + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
            const uint64_t used = number_in(at + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
            if (limit < (1ull << 62) && used != UINT64_MAX && needed + used > limit + reclaimable(at))
                return fail(
                    Code::no_space,
                    fmt::format("the control group {} allows {} of memory, of which {} are used, and recording "
                                "needs {} more: raise its limit, or choose a smaller --window-size",
                                printable(group), format_bytes(limit), format_bytes(used), format_bytes(needed)));
        }
        if (group.size() <= 1) return {};
    }
}

Reserve Reserve::take(uint64_t heap_bytes) {
    Reserve out;
    void* room = std::malloc(heap_bytes);
    if (room == nullptr)
        log::warning("no memory for the reserve of {} MiB: under memory pressure a dump may fail", heap_bytes >> 20);
    touch_stack();
    out.locked_ = mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
    if (!out.locked_)
        log::warning("the recorder's memory is not locked ({}): under memory pressure it may be slow", strerror(errno));
    if (room != nullptr && !out.locked_) std::memset(room, 0, heap_bytes);
    std::free(room);
    out.heap_end_ = heap_end();
    rusage now{};
    getrusage(RUSAGE_SELF, &now);
    out.minor_ = static_cast<uint64_t>(now.ru_minflt);
    out.major_ = static_cast<uint64_t>(now.ru_majflt);
    return out;
}

Reserve::Usage Reserve::usage() const {
    Usage out;
    const struct mallinfo2 heap = mallinfo2();
    rusage now{};
    getrusage(RUSAGE_SELF, &now);
    out.heap = heap.arena;
    out.in_use = heap.uordblks;
    out.grown = heap_end() - heap_end_;
    out.minor_faults = static_cast<uint64_t>(now.ru_minflt) - minor_;
    out.major_faults = static_cast<uint64_t>(now.ru_majflt) - major_;
    out.locked = locked_;
    return out;
}

void protect_from_oom_killer(const char* proc) {
    std::ofstream file(std::string(proc) + "/self/oom_score_adj");
    file << "-1000" << std::flush;
    if (!file)
        log::warning(
            "cannot set oom_score_adj to -1000 (CAP_SYS_RESOURCE missing): the OOM killer may take the recorder");
}

}  // namespace flightrec::record
