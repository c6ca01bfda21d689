// SPDX-License-Identifier: Apache-2.0
// Builds the record of a system call as the recorder would, what is to be captured taken from the syscall table.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_ref.h"

namespace flightrec::replay::testing {

// Reads up to `size` bytes of the caller's memory into `to`; returns how many could be read.
using ReadMemory = std::function<size_t(uint64_t address, void* to, size_t size)>;

class SyscallRecord {
  public:
    explicit SyscallRecord(uint8_t cls, uint32_t nr, std::array<uint64_t, 6> args = {}, int64_t result = 0)
        : bytes_(sizeof(fr_syscall)) {
        head().event.cls = cls;
        head().event.size = sizeof(fr_syscall);
        head().event.pid = head().event.tid = 1;
        head().nr = nr;
        head().result = result;
        std::copy(args.begin(), args.end(), head().args);
    }

    [[nodiscard]] fr_syscall& head() { return *reinterpret_cast<fr_syscall*>(bytes_.data()); }

    SyscallRecord& blob(uint8_t kind, std::string_view text, uint8_t flags = 0) {
        fr_blob blob{static_cast<uint16_t>(text.size()), kind, flags};
        const size_t at = bytes_.size();
        bytes_.resize(at + ((sizeof blob + text.size() + 7) & ~size_t{7}));
        std::memcpy(bytes_.data() + at, &blob, sizeof blob);
        std::memcpy(bytes_.data() + at + sizeof blob, text.data(), text.size());
        head().event.size = static_cast<uint16_t>(bytes_.size());
        return *this;
    }

    // Everything that capture_of() names.
    void capture(schemas::Arch arch, const ReadMemory& memory, size_t string_limit = 255);

    [[nodiscard]] flight::EventRef ref() const { return {bytes_, 0, sizeof(fr_syscall)}; }

  private:
    void capture_arg(const schemas::ArgCapture& capture, unsigned i, const ReadMemory& memory, size_t string_limit);
    std::vector<std::byte> bytes_;
};

inline void SyscallRecord::capture(schemas::Arch arch, const ReadMemory& memory, size_t string_limit) {
    const schemas::SyscallInfo* info = schemas::find_syscall(arch, head().nr);
    if (info == nullptr) return;
    const schemas::SyscallCapture plan = schemas::capture_of(*info, arch);
    const bool failed = head().result < 0 && head().result >= -4095;
    for (unsigned i = 0; i < info->nargs; ++i) {
        const schemas::ArgCapture& capture = plan.args[i];
        if (capture.type == schemas::CaptureType::none || head().args[i] == 0) continue;
        if (capture.on_success && failed) continue;
        if (capture.conditional && !plan.condition.holds(head().args[plan.condition.arg])) continue;
        capture_arg(capture, i, memory, string_limit);
    }
}

inline void SyscallRecord::capture_arg(const schemas::ArgCapture& capture, unsigned i, const ReadMemory& memory,
                                       size_t string_limit) {
    using enum schemas::CaptureType;
    const uint64_t address = head().args[i];
    const uint64_t counted = head().args[capture.length_arg] & 0xffffffff;
    const auto read = [&](uint8_t kind, size_t size, bool cut = false) {
        std::string text(size, '\0');
        if (memory(address, text.data(), size) != size) return void(blob(kind, "", FR_BLOB_FAULT));
        blob(kind, text, static_cast<uint8_t>(cut ? FR_BLOB_CUT : 0));
    };
    const auto arg = static_cast<uint8_t>(FR_BLOB_ARG0 + i);
    const auto data_kind = static_cast<uint8_t>(FR_BLOB_DATA0 + i);
    const auto sockaddr_kind = static_cast<uint8_t>(FR_BLOB_SOCKADDR0 + i);
    switch (capture.type) {
        case string: {
            std::string text(string_limit + 1, '\0');
            const size_t got = memory(address, text.data(), text.size());
            const size_t end = text.substr(0, got).find('\0');
            if (end == std::string::npos && got <= string_limit) return void(blob(arg, "", FR_BLOB_FAULT));
            const bool cut = end == std::string::npos;
            blob(arg, text.substr(0, cut ? string_limit : end), static_cast<uint8_t>(cut ? FR_BLOB_CUT : 0));
            return;
        }
        case string_counted: return read(arg, counted);
        case string_result: {
            auto size = static_cast<size_t>(std::max<int64_t>(0, head().result));
            std::string text(size, '\0');
            if (memory(address, text.data(), size) != size) return;
            if (text.ends_with('\0')) text.pop_back();
            blob(arg, text);
            return;
        }
        case argv: {
            std::string text;
            uint64_t first = 0;
            if (memory(address, &first, 8) != 8) return void(blob(arg, "", FR_BLOB_FAULT));
            for (uint64_t at = address, pointer = 0; memory(at, &pointer, 8) == 8 && pointer != 0; at += 8) {
                std::string one(4096, '\0');
                one.resize(memory(pointer, one.data(), one.size()));
                text += one.substr(0, one.find('\0')) + '\0';
            }
            blob(arg, text);
            return;
        }
        case data: return read(data_kind, capture.size);
        case data_counted: {
            const uint64_t whole = counted * capture.size;
            return read(data_kind, std::min<uint64_t>(whole, capture.max), whole > capture.max);
        }
        case sockaddr: return read(sockaddr_kind, std::min<uint64_t>(counted, capture.max));
        case sockaddr_by_ptr: {
            uint32_t length = 0;
            if (memory(head().args[capture.length_arg], &length, 4) != 4) return;
            return read(sockaddr_kind, std::min<uint32_t>(length, capture.max));
        }
        case none: return;
    }
}

}  // namespace flightrec::replay::testing
