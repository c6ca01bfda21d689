// SPDX-License-Identifier: Apache-2.0
// What is shipped: one finished `.flight` file of one incident, and the few facts about it that sinks show.
//
// Values; no threads. Texts may hold any bytes (host names, labels and process names are not trusted): whoever puts
// them into a path, URL, header or terminal goes through safe_part() or printable().
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/base/result.h"

namespace flightrec::ship {

// Known when the trigger has fired; never changes afterwards, so that every delivery of it looks the same.
struct Incident {
    std::array<uint8_t, 16> recording{};                      // fr_file_header::recording_id
    uint64_t number = 0;                                      // of the incident within the recording
    uint64_t realtime_ns = 0;                                 // wall clock of the trigger
    std::string host;                                         // host or instance name
    std::string reason;                                       // "oom-kill", "crash", "request", …
    std::string summary;                                      // one line: what happened, for people
    std::vector<std::string> facts;                           // further lines of the same
    std::vector<std::pair<std::string, std::string>> labels;  // the user's --label k=v

    // "0123456789abcdef0123456789abcdef", and the same with "-NUMBER": unique over all machines, stable over retries.
    [[nodiscard]] std::string recording_text() const;
    [[nodiscard]] std::string id() const;
    // "20261123T111002Z", UTC.
    [[nodiscard]] std::string time_text() const;
    // "TIME-REASON-ID.flight": nothing in it but [A-Za-z0-9.-]; the same incident always has the same name.
    [[nodiscard]] std::string file_name() const;
};

// The reverse of Incident::file_name(), for files whose facts are lost; nothing when the name is not one of ours.
// The host, summary, facts and labels are empty, the time is in whole seconds.
[[nodiscard]] std::optional<Incident> incident_of_file_name(std::string_view name);

struct DumpFile {
    Incident incident;
    std::filesystem::path path;  // absolute, in the spool
    std::string name;            // its last part: incident.file_name()
    uint64_t size = 0;           // bytes
    uint64_t hash = 0;           // XXH3-64 of the whole file; 0: not known
    int held = -1;               // the spool's descriptor of `path`: opening it again might not be possible any more
    uint64_t held_inode = 0;     // its number may be another file's by the time of open(), as below
    int memory = -1;             // a memfd of the spool's that holds it instead of `path`, because no disk took it
    uint64_t memory_inode = 0;   // of that memfd: its number may be another file's by the time of open()

    // For reading. Code::not_found when it was dropped from the spool meanwhile.
    [[nodiscard]] Result<Fd> open() const;
};

// Any bytes made into one part of a path: control characters, '/', '\' and what is not UTF-8 become '_', as do leading
// dots ("..", ".hidden"); at most 128 bytes; "unknown" for nothing. Never contains '/', never is "." or "..".
[[nodiscard]] std::string safe_part(std::string_view bytes);
// Percent-encodes all but the unreserved characters of RFC 3986.
[[nodiscard]] std::string percent_encoded(std::string_view bytes);

}  // namespace flightrec::ship
