// SPDX-License-Identifier: Apache-2.0
// The window file: creation, appending, eviction, pinning (flight-format.md, "Segments" and "Torn writes").
#include "userspace/flight/window.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <ctime>
#include <limits>
#include <mutex>

#include "userspace/base/handle.h"
#include "userspace/base/text.h"
#include "userspace/flight/hash.h"
#include "userspace/flight/layout.h"

namespace flightrec::flight {
namespace {

struct Mapping {
    std::byte* at = nullptr;
    size_t size = 0;
    Mapping() = default;
    Mapping(std::byte* p, size_t n) : at(p), size(n) {}
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (at != nullptr) ::munmap(at, size);
    }
};

struct Slot {
    uint64_t sequence = 0;  // 0: never used
    uint64_t used = 0;      // end of the last block
    uint32_t pins = 0;
    // not yet flushed, within the slot
    uint64_t dirty_from = std::numeric_limits<uint64_t>::max(), dirty_to = 0;
    std::array<uint64_t, FR_CLASS_COUNT> stored{};
};

struct Track {
    uint32_t first_slot = 0, slots = 0;
    uint32_t open = 0;  // slot, valid when segments > 0
    uint64_t segments = 0;
    uint32_t blocks = 0;  // in the open segment
};

// At least half a MiB: the recorder's smallest block of system calls takes up to 160 KiB.
uint64_t default_segment_size(uint64_t size) {
    return std::clamp<uint64_t>(std::bit_floor(size / 32), 512u << 10, 4u << 20);
}

std::string sized(uint64_t bytes) { return format_bytes(bytes); }

// The geometry a configuration asks for.
struct Geometry {
    uint64_t segment_size = 0;
    uint32_t slots = 0, vital_slots = 0;
    [[nodiscard]] uint64_t file_size() const { return window_data_offset + segment_size * slots; }
};

Result<Geometry> plan(const WindowConfig& config) {
    Geometry g;
    g.segment_size = config.segment_size != 0 ? config.segment_size : default_segment_size(config.size);
    if (g.segment_size < FR_SEGMENT_SIZE_MIN || g.segment_size > FR_SEGMENT_SIZE_MAX || g.segment_size % FR_PAGE != 0)
        return fail(Code::usage,
                    fmt::format("segment size {} is not a multiple of 4 KiB from {} to {}", config.segment_size,
                                sized(FR_SEGMENT_SIZE_MIN), sized(FR_SEGMENT_SIZE_MAX)));
    const uint64_t least = std::max<uint64_t>(FR_WINDOW_SIZE_MIN, window_data_offset + 4 * g.segment_size);
    if (config.size < least)
        return fail(Code::usage, fmt::format("window size {} is too small: it must be at least {}", sized(config.size),
                                             sized(least)));
    const uint64_t slots = (config.size - window_data_offset) / g.segment_size;
    if (slots > (1u << 20)) return fail(Code::usage, "the window has too many segments: give a larger segment size");
    g.slots = static_cast<uint32_t>(slots);
    const double share = std::clamp(config.vital_share, 0.0, 1.0);
    g.vital_slots = std::clamp(static_cast<uint32_t>(share * g.slots + 0.5), 2u, g.slots - 2);
    return g;
}

bool lock_now(int fd) {
    // A reader probes with a shared lock for a moment: try for 100 ms.
    for (int i = 0; i < 6; ++i) {
        if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
        if (errno != EWOULDBLOCK) return false;
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return false;
}

// Looks at what stands at the path; holds its lock until the new file has taken its place.
Result<Fd> claim_existing(const WindowConfig& config) {
    struct stat st {};
    if (::lstat(config.path.c_str(), &st) != 0) {
        if (errno == ENOENT) return Fd{};
        return fail_errno(errno, fmt::format("cannot look at window {}", config.path.native()));
    }
    if (!S_ISREG(st.st_mode))
        return fail(Code::usage,
                    fmt::format("{} is not a regular file: give another path for the window", config.path.native()));
    Fd old(::open(config.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!old.valid()) return fail_errno(errno, fmt::format("cannot open the old window {}", config.path.native()));
    if (!lock_now(old.get()))
        return fail(Code::busy, fmt::format("another recorder is writing the window {}: stop it or give another path",
                                            config.path.native()));
    if (!config.replace_existing)
        return fail(Code::busy, fmt::format("an old window is at {}: move or remove it, or ask to replace it",
                                            config.path.native()));
    return old;
}

Result<Fd> open_fresh(const std::filesystem::path& path) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot create {}", path.native()));
    struct stat held {
    }, there{};
    if (!lock_now(fd.get()) || ::fstat(fd.get(), &held) != 0 || ::stat(path.c_str(), &there) != 0 ||
        held.st_ino != there.st_ino || held.st_dev != there.st_dev || !S_ISREG(held.st_mode))
        return fail(Code::busy,
                    fmt::format("another recorder is making {}: stop it or give another path", path.native()));
    if (::fchmod(fd.get(), 0600) != 0 || ::ftruncate(fd.get(), 0) != 0)
        return fail_errno(errno, fmt::format("cannot prepare {}", path.native()));
    return fd;
}

Result<void> allocate(int fd, uint64_t size, const std::filesystem::path& path) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < size)
        return fail(Code::no_space, fmt::format("window {} needs {} but the file size limit (ulimit -f) is {}",
                                                path.native(), sized(size), sized(limit.rlim_cur)));
    int err = ::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
    if (err == EOPNOTSUPP) err = ::posix_fallocate(fd, 0, static_cast<off_t>(size));
    if (err == 0) return {};
    if (err != ENOSPC && err != EDQUOT)
        return fail_errno(err, fmt::format("cannot allocate {} for the window {}", sized(size), path.native()));
    struct statvfs fs {};
    const uint64_t free = ::fstatvfs(fd, &fs) == 0 ? uint64_t{fs.f_bavail} * fs.f_frsize : 0;
    return fail(Code::no_space,
                fmt::format("no space for the window {}: it needs {}, the file system has {} free; free "
                            "some or give a smaller size",
                            path.native(), sized(size), sized(free)));
}

void random_id(uint8_t (&id)[16]) {
    if (::getrandom(id, sizeof id, GRND_NONBLOCK) == static_cast<ssize_t>(sizeof id)) return;
    // The entropy pool is not ready (early boot): the clocks tell this recording from any other of this machine.
    const ClockPair now = clock_pair();
    std::memcpy(id, &now, sizeof id);
}

}  // namespace

struct Window::Impl {
    std::filesystem::path path;
    Fd fd;
    Mapping map;
    fr_file_header file{};
    std::vector<Slot> slots;
    std::array<Track, FR_TRACK_COUNT> tracks;
    uint64_t next_sequence = 1;
    uint64_t info_generation = 0;
    std::array<uint64_t, FR_CLASS_COUNT> stored{}, evicted{};
    SegmentStarted segment_started;
    bool in_callback = false;
    uint64_t callback_limit = 0;
    bool header_dirty = true;
    std::mutex mutex;  // slots[].sequence, used and pins, which the dump thread reads

    std::byte* slot_at(uint32_t slot) const { return map.at + file.data_offset + slot * file.segment_size; }
    void fill_header(const Geometry& g);
    Result<void> begin_segment(Track& track, uint8_t number);
    void write_block(Track& track, const EncodedBlock& block);
    static void touched(Slot& slot, uint64_t from, uint64_t to) {
        slot.dirty_from = std::min(slot.dirty_from, from);
        slot.dirty_to = std::max(slot.dirty_to, to);
    }
    Result<void> sync(uint64_t from, uint64_t to, bool wait) const;
};

void Window::Impl::fill_header(const Geometry& g) {
    std::memcpy(file.magic, FR_FILE_MAGIC, sizeof file.magic);
    file.version = FR_FORMAT_VERSION;
    file.header_size = sizeof file;
    random_id(file.recording_id);
    std::memcpy(file.file_id, file.recording_id, sizeof file.file_id);
    file.kind = FR_FILE_WINDOW;
    file.segment_count = g.slots;
    file.file_size = g.file_size();
    file.data_offset = window_data_offset;
    file.segment_size = g.segment_size;
    file.info_offset[0] = info_offset_a;
    file.info_offset[1] = info_offset_b;
    file.info_slot_size = FR_INFO_SLOT_SIZE;
    file.vital_slots = g.vital_slots;
    for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) file.fixed_size[c] = fixed_size_of(c);
    file.created_realtime_ns = realtime_ns();
    file.hash = header_hash(file);
    std::memcpy(map.at, &file, sizeof file);
    slots.resize(g.slots);
    tracks[FR_TRACK_VITAL] = {0, g.vital_slots, 0, 0, 0};
    tracks[FR_TRACK_SYSCALL] = {g.vital_slots, g.slots - g.vital_slots, 0, 0, 0};
}

Window::Window(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Window::Window(Window&&) noexcept = default;
Window& Window::operator=(Window&&) noexcept = default;
Window::~Window() = default;

Result<Window> Window::create(const WindowConfig& config, std::string_view info_json) {
    FR_ASSIGN(const Geometry g, plan(config));
    if (info_json.size() > info_max)
        return fail(Code::usage, fmt::format("the information is longer than {} bytes", info_max));
    FR_ASSIGN(const Fd old, claim_existing(config));
    std::filesystem::path fresh = config.path;
    fresh += ".new";
    FR_ASSIGN(Fd fd, open_fresh(fresh));
    // From here on the fresh file is ours: it goes away when anything fails.
    const auto give_up = [&](std::unexpected<Error> error) -> Result<Window> {
        ::unlink(fresh.c_str());
        return error;
    };
    if (auto done = allocate(fd.get(), g.file_size(), config.path); !done)
        return give_up(std::unexpected(done.error()));
    void* at = ::mmap(nullptr, g.file_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED)
        return give_up(fail_errno(
            errno, fmt::format("cannot map {} of the window {}", sized(g.file_size()), config.path.native())));
    auto impl = std::make_unique<Impl>();
    impl->map.at = static_cast<std::byte*>(at);
    impl->map.size = g.file_size();
    impl->path = config.path;
    impl->fd = std::move(fd);
    impl->fill_header(g);
    Window window(std::move(impl));
    if (auto done = window.set_info(info_json); !done) return give_up(std::unexpected(done.error()));
    // After a loss of power the path must lead to a whole file, the old one or this: contents first, then the name.
    if (::fsync(window.impl_->fd.get()) != 0)
        return give_up(fail_errno(errno, fmt::format("cannot write {}", fresh.native())));
    if (::rename(fresh.c_str(), config.path.c_str()) != 0)
        return give_up(fail_errno(errno, fmt::format("cannot rename {} to {}", fresh.native(), config.path.native())));
    const auto folder = config.path.has_parent_path() ? config.path.parent_path() : std::filesystem::path(".");
    const Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid() || ::fsync(directory.get()) != 0)
        return fail_errno(errno, fmt::format("cannot write the folder of {}", config.path.native()));
    return window;
}

void Window::on_segment_started(SegmentStarted callback) { impl_->segment_started = std::move(callback); }

// Takes the next slot of the track and writes its header; the keyframe follows from the callback.
Result<void> Window::Impl::begin_segment(Track& track, uint8_t number) {
    const uint32_t index = track.first_slot + static_cast<uint32_t>(track.segments % track.slots);
    Slot& slot = slots[index];
    fr_segment_header header{};
    header.magic = FR_SEGMENT_MAGIC;
    std::memcpy(header.recording_id, file.recording_id, sizeof header.recording_id);
    header.sequence = next_sequence;
    header.track_sequence = track.segments;
    header.track = number;
    header.header_size = FR_SEGMENT_HEADER_SIZE;
    const ClockPair now = clock_pair();
    header.boot_ns = now.boot;
    header.realtime_ns = now.realtime;
    header.segment_size = file.segment_size;
    std::copy(stored.begin(), stored.end(), header.stored_before);
    header.hash = header_hash(header);
    {
        const std::lock_guard lock(mutex);
        if (slot.pins > 0) return fail(Code::busy, "the oldest segment of the window is being dumped");
        slot.sequence = header.sequence;
        slot.used = FR_SEGMENT_HEADER_SIZE;
        std::memcpy(slot_at(index), &header, sizeof header);
    }
    for (size_t c = 0; c < FR_CLASS_COUNT; ++c) evicted[c] += slot.stored[c];
    slot.stored = {};
    touched(slot, 0, FR_SEGMENT_HEADER_SIZE);
    ++next_sequence;
    ++track.segments;
    track.open = index;
    track.blocks = 0;
    return {};
}

void Window::Impl::write_block(Track& track, const EncodedBlock& block) {
    Slot& slot = slots[track.open];
    fr_block_header header = block.header;
    header.index = track.blocks;
    header.segment_sequence = slot.sequence;
    header.offset = slot.used;
    header.hash = header_hash(header);
    std::byte* const to = slot_at(track.open) + slot.used;
    // Payload first, header last: a block whose header stands is whole, also for a reader that looks right now.
    std::memcpy(to + sizeof header, block.payload.data(), block.payload.size());
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(to, &header, sizeof header);
    const uint64_t end = next_block(slot.used, header);
    std::memset(to + sizeof header + block.payload.size(), 0, end - slot.used - sizeof header - block.payload.size());
    touched(slot, slot.used, end);
    if (header.kind != FR_BLOCK_KEYFRAME) {
        for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
            stored[c] += block.by_class[c];
            slot.stored[c] += block.by_class[c];
        }
    }
    ++track.blocks;
    const std::lock_guard lock(mutex);
    slot.used = end;
}

Result<void> Window::append(uint8_t track_number, const EncodedBlock& block) {
    Impl& s = *impl_;
    if (track_number >= FR_TRACK_COUNT) return fail(Code::internal, "no such track");
    Track& track = s.tracks[track_number];
    const uint64_t need = align_up<uint64_t>(FR_BLOCK_HEADER_SIZE + block.payload.size(), FR_BLOCK_ALIGN);
    if (need > largest_block(s.file.segment_size))
        return fail(Code::usage, fmt::format("a block of {} bytes does not fit into segments of {} bytes", need,
                                             s.file.segment_size));
    if (s.in_callback && track_number == FR_TRACK_VITAL) {
        if (s.slots[track.open].used + need > s.callback_limit)
            return fail(Code::no_space, "the keyframe does not fit into half of a segment");
        s.write_block(track, block);
        return {};
    }
    if (track.segments == 0 || s.slots[track.open].used + need > s.file.segment_size) {
        FR_TRY(s.begin_segment(track, track_number));
        if (track_number == FR_TRACK_VITAL && s.segment_started) {
            s.in_callback = true;
            s.callback_limit = FR_SEGMENT_HEADER_SIZE + largest_block(s.file.segment_size);
            s.segment_started(track_number);
            s.in_callback = false;
        }
    }
    s.write_block(track, block);
    return {};
}

size_t Window::max_payload() const { return largest_block(impl_->file.segment_size) - FR_BLOCK_HEADER_SIZE; }

Result<void> Window::lock_memory() {
    if (::mlock(impl_->map.at, impl_->map.size) != 0)
        return fail_errno(errno, fmt::format("cannot lock {} of the window in memory", sized(impl_->map.size)));
    return {};
}

void Window::fill_ledger_position(fr_ledger& ledger) const {
    for (size_t i = 0; i < FR_TRACK_COUNT; ++i) {
        const Track& track = impl_->tracks[i];
        ledger.position[i] = {};
        if (track.segments == 0) continue;
        ledger.position[i].segment_sequence = impl_->slots[track.open].sequence;
        ledger.position[i].blocks = track.blocks;
    }
}

Result<void> Window::set_info(std::string_view json) {
    Impl& s = *impl_;
    if (json.size() > info_max)
        return fail(Code::usage, fmt::format("the information is longer than {} bytes", info_max));
    fr_info_header header{};
    header.magic = FR_INFO_MAGIC;
    header.generation = ++s.info_generation;
    header.size = static_cast<__u32>(json.size());
    header.hash = header_hash(header, std::as_bytes(std::span(json)));
    std::byte* const to = s.map.at + s.file.info_offset[header.generation % 2];
    if (!json.empty()) std::memcpy(to + sizeof header, json.data(), json.size());
    std::atomic_thread_fence(std::memory_order_release);
    std::memcpy(to, &header, sizeof header);
    s.header_dirty = true;
    return {};
}

std::array<uint64_t, FR_CLASS_COUNT> Window::stored() const { return impl_->stored; }
std::array<uint64_t, FR_CLASS_COUNT> Window::evicted() const { return impl_->evicted; }
uint64_t Window::segment_size() const { return impl_->file.segment_size; }
uint64_t Window::size() const { return impl_->file.file_size; }
int Window::fd() const { return impl_->fd.get(); }
uint32_t Window::slots() const { return impl_->file.segment_count; }
const std::filesystem::path& Window::path() const { return impl_->path; }
std::span<const std::byte> Window::mapping() const { return {impl_->map.at, impl_->map.size}; }
fr_file_header Window::header() const { return impl_->file; }

Result<void> Window::Impl::sync(uint64_t from, uint64_t to, bool wait) const {
    from = from / FR_PAGE * FR_PAGE;
    // sync_file_range(2) does not write the file's metadata: the blocks were allocated and the size set at create().
    const int bad = wait ? ::msync(map.at + from, to - from, MS_SYNC)
                         : ::sync_file_range(fd.get(), static_cast<off_t>(from), static_cast<off_t>(to - from),
                                             SYNC_FILE_RANGE_WRITE);
    if (bad != 0 && (wait || (errno != ESPIPE && errno != ENOSYS)))
        return fail_errno(errno, fmt::format("cannot write the window {}", path.native()));
    return {};
}

Result<void> Window::flush(bool wait) {
    Impl& s = *impl_;
    Result<void> result;
    const auto note = [&](Result<void> r) {
        if (!r && result) result = std::move(r);
    };
    if (s.header_dirty) note(s.sync(0, s.file.data_offset, wait));
    s.header_dirty = false;
    for (uint32_t i = 0; i < s.slots.size(); ++i) {
        Slot& slot = s.slots[i];
        if (slot.dirty_to == 0) continue;
        const uint64_t base = s.file.data_offset + i * s.file.segment_size;
        note(s.sync(base + slot.dirty_from, base + slot.dirty_to, wait));
        slot.dirty_from = std::numeric_limits<uint64_t>::max();
        slot.dirty_to = 0;
    }
    return result;
}

void Window::pin(std::vector<PinnedSegment>& out) {
    Impl& s = *impl_;
    out.clear();
    const std::lock_guard lock(s.mutex);
    for (uint32_t i = 0; i < s.slots.size(); ++i) {
        if (s.slots[i].sequence == 0) continue;
        ++s.slots[i].pins;
        out.push_back({i, s.slots[i].used});
    }
    std::sort(out.begin(), out.end(), [&](const PinnedSegment& a, const PinnedSegment& b) {
        return s.slots[a.slot].sequence < s.slots[b.slot].sequence;
    });
}

std::vector<Window::PinnedSegment> Window::pin() {
    std::vector<PinnedSegment> out;
    out.reserve(slots());
    pin(out);
    return out;
}

void Window::unpin(uint32_t slot) {
    const std::lock_guard lock(impl_->mutex);
    if (slot < impl_->slots.size() && impl_->slots[slot].pins > 0) --impl_->slots[slot].pins;
}

std::span<const std::byte> Window::segment_bytes(const PinnedSegment& segment) const {
    return {impl_->slot_at(segment.slot), segment.used};
}

}  // namespace flightrec::flight
