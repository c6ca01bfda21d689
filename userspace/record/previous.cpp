// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/previous.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/flight/block.h"
#include "userspace/flight/event_builder.h"
#include "userspace/flight/window.h"

namespace flightrec::record {
namespace {

constexpr size_t kept_max = 400;           // lines
constexpr size_t pstore_max = 256u << 10;  // bytes of one file of pstore
constexpr uint16_t no_cpu = 0xffff;

// The last things the recording said.
struct End {
    bool stopped = false;
    std::string why;  // the machine was stopped then: "reboot", "poweroff", …
    uint64_t last_kmsg_ns = 0;
};
End end_of(const flight::FlightFile& file) {
    flight::ReadOptions options;
    options.syscalls = false;
    options.keyframes = false;
    options.from_ns = file.last_ns() > 10'000'000'000 ? file.last_ns() - 10'000'000'000 : 0;
    auto reader = file.read(options);
    End out;
    while (const auto event = reader.next()) {
        if (event->head().cls == FR_CLASS_MARKER) {
            out.stopped = event->as<fr_marker>().kind == FR_MARKER_STOP;
            const auto text = flight::find_blob(*event, FR_BLOB_TEXT);
            out.why = out.stopped && text ? printable(text->text) : "";
        }
        if (event->head().cls == FR_CLASS_KMSG) out.last_kmsg_ns = event->head().time_ns;
    }
    return out;
}

// The process that holds a flock(2) lock on the file, by /proc/locks (proc(5)); 0: not told.
unsigned lock_holder(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return 0;
    const std::string file = fmt::format("{:02x}:{:02x}:{}", major(st.st_dev), minor(st.st_dev), st.st_ino);
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
        // "1: FLOCK  ADVISORY  WRITE 812 fe:00:1234 0 EOF"
        std::istringstream words(line);
        std::string number, kind, how, what, place;
        unsigned pid = 0;
        if (words >> number >> kind >> how >> what >> pid >> place && kind == "FLOCK" && place == file) return pid;
    }
    return 0;
}

// Of a window of ours whose header was lost: zeros (a disk that lost what it had acknowledged) or our magic.
bool was_a_window(int fd) {
    std::array<char, FR_FILE_HEADER_SIZE> head{};
    const ssize_t n = ::pread(fd, head.data(), head.size(), 0);
    if (n > 0 && std::all_of(head.begin(), head.begin() + n, [](char c) { return c == 0; })) return true;
    constexpr size_t magic = sizeof(fr_file_header::magic);
    return n >= static_cast<ssize_t>(magic) && std::memcmp(head.data(), FR_FILE_MAGIC, magic) == 0;
}

bool is_empty(int fd) {
    struct stat st {};
    return ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

// PATH, or PATH.2 to PATH.9 where something has that name already; the last one is given up.
std::filesystem::path free_name(const std::filesystem::path& path) {
    std::filesystem::path out = path;
    std::error_code ec;
    for (int n = 2; n < 10 && std::filesystem::exists(std::filesystem::symlink_status(out, ec)); ++n)
        out = fmt::format("{}.{}", path.string(), n);
    return out;
}

std::string string_in(const nlohmann::json& info, const char* pointer) {
    const nlohmann::json::json_pointer at(pointer);
    return info.is_object() && info.contains(at) && info[at].is_string() ? info[at].get<std::string>() : "";
}

std::string busy_message(const std::filesystem::path& path, unsigned pid) {
    const std::string name = printable(path.string());
    if (pid == 0) return fmt::format("another recorder writes {}: stop it, or choose another --window", name);
    return fmt::format(
        "another recorder (pid {}) writes {}: stop it (systemctl stop flightrec, or kill {}), or choose another "
        "--window",
        pid, name, pid);
}

std::string line_of(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// What the kernel kept of its log, oldest part first.
std::vector<KeptLine> read_pstore(const SystemPaths& paths) {
    std::vector<std::filesystem::path> files;
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator(paths.sys + "/fs/pstore", ec))
        if (entry.path().filename().string().starts_with("dmesg-")) files.push_back(entry.path());
    std::vector<KeptLine> out;
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        std::string text(pstore_max, '\0');
        file.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
        auto lines = parse_pstore(text);
        std::move(lines.begin(), lines.end(), std::back_inserter(out));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const KeptLine& a, const KeptLine& b) { return a.time_ns < b.time_ns; });
    if (out.size() > kept_max) out.erase(out.begin(), out.end() - kept_max);
    return out;
}

}  // namespace

std::vector<KeptLine> parse_pstore(std::string_view text) {
    std::vector<KeptLine> out;
    while (!text.empty()) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const size_t level_end = line.find('>');
        const size_t stamp_end = line.find("] ");
        if (!line.starts_with('<') || level_end == std::string_view::npos || stamp_end == std::string_view::npos ||
            level_end + 1 >= line.size() || line[level_end + 1] != '[')
            continue;
        KeptLine kept;
        double seconds = -1;
        std::string_view stamp = line.substr(level_end + 2, stamp_end - level_end - 2);
        while (stamp.starts_with(' ')) stamp.remove_prefix(1);
        unsigned level = 0;
        std::from_chars(line.data() + 1, line.data() + level_end, level);
        std::from_chars(stamp.data(), stamp.data() + stamp.size(), seconds);
        if (!(seconds >= 0) || seconds > 1e9) continue;
        kept.time_ns = static_cast<uint64_t>(std::llround(seconds * 1e6)) * 1000;
        kept.level = level & 7;
        kept.text = line.substr(stamp_end + 2);
        out.push_back(std::move(kept));
    }
    return out;
}

void PreviousWindow::note_last_blocks(const flight::FlightFile& file) {
    for (const flight::SegmentInfo& segment : file.segments())
        if (segment.header.track < FR_TRACK_COUNT && !segment.blocks.empty())
            last_blocks_[segment.header.track] = segment.blocks.back().header.payload_hash;
}

// Tells a recorder that was killed from a machine that went down, and a panic from a loss of power.
void PreviousWindow::judge(const flight::FlightFile& file, const SystemPaths& paths) {
    events_ = !file.segments().empty();
    const End end = events_ ? end_of(file) : End{};
    in_order_ = events_ && end.stopped;
    last_kmsg_ns_ = end.last_kmsg_ns;
    last_realtime_ns_ = events_ ? file.realtime_of(file.last_ns()) : 0;
    const std::string when = events_ ? format_utc(last_realtime_ns_) : "before any event";
    const auto info = nlohmann::json::parse(file.info_json(), nullptr, false);
    version_ = printable(string_in(info, "/identity/recorder/version"));
    config_hash_ = string_in(info, "/identity/recorder/config_hash");
    const std::string boot = string_in(info, "/identity/boot_id");
    same_boot_ = !boot.empty() && boot == line_of(paths.proc + "/sys/kernel/random/boot_id");
    if (same_boot_) last_boot_ns_ = file.last_ns();
    if (in_order_) {
        how_ = "the recording before ended in order, " + when;
        if (!end.why.empty()) how_ += ", when the machine was stopped: " + end.why;
        return;
    }
    how_ = "the recording before broke off, last event " + when;
    if (same_boot_) how_ += ": the recorder was killed, the machine went on";
    if (same_boot_ || boot.empty()) return;
    kept_ = read_pstore(paths);
    const auto panic = std::find_if(kept_.begin(), kept_.end(), [](const KeptLine& line) {
        return line.text.find("Kernel panic") != std::string::npos;
    });
    how_ += panic != kept_.end() ? ": " + printable(panic->text)
                                 : ": the machine went down without stopping it (power loss, reset or panic)";
}

Result<void> PreviousWindow::check_free(const std::filesystem::path& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return {};  // said when it is set aside
    if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return {};
    return fail(Code::busy, busy_message(path, lock_holder(fd.get())));
}

Result<PreviousWindow> PreviousWindow::set_aside(const std::filesystem::path& path, const SystemPaths& paths) {
    PreviousWindow out;
    std::filesystem::path aside = path;
    aside += ".previous";
    if (const auto before = flight::FlightFile::open(aside)) out.note_last_blocks(*before);
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) {
        if (errno == ENOENT) return out;
        return fail_errno(errno, fmt::format("cannot look at the old window {}", path.string()));
    }
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return fail(Code::busy, busy_message(path, lock_holder(fd.get())));
    if (is_empty(fd.get())) {
        out.replaceable_ = true;
        return out;
    }
    auto file = flight::FlightFile::open(path);
    if (!file && file.error().code == Code::unsupported) {
        // A recorder that was rolled back must record; whoever reads the old window may have a newer program.
        FR_TRY(out.rename_aside(path, aside));
        out.found_ = true;
        out.how_ = "the window before is of another version of the format and was set aside unread";
        log::warning("{}: it is now {}", file.error().message, aside.string());
        return out;
    }
    if (!file && was_a_window(fd.get())) {
        const std::filesystem::path unreadable = free_name(path.string() + ".unreadable");
        if (::rename(path.c_str(), unreadable.c_str()) != 0)
            return fail_errno(errno, fmt::format("cannot set the unreadable window {} aside", path.string()));
        log::warning("the old window has lost its beginning: it is now {}", unreadable.string());
        return out;
    }
    if (!file)
        return fail(Code::usage, fmt::format("{} is there and is no window of flightrec ({}): move it away, or choose "
                                             "another --window",
                                             path.string(), file.error().message));
    if (file->segments().empty()) {  // it must not take the place of a window that holds something
        out.replaceable_ = true;
        return out;
    }
    out.found_ = true;
    std::copy_n(file->header().recording_id, 16, out.recording_.begin());
    out.judge(*file, paths);
    out.last_blocks_ = {};
    out.note_last_blocks(*file);
    FR_TRY(out.rename_aside(path, aside));
    return out;
}

// PATH takes the place of the window before; what is lost with that one is told.
Result<void> PreviousWindow::rename_aside(const std::filesystem::path& path, const std::filesystem::path& aside) {
    if (const auto before = flight::FlightFile::open(aside); before && !before->segments().empty()) {
        gave_up_ = fmt::format("the window before that, from {} to {}, was given up",
                               format_utc(before->realtime_of(before->first_ns())),
                               format_utc(before->realtime_of(before->last_ns())));
    }
    path_ = aside;
    if (::rename(path.c_str(), path_.c_str()) == 0) return {};
    return fail_errno(errno, fmt::format("cannot set the old window {} aside", path.string()));
}

std::string PreviousWindow::story(const std::string& version, const std::string& config_hash, const ClockPair& now,
                                  bool continued) const {
    if (!found_) return "";
    std::string out = how_;
    if (!version_.empty() && version_ != version)
        out += fmt::format("; it was made by flightrec {}, this is {}", version_, version);
    if (!config_hash_.empty() && config_hash_ != config_hash) out += "; the configuration is another";
    // The wall clock may have been set meanwhile; in the same boot there is a better one.
    const uint64_t last = same_boot_ ? last_boot_ns_ : last_realtime_ns_;
    const uint64_t started = same_boot_ ? now.boot : now.realtime;
    if (!continued && last != 0 && started > last)
        out += fmt::format("; nothing is recorded of the {:.1f} s from then to this recorder's start",
                           static_cast<double>(started - last) / 1e9);
    if (!gave_up_.empty()) out += "; " + gave_up_;
    return out;
}

Result<void> PreviousWindow::ship(ship::Shipper& shipper, const std::string& host,
                                  const std::map<std::string, std::string>& labels) {
    const Fd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid()) return fail_errno(errno, fmt::format("cannot open {}", path_.string()));
    FR_ASSIGN(const auto file, flight::FlightFile::open(path_));
    ship::Incident incident;
    incident.recording = recording_;
    incident.number = 0;  // the recorder's own incidents count from 1
    incident.realtime_ns = last_realtime_ns_;
    incident.host = host;
    incident.reason = same_boot_ ? "recorder_killed" : "previous_boot";
    incident.summary = how_;
    incident.labels.assign(labels.begin(), labels.end());

    FR_ASSIGN(auto encoder, flight::EventBlockEncoder::make(64u << 10));
    auto builder = std::make_unique<flight::EventBuilder>();
    uint64_t now = file.last_ns();
    for (const KeptLine& line : kept_) {
        if (line.time_ns <= last_kmsg_ns_) continue;  // recorded already
        auto& kmsg = builder->begin<fr_kmsg>(FR_CLASS_KMSG);
        kmsg.event.time_ns = line.time_ns;
        kmsg.level = line.level;
        builder->blob(FR_BLOB_TEXT, line.text);
        if (!encoder.add(builder->bytes(), no_cpu)) break;
        now = std::max(now, line.time_ns);
    }
    for (const uint32_t kind : {FR_MARKER_PREVIOUS_END, FR_MARKER_TRIGGER}) {
        auto& marker = builder->begin<fr_marker>(FR_CLASS_MARKER);
        marker.event.time_ns = now;
        marker.kind = kind;
        if (kind == FR_MARKER_TRIGGER) marker.value[0] = FR_TRIGGER_PREVIOUS_BOOT;
        builder->blob(FR_BLOB_TEXT, how_);
        if (!encoder.add(builder->bytes(), no_cpu)) log::debug("no room for how the recording ended");
    }
    const flight::EncodedBlock closing = encoder.finish();
    FR_ASSIGN(auto writer, shipper.begin(incident, std::filesystem::file_size(path_)));
    FR_TRY(flight::write_recovered(file, fd.get(), &closing, file.info_json(),
                                   [&](std::span<const std::byte> piece) { return writer.write(piece); }));
    FR_ASSIGN(const auto dump, writer.commit());
    shipper.submit(dump);
    return {};
}

}  // namespace flightrec::record
