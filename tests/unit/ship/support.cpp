// SPDX-License-Identifier: Apache-2.0
// Processes, files and certificates for the tests of userspace/ship.
#include "tests/unit/ship/support.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>

#include "userspace/ship/make_sink.h"

namespace flightrec::ship::test {

TempDir::TempDir() {
    std::string pattern = "/tmp/flightrec-ship-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
}

TempDir::~TempDir() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
}

bool mount_tmpfs(const std::filesystem::path& path, uint64_t bytes) {
    if (unshare(CLONE_NEWNS) != 0) return false;
    if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    std::filesystem::create_directories(path);
    return mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID, fmt::format("size={},mode=0700", bytes).c_str()) == 0;
}

void write_file(const std::filesystem::path& path, const std::string& bytes, mode_t mode) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

std::string read_file(const std::filesystem::path& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

std::vector<std::string> names_in(const std::filesystem::path& path) {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path)) out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
}

std::string content(uint64_t size, unsigned seed) {
    std::minstd_rand random(seed + 1);
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random() >> 8);
    return out;
}

Incident make_incident(uint64_t number, const std::string& reason) {
    Incident out;
    for (size_t i = 0; i < out.recording.size(); ++i) out.recording[i] = static_cast<uint8_t>(i * 17);
    out.number = number;
    out.realtime_ns = 1'795'000'000'123'456'789u + number * 1'000'000'000u;
    out.host = "web-1";
    out.reason = reason;
    out.summary = "OOM kill of python3 (pid 4242)";
    out.facts = {"victim: pid 4242 python3", "limit: 64 MiB"};
    out.labels = {{"role", "web"}};
    return out;
}

DumpFile make_dump(const std::filesystem::path& dir, uint64_t number, uint64_t size, const std::string& reason) {
    std::filesystem::create_directories(dir);
    chmod(dir.c_str(), 0700);
    const Incident incident = make_incident(number, reason);
    DumpFile out{incident, dir / incident.file_name(), incident.file_name(), size, 0x1234abcd};
    write_file(out.path, content(size, static_cast<unsigned>(number)));
    return out;
}

Process::Process(const std::vector<std::string>& arguments, bool pipe_output) {
    int out[2], in[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(in, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    std::vector<char*> argv;
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pipe_output) dup2(out[1], STDOUT_FILENO);
        dup2(in[0], STDIN_FILENO);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    output_.reset(out[0]);
    close(out[1]);
    close(in[0]);
    input_.reset(in[1]);
}

Process::~Process() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

std::string Process::line(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
        if (const size_t end = pending_.find('\n'); end != std::string::npos) {
            std::string out = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            return out;
        }
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd poller{output_.get(), POLLIN, 0};
        if (left.count() <= 0 || poll(&poller, 1, static_cast<int>(left.count())) <= 0) return {};
        char buffer[4096];
        const ssize_t n = read(output_.get(), buffer, sizeof buffer);
        if (n <= 0) return {};
        pending_.append(buffer, static_cast<size_t>(n));
    }
}

int Process::wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

namespace {
std::vector<std::string> with_python(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"python3", "-u", FLIGHTREC_SHIP_SERVER});
    return arguments;
}

void run(const std::vector<std::string>& arguments) {
    std::vector<std::string> quiet{"sh", "-c", "exec \"$0\" \"$@\" >/dev/null 2>&1"};
    quiet.insert(quiet.end(), arguments.begin(), arguments.end());
    const int code = Process(quiet, false).wait();
    if (code != 0) throw std::runtime_error(fmt::format("{} ended with {}", fmt::join(arguments, " "), code));
}
}  // namespace

Server::Server(std::vector<std::string> arguments) : process_(with_python(std::move(arguments))) {
    port_ = static_cast<uint16_t>(std::stoi(process_.line(std::chrono::milliseconds(20'000))));
}

Certificates::Certificates(const std::filesystem::path& dir) {
    std::filesystem::create_directories(dir);
    const auto at = [&](const std::string& name) { return dir / name; };
    const auto authority = [&](const std::string& name) {
        run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=" + name, "-keyout", at(name + ".key"), "-out", at(name + ".pem")});
        return at(name + ".pem");
    };
    const auto leaf = [&](const std::string& name, const std::string& names, const std::string& by,
                          const std::string& days) {
        write_file(at(name + ".ext"),
                   names.empty() ? "extendedKeyUsage=clientAuth\n" : "subjectAltName=" + names + "\n");
        run({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=" + name, "-keyout", at(name + ".key"), "-out", at(name + ".csr")});
        run({"openssl", "x509", "-req", "-in", at(name + ".csr"), "-CA", at(by + ".pem"), "-CAkey", at(by + ".key"),
             "-CAcreateserial", "-days", days, "-extfile", at(name + ".ext"), "-out", at(name + ".pem")});
        return at(name + ".pem");
    };
    ca = authority("ca");
    other_ca = authority("other-ca");
    server = leaf("server", "DNS:localhost,IP:127.0.0.1", "ca", "2");
    other_host = leaf("other-host", "DNS:elsewhere.example", "ca", "2");
    expired = leaf("expired", "DNS:localhost,IP:127.0.0.1", "ca", "-1");
    client = leaf("client", "", "ca", "2");
    foreign_client = leaf("foreign-client", "", "other-ca", "2");
    server_key = at("server.key");
    other_host_key = at("other-host.key");
    expired_key = at("expired.key");
    client_key = at("client.key");
    foreign_client_key = at("foreign-client.key");
}

Nginx::Nginx(const std::filesystem::path& dir, const std::string& extra, const std::filesystem::path& certificate,
             const std::filesystem::path& key)
    : root_(dir / "root"), port_(free_port()), tls_(!certificate.empty()) {
    std::filesystem::create_directories(root_);
    std::filesystem::create_directories(dir / "tmp");
    const std::string tls =
        tls_ ? fmt::format("ssl_certificate {};\nssl_certificate_key {};\n", certificate.string(), key.string()) : "";
    const std::string text = fmt::format(R"(
daemon off;
master_process off;
pid {0}/pid;
error_log {0}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {0}/access.log;
  client_body_temp_path {0}/tmp/body;
  proxy_temp_path {0}/tmp/proxy;
  fastcgi_temp_path {0}/tmp/fastcgi;
  uwsgi_temp_path {0}/tmp/uwsgi;
  scgi_temp_path {0}/tmp/scgi;
  log_format incident '$request_method $uri $http_x_flightrec_incident $content_type $http_x_flightrec_reason $connection';
  server {{
    listen 127.0.0.1:{1}{2};
    {3}
    access_log {0}/incidents.log incident;
    client_max_body_size 0;
    location / {{
      root {4};
      dav_methods PUT;
      create_full_put_path on;
    }}
    {5}
  }}
}}
)",
                                         dir.string(), port_, tls_ ? " ssl" : "", tls, root_.string(), extra);
    write_file(dir / "nginx.conf", text);
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"nginx", "-e", dir / "error.log", "-p", dir, "-c", dir / "nginx.conf"}, false);
    if (!eventually([&] { return port_open(port_); }))
        throw std::runtime_error("nginx does not start: " + read_file(dir / "error.log"));
}

std::string Nginx::url() const { return fmt::format("{}://127.0.0.1:{}/", tls_ ? "https" : "http", port_); }

uint16_t free_port() {
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length);
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length);
    return ntohs(address.sin_port);
}

bool port_open(uint16_t port) {
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

std::unique_ptr<Sink> sink_for(const std::string& destination, const SinkOptions& options) {
    auto parsed = parse_destination(destination);
    if (!parsed) throw std::runtime_error(parsed.error().message);
    auto sink = make_sink(*parsed, options);
    if (!sink) throw std::runtime_error(sink.error().message);
    return std::move(*sink);
}

}  // namespace flightrec::ship::test
