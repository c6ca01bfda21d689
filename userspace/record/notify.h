// SPDX-License-Identifier: Apache-2.0
// Tells systemd how the service fares, sd_notify(3): "READY=1", "STOPPING=1". Does nothing outside a service.
#pragma once

#include <string_view>

namespace flightrec::record {

void notify_systemd(std::string_view state);

}  // namespace flightrec::record
