// SPDX-License-Identifier: Apache-2.0
// Synthetic flights for the replay tests: records are written down one by one, then stored through the real window.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schemas/syscalls/syscalls.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/reader.h"
#include "userspace/flight/window.h"
#include "userspace/replay/replay.h"

namespace flightrec::replay::test {

using namespace std::string_literals;

inline constexpr uint64_t ms = 1'000'000;
inline constexpr uint64_t s = 1'000'000'000;

struct BlobText {
    uint8_t kind;
    std::string text;
    uint8_t flags = 0;
};

// One record that owns its bytes.
class Record {
  public:
    Record() = default;
    Record(std::span<const std::byte> bytes, uint16_t cpu)
        : words_((bytes.size() + 7) / 8), size_(bytes.size()), cpu_(cpu) {
        std::memcpy(words_.data(), bytes.data(), bytes.size());
    }
    [[nodiscard]] std::span<const std::byte> bytes() const {
        return {reinterpret_cast<const std::byte*>(words_.data()), size_};
    }
    [[nodiscard]] flight::EventRef ref() const {
        flight::EventRef out{bytes(), cpu_, 0};
        out.fixed_size = flight::fixed_size_of(out.head().cls);
        return out;
    }
    [[nodiscard]] uint64_t time_ns() const { return ref().head().time_ns; }
    [[nodiscard]] uint8_t cls() const { return ref().head().cls; }
    [[nodiscard]] uint16_t cpu() const { return cpu_; }

  private:
    std::vector<uint64_t> words_;
    size_t size_ = 0;
    uint16_t cpu_ = 0;
};

// fill: sets the fields of the class; the blobs follow in order.
template <class T>
Record record(uint8_t cls, uint64_t time_ns, uint32_t pid, uint32_t tid, const std::function<void(T&)>& fill,
              const std::vector<BlobText>& blobs = {}, uint16_t cpu = 0) {
    flight::EventBuilder builder;
    T& event = builder.begin<T>(cls);
    event.event.time_ns = time_ns;
    event.event.pid = pid;
    event.event.tid = tid;
    if (fill) fill(event);
    for (const auto& blob : blobs) builder.blob(blob.kind, blob.text, blob.flags);
    return {builder.bytes(), cpu};
}

inline void set_comm(char (&field)[FR_COMM_LEN], std::string_view text) {
    std::memcpy(field, text.data(), std::min(text.size(), sizeof field));
}

inline uint32_t nr(std::string_view name) {
    return static_cast<uint32_t>(schemas::find_syscall(schemas::Arch::x86_64, name)->number(schemas::Arch::x86_64));
}

struct CallArgs {
    std::vector<uint64_t> args{};
    std::vector<BlobText> blobs{};
    uint64_t took_ns = 1000;
    uint8_t cls = FR_CLASS_SYSCALL;
    uint8_t flags = 0;
};
inline Record call(uint64_t time_ns, uint32_t pid, uint32_t tid, std::string_view name, int64_t result,
                   const CallArgs& more = {}) {
    return record<fr_syscall>(
        more.cls, time_ns, pid, tid,
        [&](fr_syscall& e) {
            e.event.flags = more.flags;
            e.nr = nr(name);
            e.result = result;
            e.enter_ns = (more.flags & FR_EVENT_NO_ENTRY) != 0 ? 0 : time_ns - more.took_ns;
            std::copy(more.args.begin(), more.args.end(), e.args);
        },
        more.blobs);
}

inline Record process(uint32_t pid, uint32_t ppid, std::string_view comm, std::string argv, uint64_t start_ns,
                      uint32_t flags = FR_PROCESS_PARENT_KNOWN, uint64_t cgroup = 0) {
    std::vector<BlobText> blobs;
    if (!argv.empty()) blobs.push_back({FR_BLOB_ARGV, std::move(argv)});
    return record<fr_process>(
        FR_CLASS_PROCESS, start_ns, pid, pid,
        [&](fr_process& e) {
            e.ppid = ppid;
            e.start_ns = start_ns;
            e.flags = flags;
            e.threads = 1;
            e.cgroup_id = cgroup;
            set_comm(e.comm, comm);
        },
        blobs);
}

inline Record marker(uint64_t time_ns, uint32_t kind, const std::vector<uint64_t>& values, std::string text = {}) {
    std::vector<BlobText> blobs;
    if (!text.empty()) blobs.push_back({FR_BLOB_TEXT, std::move(text)});
    return record<fr_marker>(
        FR_CLASS_MARKER, time_ns, 99, 99,
        [&](fr_marker& e) {
            e.kind = kind;
            std::copy(values.begin(), values.end(), e.value);
        },
        blobs);
}

inline Record kmsg(uint64_t time_ns, uint32_t level, std::string text) {
    return record<fr_kmsg>(FR_CLASS_KMSG, time_ns, 0, 0, [&](fr_kmsg& e) { e.level = level; },
                           {{FR_BLOB_TEXT, std::move(text)}});
}

class TempDir {
  public:
    TempDir() {
        std::string name = (std::filesystem::temp_directory_path() / "replay-test-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

// Collects records and stores them: one vital segment with its keyframe, system calls in blocks of `block_events`.
class Story {
  public:
    std::string info = R"({"identity":{"hostname":"web-7","boot_id":"b","os":{"pretty_name":"Debian 12"},)"
                       R"("kernel":{"release":"6.1.0","architecture":"x86_64"},"labels":{"role":"shop"}}})";
    std::vector<Record> keyframe, events;
    size_t block_events = 1000;
    bool ledger = true;

    Story& add(Record event) {
        events.push_back(std::move(event));
        return *this;
    }
    // Writes the window file and opens it; the file stays until the story is gone.
    flight::FlightFile store() {
        write(path());
        auto file = flight::FlightFile::open(path());
        EXPECT_TRUE(file.has_value()) << (file ? "" : file.error().message);
        return std::move(*file);
    }
    [[nodiscard]] std::filesystem::path path() const { return *dir_ / "window.flight"; }
    // Changes a byte of the stored file: the last one of the last block of system calls.
    void change_last_call_block() const {
        const auto file = flight::FlightFile::open(path());
        ASSERT_TRUE(file.has_value());
        uint64_t at = 0;
        for (const auto& segment : file->segments())
            for (const auto& block : segment.blocks)
                if (segment.header.track == FR_TRACK_SYSCALL)
                    at = block.file_offset + block.header.header_size + block.header.stored_size - 1;
        std::fstream raw(path(), std::ios::in | std::ios::out | std::ios::binary);
        raw.seekg(static_cast<std::streamoff>(at));
        const int old = raw.get();
        raw.seekp(static_cast<std::streamoff>(at));
        raw.put(static_cast<char>(old ^ 0xff));
    }
    void write(const std::filesystem::path& path);

  private:
    std::unique_ptr<TempDir> dir_ = std::make_unique<TempDir>();
};

// A window that stays open, for what a live one does.
class LiveWindow {
  public:
    explicit LiveWindow(const std::filesystem::path& path, const std::string& info)
        : window_(make(path, info)),
          vital_(std::move(*flight::EventBlockEncoder::make(30000))),
          calls_(std::move(*flight::SyscallBlockEncoder::make(4096, 65536))) {}
    void vital(const std::vector<Record>& records, uint8_t kind = FR_BLOCK_EVENTS) {
        for (const auto& r : records) {
            if (vital_.add(r.bytes(), r.cpu())) continue;
            ASSERT_TRUE(window_.append(FR_TRACK_VITAL, vital_.finish(kind)).has_value());
            ASSERT_TRUE(vital_.add(r.bytes(), r.cpu()));
        }
        if (vital_.empty()) return;
        ASSERT_TRUE(window_.append(FR_TRACK_VITAL, vital_.finish(kind)).has_value());
    }
    void calls(const std::vector<Record>& records) {
        if (records.empty()) return;
        calls_.run(records.front().cpu());
        for (const auto& r : records) ASSERT_TRUE(calls_.add(r.bytes()));
        ASSERT_TRUE(window_.append(FR_TRACK_SYSCALL, calls_.finish()).has_value());
    }
    flight::Window& window() { return window_; }

  private:
    static flight::Window make(const std::filesystem::path& path, const std::string& info) {
        flight::WindowConfig config;
        config.path = path;
        config.size = FR_WINDOW_SIZE_MIN;
        auto window = flight::Window::create(config, info);
        if (!window) throw std::runtime_error(window.error().message);
        return std::move(*window);
    }
    flight::Window window_;
    flight::EventBlockEncoder vital_;
    flight::SyscallBlockEncoder calls_;
};

inline void Story::write(const std::filesystem::path& path) {
    std::filesystem::remove(path);
    LiveWindow live(path, info);
    if (!keyframe.empty()) live.vital(keyframe, FR_BLOCK_KEYFRAME);
    std::stable_sort(events.begin(), events.end(),
                     [](const Record& a, const Record& b) { return a.time_ns() < b.time_ns(); });
    std::vector<Record> vital, calls;
    for (const auto& event : events) (flight::track_of(event.cls()) == FR_TRACK_VITAL ? vital : calls).push_back(event);
    for (size_t at = 0; at < calls.size(); at += block_events)
        live.calls({calls.begin() + static_cast<std::ptrdiff_t>(at),
                    calls.begin() + static_cast<std::ptrdiff_t>(std::min(at + block_events, calls.size()))});
    if (ledger && !events.empty())
        vital.push_back(record<fr_ledger>(FR_CLASS_LEDGER, events.back().time_ns(), 99, 99, [&](fr_ledger& l) {
            l.lines = FR_CLASS_COUNT;
            for (const auto& event : events) ++l.line[event.cls()].stored;
            ++l.line[FR_CLASS_LEDGER].stored;
            for (auto& line : l.line) line.produced = line.stored;
            live.window().fill_ledger_position(l);
        }));
    live.vital(vital);
}

// What replay() writes for these options.
inline std::string replayed(flight::FlightFile& file, const ReplayOptions& options, ReplaySummary* summary = nullptr) {
    FILE* sink = std::tmpfile();
    Output out(::fileno(sink));
    const std::atomic<bool> stop{false};
    const auto done = replay(file, options, out, stop);
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
    if (done && summary != nullptr) *summary = *done;
    std::string text;
    std::rewind(sink);
    char piece[65536];
    for (size_t n = 0; (n = std::fread(piece, 1, sizeof piece, sink)) != 0;) text.append(piece, n);
    std::fclose(sink);
    return text;
}

inline std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> out;
    size_t at = 0;
    while (at < text.size()) {
        const size_t end = std::min(text.find('\n', at), text.size());
        out.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return out;
}

// Compares with tests/golden/replay/NAME; FLIGHTREC_UPDATE_GOLDEN=1 writes it anew.
inline void expect_golden(const std::string& name, const std::string& text) {
    const std::filesystem::path path = std::filesystem::path(FLIGHTREC_SOURCE_DIR) / "tests/golden/replay" / name;
    if (std::getenv("FLIGHTREC_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(path, std::ios::binary) << text;
        return;
    }
    std::ifstream in(path, std::ios::binary);
    ASSERT_TRUE(in.good()) << path << " is missing; FLIGHTREC_UPDATE_GOLDEN=1 writes it";
    const std::string expected((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(expected, text) << "differs from " << path;
}

// One record, or more, of every class, with every blob filled in. text: goes wherever a string may stand.
std::vector<Record> every_class(const std::string& text);
// A cgroup OOM kill of a growing process, with samples, kernel log and system calls.
Story cgroup_oom_story();

}  // namespace flightrec::replay::test
