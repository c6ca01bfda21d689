// SPDX-License-Identifier: Apache-2.0
// Events of all blocks in order of time: a merge in which a block takes part from its first to its last event.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <unordered_set>

#include "userspace/flight/file_impl.h"

namespace flightrec::flight {
namespace {
// Blocks that overlap in time are in memory together. A file made by a recorder has a few per CPU; one that was made to
// exhaust us is read out of order beyond this.
constexpr size_t open_blocks_max = 1024;
constexpr size_t open_bytes_max = 512u << 20;
}  // namespace

struct EventReader::Impl {
    struct Waiting {
        BlockInfo block;
        uint64_t order;
    };
    struct Open {
        BlockDecoder decoder;
        std::span<const EventRef> events;
        size_t at = 0;
        uint64_t order = 0;
        size_t bytes = 0;
        [[nodiscard]] uint64_t time() const { return events[at].head().time_ns; }
    };

    const FlightFile::Impl* file;
    ReadOptions options;
    std::vector<BlockInfo> keyframe;          // blocks still to be yielded
    std::vector<Waiting> waiting;             // by first_ns, the next one last
    std::vector<std::unique_ptr<Open>> heap;  // the earliest on top
    std::vector<std::unique_ptr<Open>> idle;
    std::vector<std::byte> payload;
    size_t open_bytes = 0;
    std::unordered_set<uint64_t> tried;  // where blocks that were read stand in the file
    bool in_keyframe = false;
    bool began = false;
    uint64_t lost = 0;
    BlockCounts counts;
    Damage damage;

    // The standard heap keeps the largest on top: "less" is "later".
    static bool later(const std::unique_ptr<Open>& a, const std::unique_ptr<Open>& b) {
        return a->time() != b->time() ? a->time() > b->time() : a->order > b->order;
    }
    void plan();
    [[nodiscard]] bool left_out(const BlockInfo& block) const;
    void choose_keyframe();
    std::unique_ptr<Open> open_block(const BlockInfo& block);
    void skip_early(Open& open) const;
    void retire(std::unique_ptr<Open> open);
    void admit();
    void advance();
    void check_rest();
    std::optional<EventRef> next();
    std::unique_ptr<Open> showing;  // keyframe block being yielded
};

void EventReader::Impl::choose_keyframe() {
    const SegmentInfo* chosen = nullptr;
    for (const auto& segment : file->segments) {
        if (segment.header.track != FR_TRACK_VITAL ||
            std::none_of(segment.blocks.begin(), segment.blocks.end(), FlightFile::Impl::is_keyframe))
            continue;
        if (chosen != nullptr && segment.header.boot_ns > options.from_ns) break;
        chosen = &segment;
    }
    if (chosen == nullptr) return;
    std::copy_if(chosen->blocks.rbegin(), chosen->blocks.rend(), std::back_inserter(keyframe),
                 FlightFile::Impl::is_keyframe);
}

// A summary that cannot be trusted leaves nothing out: the block is read, and what is wrong with it shows.
bool EventReader::Impl::left_out(const BlockInfo& block) const {
    if (!options.wanted || block.header.kind != FR_BLOCK_SYSCALLS) return false;
    const auto summary = file->read_summary(block);
    return summary && !options.wanted(block, *summary);
}

void EventReader::Impl::plan() {
    if (options.keyframes) choose_keyframe();
    uint64_t order = 0;
    for (const auto& segment : file->segments) {
        if (!(segment.header.track == FR_TRACK_VITAL ? options.vital : options.syscalls)) continue;
        for (const auto& block : segment.blocks) {
            if (FlightFile::Impl::is_keyframe(block) || block.header.events == 0) continue;
            if (block.header.last_ns < options.from_ns || block.header.first_ns > options.to_ns) continue;
            if (left_out(block)) {
                ++counts.left_out;
                continue;
            }
            waiting.push_back({block, order++});
        }
    }
    std::sort(waiting.begin(), waiting.end(), [](const Waiting& a, const Waiting& b) {
        return a.block.header.first_ns != b.block.header.first_ns ? a.block.header.first_ns > b.block.header.first_ns
                                                                  : a.order > b.order;
    });
}

// Reads and decodes; nullptr (and counted) when it is damaged or lost.
std::unique_ptr<EventReader::Impl::Open> EventReader::Impl::open_block(const BlockInfo& block) {
    std::string what;
    tried.insert(block.file_offset);
    switch (file->read_payload(block, payload, what)) {
        case BlockState::good: break;
        case BlockState::lost: ++lost; return nullptr;
        case BlockState::damaged:
            add_damage(damage, block.file_offset, block.header.header_size + block.header.stored_size, what);
            return nullptr;
    }
    std::unique_ptr<Open> open;
    if (idle.empty()) {
        open = std::make_unique<Open>();
    } else {
        open = std::move(idle.back());
        idle.pop_back();
    }
    const auto events = file->decode(open->decoder, block.header, payload);
    if (!events) {
        add_damage(damage, block.file_offset, block.header.header_size + block.header.stored_size,
                   fmt::format("segment {}, block {}: {}", block.header.segment_sequence, block.header.index,
                               events.error().message));
        idle.push_back(std::move(open));
        return nullptr;
    }
    if (!open->decoder.summary_fits()) add_damage(damage, block.file_offset, 0, summary_wrong(block.header));
    open->events = *events;
    open->at = 0;
    open->bytes = 0;  // decoded: columns grow to many times their payload
    for (const EventRef& event : open->events) open->bytes += event.bytes.size();
    return open;
}

void EventReader::Impl::skip_early(Open& open) const {
    const auto first = std::lower_bound(open.events.begin(), open.events.end(), options.from_ns,
                                        [](const EventRef& e, uint64_t t) { return e.head().time_ns < t; });
    open.at = static_cast<size_t>(first - open.events.begin());
    const auto end = std::upper_bound(first, open.events.end(), options.to_ns,
                                      [](uint64_t t, const EventRef& e) { return t < e.head().time_ns; });
    open.events = open.events.first(static_cast<size_t>(end - open.events.begin()));
}

void EventReader::Impl::retire(std::unique_ptr<Open> open) {
    open->events = {};
    if (idle.size() < 8) idle.push_back(std::move(open));
}

// Opens every block that begins at or before the earliest event at hand.
void EventReader::Impl::admit() {
    while (!waiting.empty()) {
        const Waiting& next = waiting.back();
        if (!heap.empty() && next.block.header.first_ns > heap.front()->time()) return;
        if (!heap.empty() && (heap.size() >= open_blocks_max || open_bytes > open_bytes_max)) {
            add_damage(damage, next.block.file_offset, 0, "too many blocks overlap in time: order is not kept");
            return;
        }
        auto open = open_block(next.block);
        const uint64_t order = next.order;
        waiting.pop_back();
        ++counts.read;
        if (!open) continue;
        skip_early(*open);
        if (open->at == open->events.size()) {
            retire(std::move(open));
            continue;
        }
        open->order = order;
        open_bytes += open->bytes;
        heap.push_back(std::move(open));
        std::push_heap(heap.begin(), heap.end(), later);
    }
}

// Steps over the event that was yielded last.
void EventReader::Impl::advance() {
    if (heap.empty()) return;
    if (heap.size() == 1 && heap.front()->at + 1 < heap.front()->events.size()) {
        ++heap.front()->at;
        return;
    }
    std::pop_heap(heap.begin(), heap.end(), later);
    Open& done = *heap.back();
    if (++done.at < done.events.size()) {
        std::push_heap(heap.begin(), heap.end(), later);
        return;
    }
    open_bytes -= done.bytes;
    retire(std::move(heap.back()));
    heap.pop_back();
}

void EventReader::Impl::check_rest() {
    std::string what;
    for (const auto& segment : file->segments)
        for (const auto& block : segment.blocks)
            if (!tried.contains(block.file_offset) && file->read_payload(block, payload, what) == BlockState::damaged)
                add_damage(damage, block.file_offset, block.header.header_size + block.header.stored_size, what);
}

std::optional<EventRef> EventReader::Impl::next() {
    while (showing || !keyframe.empty()) {
        if (!showing) {
            showing = open_block(keyframe.back());
            keyframe.pop_back();
            if (!showing) continue;
        }
        if (showing->at < showing->events.size()) {
            in_keyframe = true;
            return showing->events[showing->at++];
        }
        retire(std::move(showing));
    }
    in_keyframe = false;
    if (began) advance();
    began = true;
    admit();
    if (heap.empty()) return std::nullopt;
    return heap.front()->events[heap.front()->at];
}

EventReader::EventReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;
EventReader::~EventReader() = default;

std::optional<EventRef> EventReader::next() { return impl_->next(); }
bool EventReader::in_keyframe() const { return impl_->in_keyframe; }
uint64_t EventReader::blocks_lost() const { return impl_->lost; }
BlockCounts EventReader::blocks() const { return impl_->counts; }
const Damage& EventReader::damage() const { return impl_->damage; }
void EventReader::check_rest() { impl_->check_rest(); }

EventReader FlightFile::read(const ReadOptions& options) const {
    auto impl = std::make_unique<EventReader::Impl>();
    impl->file = impl_.get();
    impl->options = options;
    impl->plan();
    return EventReader(std::move(impl));
}

}  // namespace flightrec::flight
