// SPDX-License-Identifier: Apache-2.0
// The control groups that exist, by id: what keyframes hold beside the processes. Bounded; nothing allocates after
// make(). One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "userspace/base/result.h"
#include "userspace/flight/block.h"
#include "userspace/flight/event_ref.h"

namespace flightrec::flight {

struct Cgroup {
    static constexpr size_t path_max = 512;
    uint64_t id = 0;
    uint64_t hierarchy = 0;  // 0: version 2
    uint32_t level = 0;
    bool removed = false;
    bool path_cut = false;
    uint16_t path_size = 0;
    char path_bytes[path_max];
    [[nodiscard]] std::string_view path() const { return {path_bytes, path_size}; }
};

class CgroupTable {
  public:
    struct Options {
        size_t capacity = 4096;
        bool keep_removed = false;  // replay: removed ones stay as long as there is room, oldest out first
    };
    static Result<CgroupTable> make(const Options& options);
    CgroupTable(CgroupTable&&) noexcept;
    CgroupTable& operator=(CgroupTable&&) noexcept;
    ~CgroupTable();

    void apply(const EventRef& event);  // CGROUP and CGROUP_ATTACH; any other class is ignored
    [[nodiscard]] const Cgroup* find(uint64_t id, uint64_t hierarchy = 0) const;  // valid until the next apply()
    void for_each(const std::function<void(const Cgroup&)>& visit) const;
    [[nodiscard]] size_t size() const;
    [[nodiscard]] uint64_t dropped() const;  // found no place
    // Adds a CGROUP record (EXISTS) for each; as ProcessTable::write_keyframe.
    size_t write_keyframe(EventBlockEncoder& encoder, uint64_t time_ns, const std::function<bool()>& full) const;

  private:
    struct Impl;
    explicit CgroupTable(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::flight
