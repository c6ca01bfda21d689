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
constexpr uint32_t state_version = 2;
constexpr uint32_t state_page = 4096;
constexpr const char* state_name = "state";

using Directory = Handle<DIR*, [](DIR* d) { closedir(d); }>;

}  // namespace

// The element of `state`: Header, then for each track two slots, used in turn, with a mark for each CPU and what was
// told of each track.
struct Pins::Header {
    uint32_t magic, version;
    uint64_t signature;
    uint32_t cpus, mark_size;
    uint64_t generation[FR_TRACK_COUNT];  // of the slot of the track that counts; 0: none
};
struct Pins::Slot {
    uint64_t generation;  // written last
    uint64_t boot_ns;
    uint64_t block;  // payload hash of the block that this belongs to
    uint64_t pad;    // RingMark of each CPU behind it, then RingTold of each track and CPU
    [[nodiscard]] RingMark* marks() { return reinterpret_cast<RingMark*>(this + 1); }
    [[nodiscard]] RingTold* told(uint8_t track, uint32_t cpus) {
        return reinterpret_cast<RingTold*>(marks() + cpus) + track * cpus;
    }
};

namespace {
constexpr size_t align8(size_t n) { return (n + 7) & ~size_t{7}; }
constexpr size_t slot_bytes(size_t head, uint32_t cpus) {
    return head + cpus * (sizeof(RingMark) + FR_TRACK_COUNT * sizeof(RingTold));
}
}  // namespace

size_t Pins::bytes_of(uint32_t cpus) {
    return align8(sizeof(Header)) + size_t{2} * FR_TRACK_COUNT * slot_bytes(sizeof(Slot), cpus);
}

std::string Pins::path(std::string_view kind, std::string_view name) const {
    return fmt::format("{}/{}{}", directory_, kind, name);
}

Pins::Slot& Pins::slot(uint8_t track, uint64_t generation) const {
    const size_t index = track * 2u + generation % 2;
    return *reinterpret_cast<Slot*>(state_ + align8(sizeof(Header)) + index * slot_bytes(sizeof(Slot), cpus_));
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
    length_ = (bytes_of(cpus) + state_page - 1) / state_page * state_page;
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

Result<Fd> Pins::link(std::string_view program) const {
    const int fd = bpf_obj_get(path("link_", program).c_str());
    if (fd < 0) return fail_errno(errno, fmt::format("cannot open the pinned link {}", path("link_", program)));
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

Result<void> Pins::complete(uint64_t signature, uint32_t cpus, const Rings& rings) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
    const auto pages = static_cast<uint32_t>((bytes_of(cpus) + state_page - 1) / state_page);
    const Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "flightrec_state", 4, state_page, pages, &options));
    if (!fd.valid() || fd.get() < 0) return fail_errno(errno, "cannot make the map for the cursors");
    FR_TRY(map_state(fd.get(), cpus));
    auto& header = *reinterpret_cast<Header*>(state_);
    header = {state_magic, state_version, signature, cpus, sizeof(RingMark), {}};
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) {
        prepare(track, rings, 0);
        commit(track);
    }
    if (bpf_obj_pin(fd.get(), path("", state_name).c_str()) != 0)
        return fail_errno(errno, fmt::format("cannot pin {}", path("", state_name)));
    return {};
}

void Pins::resolve(const std::array<uint64_t, FR_TRACK_COUNT>& last_blocks) {
    if (state_ == nullptr) return;
    auto& header = *reinterpret_cast<Header*>(state_);
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) {
        const Slot& next = slot(track, header.generation[track] + 1);
        if (next.generation == header.generation[track] + 1 && next.block == last_blocks[track] && next.block != 0)
            commit(track);
    }
}

std::optional<Pins::Saved> Pins::saved(uint8_t track) const {
    if (state_ == nullptr) return std::nullopt;
    const uint64_t generation = reinterpret_cast<const Header*>(state_)->generation[track];
    Slot& from = slot(track, generation);
    if (generation == 0 || from.generation != generation) return std::nullopt;
    return Saved{from.boot_ns, {from.marks(), cpus_}};
}

std::span<const RingTold> Pins::told(uint8_t track) const {
    if (!saved(FR_TRACK_VITAL)) return {};
    const uint64_t generation = reinterpret_cast<const Header*>(state_)->generation[FR_TRACK_VITAL];
    return {slot(FR_TRACK_VITAL, generation).told(track, cpus_), cpus_};
}

// A signal that kills comes between two instructions: the compiler must keep this order, the processor does.
void Pins::prepare(uint8_t track, const Rings& rings, uint64_t block) {
    if (state_ == nullptr) return;
    const uint64_t next = reinterpret_cast<const Header*>(state_)->generation[track] + 1;
    Slot& to = slot(track, next);
    __atomic_store_n(&to.generation, 0, __ATOMIC_RELEASE);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
        to.marks()[cpu] = rings[track]->prepared_mark(cpu);
        for (uint8_t of = 0; track == FR_TRACK_VITAL && of < FR_TRACK_COUNT; ++of)
            to.told(of, cpus_)[cpu] = rings[of]->prepared_told(cpu);
    }
    to.boot_ns = boot_ns();
    to.block = block;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    __atomic_store_n(&to.generation, next, __ATOMIC_RELEASE);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

void Pins::commit(uint8_t track) {
    if (state_ == nullptr) return;
    auto& generation = reinterpret_cast<Header*>(state_)->generation[track];
    std::atomic_signal_fence(std::memory_order_seq_cst);
    __atomic_store_n(&generation, generation + 1, __ATOMIC_RELEASE);
}

}  // namespace flightrec::kernel
