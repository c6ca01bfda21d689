// SPDX-License-Identifier: Apache-2.0
// What the tests of userspace/ship share: a tree of their own, dumps, receivers (nginx and server.py), certificates.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/ship/destination.h"
#include "userspace/ship/dump_file.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship::test {

// A private directory (0700) that is removed with all it holds.
class TempDir {
  public:
    TempDir();
    ~TempDir();
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// Gives this process (each test is one) mounts of its own and a tmpfs of `bytes` at `path`. False: not permitted.
bool mount_tmpfs(const std::filesystem::path& path, uint64_t bytes);

void write_file(const std::filesystem::path& path, const std::string& bytes, mode_t mode = 0600);
std::string read_file(const std::filesystem::path& path);
std::vector<std::string> names_in(const std::filesystem::path& path);  // sorted
std::string content(uint64_t size, unsigned seed);                     // reproducible bytes

Incident make_incident(uint64_t number, const std::string& reason = "oom-kill");
// A finished dump below `dir` (made 0700).
DumpFile make_dump(const std::filesystem::path& dir, uint64_t number, uint64_t size,
                   const std::string& reason = "oom-kill");

// A child process; killed and reaped at the end. Its standard output can be read line by line.
class Process {
  public:
    explicit Process(const std::vector<std::string>& arguments, bool pipe_output = true);
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    std::string line(
        std::chrono::milliseconds patience = std::chrono::milliseconds(5000));  // "" at the end or too late
    int wait();                                                                 // its exit code

  private:
    pid_t pid_ = -1;
    Fd output_, input_;
    std::string pending_;
};

// server.py in one of its modes.
class Server {
  public:
    explicit Server(std::vector<std::string> arguments);
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
    [[nodiscard]] uint16_t port() const { return port_; }
    std::string line() { return process_.line(); }

  private:
    Process process_;
    uint16_t port_ = 0;
};

// An authority, and certificates of it for localhost and 127.0.0.1, for another host, expired, and for a client.
struct Certificates {
    explicit Certificates(const std::filesystem::path& dir);
    std::filesystem::path ca, other_ca, server, server_key, other_host, other_host_key, expired, expired_key, client,
        client_key, foreign_client, foreign_client_key;
};

// A real nginx that takes PUT below its root, at "/", plain or with TLS. `extra` goes into the server block.
class Nginx {
  public:
    Nginx(const std::filesystem::path& dir, const std::string& extra = "",
          const std::filesystem::path& certificate = {}, const std::filesystem::path& key = {});
    ~Nginx() = default;
    [[nodiscard]] std::string url() const;
    [[nodiscard]] uint16_t port() const { return port_; }
    [[nodiscard]] const std::filesystem::path& root() const { return root_; }

  private:
    std::filesystem::path root_;
    uint16_t port_ = 0;
    bool tls_ = false;
    std::unique_ptr<Process> process_;
};

uint16_t free_port();
bool port_open(uint16_t port);

// make_sink() of a destination's text; fails the test when it does not succeed.
std::unique_ptr<Sink> sink_for(const std::string& destination, const SinkOptions& options = {});

// Runs `body` on another thread and returns how long it took.
template <class F>
std::chrono::milliseconds timed(F&& body) {
    const auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

// Waits until `condition` holds; false after `patience`.
template <class F>
bool eventually(F&& condition, std::chrono::milliseconds patience = std::chrono::milliseconds(10'000)) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        timespec nap{0, 2'000'000};
        nanosleep(&nap, nullptr);
    }
    return true;
}

}  // namespace flightrec::ship::test
