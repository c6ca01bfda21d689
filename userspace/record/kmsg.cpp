// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/kmsg.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "userspace/base/clock.h"
#include "userspace/flight/event_builder.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

constexpr size_t kHeldLines = 128;
constexpr size_t kAnnounced = 256;
constexpr size_t kHeldText = 1024;
constexpr size_t kAnnouncedText = 512;
constexpr size_t kOffsetSamples = 16;
constexpr int64_t kOffsetSlack = 50'000'000;
// After a longer pause (the recorder was stopped) lines are not taken as read when they were logged.
constexpr uint64_t kLivePause = second + second / 2;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// A line that waits for its announcement.
struct Held {
    bool used = false;
    bool cut = false;
    uint64_t read_ns = 0;
    uint64_t time_ns = 0;
    uint64_t seq = 0;
    uint32_t level = 0, facility = 0;
    size_t size = 0;
    std::array<char, kHeldText> text{};
    [[nodiscard]] std::string_view view() const { return {text.data(), size}; }
};

// A text a task in scope printed, until it finds its line.
struct Announced {
    bool used = false;
    bool cut = false;
    uint64_t at_ns = 0;
    uint64_t order = 0;
    size_t size = 0;
    std::array<char, kAnnouncedText> text{};
    [[nodiscard]] std::string_view view() const { return {text.data(), size}; }
};

}  // namespace

std::optional<KmsgLine> parse_kmsg(std::string_view record) {
    const size_t semicolon = record.find(';');
    if (semicolon == std::string_view::npos) return std::nullopt;
    std::string_view head = record.substr(0, semicolon);
    std::string_view rest = record.substr(semicolon + 1);
    KmsgLine line;
    const auto priority = take_number(head);
    if (!priority || !head.starts_with(',')) return std::nullopt;
    head.remove_prefix(1);
    const auto seq = take_number(head);
    if (!seq || !head.starts_with(',')) return std::nullopt;
    head.remove_prefix(1);
    const auto stamp = take_number(head);
    if (!stamp) return std::nullopt;
    line.level = static_cast<uint32_t>(*priority & 7);
    line.facility = static_cast<uint32_t>(*priority >> 3);
    line.seq = *seq;
    line.stamp_us = *stamp;
    line.text = take_until(rest, '\n');
    return line;
}

std::string_view unescape_kmsg(std::string_view text, std::span<char> out) {
    size_t size = 0;
    for (size_t i = 0; i < text.size() && size < out.size(); ++i) {
        const int high = i + 3 < text.size() && text[i] == '\\' && text[i + 1] == 'x' ? hex_digit(text[i + 2]) : -1;
        const int low = high >= 0 ? hex_digit(text[i + 3]) : -1;
        if (low >= 0) {
            out[size++] = static_cast<char>(high * 16 + low);
            i += 3;
        } else {
            out[size++] = text[i];
        }
    }
    return {out.data(), size};
}

struct KmsgReader::Impl {
    Fd device;
    KmsgConfig config;
    ReadCall call = ::read;
    Counts counts{};
    flight::EventBuilder builder{};
    std::array<char, 16384> record{}, text{};
    std::array<Held, kHeldLines> held{};
    std::array<Announced, kAnnounced> announced{};
    uint64_t announcements = 0;
    std::optional<uint64_t> last_seq;
    uint64_t first_seq = 0;  // lines below are not taken
    bool drained = false;    // everything before the start has been read
    uint64_t last_call_ns = 0;
    int64_t offset_ns = 0;
    std::array<int64_t, kOffsetSamples> offset_samples{};
    size_t offset_count = 0;

    void start();
    void take_record(std::string_view bytes, bool live, const Emit& emit);
    void note_sequence(uint64_t seq);
    void improve_offset(uint64_t stamp_ns, uint64_t now);
    void emit_line(uint64_t time_ns, uint64_t seq, uint32_t level, uint32_t facility, std::string_view line, bool cut,
                   const Emit& emit);
    void hold(const KmsgLine& line, std::string_view plain, uint64_t time_ns, uint64_t now);
    bool claim(std::string_view line);
    void expire(uint64_t now);
    [[nodiscard]] uint64_t boot_time_of(uint64_t stamp_ns) const {
        const int64_t t = static_cast<int64_t>(stamp_ns) + offset_ns;
        return t < 0 ? 0 : static_cast<uint64_t>(t);
    }
};

// Decides where to begin: at the end, or `backlog` lines before it.
void KmsgReader::Impl::start() {
    offset_ns = static_cast<int64_t>(boot_ns()) - static_cast<int64_t>(clock_ns(CLOCK_MONOTONIC));
    if (config.only_announced || config.backlog == 0) {
        ::lseek(device.get(), 0, SEEK_END);
        drained = true;
        return;
    }
    std::optional<uint64_t> newest;
    for (;;) {
        const ssize_t n = call(device.get(), record.data(), record.size());
        if (n < 0 && (errno == EINTR || errno == EPIPE || errno == EINVAL)) continue;
        if (n <= 0) break;
        if (const auto line = parse_kmsg({record.data(), static_cast<size_t>(n)})) newest = line->seq;
    }
    if (newest && *newest + 1 > config.backlog) first_seq = *newest + 1 - config.backlog;
    ::lseek(device.get(), 0, SEEK_SET);
}

void KmsgReader::Impl::note_sequence(uint64_t seq) {
    if (last_seq && seq > *last_seq + 1) {
        counts.overwritten += seq - *last_seq - 1;
        counts.produced += seq - *last_seq - 1;
    }
    last_seq = seq;
    ++counts.produced;
}

void KmsgReader::Impl::improve_offset(uint64_t stamp_ns, uint64_t now) {
    const int64_t sample = static_cast<int64_t>(now) - static_cast<int64_t>(stamp_ns);
    offset_samples[offset_count++ % kOffsetSamples] = sample;
    const auto end = offset_samples.begin() + static_cast<std::ptrdiff_t>(std::min(offset_count, kOffsetSamples));
    const int64_t least = *std::min_element(offset_samples.begin(), end);
    if (sample < offset_ns)
        offset_ns = sample;
    else if (offset_count >= kOffsetSamples && least - offset_ns > kOffsetSlack)
        offset_ns = least;
}

void KmsgReader::Impl::emit_line(uint64_t time_ns, uint64_t seq, uint32_t level, uint32_t facility,
                                 std::string_view line, bool cut, const Emit& emit) {
    auto& out = builder.begin<fr_kmsg>(FR_CLASS_KMSG);
    out.event.time_ns = time_ns;
    out.seq = seq;
    out.level = level;
    out.facility = facility;
    builder.blob(FR_BLOB_TEXT, line, cut ? FR_BLOB_CUT : 0);
    ++counts.emitted;
    emit(builder.bytes());
}

void KmsgReader::Impl::hold(const KmsgLine& line, std::string_view plain, uint64_t time_ns, uint64_t now) {
    Held* place = &held[0];
    for (Held& h : held) {
        if (!h.used) {
            place = &h;
            break;
        }
        if (h.read_ns < place->read_ns) place = &h;
    }
    if (place->used) {
        ++counts.skipped;
        --counts.waiting;
    }
    ++counts.waiting;
    place->used = true;
    place->read_ns = now;
    place->time_ns = time_ns;
    place->seq = line.seq;
    place->level = line.level;
    place->facility = line.facility;
    place->cut = plain.size() > place->text.size();
    place->size = std::min(plain.size(), place->text.size());
    plain.copy(place->text.data(), place->size);
}

// True when announcements make up the whole line; they are used up then. A line printed in pieces is announced in
// pieces, one after the other.
bool KmsgReader::Impl::claim(std::string_view line) {
    std::array<Announced*, 16> used{};
    size_t count = 0;
    uint64_t after = 0;
    bool complete = false;
    std::string_view rest = line;
    while (!complete && count < used.size()) {
        Announced* best = nullptr;
        for (Announced& a : announced) {
            const bool fits = a.used && a.order > after && (a.size != 0 || line.empty()) && rest.starts_with(a.view());
            if (fits && (best == nullptr || a.order < best->order)) best = &a;
        }
        if (best == nullptr) return false;
        used[count++] = best;
        after = best->order;
        rest.remove_prefix(best->size);
        complete = rest.empty() || best->cut;
    }
    if (!complete) return false;
    for (size_t i = 0; i < count; ++i) used[i]->used = false;
    return true;
}

void KmsgReader::Impl::expire(uint64_t now) {
    for (Held& h : held)
        if (h.used && now > h.read_ns + second) {
            h.used = false;
            --counts.waiting;
            ++counts.skipped;
        }
    // An announcement may precede its line by as long as the line takes to be read: one more second of patience.
    for (Announced& a : announced)
        if (a.used && now > a.at_ns + 2 * second) a.used = false;
}

void KmsgReader::Impl::take_record(std::string_view bytes, bool live, const Emit& emit) {
    const auto line = parse_kmsg(bytes);
    if (!line) {
        ++counts.produced;
        ++counts.skipped;
        return;
    }
    if (line->seq < first_seq) return;
    note_sequence(line->seq);
    const uint64_t now = boot_ns();
    const uint64_t stamp_ns = line->stamp_us * 1000;
    if (live) improve_offset(stamp_ns, now);
    const uint64_t time_ns = std::min(boot_time_of(stamp_ns), now);
    const std::string_view plain = unescape_kmsg(line->text, text);
    if (config.only_announced && !claim(plain))
        hold(*line, plain, time_ns, now);
    else
        emit_line(time_ns, line->seq, line->level, line->facility, plain, false, emit);
}

KmsgReader::KmsgReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KmsgReader::KmsgReader(KmsgReader&&) noexcept = default;
KmsgReader& KmsgReader::operator=(KmsgReader&&) noexcept = default;
KmsgReader::~KmsgReader() = default;

Result<KmsgReader> KmsgReader::open(const std::string& path, const KmsgConfig& config) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, "cannot open the kernel log " + path);
    return from(std::move(fd), config, ::read);
}

Result<KmsgReader> KmsgReader::from(Fd fd, const KmsgConfig& config, ReadCall call) {
    auto impl = std::make_unique<Impl>();
    impl->device = std::move(fd);
    impl->config = config;
    impl->call = call;
    impl->start();
    return KmsgReader(std::move(impl));
}

int KmsgReader::fd() const { return impl_->device.get(); }

size_t KmsgReader::read(const Emit& emit, size_t limit) {
    Impl& impl = *impl_;
    const uint64_t began = boot_ns();
    const bool live = impl.drained && impl.last_call_ns != 0 && began - impl.last_call_ns < kLivePause;
    impl.last_call_ns = began;
    size_t lines = 0;
    while (lines < limit) {
        const ssize_t n = impl.call(impl.device.get(), impl.record.data(), impl.record.size());
        if (n < 0 && errno == EINTR) continue;
        // EPIPE: the line that came next was overwritten; the next read gives the oldest there is, and the gap in
        // the sequence numbers says how many are gone. EINVAL: a record longer than the buffer, passed over.
        if (n < 0 && (errno == EPIPE || errno == EINVAL)) {
            ++lines;
            continue;
        }
        if (n <= 0) {
            impl.drained = true;
            break;
        }
        ++lines;
        impl.take_record({impl.record.data(), static_cast<size_t>(n)}, live, emit);
    }
    impl.expire(boot_ns());
    return lines;
}

void KmsgReader::announce(std::string_view text, bool cut, uint64_t at_ns, const Emit& emit) {
    Impl& impl = *impl_;
    if (!impl.config.only_announced) return;
    Announced* place = &impl.announced[0];
    for (Announced& a : impl.announced) {
        if (!a.used) {
            place = &a;
            break;
        }
        if (a.order < place->order) place = &a;
    }
    while (text.ends_with('\n')) text.remove_suffix(1);
    place->used = true;
    place->cut = cut || text.size() > place->text.size();
    place->at_ns = at_ns;
    place->order = ++impl.announcements;
    place->size = std::min(text.size(), place->text.size());
    text.copy(place->text.data(), place->size);
    for (Held& h : impl.held) {
        if (!h.used || !impl.claim(h.view())) continue;
        h.used = false;
        --impl.counts.waiting;
        impl.emit_line(h.time_ns, h.seq, h.level, h.facility, h.view(), h.cut, emit);
    }
}

const KmsgReader::Counts& KmsgReader::counts() const { return impl_->counts; }

}  // namespace flightrec::record
