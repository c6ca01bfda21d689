// SPDX-License-Identifier: Apache-2.0
// The control socket: how `flightrec dump`, `status` and the like talk to the running recorder, and both its ends.
//
// A unix stream socket; each side writes lines of JSON, at most 4 KiB a request:
//   request  {"v":1,"cmd":"dump","reason":"before the upgrade"}
//   reply    {"v":1,"ok":true,"incident":3,"file":"/var/lib/flightrec/…"}   or   {"v":1,"ok":false,"error":"…"}
// A connection may send several requests; each is answered before the next is taken. Commands: "ping", "status",
// "dump" (optional "reason"), "mark" (optional "text"); what they do is the recorder's business (the handler).
// Only root and the recorder's own user are served (SO_PEERCRED, unix(7)); the folder is made 0700 and the socket
// 0600. Others get one line of refusal, which is logged.
// Threads: the server belongs to the recorder's thread. It never blocks, and after listen() it never allocates.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "userspace/base/result.h"

namespace flightrec::record {

inline constexpr const char* kControlSocket = "/run/flightrec/control.sock";
inline constexpr int kControlVersion = 1;
inline constexpr size_t kControlClients = 8;
inline constexpr size_t kControlRequestMax = 4096;
inline constexpr size_t kControlReplyMax = 32768;

// One request; the texts are the server's, valid until the request is answered.
struct ControlRequest {
    std::string_view cmd;
    std::string_view text;  // "reason" or "text", empty when there is none
    uint32_t pid = 0;       // of the peer
    uint32_t uid = 0;
};
// Reads one flat JSON object (RFC 8259) with strings, numbers and literals as values, without allocating: strings
// are unescaped in place. Unknown keys are passed over. The error says what is wrong.
std::optional<ControlRequest> parse_control_request(std::span<char> line, std::string_view& error);

// Whom to answer. Stays valid (and answering harmless) after the client went away.
struct ControlClient {
    uint32_t slot = 0;
    uint32_t generation = 0;
};

class ControlServer {
  public:
    // Answers now or later with reply(); exactly once.
    using Handler = std::function<void(ControlClient, const ControlRequest&)>;

    struct Limits {
        uint64_t request_ns = 5'000'000'000;   // from connection (or the reply before) to a whole request
        uint64_t answer_ns = 300'000'000'000;  // what the handler may take
        uint64_t send_ns = 5'000'000'000;      // to send a reply
    };

    // Code::busy when a recorder listens on PATH, Code::usage when that is no socket; changes nothing. To be asked
    // before anything else of the machine is changed.
    static Result<void> check_free(const std::string& path);
    // Code::busy when a recorder listens there already; a socket a dead one left is replaced. Code::usage for a
    // path that is too long (107 bytes), Code::permission for a folder that others may write to.
    static Result<ControlServer> listen(const std::string& path, Handler handler, const Limits& limits);
    static Result<ControlServer> listen(const std::string& path, Handler handler);
    ControlServer(ControlServer&&) noexcept;
    ControlServer& operator=(ControlServer&&) noexcept;
    ~ControlServer();  // removes the socket

    // What to poll for (poll(2)); valid until the next call of anything here. Entries of free places have fd -1.
    [[nodiscard]] std::span<pollfd> fds();
    // After poll: takes what is ready. Also drops clients whose time is over: call it at least once a second.
    void on_ready();
    // Sends one JSON object, given without its final newline. Longer than kControlReplyMax: an error line instead.
    void reply(ControlClient client, std::string_view json);
    void reply_error(ControlClient client, std::string_view message);

    struct Counts {
        uint64_t requests = 0;
        uint64_t refused_peers = 0;
        uint64_t refused_full = 0;
        uint64_t timeouts = 0;
    };
    [[nodiscard]] const Counts& counts() const;

  private:
    struct Impl;
    explicit ControlServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// The client's end: sends `request` ("v" is added) and waits for the answer. Code::not_found when nobody listens,
// Code::permission when refused, Code::io when the answer does not come in time. An answer with "ok":false is returned
// as it is. Any thread.
Result<nlohmann::json> control_request(const std::string& path, nlohmann::json request,
                                       std::chrono::milliseconds timeout);

}  // namespace flightrec::record
