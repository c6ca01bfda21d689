// SPDX-License-Identifier: Apache-2.0
// The state at a moment, as a tree of lines or of JSON objects.
#include "userspace/replay/process_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "userspace/base/clock.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/flight_info.h"
#include "userspace/replay/incidents.h"
#include "userspace/replay/json_line.h"
#include "userspace/replay/names.h"
#include "userspace/replay/state.h"
#include "userspace/replay/timeline.h"

namespace flightrec::replay {
namespace {

constexpr size_t max_depth = 100;  // deeper ones are not indented further
constexpr size_t argv_shown = 160;

// Anything but its number.
bool is_told(const Process& p) { return !p.comm.empty() || !p.argv.empty() || p.start_seen; }

class Tree {
  public:
    Tree(const ReplayState& state, const TreeOptions& options, uint64_t at_ns, const WallClock& clock, Output& out)
        : state_(state),
          options_(options),
          at_ns_(at_ns),
          clock_(clock),
          out_(out),
          paint_(Palette::of(options.color)) {}

    Result<void> make();
    void write();

  private:
    [[nodiscard]] const Process& process(ProcessIndex index) const { return state_.process(index); }
    [[nodiscard]] bool wanted(const Process& p) const {
        return (!p.ended || options_.ended) && (!p.kernel_thread || options_.kernel_threads);
    }
    // The parent to show it under; no_process at the top.
    [[nodiscard]] ProcessIndex above(ProcessIndex index) const {
        const ProcessIndex parent = process(index).parent;
        return parent != no_process && parent < shown_.size() && shown_[parent] ? parent : no_process;
    }
    void show_ancestors(ProcessIndex index);
    void show_descendants();
    void line(ProcessIndex index, const std::string& prefix);
    void object(ProcessIndex index, size_t depth);
    void subtree(ProcessIndex root);

    const ReplayState& state_;
    const TreeOptions& options_;
    uint64_t at_ns_;
    const WallClock& clock_;
    Output& out_;
    const Palette& paint_;
    std::vector<bool> shown_, written_;
    std::map<ProcessIndex, std::vector<ProcessIndex>> children_;  // by parent; no_process: the top
    uint64_t alive_ = 0, kernel_ = 0;
    uint64_t named_ = 0;  // known by their number alone, as somebody's parent: whether they live is not known
};

void Tree::show_ancestors(ProcessIndex index) {
    while (index != no_process && !shown_[index]) {
        shown_[index] = true;
        index = process(index).parent;
    }
}

// Children of what is shown, in the order in which processes became known: a parent before its children, mostly.
void Tree::show_descendants() {
    for (bool more = true; more;) {
        more = false;
        for (ProcessIndex i = 0; i < shown_.size(); ++i) {
            const ProcessIndex parent = process(i).parent;
            if (shown_[i] || parent == no_process || !shown_[parent] || !wanted(process(i))) continue;
            shown_[i] = more = true;
        }
    }
}

Result<void> Tree::make() {
    const auto count = static_cast<ProcessIndex>(state_.processes().size());
    shown_.assign(count, false);
    written_.assign(count, false);
    for (ProcessIndex i = 0; i < count; ++i) {
        const Process& p = process(i);
        if (p.ended) continue;
        ++(p.kernel_thread ? kernel_ : is_told(p) ? alive_ : named_);
    }
    std::vector<ProcessIndex> chosen;
    for (ProcessIndex i = 0; i < count; ++i) {
        const auto& pids = options_.pids;
        if (pids.empty() ? wanted(process(i)) : std::find(pids.begin(), pids.end(), process(i).pid) != pids.end())
            chosen.push_back(i);
    }
    if (chosen.empty() && !options_.pids.empty())
        return fail(Code::not_found,
                    fmt::format("--pid {}: no process of that number is known then", options_.pids[0]));
    if (!options_.pids.empty()) {
        for (const auto i : chosen) shown_[i] = true;
        show_descendants();
        for (const auto i : chosen) {
            shown_[i] = false;
            show_ancestors(i);
        }
    }
    for (const auto i : chosen) show_ancestors(i);
    for (ProcessIndex i = 0; i < count; ++i)
        if (shown_[i]) children_[above(i)].push_back(i);
    for (auto& [parent, list] : children_)
        std::stable_sort(list.begin(), list.end(), [this](ProcessIndex a, ProcessIndex b) {
            const Process &x = process(a), &y = process(b);
            return x.start_ns != y.start_ns ? x.start_ns < y.start_ns : x.pid < y.pid;
        });
    return {};
}

std::string before_text(uint64_t then_ns, uint64_t at_ns) {
    return then_ns <= at_ns ? format_duration(at_ns - then_ns) + " before"
                            : format_duration(then_ns - at_ns) + " after";
}

void Tree::line(ProcessIndex index, const std::string& prefix) {
    const Process& p = process(index);
    std::string& out = out_.buffer();
    out += paint_.dim;
    out += prefix;
    out += paint_.reset;
    if (!p.ended) out += paint_.bold;
    append_process_name(out, p.comm.empty() ? std::string_view("?") : std::string_view(p.comm), p.pid);
    out += paint_.reset;
    if (!p.argv.empty()) {
        out += ' ';
        append_printable(out, ReplayState::command_line(p, argv_shown));
    }
    std::string notes;
    const auto note = [&notes](std::string_view text) {
        notes += notes.empty() ? "" : ", ";
        notes += text;
    };
    if (!is_told(p)) note("nothing else is known of it");
    if (p.kernel_thread) note("kernel thread");
    if (p.uid_known && p.uid != 0) note(fmt::format("uid {}", p.uid));
    if (!p.ended && p.threads > 1) note(fmt::format("{} threads", p.threads));
    if (p.start_seen && p.start_ns != 0) note("began " + before_text(p.start_ns, at_ns_));
    if (p.exit_seen) {
        std::string end;
        append_exit_status(end, p.exit_code);
        note(fmt::format("{} {}", end, before_text(p.end_ns, at_ns_)));
    } else if (p.ended) {
        note("ended, how is not known");
    }
    const bool orphan = p.parent != no_process && process(p.parent).ended && !p.ended;
    if (orphan && p.ppid != 0 && p.ppid != process(p.parent).pid) note(fmt::format("later child of {}", p.ppid));
    if (!notes.empty()) fmt::format_to(std::back_inserter(out), "  {}({}){}", paint_.dim, notes, paint_.reset);
    out += '\n';
    out_.commit();
}

void Tree::object(ProcessIndex index, size_t depth) {
    const Process& p = process(index);
    JsonLine json(out_.buffer());
    json.open();
    json.number("pid", p.pid);
    json.number("depth", depth);
    json.text("parent", p.parent_kind == Parent::known ? "known" : p.parent_kind == Parent::none ? "none" : "unknown");
    json.key("parent_pid");
    p.parent != no_process ? json.number(process(p.parent).pid) : json.null();
    json.boolean("parent_ended", p.parent != no_process && process(p.parent).ended);
    json.number("ppid_last_told", p.ppid);
    json.text("comm", p.comm);
    json.key("argv").open('[');
    for (std::string_view rest = p.argv; !rest.empty();) {
        const auto end = std::min(rest.find('\0'), rest.size());
        json.text(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    json.close(']');
    json.text("exe", p.exe);
    json.text("cgroup", state_.cgroup_of(p));
    json.key("uid");
    p.uid_known ? json.number(p.uid) : json.null();
    json.number("threads", p.threads);
    json.boolean("kernel_thread", p.kernel_thread);
    json.key("start_ns");
    p.start_ns != 0 ? json.number(p.start_ns) : json.null();
    json.boolean("start_seen", p.start_seen);
    json.boolean("ended", p.ended);
    json.key("end_ns");
    p.exit_seen ? json.number(p.end_ns) : json.null();
    json.key("wait_status");
    p.exit_seen ? json.number(p.exit_code) : json.null();
    json.close();
    out_.buffer() += '\n';
    out_.commit();
}

// Without recursion: a file may tell of a chain of any length, or of one that bites its tail.
void Tree::subtree(ProcessIndex root) {
    struct Level {
        ProcessIndex index;
        size_t depth;
        bool last;
    };
    std::vector<Level> stack{{root, 0, true}};
    std::vector<bool> open;  // by depth: more siblings follow
    while (!stack.empty()) {
        const Level at = stack.back();
        stack.pop_back();
        if (written_[at.index]) continue;
        written_[at.index] = true;
        open.resize(std::min(at.depth, max_depth));
        std::string prefix;
        for (size_t i = 0; i + 1 < open.size(); ++i) prefix += open[i + 1] ? "│ " : "  ";
        if (at.depth > 0) prefix += at.last ? "└─" : "├─";
        options_.json ? object(at.index, at.depth) : line(at.index, prefix);
        if (at.depth < max_depth) open.push_back(!at.last);
        const auto list = children_.find(at.index);
        if (list == children_.end()) continue;
        for (auto it = list->second.rbegin(); it != list->second.rend(); ++it)
            stack.push_back({*it, at.depth + 1, it == list->second.rbegin()});
    }
}

void Tree::write() {
    if (!options_.json) {
        fmt::format_to(std::back_inserter(out_.buffer()), "{}{} (@{}.{:09}): {} processes, {} kernel threads{}{}{}\n",
                       paint_.bold, format_utc(clock_.realtime_of(at_ns_)), at_ns_ / 1'000'000'000,
                       at_ns_ % 1'000'000'000, alive_, kernel_,
                       kernel_ != 0 && !options_.kernel_threads ? " (not shown)" : "",
                       named_ != 0 ? fmt::format(", {} known by number alone", named_) : "", paint_.reset);
        out_.commit();
    }
    const auto& top = children_[no_process];
    bool heading = false;
    for (const bool unknown : {false, true})
        for (const auto root : top) {
            if ((process(root).parent_kind == Parent::unknown) != unknown) continue;
            if (unknown && !heading && !options_.json) out_.buffer() += "(parent not known)\n";
            heading = heading || unknown;
            subtree(root);
        }
    for (ProcessIndex i = 0; i < shown_.size(); ++i)
        if (shown_[i] && !written_[i]) subtree(i);  // each other's ancestors, as a damaged file may say
}

}  // namespace

Result<flight::Damage> show_tree(const flight::FlightFile& file, const TreeOptions& options, Output& out) {
    const FileClock clock(file);
    FR_ASSIGN(const Timeline timeline, timeline_of(file, options.incident));
    uint64_t at_ns = timeline.reference_or_end();
    if (!options.at.empty()) {
        FR_ASSIGN(at_ns, parse_moment("--at", options.at, timeline, clock));
    }
    ReplayState state(FlightInfo::parse(file.info_json()).arch());
    flight::ReadOptions read;
    read.syscalls = false;
    read.to_ns = at_ns;
    auto reader = file.read(read);
    while (const auto event = reader.next()) {
        if (event->head().time_ns > at_ns && !reader.in_keyframe()) continue;
        state.begin(*event);
        state.end(*event);
    }
    Tree tree(state, options, at_ns, clock, out);
    FR_TRY(tree.make());
    tree.write();
    FR_TRY(out.finish());
    reader.check_rest();
    flight::Damage damage = file.damage();
    damage.add(reader.damage());
    return damage;
}

}  // namespace flightrec::replay
