// SPDX-License-Identifier: Apache-2.0
// Frames of recorded user stacks (build id + file offset) as function, source line and module, from local files.
//
// A local file is used only where its build id equals the recorded one; where none is found, nothing is guessed and the
// frame stays build id + offset. Files are looked for, in this order: the paths that the flight itself tells
// (executables, mapped files), DIR/.build-id/ab/cdef… (executable) and DIR/.build-id/ab/cdef….debug (debug information,
// as Debian's -dbgsym packages and gdb have it), and any ELF file below a directory of `directories`. Nothing is
// fetched from the network. Uses elfutils: libelf, libdw, libdwfl. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schemas/flightrec/event.h"
#include "userspace/flight/reader.h"

namespace flightrec::replay {

struct Symbol {
    std::string module;    // path that the flight, or the local file, has; "" where not known
    std::string function;  // demangled; "" where no file was found or it has no symbol there
    uint64_t offset = 0;   // from the function's start
    std::string source;    // as the compiler was given it; "" without debug information
    uint32_t line = 0;
    std::vector<std::string> inlined_into;  // functions of which `function` is an inlined part, innermost first
};

class Symbolizer {
  public:
    static constexpr size_t max_files = 20000;  // looked at below `directories`

    struct Options {
        std::vector<std::string> directories;  // --debug-dir; /usr/lib/debug is always looked into
    };

    // file: borrowed; it must outlive this. Its vital track is read once, when the first frame is asked for.
    Symbolizer(const flight::FlightFile& file, Options options);
    ~Symbolizer();
    Symbolizer(const Symbolizer&) = delete;
    Symbolizer& operator=(const Symbolizer&) = delete;

    // caller: the frame is a return address, so the call before it is meant. Valid until the next call.
    const Symbol& find(const fr_frame& frame, bool caller);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// "crash_here+0x12 at segfault.cpp:26, inlined into main, in /usr/bin/segfault" and the build id and offset behind it;
// these alone, with the module's path where the flight tells it, when there is no symbol.
void append_symbol(std::string& out, const fr_frame& frame, const Symbol& symbol);

}  // namespace flightrec::replay
