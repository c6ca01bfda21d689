// SPDX-License-Identifier: Apache-2.0
// The cgroup table: entries in one array, found by id through chains.
#include "userspace/flight/cgroup_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "userspace/flight/event_builder.h"
#include "userspace/flight/table_memory.h"

namespace flightrec::flight {

struct CgroupTable::Impl {
    struct Entry {
        Cgroup cgroup;
        uint32_t next = nil;
        uint64_t removal = 0;  // in the order of removal; 0: exists
        bool used = false;
    };
    Options options;
    std::unique_ptr<Entry[], FreeMemory> entries;
    std::vector<uint32_t> buckets;
    size_t touched = 0, count = 0;
    uint32_t free_list = nil;
    uint64_t removals = 0, dropped = 0;
    // The ids last removed, a ring: one CPU's events are applied after another's, a removal perhaps before the making.
    // An id is never given twice (kernfs, fs/kernfs/dir.c).
    std::array<std::pair<uint64_t, uint64_t>, 256> removed_ids{};  // id, hierarchy
    size_t next_removed = 0;
    mutable EventBuilder builder;

    [[nodiscard]] size_t slot(uint64_t id) const { return ((id * 0x9e3779b97f4a7c15u) >> 32) & (buckets.size() - 1); }
    [[nodiscard]] Cgroup* find(uint64_t id, uint64_t hierarchy) const {
        for (uint32_t i = buckets[slot(id)]; i != nil; i = entries[i].next)
            if (entries[i].cgroup.id == id && entries[i].cgroup.hierarchy == hierarchy) return &entries[i].cgroup;
        return nullptr;
    }
    void erase(uint32_t i) {
        uint32_t* link = &buckets[slot(entries[i].cgroup.id)];
        while (*link != i) link = &entries[*link].next;
        *link = entries[i].next;
        entries[i].used = false;
        entries[i].next = free_list;
        free_list = i;
        --count;
    }
    void erase_oldest_removed() {
        uint32_t oldest = nil;
        for (uint32_t i = 0; i < touched; ++i)
            if (entries[i].used && entries[i].removal != 0 &&
                (oldest == nil || entries[i].removal < entries[oldest].removal))
                oldest = i;
        if (oldest != nil) erase(oldest);
    }
    Cgroup* add(uint64_t id, uint64_t hierarchy) {
        uint32_t i = nil;
        if (free_list == nil && touched < options.capacity) {
            i = static_cast<uint32_t>(touched++);
        } else {
            if (free_list == nil) erase_oldest_removed();
            if (free_list == nil) {
                ++dropped;
                return nullptr;
            }
            i = free_list;
            free_list = entries[i].next;
        }
        entries[i] = Entry{};
        entries[i].used = true;
        entries[i].cgroup.id = id;
        entries[i].cgroup.hierarchy = hierarchy;
        entries[i].next = buckets[slot(id)];
        buckets[slot(id)] = i;
        ++count;
        return &entries[i].cgroup;
    }
    [[nodiscard]] bool was_removed(uint64_t id, uint64_t hierarchy) const {
        return std::find(removed_ids.begin(), removed_ids.end(), std::pair{id, hierarchy}) != removed_ids.end();
    }
    void learn(uint64_t id, uint64_t hierarchy, const EventRef& event, uint32_t level, bool level_known) {
        if (id == 0) return;
        const auto path = find_blob(event, FR_BLOB_TEXT);
        Cgroup* c = find(id, hierarchy);
        if (c == nullptr && (!path || was_removed(id, hierarchy))) return;
        if (c == nullptr) c = add(id, hierarchy);
        if (c == nullptr) return;
        entries[static_cast<size_t>(reinterpret_cast<Entry*>(c) - entries.get())].removal = 0;
        c->removed = false;
        if (level_known) c->level = level;
        if (!path) return;
        c->path_size = static_cast<uint16_t>(std::min(path->text.size(), Cgroup::path_max));
        c->path_cut = c->path_size < path->text.size() || (path->flags & FR_BLOB_CUT) != 0;
        if (c->path_size > 0) std::memcpy(c->path_bytes, path->text.data(), c->path_size);
    }
    void remove(uint64_t id, uint64_t hierarchy) {
        removed_ids[next_removed++ % removed_ids.size()] = {id, hierarchy};
        Cgroup* c = find(id, hierarchy);
        if (c == nullptr) return;
        const auto i = static_cast<uint32_t>(reinterpret_cast<Entry*>(c) - entries.get());
        if (!options.keep_removed) return erase(i);
        c->removed = true;
        entries[i].removal = ++removals;
    }
};

CgroupTable::CgroupTable(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CgroupTable::CgroupTable(CgroupTable&&) noexcept = default;
CgroupTable& CgroupTable::operator=(CgroupTable&&) noexcept = default;
CgroupTable::~CgroupTable() = default;

Result<CgroupTable> CgroupTable::make(const Options& options) {
    if (options.capacity < 16 || options.capacity > (1u << 22))
        return fail(Code::usage, "a cgroup table holds 16 to 4194304 groups");
    auto impl = std::make_unique<Impl>();
    impl->options = options;
    static_assert(std::is_trivially_destructible_v<Impl::Entry>);
    impl->entries.reset(static_cast<Impl::Entry*>(std::calloc(options.capacity, sizeof(Impl::Entry))));
    if (!impl->entries) return fail(Code::no_space, "not enough memory for the table");
    impl->buckets.assign(std::bit_ceil(options.capacity), nil);
    return CgroupTable(std::move(impl));
}

void CgroupTable::apply(const EventRef& event) {
    if (event.head().cls == FR_CLASS_CGROUP) {
        const auto c = event.as<fr_cgroup>();
        if (c.op == FR_CGROUP_RMDIR)
            impl_->remove(c.cgroup_id, c.hierarchy);
        else
            impl_->learn(c.cgroup_id, c.hierarchy, event, c.level, true);
    } else if (event.head().cls == FR_CLASS_CGROUP_ATTACH) {
        const auto a = event.as<fr_cgroup_attach>();
        impl_->learn(a.cgroup_id, a.hierarchy, event, 0, false);
    }
}

const Cgroup* CgroupTable::find(uint64_t id, uint64_t hierarchy) const { return impl_->find(id, hierarchy); }

void CgroupTable::for_each(const std::function<void(const Cgroup&)>& visit) const {
    for (size_t i = 0; i < impl_->touched; ++i)
        if (impl_->entries[i].used) visit(impl_->entries[i].cgroup);
}

size_t CgroupTable::size() const { return impl_->count; }
uint64_t CgroupTable::dropped() const { return impl_->dropped; }

size_t CgroupTable::write_keyframe(EventBlockEncoder& encoder, uint64_t time_ns,
                                   const std::function<bool()>& full) const {
    size_t written = 0;
    for (size_t i = 0; i < impl_->touched; ++i) {
        const auto& entry = impl_->entries[i];
        if (!entry.used || entry.cgroup.removed) continue;
        auto& r = impl_->builder.begin<fr_cgroup>(FR_CLASS_CGROUP);
        r.event.time_ns = time_ns;
        r.event.flags = FR_EVENT_SYNTHETIC;
        r.cgroup_id = entry.cgroup.id;
        r.hierarchy = entry.cgroup.hierarchy;
        r.op = FR_CGROUP_EXISTS;
        r.level = entry.cgroup.level;
        impl_->builder.blob(FR_BLOB_TEXT, entry.cgroup.path(), cut_flag(entry.cgroup.path_cut));
        const auto record = impl_->builder.bytes();
        if (!encoder.add(record, 0) && (!full() || !encoder.add(record, 0))) break;
        ++written;
    }
    return written;
}

}  // namespace flightrec::flight
