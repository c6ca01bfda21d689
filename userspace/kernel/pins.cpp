// SPDX-License-Identifier: Apache-2.0
// Pinning, and the cursors in shared memory.
#include "userspace/kernel/pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <utility>

#include "userspace/base/clock.h"
#include "userspace/base/log.h"

namespace flightrec::kernel {
namespace {

constexpr uint32_t state_magic = 0x54534650;  // "PFST"
constexpr uint32_t state_version = 1;
constexpr uint32_t state_page = 4096;
constexpr const char* state_name = "state";

using Directory = Handle<DIR*, [](DIR* d) { closedir(d); }>;

}  // namespace

// The element of `state`: Header, then for each track two slots with a mark for each CPU.
struct Pins::Header {
    uint32_t magic, version;
    uint64_t signature;
    uint32_t cpus, mark_size;
    uint64_t generation[FR_TRACK_COUNT];  // of the newest slot of the track; 0: never saved
};
struct Pins::Slot {
    uint64_t generation;
    uint64_t boot_ns;  // RingMark of each CPU behind it
    [[nodiscard]] RingMark* marks() { return reinterpret_cast<RingMark*>(this + 1); }
};

namespace {
constexpr size_t align8(size_t n) { return (n + 7) & ~size_t{7}; }
}  // namespace

std::string Pins::path(std::string_view kind, std::string_view name) const {
    return fmt::format("{}/{}{}", directory_, kind, name);
}

Pins::Slot& Pins::slot(uint8_t track, uint64_t generation) const {
    const size_t slot_size = align8(sizeof(Slot)) + cpus_ * sizeof(RingMark);
    const size_t index = track * 2u + generation % 2;
    return *reinterpret_cast<Slot*>(state_ + align8(sizeof(Header)) + index * slot_size);
}

Pins::Pins(Pins&& other) noexcept
    : directory_(std::move(other.directory_)),
      held_(std::move(other.held_)),
      state_(std::exchange(other.state_, nullptr)),
      length_(other.length_),
      cpus_(other.cpus_) {}

Pins& Pins::operator=(Pins&& other) noexcept {
    std::swap(directory_, other.directory_);
    std::swap(held_, other.held_);
    std::swap(state_, other.state_);
    std::swap(length_, other.length_);
    std::swap(cpus_, other.cpus_);
    return *this;
}

Pins::~Pins() {
    if (state_ != nullptr) munmap(state_, length_);
}

Result<Pins> Pins::open(const std::string& directory) {
    const bool made = mkdir(directory.c_str(), 0700) == 0;
    if (!made && errno != EEXIST)
        return fail_errno(errno, fmt::format("cannot make the folder {} for pinned programs (is a bpf file system "
                                             "mounted there? mount -t bpf bpf /sys/fs/bpf)",
                                             directory));
    Fd held(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!held.valid()) return fail_errno(errno, fmt::format("cannot open {}", directory));
    struct statfs fs {};
    if (fstatfs(held.get(), &fs) != 0 || fs.f_type != static_cast<decltype(fs.f_type)>(BPF_FS_MAGIC)) {
        if (made) rmdir(directory.c_str());
        return fail(Code::usage,
                    fmt::format("{} is not on a bpf file system: give a folder below /sys/fs/bpf to --pin", directory));
    }
    struct stat st {};
    if (fstat(held.get(), &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return fail(Code::permission,
                    fmt::format("{} can be changed by other users: make it root's, mode 0700", directory));
    if (flock(held.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(Code::busy,
                    fmt::format("another recorder uses the pins in {}: give this one its own --pin", directory));
    return Pins(directory, std::move(held));
}

Result<void> Pins::map_state(int fd, uint32_t cpus) {
    const size_t slot_size = align8(sizeof(Slot)) + cpus * sizeof(RingMark);
    const size_t bytes = align8(sizeof(Header)) + size_t{2} * FR_TRACK_COUNT * slot_size;
    length_ = (bytes + state_page - 1) / state_page * state_page;
    void* at = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return fail_errno(errno, fmt::format("cannot map {}", path("", state_name)));
    state_ = static_cast<std::byte*>(at);
    cpus_ = cpus;
    return {};
}

bool Pins::adopt(uint64_t signature, uint32_t cpus) {
    const Fd fd(bpf_obj_get(path("", state_name).c_str()));
    if (!fd.valid() || fd.get() < 0) return false;
    if (!map_state(fd.get(), cpus)) return false;
    const auto& header = *reinterpret_cast<const Header*>(state_);
    const bool same = header.magic == state_magic && header.version == state_version && header.signature == signature &&
                      header.cpus == cpus && header.mark_size == sizeof(RingMark);
    if (!same) munmap(std::exchange(state_, nullptr), length_);
    return same;
}

bool Pins::any() const {
    const Directory dir(opendir(directory_.c_str()));
    while (const dirent* entry = dir.valid() ? readdir(dir.get()) : nullptr)
        if (entry->d_name[0] != '.') return true;
    return false;
}

void Pins::clear() {
    if (state_ != nullptr) munmap(std::exchange(state_, nullptr), length_);
    // `state` first: what is left by a kill in the middle is then known as a remainder.
    unlink(path("", state_name).c_str());
    const Directory dir(opendir(directory_.c_str()));
    while (const dirent* entry = dir.valid() ? readdir(dir.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        if (name.starts_with("map_") || name.starts_with("link_")) unlinkat(held_.get(), entry->d_name, 0);
    }
}

Result<Fd> Pins::map(std::string_view name) const {
    const int fd = bpf_obj_get(path("map_", name).c_str());
    if (fd < 0) return fail_errno(errno, fmt::format("cannot open the pinned map {}", path("map_", name)));
    return Fd(fd);
}

bool Pins::has_link(std::string_view program) const { return access(path("link_", program).c_str(), F_OK) == 0; }

Result<void> Pins::pin_map(std::string_view name, int fd) const {
    if (bpf_obj_pin(fd, path("map_", name).c_str()) == 0) return {};
    return fail_errno(errno, fmt::format("cannot pin {}", path("map_", name)));
}

Result<void> Pins::pin_link(std::string_view program, int fd) const {
    if (bpf_obj_pin(fd, path("link_", program).c_str()) == 0) return {};
    return fail_errno(errno, fmt::format("cannot pin {}", path("link_", program)));
}

Result<void> Pins::complete(uint64_t signature, uint32_t cpus) {
    const size_t slot_size = align8(sizeof(Slot)) + cpus * sizeof(RingMark);
    const size_t bytes = align8(sizeof(Header)) + size_t{2} * FR_TRACK_COUNT * slot_size;
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    const auto pages = static_cast<uint32_t>((bytes + state_page - 1) / state_page);
    const Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "flightrec_state", 4, state_page, pages, &options));
    if (!fd.valid() || fd.get() < 0) return fail_errno(errno, "cannot make the map for the cursors");
    FR_TRY(map_state(fd.get(), cpus));
    auto& header = *reinterpret_cast<Header*>(state_);
    header = {state_magic, state_version, signature, cpus, sizeof(RingMark), {}};
    if (bpf_obj_pin(fd.get(), path("", state_name).c_str()) != 0)
        return fail_errno(errno, fmt::format("cannot pin {}", path("", state_name)));
    return {};
}

std::optional<Pins::Saved> Pins::saved(uint8_t track) const {
    if (state_ == nullptr) return std::nullopt;
    const uint64_t generation = reinterpret_cast<const Header*>(state_)->generation[track];
    Slot& from = slot(track, generation);
    if (generation == 0 || from.generation != generation) return std::nullopt;
    return Saved{from.boot_ns, {from.marks(), cpus_}};
}

void Pins::save(uint8_t track, const RingReader& ring) {
    if (state_ == nullptr) return;
    auto& newest = reinterpret_cast<Header*>(state_)->generation[track];
    Slot& to = slot(track, newest + 1);
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) to.marks()[cpu] = ring.mark(cpu);
    to.boot_ns = boot_ns();
    to.generation = newest + 1;
    // A signal that kills comes between two instructions: the compiler must keep this order, the processor does.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    __atomic_store_n(&newest, newest + 1, __ATOMIC_RELEASE);
}

}  // namespace flightrec::kernel
