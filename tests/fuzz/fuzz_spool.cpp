// SPDX-License-Identifier: Apache-2.0
// Any bytes as the state file of a dump that waits in the spool: the dump is still offered, under its own name, to each
// sink that has not had it. The counters' file gets the same bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "userspace/base/log.h"
#include "userspace/ship/spool.h"

using namespace flightrec;

namespace {

constexpr const char* name = "20261123T111002Z-crash-0123456789abcdef0123456789abcdef-7";

void put(const std::string& path, const void* data, size_t size) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
    close(fd);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::string folder = [] {
        char path[] = "/dev/shm/flightrec-fuzz-XXXXXX";
        if (mkdtemp(path) == nullptr) std::abort();
        log::set_level(log::Level::error);
        return std::string(path);
    }();
    const std::string stem = folder + "/" + name;
    put(stem + ".flight", "dump", 4);
    put(stem + ".json", data, size);
    put(folder + "/spool.json", data, size);
    {
        ship::SpoolConfig config;
        config.directory = folder;
        auto spool = ship::Spool::open(config, {"one", "two"});
        if (!spool) std::abort();
        bool offered = false;
        for (size_t sink = 0; sink < 2; ++sink)
            if (const auto next = (*spool)->next(sink, UINT64_MAX - 1); next.dump) {
                offered = true;
                if (next.dump->name != std::string(name) + ".flight" || next.dump->incident.number != 7) std::abort();
            }
        // Only a state file that is whole, with its hash, can say that everybody has it.
        if (!offered && access((stem + ".flight").c_str(), F_OK) == 0) std::abort();
    }
    for (const char* suffix : {".flight", ".json", ".json.bad"}) unlink((stem + suffix).c_str());
    unlink((folder + "/spool.json.bad").c_str());
    return 0;
}
