// SPDX-License-Identifier: Apache-2.0
// Any line as a request on the control socket: refused with a reason, or its texts lie within the line.
#include <cstdlib>
#include <vector>

#include "userspace/record/control.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > flightrec::record::kControlRequestMax) return 0;
    std::vector<char> line(data, data + size);
    std::string_view error;
    const auto request = flightrec::record::parse_control_request(line, error);
    if (!request) {
        if (error.empty()) std::abort();
        return 0;
    }
    for (const std::string_view text : {request->cmd, request->text})
        if (!text.empty() && (text.data() < line.data() || text.data() + text.size() > line.data() + line.size()))
            std::abort();
    return 0;
}
