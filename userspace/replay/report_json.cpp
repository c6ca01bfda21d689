// SPDX-License-Identifier: Apache-2.0
// A report as one JSON object, schemas/json/report.schema.json.
#include "userspace/base/clock.h"
#include "userspace/replay/json_line.h"
#include "userspace/replay/names.h"
#include "userspace/replay/report.h"

namespace flightrec::replay {
namespace {

std::string_view kind_name(IncidentKind kind) {
    switch (kind) {
        case IncidentKind::oom: return "oom";
        case IncidentKind::crash: return "crash";
        case IncidentKind::fork_failure: return "fork_failure";
        case IncidentKind::alloc_failure: return "alloc_failure";
        case IncidentKind::stall: return "stall";
        case IncidentKind::request: return "request";
        case IncidentKind::other: return "other";
    }
    return "other";
}

void text_or_null(JsonLine& json, std::string_view name, std::string_view value) {
    json.key(name);
    if (value.empty())
        json.null();
    else
        json.text(value);
}

void moment(JsonLine& json, const flight::FlightFile& file, uint64_t time_ns) {
    json.text("time", format_utc(file.realtime_of(time_ns)));
    json.number("boot_ns", time_ns);
}

void statement(JsonLine& json, const flight::FlightFile& file, const Statement& one) {
    json.open();
    json.text("topic", one.topic);
    json.text("text", one.text);
    json.boolean("known", one.known);
    json.key("evidence").open('[');
    for (const auto& line : one.evidence) {
        json.open();
        moment(json, file, line.time_ns);
        json.text("text", line.text);
        json.close();
    }
    json.close(']');
    json.close();
}

void statements(JsonLine& json, const flight::FlightFile& file, std::string_view key,
                const std::vector<Statement>& list) {
    json.key(key).open('[');
    for (const auto& one : list) statement(json, file, one);
    json.close(']');
}

void victim(JsonLine& json, const IncidentSeed& seed) {
    json.key("victim");
    if (seed.pid == 0) {
        json.null();
        return;
    }
    json.open();
    json.number("pid", seed.pid);
    text_or_null(json, "comm", seed.comm);
    json.key("argv");
    if (seed.argv.empty()) {
        json.null();
    } else {
        json.open('[');
        std::string_view rest = seed.argv;
        while (!rest.empty()) {
            const auto end = std::min(rest.find('\0'), rest.size());
            json.text(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        json.close(']');
    }
    text_or_null(json, "cgroup", seed.cgroup);
    text_or_null(json, "container", container_of(seed.cgroup));
    const bool known = seed.victim && seed.victim->uid_known;
    json.key("uid");
    if (seed.kind == IncidentKind::oom && seed.has_event)
        json.number(seed.oom.victim_uid);
    else if (known)
        json.number(seed.victim->uid);
    else
        json.null();
    json.key("start_ns");
    if (seed.victim && seed.victim->start_ns != 0)
        json.number(seed.victim->start_ns);
    else
        json.null();
    json.key("ancestors").open('[');
    for (const auto& ancestor : seed.ancestry) {
        json.open();
        json.number("pid", ancestor.pid);
        json.text("command", ancestor.command);
        json.close();
    }
    json.close(']');
    json.close();
}

void incident(JsonLine& json, const flight::FlightFile& file, const IncidentReport& report) {
    const IncidentSeed& seed = *report.seed;
    json.open();
    json.number("number", report.number);
    json.text("kind", kind_name(seed.kind));
    json.text("cause", report.cause);
    json.text("verdict", report.verdict);
    moment(json, file, seed.time_ns);
    json.key("trigger");
    if (seed.trigger != nullptr) {
        json.open();
        json.number("incident", seed.trigger->number);
        json.text("reason", trigger_name(seed.trigger->kind));
        json.number("suppressed", seed.trigger->suppressed);
        json.text("text", seed.trigger->text);
        json.close();
    } else {
        json.null();
    }
    json.number("repeats", seed.repeats);
    victim(json, seed);
    json.key("event");
    if (seed.event_json.empty())
        json.null();
    else
        json.raw(seed.event_json);
    json.key("linked").open('[');
    for (const auto number : report.linked) json.number(number);
    json.close(']');
    statements(json, file, "statements", report.statements);
    json.close();
}

}  // namespace

void append_report_json(std::string& out, const std::string& name, const flight::FlightFile& file,
                        const Report& report) {
    const FlightInfo& info = report.digest.info;
    JsonLine json(out);
    json.open();
    json.text("file", name);
    json.key("host").open();
    text_or_null(json, "name", info.host);
    text_or_null(json, "os", info.os);
    text_or_null(json, "image", info.image);
    text_or_null(json, "kernel", info.kernel);
    text_or_null(json, "boot_id", info.boot_id);
    text_or_null(json, "instance", info.instance);
    json.key("labels").open();
    for (const auto& [key, value] : info.labels) {
        std::string quoted;
        append_json_string(quoted, key);
        json.key(std::string_view(quoted).substr(1, quoted.size() - 2)).text(value);
    }
    json.close();
    json.close();
    json.text("first", format_utc(file.realtime_of(report.digest.timeline.first_ns)));
    json.text("last", format_utc(file.realtime_of(report.digest.timeline.last_ns)));
    json.key("incidents").open('[');
    for (const auto& one : report.incidents) incident(json, file, one);
    json.close(']');
    json.number("incidents_left_out", report.incidents_left_out);
    json.key("lead");
    if (report.lead != 0)
        json.number(report.lead);
    else
        json.null();
    json.key("ending");
    if (report.ending)
        statement(json, file, *report.ending);
    else
        json.null();
    statements(json, file, "deaths", report.deaths);
    statements(json, file, "limits", report.limits);
    json.close();
    out += '\n';
}

}  // namespace flightrec::replay
