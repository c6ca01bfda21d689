// SPDX-License-Identifier: Apache-2.0
// One line for people about an incident: what log lines, syslog and the console show. Any thread; allocates.
#pragma once

#include <string>

#include "userspace/record/triggers.h"

namespace flightrec::record {

// "OOM kill of oom_hog (pid 1234, 62.1 MiB resident) in a memory cgroup, asked for by bash (pid 1200)".
// Control characters of names are escaped.
[[nodiscard]] std::string describe_incident(const Incident& incident);

}  // namespace flightrec::record
