// SPDX-License-Identifier: Apache-2.0
// Opening a flight for the reading commands.
#include "userspace/cli/open_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::cli {

namespace {

constexpr uint64_t stream_max = uint64_t{4} << 30;  // of a stream, decompressed: it is kept in memory

enum class Packing { none, zstd, gzip, xz };

Packing packing_of(std::string_view front) {
    if (front.starts_with(std::string_view("\x28\xb5\x2f\xfd", 4))) return Packing::zstd;  // RFC 8878
    if (front.starts_with(std::string_view("\x1f\x8b", 2))) return Packing::gzip;          // RFC 1952
    if (front.starts_with(std::string_view("\xfd\x37\x7a\x58\x5a\x00", 6))) return Packing::xz;
    return Packing::none;
}

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::string& name) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot keep {} in memory", name));
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return {};
}

// Fills `to` as far as the stream goes.
Result<size_t> read_some(int fd, std::span<std::byte> to, const std::string& name) {
    size_t have = 0;
    while (have < to.size()) {
        const ssize_t n = ::read(fd, to.data() + have, to.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, fmt::format("cannot read {}", name));
        if (n == 0) break;
        have += static_cast<size_t>(n);
    }
    return have;
}

struct FreeStream {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};

// A whole stream into memory; unpacked where it is zstd.
Result<Fd> take_stream(int in, const std::string& name) {
    Fd memory(::memfd_create("flightrec", MFD_CLOEXEC));
    if (!memory.valid()) return fail_errno(errno, fmt::format("cannot keep {} in memory", name));
    std::vector<std::byte> input(1u << 17), output(1u << 18);
    std::unique_ptr<ZSTD_DStream, FreeStream> zstd;
    uint64_t total = 0;
    size_t ahead = 0;  // what zstd still expects of the frame
    for (bool first = true;; first = false) {
        FR_ASSIGN(const size_t size, read_some(in, input, name));
        if (size == 0) break;
        if (first) {
            const auto packing = packing_of({reinterpret_cast<const char*>(input.data()), size});
            if (packing == Packing::gzip)
                return fail(Code::usage, fmt::format("{} is gzip-compressed: gunzip it first", name));
            if (packing == Packing::xz)
                return fail(Code::usage, fmt::format("{} is xz-compressed: unxz it first", name));
            if (packing == Packing::zstd) zstd.reset(ZSTD_createDStream());
        }
        ZSTD_inBuffer from{input.data(), size, 0};
        while (from.pos < from.size) {
            std::span<const std::byte> piece(input.data(), size);
            if (zstd) {
                ZSTD_outBuffer to{output.data(), output.size(), 0};
                ahead = ZSTD_decompressStream(zstd.get(), &to, &from);
                if (ZSTD_isError(ahead) != 0)
                    return fail(Code::corrupt,
                                fmt::format("{} cannot be decompressed: {}", name, ZSTD_getErrorName(ahead)));
                piece = std::span<const std::byte>(output.data(), to.pos);
            } else {
                from.pos = from.size;
            }
            total += piece.size();
            if (total > stream_max)
                return fail(Code::no_space, fmt::format("{} holds more than {}: unpack it to a file first", name,
                                                        format_bytes(stream_max)));
            FR_TRY(write_all(memory.get(), piece, name));
        }
    }
    if (total == 0) return fail(Code::corrupt, fmt::format("{} is empty", name));
    if (zstd && ahead != 0) log::warning("{} is cut: its compressed data does not end", name);
    return memory;
}

Result<flight::FlightFile> open_descriptor(const Fd& fd) {
    return flight::FlightFile::open(fmt::format("/proc/self/fd/{}", fd.get()));
}

// Packed files and streams are unpacked into memory; nullopt: an ordinary file.
Result<std::optional<Fd>> unpacked(const std::string& path, const struct stat& info, const std::string& name) {
    const bool standard_input = path == "-";
    if (standard_input && !S_ISREG(info.st_mode)) {
        if (::isatty(STDIN_FILENO) == 1)
            return fail(Code::usage, "\"-\" reads a flight from the standard input, which is a terminal");
        return take_stream(STDIN_FILENO, name);
    }
    Fd file(::open(standard_input ? "/proc/self/fd/0" : path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return fail_errno(errno, fmt::format("cannot open {}", name));
    if (!S_ISREG(info.st_mode)) return take_stream(file.get(), name);
    std::array<char, 8> front{};
    const ssize_t n = ::pread(file.get(), front.data(), front.size(), 0);
    if (n > 0 && packing_of({front.data(), static_cast<size_t>(n)}) != Packing::none)
        return take_stream(file.get(), name);
    if (standard_input) return std::optional<Fd>(std::move(file));
    return std::optional<Fd>{};
}

}  // namespace

Result<flight::FlightFile> open_flight(const std::string& path) {
    const std::string name = path == "-" ? "standard input" : printable(path);
    struct stat info {};
    if ((path == "-" ? ::fstat(STDIN_FILENO, &info) : ::stat(path.c_str(), &info)) != 0) {
        if (errno == ENOENT) return fail(Code::not_found, fmt::format("{}: there is no such file", name));
        return fail_errno(errno, fmt::format("cannot open {}", name));
    }
    if (S_ISDIR(info.st_mode))
        return fail(Code::usage, fmt::format("{} is a directory; name the .flight file in it", name));
    if (S_ISREG(info.st_mode) && info.st_size == 0)
        return fail(Code::corrupt, fmt::format("{} is empty: the copy was not finished, or nothing was written", name));
    auto memory = S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode) || path == "-" ? unpacked(path, info, name)
                                                                                 : Result<std::optional<Fd>>{};
    Result<flight::FlightFile> file = !memory   ? std::unexpected(memory.error())
                                      : *memory ? open_descriptor(**memory)
                                                : flight::FlightFile::open(path);
    if (file) return file;
    Error error = file.error();
    if (memory && *memory) {  // it has no other name
        const std::string own = fmt::format("/proc/self/fd/{}", (*memory)->get());
        if (const auto at = error.message.find(own); at != std::string::npos)
            error.message.replace(at, own.size(), name);
    }
    if (error.code == Code::permission) error.message += "; flight files belong to root, try with sudo";
    if (error.code == Code::unsupported) error.message += "; read it with a newer flightrec";
    return std::unexpected(std::move(error));
}

void add_symbol_options(CLI::App& command, bool& symbols, std::vector<std::string>& directories) {
    command
        .add_option("--debug-dir", directories,
                    "Look below this directory, too, for the executables, libraries and debug files of user stacks; by "
                    "build id; may be repeated")
        ->type_name("DIR")
        ->check(CLI::ExistingDirectory)
        ->group("Symbols");
    command
        .add_flag_callback(
            "--no-symbols", [&symbols] { symbols = false; }, "Leave user stacks as build id + offset")
        ->group("Symbols");
}

bool use_color(const std::string& when) {
    if (when == "always") return true;
    if (when == "never" || std::getenv("NO_COLOR") != nullptr) return false;
    const char* terminal = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

void warn_of_damage(const flight::Damage& damage) {
    constexpr size_t shown = 5;
    for (size_t i = 0; i < damage.items.size() && i < shown; ++i) {
        const auto& item = damage.items[i];
        log::warning("damage at byte {}: {} ({} bytes skipped)", item.offset, printable(item.what), item.bytes);
    }
    if (damage.count > shown)
        log::warning("{} more damaged places; 'flightrec verify' lists them", damage.count - shown);
}

}  // namespace flightrec::cli
