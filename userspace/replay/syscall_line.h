// SPDX-License-Identifier: Apache-2.0
// System call events as text and JSON: the decoding itself is syscall_text.h, this is result, duration and file names.
#pragma once

#include <string>

#include "userspace/flight/event_ref.h"
#include "userspace/replay/event_text.h"
#include "userspace/replay/json_line.h"
#include "userspace/replay/state.h"

namespace flightrec::replay {

// `openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3</etc/passwd> <0.000012>`, for SYSCALL, SYSCALL_ENTER and UNFINISHED.
void append_syscall_line(std::string& out, const flight::EventRef& event, const ReplayState& state,
                         const TextOptions& options);
// The fields syscall … duration_ns of schemas/json/event.schema.json.
void append_syscall_json(JsonLine& json, const flight::EventRef& event, const ReplayState& state);

}  // namespace flightrec::replay
