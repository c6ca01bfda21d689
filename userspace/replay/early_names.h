// SPDX-License-Identifier: Apache-2.0
// Names of threads from before anything told them: a thread that ran before it came into the recording has system calls
// in it before the first event that names it (its exec, its exit, a signal to it).
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "userspace/flight/event_ref.h"

namespace flightrec::replay {

class EarlyNames {
  public:
    static constexpr size_t max_names = 1u << 18;

    // Every vital event, in order.
    void learn(const flight::EventRef& event);
    // What a thread was called until the first event that names it; "" when that is not known.
    [[nodiscard]] std::string_view find(uint32_t tid) const {
        const auto it = names_.find(tid);
        return it == names_.end() ? std::string_view{} : std::string_view(it->second);
    }

    // Calls each(tid, name) for all that are known.
    template <class Each>
    void for_each(Each&& each) const {
        for (const auto& [tid, name] : names_) each(tid, std::string_view(name));
    }

  private:
    void told(uint32_t tid, std::string_view comm);
    std::unordered_set<uint32_t> told_;
    std::unordered_map<uint32_t, std::string> names_;
};

}  // namespace flightrec::replay
