// SPDX-License-Identifier: Apache-2.0
// The spool: dumps that are not yet everywhere they should be. A directory of our own that survives a restart.
//
//   NAME.flight        the dump            NAME.json   its facts, and for each sink: state, attempts, last error
//   NAME.flight.part   being written       NAME.json.bad   a state file that could not be read, set aside
//   reserve.part       room for the next dump, taken at start      spool.json  counters     lock  flock(2)
//
// Every file is written whole under another name and renamed. A `.flight` without a readable state file is
// adopted by its name; a `.part` left by a killed recorder is removed. State files carry a version and a hash.
//
// A dump that the disk does not take (full, read-only, failing) is kept in memory (memfd_create(2)) until it is
// delivered, at most SpoolConfig::memory_bytes of them; it does not survive a restart, which is said in the log.
//
// Threads: any. Files are never written while the lock on the list is held, so next(), enlist() and status()
// never wait for a disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "userspace/base/result.h"
#include "userspace/ship/dump_file.h"
#include "userspace/ship/secure_dir.h"

namespace flightrec::ship {

struct SpoolConfig {
    std::filesystem::path directory;    // made if missing; must be ours and 0700
    uint64_t max_bytes = 512ull << 20;  // of finished dumps; the one being written and the reserve come on top
    uint32_t max_incidents = 64;
    uint64_t reserve_bytes = 0;  // disk blocks (and a file descriptor) held for the next dump; 0: none
    uint64_t memory_bytes = 0;   // of dumps that the disk does not take; 0: such a dump fails
};

enum class DeliveryState {
    pending,
    delivered,
    refused,  // by the receiver; due again at next_attempt_ns, but nobody waits for it
};

// One incident's standing with one sink.
struct Standing {
    DeliveryState state = DeliveryState::pending;
    uint32_t attempts = 0;
    uint64_t next_attempt_ns = 0;  // CLOCK_MONOTONIC, UINT64_MAX: never; not kept over a restart
    std::string last_error;
};

struct SpoolCounters {
    uint64_t dropped = 0;        // incidents removed undelivered because of the limits, ever
    uint64_t interrupted = 0;    // unfinished dumps found at start
    uint64_t set_aside = 0;      // state files found damaged at start
    uint64_t incidents = 0;      // now in the spool
    uint64_t bytes = 0;          // of them
    bool reserve_ready = false;  // the next dump has its room
};

class Spool;

// A dump being written. Owned by the writing thread; must not outlive its spool. Destroyed without commit(): nothing
// is left of it.
class SpoolWriter {
  public:
    SpoolWriter(SpoolWriter&&) noexcept;
    SpoolWriter& operator=(SpoolWriter&&) noexcept;
    ~SpoolWriter();
    // Appends. No allocation.
    Result<void> write(std::span<const std::byte> bytes);
    [[nodiscard]] uint64_t written() const;
    // Makes it durable and visible; drops the oldest incidents beyond the limits. Code::no_space when it alone is over
    // them, or the disk is full: then nothing older was touched.
    Result<DumpFile> commit();

  private:
    friend class Spool;
    struct Impl;
    explicit SpoolWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

class Spool {
  public:
    // Takes the lock (Code::busy: another recorder uses it), reads what an earlier run left. Everything found is
    // pending for each sink of `sinks` that has not had it; what a receiver had refused is tried once more.
    static Result<std::unique_ptr<Spool>> open(const SpoolConfig& config, std::vector<std::string> sinks);
    ~Spool();

    // Starts a dump of about `expected_size` bytes. Code::no_space when the disk has no room and no reserve is left.
    Result<SpoolWriter> begin(const Incident& incident, uint64_t expected_size);
    // Puts a committed dump on the list. Twice the same: once.
    void enlist(const DumpFile& dump);

    // What sink number `sink` should send at `now_ns`: of those due, the one tried least, then the oldest.
    struct Next {
        std::optional<DumpFile> dump;
        uint64_t due_ns = UINT64_MAX;  // without dump: when the next one is due
    };
    Next next(size_t sink, uint64_t now_ns) const;
    // Notes how an attempt ended and writes it down. An incident that every sink has is removed.
    void settle(const std::string& incident_id, size_t sink, const Standing& standing);
    // No pending attempt of the sink waits longer than until `latest_ns`.
    void make_due(size_t sink, uint64_t latest_ns);

    [[nodiscard]] std::optional<Standing> standing(const std::string& incident_id, size_t sink) const;
    [[nodiscard]] size_t pending(size_t sink) const;
    [[nodiscard]] size_t refused(size_t sink) const;
    [[nodiscard]] uint64_t earliest_due(size_t sink) const;  // UINT64_MAX: nothing to send
    [[nodiscard]] SpoolCounters counters() const;
    // Takes room for the next dump if it was used up and the disk has it again. Not needed on the way of a dump.
    void renew_reserve();

  private:
    friend class SpoolWriter;
    struct Impl;
    explicit Spool(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace flightrec::ship
