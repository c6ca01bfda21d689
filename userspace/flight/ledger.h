// SPDX-License-Identifier: Apache-2.0
// The account of every event: produced = stored + overwritten + torn + skipped + pending, per class.
#pragma once

#include <array>
#include <cstdint>

#include "schemas/flightrec/event.h"

namespace flightrec::flight {

struct Ledger {
    std::array<fr_ledger_line, FR_CLASS_COUNT> line{};

    // True when every line balances.
    [[nodiscard]] bool balanced() const {
        for (const auto& l : line)
            if (l.produced != l.stored + l.overwritten + l.torn + l.skipped + l.pending) return false;
        return true;
    }
};

}  // namespace flightrec::flight
