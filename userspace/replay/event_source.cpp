// SPDX-License-Identifier: Apache-2.0
// Merging the two tracks by time; at equal times the vital one comes first.
#include "userspace/replay/event_source.h"

namespace flightrec::replay {
namespace {

flight::ReadOptions vital_options(uint64_t to_ns) {
    flight::ReadOptions options;
    options.to_ns = to_ns;
    options.syscalls = false;
    return options;
}

flight::ReadOptions call_options(uint64_t from_ns, uint64_t to_ns, EventSource::Wanted wanted) {
    flight::ReadOptions options;
    options.from_ns = from_ns;
    options.to_ns = to_ns;
    options.vital = false;
    options.wanted = std::move(wanted);
    options.keyframes = false;
    return options;
}

}  // namespace

EventSource::EventSource(const flight::FlightFile& file, uint64_t calls_from_ns, uint64_t to_ns, Wanted wanted,
                         bool calls)
    : file_(file), vital_(file.read(vital_options(to_ns))) {
    if (calls) calls_ = file.read(call_options(calls_from_ns, to_ns, std::move(wanted)));
}

std::optional<flight::EventRef> EventSource::next() {
    // What was returned last stays valid until here: only now its reader may move on.
    if (from_ != From::calls) {
        next_vital_ = vital_.next();
        vital_keyframe_ = vital_.in_keyframe();
    }
    if (from_ != From::vital) next_call_ = calls_ ? calls_->next() : std::nullopt;
    if (!next_vital_ && !next_call_) return std::nullopt;
    const bool vital =
        next_vital_ && (vital_keyframe_ || !next_call_ || next_vital_->head().time_ns <= next_call_->head().time_ns);
    from_ = vital ? From::vital : From::calls;
    keyframe_ = vital && vital_keyframe_;
    return vital ? next_vital_ : next_call_;
}

uint64_t EventSource::blocks_lost() const { return vital_.blocks_lost() + (calls_ ? calls_->blocks_lost() : 0); }

flight::BlockCounts EventSource::call_blocks() const { return calls_ ? calls_->blocks() : flight::BlockCounts{}; }

flight::Damage EventSource::damage() const {
    flight::Damage out = file_.damage();
    const auto add = [&](const flight::Damage& more) {
        out.count += more.count;
        for (const auto& item : more.items)
            if (out.items.size() < 100) out.items.push_back(item);
    };
    add(vital_.damage());
    if (calls_) add(calls_->damage());
    return out;
}

}  // namespace flightrec::replay
