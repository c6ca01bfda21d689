// SPDX-License-Identifier: Apache-2.0
// Finding files by build id and asking libdwfl for what stands at an offset.
#include "userspace/replay/symbols.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

#include "userspace/flight/event_ref.h"
#include "userspace/replay/event_text.h"

namespace flightrec::replay {
namespace {

using BuildId = std::array<uint8_t, 20>;  // zeros behind a shorter one

constexpr std::string_view system_debug = "/usr/lib/debug";

std::string hex_of(const BuildId& id) {
    std::string out;
    for (const auto byte : id) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
    return out;
}

// A regular file, opened so that no pipe or device is waited for; -1: none.
int open_regular(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    struct stat info {};
    if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
    ::close(fd);
    return -1;
}

// The build id of an ELF file; false where it is no such file or has none.
bool build_id_of(const std::string& path, BuildId& id) {
    const int fd = open_regular(path);
    if (fd < 0) return false;
    bool found = false;
    if (Elf* elf = elf_begin(fd, ELF_C_READ, nullptr)) {
        const void* bytes = nullptr;
        const ssize_t size = elf_kind(elf) == ELF_K_ELF ? dwelf_elf_gnu_build_id(elf, &bytes) : -1;
        if (size > 0) {
            id.fill(0);
            std::memcpy(id.data(), bytes, std::min<size_t>(static_cast<size_t>(size), id.size()));
            found = true;
        }
        elf_end(elf);
    }
    ::close(fd);
    return found;
}

std::string demangled(const char* name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string out = status == 0 && text != nullptr ? text : name;
    std::free(text);  // NOLINT(cppcoreguidelines-no-malloc): __cxa_demangle allocates so
    return out;
}

// Where dwfl looks for debug information: set while it asks, as its callback has no other way to us.
thread_local const std::string* debug_file = nullptr;

int find_debug(Dwfl_Module*, void**, const char*, Dwarf_Addr, const char*, const char*, GElf_Word, char** name) {
    if (debug_file == nullptr || debug_file->empty()) return -1;
    const int fd = open_regular(*debug_file);
    if (fd >= 0) *name = ::strdup(debug_file->c_str());
    return fd;
}

int no_elf(Dwfl_Module*, void**, const char*, Dwarf_Addr, char**, Elf**) { return -1; }

const Dwfl_Callbacks callbacks = {no_elf, find_debug, nullptr, nullptr};

// One local file with the recorded build id, and its debug file where there is one.
struct Module {
    Dwfl* dwfl = nullptr;
    Dwfl_Module* module = nullptr;
    std::string path, debug;

    Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;
    ~Module() {
        if (dwfl != nullptr) dwfl_end(dwfl);
    }

    bool open(std::string file, std::string debug_path) {
        path = std::move(file);
        debug = std::move(debug_path);
        const int fd = open_regular(path);
        if (fd < 0) return false;
        dwfl = dwfl_begin(&callbacks);
        if (dwfl != nullptr) module = dwfl_report_elf(dwfl, path.c_str(), path.c_str(), fd, 0, true);
        if (module == nullptr) {  // else dwfl owns fd
            ::close(fd);
            return false;
        }
        dwfl_report_end(dwfl, nullptr, nullptr);
        return true;
    }

    // A file offset as the address the file's own headers give it.
    bool address_of(uint64_t offset, GElf_Addr& address) const {
        GElf_Addr bias = 0;
        Elf* elf = dwfl_module_getelf(module, &bias);
        size_t headers = 0;
        if (elf == nullptr || elf_getphdrnum(elf, &headers) != 0) return false;
        for (size_t i = 0; i < headers; ++i) {
            GElf_Phdr header;
            if (gelf_getphdr(elf, static_cast<int>(i), &header) == nullptr || header.p_type != PT_LOAD) continue;
            const uint64_t size = header.p_filesz != 0 ? header.p_filesz : header.p_memsz;  // of a debug file: 0
            if (offset < header.p_offset || offset - header.p_offset >= size) continue;
            address = header.p_vaddr + (offset - header.p_offset) + bias;
            return true;
        }
        return false;
    }

    void describe(uint64_t offset, bool caller, Symbol& out) const {
        GElf_Addr address = 0;
        if (!address_of(offset, address)) return;
        if (caller) --address;
        debug_file = &debug;
        GElf_Off from_start = 0;
        GElf_Sym symbol;
        const char* name = dwfl_module_addrinfo(module, address, &from_start, &symbol, nullptr, nullptr, nullptr);
        if (name != nullptr) {
            out.function = demangled(name);
            out.offset = from_start + (caller ? 1 : 0);
        }
        if (Dwfl_Line* line = dwfl_module_getsrc(module, address)) {
            int number = 0;
            if (const char* source = dwfl_lineinfo(line, nullptr, &number, nullptr, nullptr, nullptr)) {
                out.source = source;
                out.line = static_cast<uint32_t>(std::max(number, 0));
            }
        }
        add_inlined(address, out);
        debug_file = nullptr;
    }

    // The innermost inlined function is where the address is; the real one is what it was inlined into.
    void add_inlined(GElf_Addr address, Symbol& out) const {
        Dwarf_Addr bias = 0;
        Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias);
        if (unit == nullptr) return;
        Dwarf_Die* scopes = nullptr;
        const int count = dwarf_getscopes(unit, address - bias, &scopes);
        std::vector<std::string> names;
        for (int i = 0; i < count; ++i) {
            if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine) continue;
            const char* name = dwarf_diename(&scopes[i]);
            names.emplace_back(name != nullptr ? name : "?");
        }
        std::free(scopes);  // NOLINT(cppcoreguidelines-no-malloc): dwarf_getscopes allocates so
        if (names.empty() || out.function.empty()) return;
        names.push_back(out.function);
        out.function = names.front();
        out.offset = 0;
        out.inlined_into.assign(names.begin() + 1, names.end());
    }
};

}  // namespace

struct Symbolizer::Impl {
    const flight::FlightFile& file;
    Options options;
    bool learned = false;
    std::map<BuildId, std::string> told;                   // path by build id, as the flight has it
    std::set<std::string> paths;                           // executables, whose build id the flight does not tell
    std::map<BuildId, std::string> local;                  // what the files at `paths` and in the directories are
    std::map<BuildId, std::unique_ptr<Module>> modules;    // nullptr: looked for and not found
    std::map<std::pair<BuildId, uint64_t>, Symbol> found;  // offset, top bit: a caller
    Symbol plain;

    Impl(const flight::FlightFile& f, Options o) : file(f), options(std::move(o)) {
        elf_version(EV_CURRENT);
        options.directories.emplace_back(system_debug);
    }

    // The paths of the flight, and which of them are here.
    void learn() {
        learned = true;
        flight::ReadOptions read;
        read.syscalls = false;
        auto reader = file.read(read);
        while (const auto event = reader.next()) {
            switch (event->head().cls) {
                case FR_CLASS_EXEC:
                    if (const auto path = flight::find_blob(*event, FR_BLOB_EXE))
                        paths.insert(flight::path_from_components(path->text));
                    break;
                case FR_CLASS_PROCESS:
                    if (const auto path = flight::find_blob(*event, FR_BLOB_PATH)) paths.emplace(path->text);
                    break;
                case FR_CLASS_MODULE: learn_module(*event); break;
                default: break;
            }
            if (paths.size() >= max_files) break;
        }
        for (const auto& path : paths) add_local(path);
        size_t left = max_files;
        for (const auto& directory : options.directories)
            if (directory != system_debug) scan(directory, left);
    }
    void learn_module(const flight::EventRef& event) {
        const auto module = event.as<fr_module>();
        const auto path = flight::find_blob(event, FR_BLOB_PATH);
        if (!path || path->text.empty()) return;
        paths.emplace(path->text);
        if (module.build_id_len == 0) return;
        BuildId id{};
        std::memcpy(id.data(), module.build_id, std::min<size_t>(module.build_id_len, id.size()));
        told.emplace(id, path->text);
    }
    void add_local(const std::string& path) {
        BuildId id{};
        if (path.starts_with('/') && build_id_of(path, id)) local.emplace(id, path);
    }
    // Every ELF file below a directory; nothing where it cannot be read.
    void scan(const std::string& directory, size_t& left) {
        namespace fs = std::filesystem;
        std::error_code error;
        auto entry = fs::recursive_directory_iterator(directory, fs::directory_options::skip_permission_denied, error);
        for (; !error && entry != fs::recursive_directory_iterator() && left != 0; entry.increment(error), --left) {
            BuildId id{};
            const std::string path = entry->path().string();
            // Debug files are found by name; an executable of the same build id must not be hidden by one.
            if (!path.ends_with(".debug") && build_id_of(path, id)) local.emplace(id, path);
        }
    }

    // DIR/.build-id/ab/cdef… and a suffix, where that file has this build id.
    std::string by_name(const BuildId& id, std::string_view suffix) const {
        std::string hex = hex_of(id);
        for (const auto& directory : options.directories) {
            for (std::string name = hex; name.size() > 2; name.resize(name.size() - 2)) {
                const std::string path =
                    fmt::format("{}/.build-id/{}/{}{}", directory, name.substr(0, 2), name.substr(2), suffix);
                BuildId have{};
                if (build_id_of(path, have) && have == id) return path;
                if (!name.ends_with("00")) break;  // shorter ids end with zeros here
            }
        }
        return {};
    }
    Module* module_of(const BuildId& id) {
        const auto known = modules.find(id);
        if (known != modules.end()) return known->second.get();
        auto& module = modules[id];
        const std::string debug = by_name(id, ".debug");
        std::string path;
        if (const auto it = local.find(id); it != local.end()) path = it->second;
        if (path.empty()) path = by_name(id, "");
        if (path.empty()) path = debug;
        if (path.empty()) return nullptr;
        auto opened = std::make_unique<Module>();
        if (opened->open(path, debug == path ? std::string{} : debug)) module = std::move(opened);
        return module.get();
    }
    const Symbol& find(const fr_frame& frame, bool caller) {
        if (frame.status != 1) return plain;
        if (!learned) learn();
        BuildId id{};
        std::memcpy(id.data(), frame.build_id, id.size());
        const auto [at, fresh] = found.try_emplace({id, frame.offset_or_ip | (caller ? 1ULL << 63 : 0)});
        if (!fresh) return at->second;
        Symbol& out = at->second;
        if (const auto path = told.find(id); path != told.end()) out.module = path->second;
        const Module* module = module_of(id);
        if (module == nullptr) return out;
        if (out.module.empty()) out.module = module->path;
        module->describe(frame.offset_or_ip, caller, out);
        return out;
    }
};

Symbolizer::Symbolizer(const flight::FlightFile& file, Options options)
    : impl_(std::make_unique<Impl>(file, std::move(options))) {}
Symbolizer::~Symbolizer() = default;

const Symbol& Symbolizer::find(const fr_frame& frame, bool caller) { return impl_->find(frame, caller); }

void append_symbol(std::string& out, const fr_frame& frame, const Symbol& symbol) {
    const auto put = [&out](std::string_view before, std::string_view text) {
        out += before;
        append_printable(out, text);
    };
    if (symbol.function.empty() && symbol.source.empty()) {
        append_frame(out, frame);
        if (!symbol.module.empty()) put(" ", symbol.module);
        return;
    }
    put("", symbol.function.empty() ? std::string_view("?") : std::string_view(symbol.function));
    if (symbol.inlined_into.empty() && !symbol.function.empty())
        fmt::format_to(std::back_inserter(out), "+0x{:x}", symbol.offset);
    if (!symbol.source.empty()) {
        put(" at ", symbol.source);
        fmt::format_to(std::back_inserter(out), ":{}", symbol.line);
    }
    for (const auto& name : symbol.inlined_into) put(", inlined into ", name);
    put(" in ", symbol.module);
    out += " (";
    append_frame(out, frame);
    out += ')';
}

}  // namespace flightrec::replay
