// SPDX-License-Identifier: Apache-2.0
// What the flight tests share: records, random ones too, a scratch folder, windows and dumps made of them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "userspace/flight/block.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/event_ref.h"
#include "userspace/flight/reader.h"
#include "userspace/flight/window.h"

namespace flightrec::flight::test {

using Bytes = std::vector<std::byte>;
using Random = std::mt19937_64;

class TempDir {
  public:
    TempDir() {
        std::string name = (std::filesystem::temp_directory_path() / "flight-test-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline Bytes read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    Bytes out(text.size());
    std::memcpy(out.data(), text.data(), text.size());
    return out;
}

// A record as it comes out of a file: without stamp and class_seq, with its true size.
inline Bytes stored(std::span<const std::byte> record) {
    Bytes out(record.begin(), record.end());
    fr_event head;
    std::memcpy(&head, out.data(), sizeof head);
    head.stamp = 0;
    head.class_seq = 0;
    head.size = static_cast<__u16>(out.size());
    std::memcpy(out.data(), &head, sizeof head);
    return out;
}

inline Bytes copy(const EventRef& event) { return {event.bytes.begin(), event.bytes.end()}; }

// A MARKER with a text, as a simple event of the vital track.
inline Bytes marker(uint64_t time_ns, std::string_view text = {}, uint32_t kind = FR_MARKER_DUMP, uint64_t value = 0) {
    EventBuilder builder;
    auto& m = builder.begin<fr_marker>(FR_CLASS_MARKER);
    m.event.time_ns = time_ns;
    m.event.tid = m.event.pid = 100;
    m.kind = kind;
    m.value[0] = value;
    if (!text.empty()) builder.blob(FR_BLOB_TEXT, text);
    return {builder.bytes().begin(), builder.bytes().end()};
}

struct Call {
    uint64_t enter = 0, time = 0;
    uint32_t tid = 100, pid = 100, nr = 0;
    int64_t result = 0;
    std::array<uint64_t, 6> args{};
    std::string path;  // ARG0
    uint8_t cls = FR_CLASS_SYSCALL, flags = 0;
};

inline Bytes syscall_record(const Call& call) {
    EventBuilder builder;
    auto& s = builder.begin<fr_syscall>(call.cls);
    s.event.time_ns = call.time;
    s.event.flags = call.flags;
    s.event.tid = call.tid;
    s.event.pid = call.pid;
    s.enter_ns = call.enter;
    s.nr = call.nr;
    s.result = call.result;
    std::copy(call.args.begin(), call.args.end(), s.args);
    if (!call.path.empty()) builder.blob(FR_BLOB_ARG0, call.path);
    return {builder.bytes().begin(), builder.bytes().end()};
}

inline Bytes random_bytes(Random& random, size_t n) {
    Bytes out(n);
    for (auto& b : out) b = static_cast<std::byte>(random());
    return out;
}

struct Stored {
    Bytes payload;
    fr_block_header header{};
};
inline Stored keep(const EncodedBlock& block) { return {{block.payload.begin(), block.payload.end()}, block.header}; }

inline std::array<uint16_t, 64> fixed_sizes() {
    std::array<uint16_t, 64> out{};
    for (uint8_t c = 0; c < FR_CLASS_COUNT; ++c) out[c] = fixed_size_of(c);
    return out;
}

template <class T>
T value_of(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
}

// A recorder in small: a window, its encoders and an account.
class Recorder {
  public:
    explicit Recorder(const WindowConfig& config, std::string_view info = "{\"host\":\"test\"}")
        : window(value_of(Window::create(config, info))),
          vital(value_of(EventBlockEncoder::make(30000))),
          keyframe(value_of(EventBlockEncoder::make(30000))),
          syscalls(value_of(SyscallBlockEncoder::make(1000, 8192))) {}

    // Appends one vital block of these records.
    Result<void> append_vital(const std::vector<Bytes>& records) {
        for (const auto& r : records) EXPECT_TRUE(vital.add(r, 1));
        return window.append(FR_TRACK_VITAL, vital.finish());
    }
    Result<void> append_syscalls(const std::vector<Bytes>& records, uint16_t cpu = 0) {
        syscalls.run(cpu);
        for (const auto& r : records) EXPECT_TRUE(syscalls.add(r));
        return window.append(FR_TRACK_SYSCALL, syscalls.finish());
    }
    // A block that ends with a ledger in which everything stored was produced.
    Result<void> append_ledger(uint64_t time_ns, const std::vector<Bytes>& records = {}) {
        for (const auto& r : records) EXPECT_TRUE(vital.add(r, 1));
        EventBuilder builder;
        auto& l = builder.begin<fr_ledger>(FR_CLASS_LEDGER);
        l.event.time_ns = time_ns;
        l.lines = FR_CLASS_COUNT;
        const auto before = window.stored();
        for (size_t c = 0; c < FR_CLASS_COUNT; ++c) {
            l.line[c].stored = before[c] + vital.by_class()[c] + (c == FR_CLASS_LEDGER ? 1 : 0);
            l.line[c].produced = l.line[c].stored;
        }
        l.line[FR_CLASS_SYSCALL].skipped = 5;
        l.line[FR_CLASS_SYSCALL].produced += 5;
        window.fill_ledger_position(l);
        EXPECT_TRUE(vital.add(builder.bytes(), 0));
        return window.append(FR_TRACK_VITAL, vital.finish());
    }
    Bytes dump(std::string_view info = "{\"reason\":\"test\"}") {
        Bytes out;
        const auto size = write_dump(window, info, [&](std::span<const std::byte> piece) -> Result<void> {
            out.insert(out.end(), piece.begin(), piece.end());
            return {};
        });
        EXPECT_TRUE(size.has_value());
        EXPECT_EQ(size.value_or(0), out.size());
        return out;
    }

    Window window;
    EventBlockEncoder vital, keyframe;
    SyscallBlockEncoder syscalls;
};

inline WindowConfig small_window(const std::filesystem::path& path) {
    WindowConfig config;
    config.path = path;
    config.size = FR_WINDOW_SIZE_MIN;
    config.segment_size = FR_SEGMENT_SIZE_MIN;
    return config;
}

inline std::vector<Bytes> all_events(const FlightFile& file, const ReadOptions& options = {}) {
    std::vector<Bytes> out;
    auto reader = file.read(options);
    while (const auto event = reader.next())
        if (!reader.in_keyframe()) out.push_back(copy(*event));
    return out;
}

inline std::string text_of(const Bytes& record) {
    EventRef ref;
    ref.bytes = record;
    ref.fixed_size = fixed_size_of(ref.head().cls);
    const auto blob = find_blob(ref, FR_BLOB_TEXT);
    return blob ? std::string(blob->text) : std::string();
}

}  // namespace flightrec::flight::test
