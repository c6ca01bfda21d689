// SPDX-License-Identifier: Apache-2.0
// A report for people: the verdict in the first lines, then statements with their evidence, then what is not known.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/report.h"

namespace flightrec::replay {
namespace {

std::string_view heading(std::string_view topic) {
    static constexpr std::pair<std::string_view, std::string_view> headings[] = {
        {"who", "Who"},
        {"ancestry", "Ancestry"},
        {"why", "Why"},
        {"victim_size", "Victim's size"},
        {"domain_memory", "What held it"},
        {"candidates", "Candidates"},
        {"invoker", "Invoker"},
        {"who_grew", "Who grew"},
        {"domain_growth", "What grew"},
        {"failed_before", "Failed before"},
        {"last_calls", "Last calls"},
        {"death", "Its end"},
        {"machine", "The machine"},
        {"kernel_log", "Kernel log"},
        {"where", "Where"},
        {"modules", "Modules"},
        {"sender", "Sender"},
        {"crash_loop", "Crash loop"},
        {"who_spawned", "Who spawned"},
        {"which_program", "Which program"},
        {"waiting", "Waiting"},
        {"limits", "Limits"},
        {"previous", "Recorder"},
        {"incidents_before", "Before"},
        {"activity", "System calls"},
        {"slow_calls", "Slow calls"},
        {"unfinished", "Not returned"},
        {"largest", "Largest"},
        {"busiest", "Busiest"},
        {"short_lived", "Short-lived"},
        {"message", "Message"},
    };
    for (const auto& [name, text] : headings)
        if (name == topic) return text;
    return topic;
}

class Writer {
  public:
    Writer(std::string& out, const flight::FlightFile& file, const Report& report, bool color)
        : out_(out), file_(file), report_(report), paint_(Palette::of(color)) {}

    void header(const std::string& name);
    void nothing();
    void ending();
    void others();
    void incident(const IncidentReport& incident);
    void deaths();
    void limits();

  private:
    // Text broken at blanks to lines of a readable width.
    void wrapped(std::string_view text, size_t indent) {
        constexpr size_t width = 110;
        size_t column = indent;
        while (!text.empty()) {
            const auto end = std::min(text.find(' '), text.size());
            if (column + end > width && column > indent) {
                out_ += '\n';
                out_.append(indent, ' ');
                column = indent;
            } else if (column > indent) {
                out_ += ' ';
                ++column;
            }
            out_ += text.substr(0, end);
            column += end;
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        out_ += '\n';
    }
    void evidence(const std::vector<Evidence>& lines, uint64_t reference_ns, size_t indent) {
        for (const auto& line : lines) {
            out_.append(indent, ' ');
            out_ += paint_.dim;
            const size_t begin = out_.size();
            append_offset(out_, line.time_ns, reference_ns);
            if (out_.size() - begin < 11) out_.insert(begin, 11 - (out_.size() - begin), ' ');
            out_ += paint_.reset;
            out_ += "  ";
            // A long line is evidence of several statements: it stands in full once.
            constexpr size_t long_line = 120;
            if (line.text.size() > long_line && !printed_.insert({line.time_ns, line.text}).second)
                out_ += line.text.substr(0, line.text.find_first_of(":{(", 20)) + " ... (in full above)";
            else
                out_ += line.text;
            out_ += '\n';
        }
    }
    void title(std::string_view text) {
        fmt::format_to(std::back_inserter(out_), "{}{}{}\n", paint_.bold, text, paint_.reset);
    }

    std::string& out_;
    const flight::FlightFile& file_;
    const Report& report_;
    const Palette& paint_;
    std::set<std::pair<uint64_t, std::string>> printed_;  // of the incident being written
};

void Writer::header(const std::string& name) {
    const FlightInfo& info = report_.digest.info;
    append_printable(out_, name);
    out_ += ": ";
    append_printable(out_, info.host.empty() ? "host unknown" : std::string_view(info.host));
    const auto add = [&](std::string_view before, std::string_view text) {
        if (text.empty()) return;
        out_ += before;
        append_printable(out_, text);
    };
    add(", ", info.os);
    add(", image ", info.image);
    add(", kernel ", info.kernel);
    add(", instance ", info.instance);
    for (const auto& [key, value] : info.labels) {
        add(", ", key);
        add("=", value);
    }
    out_ += '\n';
}

// Without incidents: what can be said instead.
void Writer::nothing() {
    out_ += '\n';
    const Digest& d = report_.digest;
    if (d.events + d.syscalls == 0) {
        title("VERDICT: unknown: " + report_.limits.front().text);
        return;
    }
    if (report_.ending) {
        title("VERDICT: " + std::string(report_.ending->known ? "" : "unknown. ") +
              "Nothing in this flight died of a signal, an OOM kill or a limit, but it broke off.");
        return;
    }
    title(
        "VERDICT: unknown. Nothing in this flight died of a signal, an OOM kill or a limit, and no dump was asked "
        "for.");
}

void Writer::ending() {
    if (!report_.ending) return;
    fmt::format_to(std::back_inserter(out_), "  {:<14} ", "Recording");
    out_ += paint_.yellow;
    wrapped(report_.ending->text, 17);
    out_ += paint_.reset;
    evidence(report_.ending->evidence, report_.digest.timeline.reference_or_end(), 6);
}

// The incidents that are told in short, nearest to the leading one first in the reader's mind: by time.
void Writer::others() {
    const auto others = std::count_if(report_.incidents.begin(), report_.incidents.end(),
                                      [](const IncidentReport& one) { return !one.in_full; });
    if (others == 0) return;
    out_ += '\n';
    title(fmt::format("{} other incident{} in this flight (--incident N tells one in full, --all all of them)", others,
                      others == 1 ? "" : "s"));
    const uint64_t reference = report_.digest.timeline.reference_or_end();
    for (const auto& incident : report_.incidents) {
        if (incident.in_full) continue;
        fmt::format_to(std::back_inserter(out_), "  {:>2}. ", incident.number);
        const size_t begin = out_.size();
        append_offset(out_, incident.seed->time_ns, reference);
        if (out_.size() - begin < 11) out_.insert(begin, 11 - (out_.size() - begin), ' ');
        out_ += "  ";
        std::string text = incident.verdict;
        if (incident.seed->trigger != nullptr) text += fmt::format(" [trigger {}]", incident.seed->trigger->number);
        wrapped(text, 19);
    }
}

void Writer::incident(const IncidentReport& incident) {
    const IncidentSeed& seed = *incident.seed;
    printed_.clear();
    out_ += '\n';
    out_ += paint_.red;
    if (report_.incidents.size() > 1 || incident.number > 1)
        fmt::format_to(std::back_inserter(out_), "{}. ", incident.number);
    out_ += "VERDICT: ";
    out_ += paint_.reset;
    out_ += paint_.bold;
    wrapped(incident.verdict, 9);
    out_ += paint_.reset;
    fmt::format_to(std::back_inserter(out_), "  {:<14} {} (@{}.{:09} since boot{})\n", "When",
                   format_utc(file_.realtime_of(seed.time_ns)), seed.time_ns / 1'000'000'000,
                   seed.time_ns % 1'000'000'000,
                   seed.trigger != nullptr ? fmt::format(", trigger {} of the recording", seed.trigger->number) : "");
    if (seed.trigger != nullptr && seed.trigger->suppressed != 0)
        fmt::format_to(std::back_inserter(out_), "  {:<14} {} triggers before it made no dump of their own\n",
                       "Suppressed", seed.trigger->suppressed);
    if (!incident.linked.empty()) {
        std::map<std::string, std::string> lists;  // by reason
        for (size_t i = 0; i < incident.linked.size(); ++i) {
            std::string& list = lists[incident.link_reasons[i]];
            list += fmt::format("{}{}", list.empty() ? "" : ", ", incident.linked[i]);
        }
        std::string text;
        for (const auto& [reason, list] : lists)
            text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", reason, list);
        fmt::format_to(std::back_inserter(out_), "  {:<14} ", "See also");
        wrapped(text, 17);
    }
    for (const auto& statement : incident.statements) {
        fmt::format_to(std::back_inserter(out_), "  {:<14} ", heading(statement.topic));
        if (!statement.known) out_ += paint_.yellow;
        wrapped(statement.text, 17);
        if (!statement.known) out_ += paint_.reset;
        evidence(statement.evidence, seed.time_ns, 6);
    }
}

void Writer::deaths() {
    if (report_.deaths.empty()) return;
    out_ += '\n';
    title("Other processes that a signal ended");
    printed_.clear();
    for (const auto& death : report_.deaths) {
        out_ += "  - ";
        wrapped(death.text, 4);
        evidence(death.evidence, report_.digest.timeline.reference_or_end(), 6);
    }
}

void Writer::limits() {
    out_ += '\n';
    title("What this report cannot know");
    printed_.clear();
    for (const auto& limit : report_.limits) {
        out_ += "  - ";
        wrapped(limit.text, 4);
        evidence(limit.evidence, report_.digest.timeline.reference_or_end(), 6);
    }
}

}  // namespace

void append_report_text(std::string& out, const std::string& name, const flight::FlightFile& file, const Report& report,
                        bool use_color) {
    Writer writer(out, file, report, use_color);
    writer.header(name);
    if (report.incidents.empty()) {
        writer.nothing();
        writer.ending();
    }
    // The one that the file is about, then how the recording ended, then what else happened.
    for (const auto& incident : report.incidents)
        if (incident.number == report.lead) writer.incident(incident);
    if (!report.incidents.empty()) writer.ending();
    for (const auto& incident : report.incidents)
        if (incident.in_full && incident.number != report.lead) writer.incident(incident);
    writer.others();
    writer.deaths();
    writer.limits();
}

}  // namespace flightrec::replay
