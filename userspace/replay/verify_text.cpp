// SPDX-License-Identifier: Apache-2.0
// Tables of a verification.
#include "userspace/replay/verify_text.h"

#include <fmt/format.h>

#include <iterator>

#include "userspace/base/clock.h"
#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/json_line.h"
#include "userspace/replay/names.h"

namespace flightrec::replay {
namespace {

using flight::FlightFile;
using flight::Verification;

std::string class_label(uint8_t cls) {
    const auto name = flight::class_name(cls);
    return flight::class_of_name(name) ? std::string(name) : fmt::format("class {}", cls);
}

bool in_use(const Verification::Line& line) {
    return line.produced != 0 || line.stored != 0 || line.found != 0 || line.after != 0 || !line.balanced;
}

std::string verdict(const Verification& v) {
    std::string out = v.intact() ? "intact" : "DAMAGED";
    out += !v.has_ledger  ? ", no ledger in it"
           : v.balanced() ? ", the ledger balances"
                          : ", THE LEDGER DOES NOT BALANCE";
    return out;
}

void append_ledger(std::string& out, const Verification& v) {
    auto it = std::back_inserter(out);
    fmt::format_to(it, "\n{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}{:>9} |{:>12}{:>12}{:>10}\n", "class", "produced",
                   "stored", "overwritten", "torn", "skipped", "pending", "evicted", "found", "after");
    Verification::Line sum;
    const auto row = [&](const std::string& label, const Verification::Line& l) {
        fmt::format_to(it, "{:<16}{:>12}{:>12}{:>12}{:>8}{:>12}{:>9} |{:>12}{:>12}{:>10}{}\n", label, l.produced,
                       l.stored, l.overwritten, l.torn, l.skipped, l.pending, l.evicted, l.found, l.after,
                       l.balanced ? "" : "  DOES NOT BALANCE");
    };
    for (uint8_t cls = 1; cls < FR_CLASS_COUNT; ++cls) {
        const auto& l = v.line[cls];
        if (!in_use(l)) continue;
        row(class_label(cls), l);
        sum.produced += l.produced;
        sum.stored += l.stored;
        sum.evicted += l.evicted;
        sum.overwritten += l.overwritten;
        sum.torn += l.torn;
        sum.skipped += l.skipped;
        sum.pending += l.pending;
        sum.found += l.found;
        sum.after += l.after;
    }
    row("all", sum);
}

}  // namespace

void append_verification_text(std::string& out, const std::string& name, const FlightFile& file,
                              const Verification& v) {
    auto it = std::back_inserter(out);
    append_printable(out, name);
    fmt::format_to(it, ": {}\n\n", verdict(v));
    const auto& header = file.header();
    fmt::format_to(it, "{} of {}, format version {}; {} segments, {} blocks, {} events in {} ({} decoded)\n",
                   header.kind == FR_FILE_DUMP ? "dump" : "window", format_bytes(header.file_size), header.version,
                   v.segments, v.blocks, v.events, format_bytes(v.stored_bytes), format_bytes(v.raw_bytes));
    if (v.syscall_events != 0)
        fmt::format_to(it, "system calls: {} in {}, {:.2f} bytes each\n", v.syscall_events,
                       format_bytes(v.syscall_stored_bytes),
                       static_cast<double>(v.syscall_stored_bytes) / static_cast<double>(v.syscall_events));
    if (file.last_ns() != 0)
        fmt::format_to(it, "events from {} to {}\n", format_utc(file.realtime_of(file.first_ns())),
                       format_utc(file.realtime_of(file.last_ns())));
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track)
        if (v.missing_segments[track] != 0)
            fmt::format_to(it, "MISSING: {} segments of the {} track\n", v.missing_segments[track], track_name(track));
    for (const auto& item : v.damage.items) {
        fmt::format_to(it, "DAMAGE at byte {}, {} bytes: ", item.offset, item.bytes);
        append_printable(out, item.what);
        out += '\n';
    }
    if (v.damage.count > v.damage.items.size())
        fmt::format_to(it, "DAMAGE: {} more places\n", v.damage.count - v.damage.items.size());
    append_ledger(out, v);
}

void append_verification_json(std::string& out, const std::string& name, const FlightFile& file,
                              const Verification& v) {
    JsonLine json(out);
    json.open();
    json.text("file", name);
    json.text("kind", file.header().kind == FR_FILE_DUMP ? "dump" : "window");
    json.number("version", file.header().version);
    json.boolean("intact", v.intact());
    json.boolean("has_ledger", v.has_ledger);
    json.boolean("balanced", v.balanced());
    json.number("segments", v.segments);
    json.number("blocks", v.blocks);
    json.number("events", v.events);
    json.number("stored_bytes", v.stored_bytes);
    json.number("raw_bytes", v.raw_bytes);
    json.number("syscall_events", v.syscall_events);
    json.number("syscall_stored_bytes", v.syscall_stored_bytes);
    json.key("missing_segments").open();
    for (uint8_t track = 0; track < FR_TRACK_COUNT; ++track) json.number(track_name(track), v.missing_segments[track]);
    json.close();
    json.number("damage_count", v.damage.count);
    json.key("damage").open('[');
    for (const auto& item : v.damage.items) {
        json.open();
        json.number("offset", item.offset);
        json.number("bytes", item.bytes);
        json.text("what", item.what);
        json.close();
    }
    json.close(']');
    json.key("ledger").open();
    for (uint8_t cls = 1; cls < FR_CLASS_COUNT; ++cls) {
        const auto& l = v.line[cls];
        if (!in_use(l)) continue;
        json.key(class_label(cls)).open();
        json.number("produced", l.produced);
        json.number("stored", l.stored);
        json.number("overwritten", l.overwritten);
        json.number("torn", l.torn);
        json.number("skipped", l.skipped);
        json.number("pending", l.pending);
        json.number("evicted", l.evicted);
        json.number("found", l.found);
        json.number("after", l.after);
        json.boolean("balanced", l.balanced);
        json.close();
    }
    json.close();
    json.close();
    out += '\n';
}

}  // namespace flightrec::replay
