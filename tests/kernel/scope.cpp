// SPDX-License-Identifier: Apache-2.0
// Scope: control groups of either version behind one interface.
#include "tests/kernel/scope.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace flightrec::test {

namespace {

// Writes value to a file of a control group: one write, as the kernel wants it.
Result<void> write_file(const std::string& path, std::string_view value) {
    const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, "cannot open " + path);
    if (::write(fd.get(), value.data(), value.size()) < 0) {
        return fail_errno(errno, fmt::format("cannot write '{}' to {}", value, path));
    }
    return {};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

bool has_word(const std::string& text, std::string_view word) {
    std::istringstream words(text);
    for (std::string one; words >> one;)
        if (one == word) return true;
    return false;
}

// Has a version 2 group hand a controller to its children, if it has that controller.
void enable(const std::string& group, const char* controller) {
    const auto available = Scope::read(group, "cgroup.controllers");
    if (available && has_word(*available, controller)) {
        // Refused where the group holds processes; a limit asked for will then say so.
        (void)write_file(group + "/cgroup.subtree_control", std::string("+") + controller);
    }
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    result.reserve(texts.size() + 1);
    for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
    result.push_back(nullptr);
    return result;
}

std::string content(const Fd& fd) {
    std::string text;
    char buffer[16384];
    ::lseek(fd.get(), 0, SEEK_SET);
    for (ssize_t n = 0; (n = ::read(fd.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
    return text;
}

// In the child: into the groups, then exec. Only calls that are safe after fork.
[[noreturn]] void become(const std::vector<int>& group_fds, int out, int err, char** argv, char** env) {
    for (const int fd : group_fds) {
        if (::write(fd, "0", 1) < 0) _exit(126);
    }
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::close(null);
    ::execvpe(argv[0], argv, env);
    _exit(127);
}

}  // namespace

Result<CgroupMounts> find_cgroup_mounts() {
    CgroupMounts found;
    std::ifstream file("/proc/self/mountinfo");
    for (std::string line; std::getline(file, line);) {
        std::istringstream fields(line);
        std::string skip, point, type, source, options;
        fields >> skip >> skip >> skip >> skip >> point;
        while (fields >> skip && skip != "-") {
        }
        fields >> type >> source >> options;
        for (char& c : options)
            if (c == ',') c = ' ';
        if (type == "cgroup2" && found.v2.empty()) found.v2 = point;
        if (type == "cgroup" && has_word(options, "memory")) found.v1_memory = point;
        if (type == "cgroup" && has_word(options, "pids")) found.v1_pids = point;
    }
    if (found.v2.empty()) {
        return fail(Code::unsupported, "no version 2 control group hierarchy is mounted (/proc/self/mountinfo)");
    }
    return found;
}

Result<std::string> Scope::read(const std::string& directory, const std::string& file) {
    const std::string path = directory + "/" + file;
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return fail_errno(errno, "cannot open " + path);
    std::string text = content(fd);
    if (text.empty()) {
        char buffer[4096];  // files that cannot seek
        const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
        if (n > 0) text.assign(buffer, static_cast<size_t>(n));
    }
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

Result<Scope> Scope::make(const ScopeOptions& options) {
    FR_ASSIGN(const CgroupMounts mounts, find_cgroup_mounts());
    return make_below(mounts, "", options);
}

Result<Scope> Scope::child(const ScopeOptions& options) { return make_below(mounts_, relative_, options); }

Result<Scope> Scope::make_below(const CgroupMounts& mounts, const std::string& parent, const ScopeOptions& options) {
    static std::atomic<unsigned> counter{0};
    Scope scope;
    scope.mounts_ = mounts;
    scope.relative_ = fmt::format("{}/flightrec-{}-{}-{}", parent, options.name, ::getpid(), counter++);
    scope.v2_ = mounts.v2 + scope.relative_;
    const std::string above = mounts.v2 + parent;
    for (const char* controller : {"memory", "pids"}) enable(above, controller);

    scope.memory_ = mounts.v1_memory.empty() ? scope.v2_ : mounts.v1_memory + scope.relative_;
    scope.pids_ = mounts.v1_pids.empty() ? scope.v2_ : mounts.v1_pids + scope.relative_;
    for (const std::string& directory : {scope.v2_, scope.memory_, scope.pids_}) {
        if (!scope.directories_.empty() && (directory == scope.v2_ || directory == scope.directories_.back())) continue;
        if (::mkdir(directory.c_str(), 0755) != 0) return fail_errno(errno, "cannot make control group " + directory);
        scope.directories_.push_back(directory);
    }
    struct stat status {};
    if (::stat(scope.v2_.c_str(), &status) != 0) return fail_errno(errno, "cannot look at " + scope.v2_);
    scope.id_ = status.st_ino;

    if (options.memory_bytes) {
        const bool v1 = exists(scope.memory_ + "/memory.limit_in_bytes");
        FR_TRY(write_file(scope.memory_ + (v1 ? "/memory.limit_in_bytes" : "/memory.max"),
                          std::to_string(*options.memory_bytes)));
    }
    if (options.pids) FR_TRY(write_file(scope.pids_ + "/pids.max", std::to_string(*options.pids)));
    return scope;
}

Scope::Scope(Scope&&) noexcept = default;

Scope& Scope::operator=(Scope&& other) noexcept {
    if (this != &other) {
        remove();
        mounts_ = std::move(other.mounts_);
        v2_ = std::move(other.v2_);
        relative_ = std::move(other.relative_);
        memory_ = std::move(other.memory_);
        pids_ = std::move(other.pids_);
        directories_ = std::move(other.directories_);
        id_ = other.id_;
    }
    return *this;
}

Scope::~Scope() { remove(); }

void Scope::remove() {
    if (directories_.empty()) return;
    // cgroup.kill (Linux 5.14) reaches every process below, and no other.
    if (!write_file(v2_ + "/cgroup.kill", "1")) {
        std::ifstream members(v2_ + "/cgroup.procs");
        for (pid_t pid = 0; members >> pid;) ::kill(pid, SIGKILL);
    }
    for (const std::string& directory : directories_) {
        // A killed process leaves its group a moment after its end.
        for (int attempt = 0; attempt < 400 && ::rmdir(directory.c_str()) != 0 && errno == EBUSY; ++attempt) {
            ::usleep(5000);
        }
    }
    directories_.clear();
}

Result<void> Scope::enter(pid_t pid) const {
    for (const std::string& directory : directories_) {
        FR_TRY(write_file(directory + "/cgroup.procs", std::to_string(pid)));
    }
    return {};
}

Result<Started> Scope::start(const std::vector<std::string>& argv, const std::vector<std::string>& extra_env) const {
    if (argv.empty()) return fail(Code::usage, "no command to start in a scope");
    std::vector<Fd> groups;
    std::vector<int> group_fds;
    for (const std::string& directory : directories_) {
        groups.emplace_back(::open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
        if (!groups.back().valid()) return fail_errno(errno, "cannot open " + directory + "/cgroup.procs");
        group_fds.push_back(groups.back().get());
    }
    Started started;
    started.out.reset(::memfd_create("stdout", MFD_CLOEXEC));
    started.err.reset(::memfd_create("stderr", MFD_CLOEXEC));
    if (!started.out.valid() || !started.err.valid()) return fail_errno(errno, "cannot make a memory file");

    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    environment.insert(environment.end(), extra_env.begin(), extra_env.end());
    const std::vector<char*> arguments = pointers(argv);
    const std::vector<char*> variables = pointers(environment);
    started.pid = ::fork();
    if (started.pid < 0) return fail_errno(errno, "cannot fork");
    if (started.pid == 0) {
        become(group_fds, started.out.get(), started.err.get(), const_cast<char**>(arguments.data()),
               const_cast<char**>(variables.data()));
    }
    return started;
}

Result<Finished> Scope::wait(Started started) {
    Finished finished;
    finished.pid = started.pid;
    while (::wait4(started.pid, &finished.status, 0, &finished.usage) < 0) {
        if (errno != EINTR) return fail_errno(errno, fmt::format("cannot wait for {}", started.pid));
    }
    finished.out = content(started.out);
    finished.err = content(started.err);
    return finished;
}

Result<Finished> Scope::run(const std::vector<std::string>& argv, const std::vector<std::string>& extra_env) const {
    FR_ASSIGN(Started started, start(argv, extra_env));
    return wait(std::move(started));
}

}  // namespace flightrec::test
