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
    uint64_t stamp_ns = 0;
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
    bool calibrated = false;  // offset_samples are from announcements, exact to microseconds

    void start();
    void take_record(std::string_view bytes, bool live, const Emit& emit);
    void note_sequence(uint64_t seq);
    void improve_offset(uint64_t stamp_ns, uint64_t now);
    void calibrate(uint64_t stamp_ns, uint64_t announced_ns);
    void emit_line(const Held& line, std::string_view text, uint64_t time_ns, const Emit& emit);
    void hold(const Held& line, std::string_view plain, const Emit& emit);
    void let_go(Held& line, const Emit& emit);
    std::optional<uint64_t> claim(std::string_view line);
    Held* held_after(uint64_t seq);
    void expire(uint64_t now, const Emit& emit);
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
    if (calibrated) return;
    offset_samples[offset_count++ % kOffsetSamples] = sample;
    const auto end = offset_samples.begin() + static_cast<std::ptrdiff_t>(std::min(offset_count, kOffsetSamples));
    const int64_t least = *std::min_element(offset_samples.begin(), end);
    if (sample < offset_ns)
        offset_ns = sample;
    else if (offset_count >= kOffsetSamples && least - offset_ns > kOffsetSlack)
        offset_ns = least;
}

// The tracepoint fires some microseconds after the line was stamped, more when the task was interrupted in between: the
// least of the last pairs is nearest to the truth, and follows the drift.
void KmsgReader::Impl::calibrate(uint64_t stamp_ns, uint64_t announced_ns) {
    if (!calibrated) offset_count = 0;
    calibrated = true;
    offset_samples[offset_count++ % kOffsetSamples] =
        static_cast<int64_t>(announced_ns) - static_cast<int64_t>(stamp_ns);
    const auto end = offset_samples.begin() + static_cast<std::ptrdiff_t>(std::min(offset_count, kOffsetSamples));
    offset_ns = *std::min_element(offset_samples.begin(), end);
}

void KmsgReader::Impl::emit_line(const Held& line, std::string_view plain, uint64_t time_ns, const Emit& emit) {
    auto& out = builder.begin<fr_kmsg>(FR_CLASS_KMSG);
    out.event.time_ns = time_ns;
    out.seq = line.seq;
    out.level = line.level;
    out.facility = line.facility;
    out.stamp_ns = line.stamp_ns;
    builder.blob(FR_BLOB_TEXT, plain, line.cut ? FR_BLOB_CUT : 0);
    ++counts.waiting;  // while it is taken: the ledger of the block before it counts it so
    emit(builder.bytes());
    --counts.waiting;
    ++counts.emitted;
}

// The end of a line that waited in vain.
void KmsgReader::Impl::let_go(Held& line, const Emit& emit) {
    line.used = false;
    --counts.waiting;
    if (config.only_announced)
        ++counts.skipped;
    else
        emit_line(line, line.view(), line.time_ns, emit);
}

void KmsgReader::Impl::hold(const Held& line, std::string_view plain, const Emit& emit) {
    Held* place = &held[0];
    for (Held& h : held) {
        if (!h.used) {
            place = &h;
            break;
        }
        if (h.read_ns < place->read_ns) place = &h;
    }
    if (place->used) let_go(*place, emit);
    ++counts.waiting;
    place->used = true;
    place->read_ns = line.read_ns;
    place->time_ns = line.time_ns;
    place->stamp_ns = line.stamp_ns;
    place->seq = line.seq;
    place->level = line.level;
    place->facility = line.facility;
    place->cut = plain.size() > place->text.size();
    place->size = std::min(plain.size(), place->text.size());
    plain.copy(place->text.data(), place->size);
}

// The oldest line that waits, of those numbered `seq` and above.
Held* KmsgReader::Impl::held_after(uint64_t seq) {
    Held* oldest = nullptr;
    for (Held& h : held)
        if (h.used && h.seq >= seq && (oldest == nullptr || h.seq < oldest->seq)) oldest = &h;
    return oldest;
}

// When the line was printed, if announcements make up the whole of it; they are used up then. A line printed in pieces
// is announced in pieces, one after the other.
std::optional<uint64_t> KmsgReader::Impl::claim(std::string_view line) {
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
        if (best == nullptr) return std::nullopt;
        used[count++] = best;
        after = best->order;
        rest.remove_prefix(best->size);
        complete = rest.empty() || best->cut;
    }
    if (!complete) return std::nullopt;
    for (size_t i = 0; i < count; ++i) used[i]->used = false;
    return used[0]->at_ns;
}

void KmsgReader::Impl::expire(uint64_t now, const Emit& emit) {
    for (Held& h : held)
        if (h.used && now > h.read_ns + second) let_go(h, emit);
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
    Held entry;
    entry.stamp_ns = line->stamp_us * 1000;
    entry.read_ns = now;
    entry.seq = line->seq;
    entry.level = line->level;
    entry.facility = line->facility;
    if (live) improve_offset(entry.stamp_ns, now);
    entry.time_ns = std::min(boot_time_of(entry.stamp_ns), now);
    const std::string_view plain = unescape_kmsg(line->text, text);
    const bool told = config.announced || config.only_announced;
    if (const auto at = told ? claim(plain) : std::nullopt) {
        calibrate(entry.stamp_ns, *at);
        emit_line(entry, plain, *at, emit);
    } else if (config.only_announced || (config.announced && live)) {
        hold(entry, plain, emit);
    } else {
        emit_line(entry, plain, entry.time_ns, emit);
    }
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
    impl.expire(boot_ns(), emit);
    return lines;
}

void KmsgReader::announce(std::string_view text, bool cut, uint64_t at_ns, const Emit& emit) {
    Impl& impl = *impl_;
    if (!impl.config.only_announced && !impl.config.announced) return;
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
    // Oldest line first: the kernel may print the same text twice, and each has its own time.
    for (Held* h = impl.held_after(0); h != nullptr; h = impl.held_after(h->seq + 1)) {
        const auto at = impl.claim(h->view());
        if (!at) continue;
        h->used = false;
        --impl.counts.waiting;
        impl.calibrate(h->stamp_ns, *at);
        impl.emit_line(*h, h->view(), *at, emit);
    }
}

void KmsgReader::release(const Emit& emit) {
    if (impl_->config.only_announced) return;
    for (Held& h : impl_->held)
        if (h.used) impl_->let_go(h, emit);
}

const KmsgReader::Counts& KmsgReader::counts() const { return impl_->counts; }

}  // namespace flightrec::record
