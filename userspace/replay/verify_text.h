// SPDX-License-Identifier: Apache-2.0
// The result of flight::verify() for people and for programs (schemas/json/verify.schema.json).
#pragma once

#include <string>

#include "userspace/flight/reader.h"
#include "userspace/replay/output.h"

namespace flightrec::replay {

// name: of the file, as the user gave it. The verdict stands in the first line.
void append_verification_text(std::string& out, const std::string& name, const flight::FlightFile& file,
                              const flight::Verification& verification);
void append_verification_json(std::string& out, const std::string& name, const flight::FlightFile& file,
                              const flight::Verification& verification);

}  // namespace flightrec::replay
