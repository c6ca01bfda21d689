// SPDX-License-Identifier: Apache-2.0
// Dumps that somebody asked for, ends of recordings, shutdowns: nothing died of itself, so nothing is claimed.
#include <fmt/format.h>

#include "userspace/base/text.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/names.h"
#include "userspace/replay/verdict.h"

namespace flightrec::replay {

void request_verdict(const VerdictInput& in, IncidentReport& out) {
    const Trigger* trigger = in.seed.trigger;
    const uint64_t kind = trigger != nullptr ? trigger->kind : uint64_t{FR_TRIGGER_NONE};
    out.cause = fmt::format("{}", trigger_name(kind));
    switch (kind) {
        case FR_TRIGGER_COMMAND: out.verdict = "nothing failed by itself: a dump was asked for"; break;
        case FR_TRIGGER_SIGNAL: out.verdict = "nothing failed by itself: a dump was asked for by SIGUSR1"; break;
        case FR_TRIGGER_PREVIOUS_BOOT: out.verdict = "the recording before ended without being stopped"; break;
        case FR_TRIGGER_SHUTDOWN: out.verdict = "the machine was being stopped"; break;
        default: out.verdict = "unknown: this version does not know what set off this dump"; break;
    }
    if (trigger != nullptr && !trigger->text.empty()) out.verdict += ": " + printable(trigger->text);
    Statement why{"why", "the trigger", true, {in.seed.line}};
    out.statements.push_back(std::move(why));
    for (const auto& line : in.digest.previous)
        out.statements.push_back({"previous", "what the recorder noted about ends and shutdowns", true, {line}});
    add_growth(in, out, {});
    add_machine(in, out);
    add_kernel_log(in, out, 10 * second, 2 * second, 15);
}

}  // namespace flightrec::replay
