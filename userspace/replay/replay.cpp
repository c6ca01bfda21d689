// SPDX-License-Identifier: Apache-2.0
// The loop: events in time order, through the joining of system calls, the state and the filter to a renderer.
#include "userspace/replay/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <unordered_set>

#include "userspace/base/log.h"
#include "userspace/flight/event_builder.h"
#include "userspace/replay/block_choice.h"
#include "userspace/replay/call_stats.h"
#include "userspace/replay/event_source.h"
#include "userspace/replay/flight_info.h"
#include "userspace/replay/incidents.h"
#include "userspace/replay/json_renderer.h"
#include "userspace/replay/losses.h"
#include "userspace/replay/symbols.h"
#include "userspace/replay/syscall_merge.h"

namespace flightrec::replay {
namespace {

using flight::EventRef;

// The last N rendered events, each in a string that is used again.
class LastLines {
  public:
    explicit LastLines(size_t limit) : limit_(limit) {}
    std::string& next() {
        if (lines_.size() < limit_) return lines_.emplace_back();
        std::string& line = lines_[begin_];
        begin_ = (begin_ + 1) % limit_;
        line.clear();
        return line;
    }
    [[nodiscard]] size_t size() const { return lines_.size(); }
    void write(Output& out) {
        for (size_t i = 0; i < lines_.size(); ++i) {
            out.buffer() += lines_[(begin_ + i) % lines_.size()];
            out.commit();
        }
    }

  private:
    size_t limit_;
    size_t begin_ = 0;
    std::vector<std::string> lines_;
};

// One pass over the file.
class Pass {
  public:
    Pass(const ReplayOptions& options, const Timeline& timeline, const WallClock& clock, EventFilter filter,
         schemas::Arch arch, Symbolizer* symbols, Output& out)
        : options_(options),
          filter_(std::move(filter)),
          out_(out),
          state_(arch, timeline.early),
          merge_(arch),
          text_(
              options.time.value_or(timeline.reference_ns && !timeline.from_end ? TimeStyle::relative : TimeStyle::utc),
              timeline.reference_or_end(), clock, with_symbols(options.text, symbols)),
          json_(timeline.reference_ns, clock, symbols) {
        summary.selected = filter_.selects();
        if (options.last) last_.emplace(std::max<uint64_t>(*options.last, 1));
    }

    void event(const EventRef& event, bool keyframe) {
        keyframe_ = keyframe;
        summary.events += keyframe ? 0 : 1;
        merge_.feed(event, [this](const EventRef& e) { show(e); });
    }
    // What is held back, and the last lines.
    void finish() {
        keyframe_ = false;
        merge_.finish([this](const EventRef& e) { show(e); });
        if (last_) last_->write(out_);
        last_.reset();
        const auto& blocks = summary.call_blocks;
        if (options_.format == Format::stats) stats_.append_text(out_.buffer(), state_.arch(), blocks);
        if (options_.format == Format::stats_json) stats_.append_json(out_.buffer(), state_.arch(), blocks);
    }
    // Counts only matches from there on as found: before it, system calls were not read. Gaps never count.
    void count_from(uint64_t ns) { count_from_ns_ = ns; }
    [[nodiscard]] uint64_t matched() const { return matched_; }
    [[nodiscard]] const EventFilter& filter() const { return filter_; }

    ReplaySummary summary;

  private:
    static TextOptions with_symbols(TextOptions text, Symbolizer* symbols) {
        text.symbols = symbols;
        return text;
    }
    void show(const EventRef& event) {
        state_.begin(event);
        if (wanted(event)) render(event);
        state_.end(event);
    }
    bool wanted(const EventRef& event) {
        const bool json = options_.format == Format::json;
        if (keyframe_ && !options_.everything && !filter_.names_class(event.head().cls)) return false;
        if (!json && hidden_in_text(event) && !options_.everything && !filter_.names_class(event.head().cls))
            return false;
        return filter_.in_time(event.head().time_ns) && filter_.matches(event, state_);
    }
    // An exec is an event and a system call; text shows it once: as the event, which tells more, where it succeeded,
    // and as what comes first where it failed. The call is shown where the event is not, and to who asks for system
    // calls by name or duration.
    bool shown_as_exec(const EventRef& event) {
        if (options_.format != Format::text || options_.everything || !options_.filter.syscalls.empty() ||
            !options_.filter.slower_than.empty())
            return false;
        const auto& head = event.head();
        if (head.cls == FR_CLASS_EXEC_FAILED) return exec_shown_.erase(head.tid) != 0;
        if (head.cls != FR_CLASS_SYSCALL || exec_shown_.empty()) return false;
        return exec_shown_.erase(head.tid) != 0 && is_exec(event);
    }
    [[nodiscard]] bool is_exec(const EventRef& event) const {
        const auto* info = schemas::find_syscall(state_.arch(), event.as<fr_syscall>().nr);
        return info != nullptr && info->name.starts_with("execve");
    }
    void render(const EventRef& event) {
        if (options_.format == Format::stats || options_.format == Format::stats_json) {
            stats_.add(event);
            ++summary.matched;
            return;
        }
        if (shown_as_exec(event)) return;
        const bool loss = EventFilter::is_loss(event);
        if (!filter_.grep().empty() && !loss) {
            scratch_.clear();
            append_event_text(scratch_, event, state_, plain_);
            if (scratch_.find(filter_.grep()) == std::string::npos) return;
        }
        std::string& line = last_ ? last_->next() : out_.buffer();
        const size_t begin = line.size();
        if (options_.format == Format::json)
            json_.append(line, event, state_);
        else
            text_.append(line, event, state_);
        // A failed one may come before its event.
        const auto& head = event.head();
        if (head.cls == FR_CLASS_EXEC || head.cls == FR_CLASS_EXEC_FAILED ||
            (head.cls == FR_CLASS_SYSCALL && event.as<fr_syscall>().result < 0 && is_exec(event)))
            exec_shown_.insert(head.tid);
        ++summary.shown;
        if (!loss && event.head().time_ns >= count_from_ns_) ++matched_;
        if (!loss) ++summary.matched;
        if (options_.width != 0 && options_.format == Format::text) cut_lines(line, begin, options_.width);
        if (!last_) out_.commit();
    }

    const ReplayOptions& options_;
    EventFilter filter_;
    Output& out_;
    ReplayState state_;
    SyscallMerge merge_;
    TextRenderer text_;
    JsonRenderer json_;
    CallStats stats_;
    std::optional<LastLines> last_;
    std::unordered_set<uint32_t> exec_shown_;  // threads whose last event was an exec that was shown
    TextOptions plain_;
    std::string scratch_;
    uint64_t matched_ = 0;
    uint64_t count_from_ns_ = 0;
    bool keyframe_ = false;
};

// Says where parts of the file are missing, as the recorder's own gaps are said.
class MissingMarkers {
  public:
    explicit MissingMarkers(std::vector<MissingPart> parts) : parts_(std::move(parts)) {}
    template <class Show>
    void before(uint64_t time_ns, Show&& show) {
        while (next_ < parts_.size() && parts_[next_].time_ns <= time_ns) {
            const auto& part = parts_[next_++];
            auto& marker = builder_.begin<fr_marker>(FR_CLASS_MARKER);
            marker.event.time_ns = part.time_ns;
            marker.event.flags = FR_EVENT_SYNTHETIC;
            marker.kind = FR_MARKER_GAP;
            marker.value[0] = FR_UNKNOWN;
            marker.value[1] = part.track;
            marker.value[2] = part.events;
            show(EventRef{builder_.bytes(), 0, sizeof(fr_marker)});
        }
    }
    [[nodiscard]] uint64_t total() const {
        uint64_t sum = 0;
        for (const auto& part : parts_) sum += part.events;
        return sum;
    }

  private:
    std::vector<MissingPart> parts_;
    size_t next_ = 0;
    flight::EventBuilder builder_;
};

void run(Pass& pass, const flight::FlightFile& file, const BlockChoice& choice, uint64_t calls_from_ns,
         const Output& out, const std::atomic<bool>& stop) {
    const auto needed = [&choice](const flight::BlockInfo& block, const flight::BlockSummary&) {
        return choice.needs(block);
    };
    EventSource source(file, calls_from_ns, pass.filter().to_ns(), choice.all() ? EventSource::Wanted{} : needed,
                       !pass.filter().no_syscalls());
    MissingMarkers missing(missing_parts(file));
    pass.summary.missing = missing.total();
    uint32_t since_check = 0;
    while (const auto event = source.next()) {
        if (!source.in_keyframe())
            missing.before(event->head().time_ns, [&](const EventRef& e) { pass.event(e, false); });
        pass.event(*event, source.in_keyframe());
        if (++since_check == 256) {
            since_check = 0;
            if (stop.load(std::memory_order_relaxed) || !out.open()) break;
        }
    }
    // What is missing behind the last event that had to be read.
    if (!choice.all() && !stop.load(std::memory_order_relaxed) && out.open())
        missing.before(std::min(pass.filter().to_ns(), file.last_ns()),
                       [&](const EventRef& e) { pass.event(e, false); });
    pass.summary.call_blocks = source.call_blocks();
    pass.summary.blocks_lost = source.blocks_lost();
    pass.summary.damage = source.damage();
}

// The times from which the last `events` system calls would be read, later ones first; ends with `from`.
std::vector<uint64_t> starts_for_last(const flight::FlightFile& file, uint64_t from, uint64_t to, uint64_t wanted) {
    std::vector<std::pair<uint64_t, uint64_t>> blocks;  // first_ns, events
    for (const auto& segment : file.segments())
        for (const auto& block : segment.blocks)
            if (block.header.kind != FR_BLOCK_KEYFRAME && block.header.first_ns <= to)
                blocks.emplace_back(block.header.first_ns, block.header.events);
    std::sort(blocks.rbegin(), blocks.rend());
    std::vector<uint64_t> out;
    uint64_t sum = 0;
    uint64_t goal = std::max<uint64_t>(wanted, 1000) * 2;
    for (const auto& [first_ns, events] : blocks) {
        if (first_ns <= from) break;
        sum += events;
        if (sum < goal) continue;
        out.push_back(first_ns);
        goal = sum * 8;
    }
    out.push_back(from);
    return out;
}

bool same_file(const flight::FlightFile& a, const flight::FlightFile& b) {
    return std::memcmp(a.header().file_id, b.header().file_id, sizeof a.header().file_id) == 0;
}

// A recorder that is started again makes a new window at the same place: waits for it for a while.
std::optional<flight::FlightFile> next_window(const std::string& path, const std::atomic<bool>& stop) {
    constexpr int looks = 50;
    for (int i = 0; i < looks && !stop.load(); ++i) {
        auto file = flight::FlightFile::open(path);
        if (file && file->live()) return std::move(*file);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return std::nullopt;
}

// Blocks of a live window as they appear, in time order as far as what one look finds allows. Ends when nobody records
// into it any more.
Result<void> follow(Pass& pass, flight::FlightFile& file, const std::string& path, Output& out,
                    const std::atomic<bool>& stop) {
    if (!file.live()) {
        log::info("no recorder writes to this file: there is nothing to follow");
        return {};
    }
    std::vector<uint64_t> storage;  // records, 8-aligned
    struct Slice {
        uint64_t time_ns;
        size_t offset, size;
        uint16_t cpu, fixed_size;
    };
    std::vector<Slice> slices;
    bool live = true;
    while (!stop.load() && out.open()) {
        const bool was_live = live;  // what a recorder wrote last is found by one more look after it has ended
        storage.clear();
        slices.clear();
        for (const auto& block : file.refresh()) {
            if (block.header.kind == FR_BLOCK_KEYFRAME) continue;
            const auto events = file.decode(block);
            if (!events) {
                ++pass.summary.blocks_lost;
                continue;
            }
            for (const auto& event : *events) {
                const size_t offset = storage.size();
                storage.resize(offset + event.bytes.size() / 8);
                std::memcpy(storage.data() + offset, event.bytes.data(), event.bytes.size());
                slices.push_back({event.head().time_ns, offset, event.bytes.size(), event.cpu, event.fixed_size});
            }
        }
        live = file.live();
        std::stable_sort(slices.begin(), slices.end(),
                         [](const Slice& a, const Slice& b) { return a.time_ns < b.time_ns; });
        for (const auto& slice : slices) {
            const auto* bytes = reinterpret_cast<const std::byte*>(storage.data() + slice.offset);
            pass.event({{bytes, slice.size}, slice.cpu, slice.fixed_size}, false);
        }
        out.commit(true);
        if (live || was_live) {
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            continue;
        }
        log::info("the recorder has ended; waiting for the next one");
        auto next = next_window(path, stop);
        if (!next) {
            if (!stop.load()) log::info("there is none: the recording has ended here");
            return {};
        }
        live = true;
        log::info("going on with the next recorder");
        if (same_file(*next, file)) continue;
        file = std::move(*next);
        run(pass, file, {}, 0, out, stop);
    }
    return {};
}

}  // namespace

Result<ReplaySummary> replay(flight::FlightFile& file, const ReplayOptions& options, Output& out,
                             const std::atomic<bool>& stop) {
    const auto arch = FlightInfo::parse(file.info_json()).arch();
    const FileClock clock(file);
    FR_ASSIGN(const Timeline timeline, timeline_of(file, options.incident));
    FR_ASSIGN(const EventFilter filter, EventFilter::make(options.filter, timeline, clock, arch));
    const auto symbols =
        options.symbols ? std::make_unique<Symbolizer>(file, Symbolizer::Options{options.debug_directories}) : nullptr;
    const bool names = options.format == Format::json || (options.format == Format::text && options.text.fd_names) ||
                       !filter.grep().empty();
    const BlockChoice choice = BlockChoice::make(file, filter, arch, timeline, names);
    if (!options.last) {
        Pass pass(options, timeline, clock, filter, arch, symbols.get(), out);
        run(pass, file, choice, filter.from_ns(), out, stop);
        if (options.follow) {
            out.commit(true);
            FR_TRY(follow(pass, file, options.path, out, stop));
        }
        pass.finish();
        FR_TRY(out.finish());
        return pass.summary;
    }
    // Further and further back, until enough was found.
    const auto starts = starts_for_last(file, filter.from_ns(), filter.to_ns(), *options.last);
    for (size_t i = 0; i < starts.size(); ++i) {
        Pass pass(options, timeline, clock, filter, arch, symbols.get(), out);
        pass.count_from(starts[i]);
        run(pass, file, choice, starts[i], out, stop);
        if (pass.matched() < *options.last && i + 1 < starts.size()) continue;
        pass.finish();
        if (options.follow) {
            out.commit(true);
            FR_TRY(follow(pass, file, options.path, out, stop));
        }
        FR_TRY(out.finish());
        return pass.summary;
    }
    return ReplaySummary{};
}

}  // namespace flightrec::replay
