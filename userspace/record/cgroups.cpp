// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

constexpr uint32_t kMaxDepth = 32;
constexpr size_t kPathMax = 4096;

Result<std::string> read_whole(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, "cannot open " + path);
    std::string text;
    std::array<char, 4096> piece;
    for (;;) {
        const ssize_t n = ::read(fd.get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "cannot read " + path);
        if (n == 0) return text;
        text.append(piece.data(), static_cast<size_t>(n));
    }
}

// mountinfo writes blank, tab, newline and backslash as \040 and so on.
std::string unescape_octal(std::string_view s) {
    std::string out;
    for (size_t i = 0; i < s.size(); ++i) {
        const auto digit = [&](size_t k) { return i + k < s.size() && s[i + k] >= '0' && s[i + k] <= '7'; };
        if (s[i] == '\\' && digit(1) && digit(2) && digit(3)) {
            out += static_cast<char>((s[i + 1] - '0') * 64 + (s[i + 2] - '0') * 8 + (s[i + 3] - '0'));
            i += 3;
        } else {
            out += s[i];
        }
    }
    return out;
}

bool has_word(std::string_view list, std::string_view word, char separator) {
    while (!list.empty())
        if (take_until(list, separator) == word) return true;
    return false;
}

// "9:name=systemd:/": the hierarchy number of the version 1 hierarchy with this controller, 0 where there is none.
uint64_t hierarchy_number(std::string_view self_cgroup, std::string_view controller) {
    while (!self_cgroup.empty()) {
        std::string_view line = take_until(self_cgroup, '\n');
        const auto number = take_number(line);
        take_until(line, ':');
        if (number && has_word(take_until(line, ':'), controller, ',')) return *number;
    }
    return 0;
}

struct MountLine {
    std::string root, directory;
    std::string_view type, options;
};

// proc_pid_mountinfo(5): id parent major:minor root mountpoint options [optional…] - type source super-options
std::optional<MountLine> parse_mount(std::string_view line) {
    MountLine out;
    for (int i = 0; i < 3; ++i) take_until(line, ' ');
    out.root = unescape_octal(take_until(line, ' '));
    out.directory = unescape_octal(take_until(line, ' '));
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) return std::nullopt;
    line.remove_prefix(dash + 3);
    out.type = take_until(line, ' ');
    take_until(line, ' ');
    out.options = line;
    return out;
}

// A fixed buffer that a path is built in.
class PathBuffer {
  public:
    bool append(std::string_view s) {
        if (size_ + s.size() + 1 > text_.size()) return false;
        s.copy(text_.data() + size_, s.size());
        truncate(size_ + s.size());
        return true;
    }
    void truncate(size_t size) {
        size_ = size;
        text_[size_] = '\0';
    }
    [[nodiscard]] size_t size() const { return size_; }
    [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }

  private:
    std::array<char, kPathMax> text_{};
    size_t size_ = 0;
};

struct Walk {
    FunctionRef<bool(const CgroupEntry&)> visit;
    size_t limit;
    PathBuffer directory{};
    size_t prefix = 0;        // bytes of `directory` that are the mount
    std::string_view root{};  // cgroup path of the mount, "" for "/"
    PathBuffer path{};
    size_t count = 0;
    bool ended = false;
};

void walk_below(Walk& walk, int fd, uint32_t level, uint32_t depth);

void visit_and_descend(Walk& walk, int fd, uint32_t level, uint32_t depth) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return;
    walk.path.truncate(0);
    walk.path.append(walk.root);
    walk.path.append(walk.directory.view().substr(walk.prefix));
    if (walk.path.size() == 0) walk.path.append("/");
    if (walk.count >= walk.limit) {
        walk.ended = true;
        return;
    }
    ++walk.count;
    if (!walk.visit({walk.path.view(), walk.directory.view(), fd, st.st_ino, level})) walk.ended = true;
    if (!walk.ended && depth < kMaxDepth) walk_below(walk, fd, level, depth);
}

void walk_below(Walk& walk, int fd, uint32_t level, uint32_t depth) {
    alignas(8) std::array<char, 2048> buffer;
    DirReader reader(fd, buffer);
    const size_t size = walk.directory.size();
    while (auto entry = walk.ended ? std::nullopt : reader.next()) {
        if (entry->type != DT_DIR) continue;
        if (walk.directory.append("/") && walk.directory.append(entry->name)) {
            const Fd child(::open(walk.directory.view().data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
            if (child.valid()) visit_and_descend(walk, child.get(), level + 1, depth + 1);
        }
        walk.directory.truncate(size);
    }
}

// open_by_handle_at(2) with the handle kernfs would give for this id (FILEID_KERNFS; Linux fs/kernfs/mount.c).
std::optional<std::string_view> path_by_handle(const CgroupMount& mount, uint64_t id, std::span<char> out) {
    const Fd root(::open(mount.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root.valid()) return std::nullopt;
    alignas(file_handle) std::array<char, sizeof(file_handle) + sizeof id> storage{};
    auto* handle = reinterpret_cast<file_handle*>(storage.data());
    handle->handle_bytes = sizeof id;
    handle->handle_type = 0xfe;
    std::memcpy(storage.data() + sizeof(file_handle), &id, sizeof id);
    const Fd found(::open_by_handle_at(root.get(), handle, O_PATH | O_CLOEXEC));
    if (!found.valid()) return std::nullopt;
    std::array<char, 64> link;
    *fmt::format_to_n(link.data(), link.size() - 1, "/proc/self/fd/{}", found.get()).out = '\0';
    const ssize_t n = ::readlink(link.data(), out.data(), out.size());
    if (n <= 0 || static_cast<size_t>(n) >= out.size()) return std::nullopt;
    std::string_view path(out.data(), static_cast<size_t>(n));
    if (!path.starts_with(mount.directory)) return std::nullopt;
    path.remove_prefix(mount.directory.size());
    if (mount.root.size() <= 1) {
        if (!path.empty()) return path;
        out[0] = '/';
        return std::string_view(out.data(), 1);
    }
    if (mount.root.size() + path.size() > out.size()) return std::nullopt;
    std::memmove(out.data() + mount.root.size(), path.data(), path.size());
    std::memcpy(out.data(), mount.root.data(), mount.root.size());
    return std::string_view(out.data(), mount.root.size() + path.size());
}

}  // namespace

bool CgroupMount::directory_of(std::string_view path, std::span<char> out) const {
    if (root.size() > 1) {
        if (!path.starts_with(root) || (path.size() > root.size() && path[root.size()] != '/')) return false;
        path.remove_prefix(root.size());
    }
    if (path == "/") path = {};
    if (!path.empty() && path[0] != '/') return false;
    if (path.find("/..") != std::string_view::npos) return false;
    if (directory.size() + path.size() + 1 > out.size()) return false;
    directory.copy(out.data(), directory.size());
    path.copy(out.data() + directory.size(), path.size());
    out[directory.size() + path.size()] = '\0';
    return true;
}

Result<CgroupLayout> find_cgroups(const SystemPaths& paths) {
    FR_ASSIGN(const std::string mounts, read_whole(paths.proc + "/self/mountinfo"));
    FR_ASSIGN(const std::string self, read_whole(paths.proc + "/self/cgroup"));
    CgroupLayout layout;
    std::string_view rest = mounts;
    while (!rest.empty()) {
        auto mount = parse_mount(take_until(rest, '\n'));
        if (!mount) continue;
        const auto take = [&](CgroupMount& to, uint64_t hierarchy) {
            if (!to.present()) to = {std::move(mount->directory), std::move(mount->root), hierarchy};
        };
        if (mount->type == "cgroup2") take(layout.v2, 0);
        if (mount->type != "cgroup") continue;
        if (has_word(mount->options, "memory", ','))
            take(layout.memory, hierarchy_number(self, "memory"));
        else if (has_word(mount->options, "pids", ','))
            take(layout.pids, hierarchy_number(self, "pids"));
    }
    if (!layout.v2.present()) return layout;
    if (auto controllers = read_whole(layout.v2.directory + "/cgroup.controllers")) {
        std::string_view list = *controllers;
        if (list.ends_with('\n')) list.remove_suffix(1);
        if (!layout.memory.present() && has_word(list, "memory", ' ')) layout.memory = layout.v2;
        if (!layout.pids.present() && has_word(list, "pids", ' ')) layout.pids = layout.v2;
    }
    return layout;
}

Result<Scope> Scope::make(std::vector<std::string> paths) {
    Scope scope;
    for (auto& path : paths) {
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();
        if (path.empty() || path[0] != '/' || path.find("/../") != std::string::npos || path.ends_with("/..") ||
            path.find("//") != std::string::npos)
            return fail(Code::usage, "\"" + path +
                                         "\" is not the path of a cgroup: give it from the root of the "
                                         "version 2 hierarchy, like /system.slice/web.service");
        if (path == "/") return Scope{};
        scope.paths_.push_back(std::move(path));
    }
    return scope;
}

bool Scope::covers(std::string_view cgroup_path) const {
    if (paths_.empty()) return true;
    return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& top) {
        return cgroup_path.starts_with(top) && (cgroup_path.size() == top.size() || cgroup_path[top.size()] == '/');
    });
}

uint64_t cgroup_id_of(const CgroupMount& mount, std::string_view path) {
    std::array<char, kPathMax> name;
    struct stat st {};
    if (!mount.present() || !mount.directory_of(path, name) || ::stat(name.data(), &st) != 0) return 0;
    return st.st_ino;
}

std::optional<std::string_view> cgroup_path_of(const CgroupMount& mount, uint64_t id, std::span<char> out) {
    if (!mount.present()) return std::nullopt;
    if (auto path = path_by_handle(mount, id, out)) return path;
    std::optional<std::string_view> found;
    walk_cgroups(mount, Scope{}, 100'000, [&](const CgroupEntry& entry) {
        if (entry.id != id || entry.path.size() > out.size()) return true;
        entry.path.copy(out.data(), entry.path.size());
        found = std::string_view(out.data(), entry.path.size());
        return false;
    });
    return found;
}

size_t walk_cgroups(const CgroupMount& mount, const Scope& scope, size_t limit,
                    FunctionRef<bool(const CgroupEntry&)> visit) {
    if (!mount.present()) return 0;
    Walk walk{.visit = visit, .limit = limit};
    if (mount.root.size() > 1) walk.root = mount.root;
    const auto start = [&](std::string_view path) {
        std::array<char, kPathMax> name;
        if (walk.ended || !mount.directory_of(path, name)) return;
        walk.directory.truncate(0);
        if (!walk.directory.append(name.data())) return;
        walk.prefix = mount.directory.size();
        const Fd fd(::open(name.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        const auto level = path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
        if (fd.valid()) visit_and_descend(walk, fd.get(), static_cast<uint32_t>(level), 0);
    };
    if (scope.whole_machine()) start(mount.root);
    for (const auto& path : scope.paths()) start(path);
    return walk.count;
}

size_t emit_cgroups(const CgroupMount& mount, const Scope& scope, size_t limit, flight::EventBuilder& builder,
                    const Emit& emit) {
    return walk_cgroups(mount, scope, limit, [&](const CgroupEntry& entry) {
        auto& event = builder.begin<fr_cgroup>(FR_CLASS_CGROUP);
        event.event.time_ns = boot_ns();
        event.event.flags = FR_EVENT_SYNTHETIC;
        event.cgroup_id = entry.id;
        event.hierarchy = mount.hierarchy;
        event.op = FR_CGROUP_EXISTS;
        event.level = entry.level;
        builder.blob(FR_BLOB_TEXT, entry.path);
        emit(builder.bytes());
        return true;
    });
}

std::optional<std::string_view> components_of(std::string_view path, std::span<char> out) {
    size_t size = 0;
    while (!path.empty()) {
        const size_t slash = path.rfind('/');
        const std::string_view name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
        path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
        if (name.empty()) continue;
        if (size + name.size() + 1 > out.size()) return std::nullopt;
        std::memcpy(out.data() + size, name.data(), name.size());
        size += name.size();
        out[size++] = '\0';
    }
    return std::string_view(out.data(), size);
}

}  // namespace flightrec::record
