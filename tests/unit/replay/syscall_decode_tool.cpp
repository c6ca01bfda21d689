// SPDX-License-Identifier: Apache-2.0
// Decodes the calls that syscall_caller makes, from the same two files: one line of text a call.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/unit/replay/syscall_record.h"
#include "userspace/replay/syscall_text.h"

namespace {
constexpr uint64_t kMemoryAddress = 0x20000000, kSucceed = 0x600d0000;

std::string read_file(const char* path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        std::fprintf(stderr, "cannot read %s\n", path);
        std::exit(1);
    }
    return {std::istreambuf_iterator<char>(in), {}};
}
}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: syscall_decode_tool CALLS MEMORY\n");
        return 2;
    }
    const std::string calls = read_file(argv[1]), memory = read_file(argv[2]);
    const auto read = [&](uint64_t address, void* to, size_t size) -> size_t {
        if (address < kMemoryAddress || address - kMemoryAddress >= memory.size()) return 0;
        const size_t at = address - kMemoryAddress, got = std::min(size, memory.size() - at);
        std::memcpy(to, memory.data() + at, got);
        return got;
    };
    std::string line;
    for (size_t at = 0; at + 56 <= calls.size(); at += 56) {
        uint64_t c[7];
        std::memcpy(c, calls.data() + at, sizeof c);
        flightrec::replay::testing::SyscallRecord record(FR_CLASS_SYSCALL, static_cast<uint32_t>(c[0]),
                                                         {c[1], c[2], c[3], c[4], c[5], c[6]},
                                                         (c[6] & 0xffffffff) == kSucceed ? 0 : -1);
        record.capture(flightrec::schemas::Arch::x86_64, read);
        line.clear();
        flightrec::replay::append_syscall(line, {record.ref(), {.arch = flightrec::schemas::Arch::x86_64}});
        std::puts(line.c_str());
    }
    return 0;
}
