// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "userspace/base/clock.h"
#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"

namespace flightrec::record {
namespace {

// ---- a flat JSON object, read in place -------------------------------------------------------------------------

class FlatJson {
  public:
    explicit FlatJson(std::span<char> text) : text_(text) {}
    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    void blanks() {
        while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\r' || peek() == '\n')) ++at_;
    }
    bool take(char c) {
        blanks();
        if (at_end() || peek() != c) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }

    // A string, unescaped over its own bytes (never longer than what stood there).
    std::optional<std::string_view> string() {
        if (!take('"')) return std::nullopt;
        const size_t begin = at_;
        size_t to = at_;
        while (!at_end()) {
            const char c = text_[at_++];
            if (c == '"') return std::string_view(text_.data() + begin, to - begin);
            if (static_cast<unsigned char>(c) < 0x20) return std::nullopt;
            if (c != '\\')
                text_[to++] = c;
            else if (!unescape(to))
                return std::nullopt;
        }
        return std::nullopt;
    }
    // A number or literal, as it stands.
    std::optional<std::string_view> scalar() {
        const size_t begin = at_;
        while (!at_end() && (std::isalnum(static_cast<unsigned char>(peek())) != 0 || peek() == '-' || peek() == '+' ||
                             peek() == '.'))
            ++at_;
        if (at_ == begin) return std::nullopt;
        return std::string_view(text_.data() + begin, at_ - begin);
    }

  private:
    bool unescape(size_t& to) {
        if (at_end()) return false;
        static constexpr std::string_view letters = "\"\\/bfnrt", bytes = "\"\\/\b\f\n\r\t";
        const char c = text_[at_++];
        if (const size_t known = letters.find(c); known != std::string_view::npos) {
            text_[to++] = bytes[known];
            return true;
        }
        if (c != 'u') return false;
        auto point = hex4();
        if (!point) return false;
        if (*point >= 0xd800 && *point <= 0xdfff) {
            if (*point > 0xdbff || at_ + 2 > text_.size() || text_[at_] != '\\' || text_[at_ + 1] != 'u') return false;
            at_ += 2;
            const auto low = hex4();
            if (!low || *low < 0xdc00 || *low > 0xdfff) return false;
            point = 0x10000 + ((*point - 0xd800) << 10) + (*low - 0xdc00);
        }
        put_utf8(*point, to);
        return true;
    }
    std::optional<uint32_t> hex4() {
        uint32_t value = 0;
        if (at_ + 4 > text_.size()) return std::nullopt;
        const char* begin = text_.data() + at_;
        const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
        if (error != std::errc{} || end != begin + 4) return std::nullopt;
        at_ += 4;
        return value;
    }
    void put_utf8(uint32_t point, size_t& to) {
        const auto put = [&](uint32_t byte) { text_[to++] = static_cast<char>(byte); };
        if (point < 0x80) {
            put(point);
        } else if (point < 0x800) {
            put(0xc0 | point >> 6);
            put(0x80 | (point & 0x3f));
        } else if (point < 0x10000) {
            put(0xe0 | point >> 12);
            put(0x80 | (point >> 6 & 0x3f));
            put(0x80 | (point & 0x3f));
        } else {
            put(0xf0 | point >> 18);
            put(0x80 | (point >> 12 & 0x3f));
            put(0x80 | (point >> 6 & 0x3f));
            put(0x80 | (point & 0x3f));
        }
    }
    std::span<char> text_;
    size_t at_ = 0;
};

// ---- sockets ---------------------------------------------------------------------------------------------------

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return fail(Code::usage, fmt::format("the control socket's path \"{}\" must have 1 to {} bytes",
                                             printable(path), sizeof address.sun_path - 1));
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

int connect_to(int fd, const sockaddr_un& address) {
    return ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

// The folder of the socket: made when absent, and never one in which others could replace the socket.
Result<void> prepare_folder(const std::string& path) {
    const auto folder = std::filesystem::path(path).parent_path();
    const std::string name = folder.empty() ? "." : folder.string();
    if (::mkdir(name.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(errno, "cannot make the control socket's folder " + name);
    struct stat st {};
    if (::lstat(name.c_str(), &st) != 0) return fail_errno(errno, "cannot look at " + name);
    if (!S_ISDIR(st.st_mode)) return fail(Code::usage, name + " is not a folder: give another --control path");
    const bool others_write = (st.st_mode & 022) != 0;
    if (others_write || (st.st_uid != ::geteuid() && st.st_uid != 0))
        return fail(Code::permission, "the control socket's folder " + name +
                                          " can be changed by other users: use one that only its owner may write to "
                                          "(chmod go-w) or give another --control path");
    return {};
}

// Code::busy where somebody listens. *stale: a socket is there that nobody listens on.
Result<void> look_for_listener(const std::string& path, const sockaddr_un& address, bool* stale) {
    *stale = false;
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0)
        return errno == ENOENT ? Result<void>{} : fail_errno(errno, "cannot look at " + path);
    if (!S_ISSOCK(st.st_mode))
        return fail(Code::usage, path + " exists and is not a socket: remove it or give another --control path");
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe.valid()) return fail_errno(errno, "cannot make a socket");
    const int error = connect_to(probe.get(), address);
    if (error != ECONNREFUSED)
        return fail(Code::busy, "a recorder is listening on " + path +
                                    " already: stop it, or give another --control path for a second one");
    *stale = true;
    return {};
}

// Frees the path of a socket nobody listens on any more.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    bool stale = false;
    FR_TRY(look_for_listener(path, address, &stale));
    if (stale && ::unlink(path.c_str()) != 0) return fail_errno(errno, "cannot remove the old socket " + path);
    return {};
}

// Writes {"v":1,"ok":false,"error":"…"} with the message's special bytes replaced, never longer than out.
size_t error_line(std::string_view message, std::span<char> out) {
    const auto head = fmt::format_to_n(out.data(), out.size(), "{{\"v\":{},\"ok\":false,\"error\":\"", kControlVersion);
    size_t size = std::min<size_t>(head.size, out.size());
    for (const char c : message) {
        if (size + 3 > out.size()) break;
        const auto byte = static_cast<unsigned char>(c);
        out[size++] = byte < 0x20 || byte >= 0x7f ? '?' : c == '"' || c == '\\' ? '\'' : c;
    }
    out[size++] = '"';
    out[size++] = '}';
    return size;
}

}  // namespace

std::optional<ControlRequest> parse_control_request(std::span<char> line, std::string_view& error) {
    FlatJson json(line);
    ControlRequest request;
    std::string_view version;
    const auto refuse = [&](std::string_view why) {
        error = why;
        return std::nullopt;
    };
    if (!json.take('{')) return refuse("the request is not a JSON object");
    for (bool first = true; !json.take('}'); first = false) {
        if (!first && !json.take(',')) return refuse("the request is not a valid JSON object");
        const auto key = json.string();
        if (!key || !json.take(':')) return refuse("the request is not a valid JSON object");
        json.blanks();
        if (json.peek() == '{' || json.peek() == '[') return refuse("a value of the request is not a string or number");
        const bool is_string = json.peek() == '"';
        const auto value = is_string ? json.string() : json.scalar();
        if (!value) return refuse("the request is not a valid JSON object");
        if (*key == "v" && !is_string) version = *value;
        if (*key == "cmd" && is_string) request.cmd = *value;
        if ((*key == "reason" || *key == "text") && is_string) request.text = *value;
    }
    json.blanks();
    if (!json.at_end()) return refuse("the request is not a valid JSON object");
    if (version != "1") return refuse("this recorder speaks version 1 of the control protocol: \"v\":1 is missing");
    if (request.cmd.empty()) return refuse("the request has no \"cmd\"");
    return request;
}

// ---- the server ------------------------------------------------------------------------------------------------

namespace {

enum class State { free, reading, answering, sending, refusing };

struct Client {
    Fd fd;
    State state = State::free;
    uint32_t generation = 0;
    uint64_t deadline = 0;
    uint32_t pid = 0, uid = 0;
    size_t in_size = 0, taken = 0;  // bytes in `in`; of them those of the request being answered
    size_t out_size = 0, out_sent = 0;
    std::array<char, kControlRequestMax> in{};
    std::array<char, kControlReplyMax> out{};
};

}  // namespace

struct ControlServer::Impl {
    Fd listener, spare;
    std::string path;
    Handler handler;
    Limits limits;
    Counts counts{};
    std::array<Client, kControlClients> clients{};
    std::array<pollfd, kControlClients + 1> polled{};

    void accept_all();
    void adopt(Fd fd);
    void read_from(Client& client);
    bool take_request(Client& client);
    static bool gone(const Client& client);
    void send_to(Client& client);
    void start_sending(Client& client, std::string_view json, State state);
    void drop(Client& client) {
        client.fd.reset();
        client.state = State::free;
        ++client.generation;
    }
    uint32_t slot_of(const Client& client) const { return static_cast<uint32_t>(&client - clients.data()); }
};

void ControlServer::Impl::accept_all() {
    for (;;) {
        Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd.valid()) {
            adopt(std::move(fd));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EMFILE && errno != ENFILE) return;
        // No descriptor left: take the client with the spare one and send it away, else poll would not rest.
        spare.reset();
        fd.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        fd.reset();
        spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        ++counts.refused_full;
        return;
    }
}

void ControlServer::Impl::adopt(Fd fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    std::array<char, 256> line;
    const auto refuse = [&](std::string_view why) {
        size_t n = error_line(why, std::span(line).first(line.size() - 1));
        line[n++] = '\n';
        [[maybe_unused]] const ssize_t sent = ::send(fd.get(), line.data(), n, MSG_NOSIGNAL | MSG_DONTWAIT);
    };
    if (!known || (peer.uid != 0 && peer.uid != ::geteuid())) {
        ++counts.refused_peers;
        log::warning("refused a control request of user {} (process {}): only root may", peer.uid, peer.pid);
        return refuse("only root and the recorder's own user may control it");
    }
    const auto place = std::find_if(clients.begin(), clients.end(), [](auto& c) { return c.state == State::free; });
    if (place == clients.end()) {
        ++counts.refused_full;
        return refuse("too many control connections are open: try again");
    }
    place->fd = std::move(fd);
    place->state = State::reading;
    place->deadline = boot_ns() + limits.request_ns;
    place->pid = static_cast<uint32_t>(peer.pid);
    place->uid = peer.uid;
    place->in_size = place->taken = 0;
}

void ControlServer::Impl::read_from(Client& client) {
    while (client.state == State::reading) {
        if (take_request(client)) continue;
        if (client.in_size == client.in.size())
            return start_sending(client, "{\"v\":1,\"ok\":false,\"error\":\"the request is longer than 4096 bytes\"}",
                                 State::refusing);
        const ssize_t n =
            ::recv(client.fd.get(), client.in.data() + client.in_size, client.in.size() - client.in_size, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) return drop(client);
        client.in_size += static_cast<size_t>(n);
    }
}

// Whether the peer of a client that waits for its answer has hung up (poll would report it for ever).
bool ControlServer::Impl::gone(const Client& client) {
    pollfd p{client.fd.get(), 0, 0};
    return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

// Takes one whole line, if there is one, and hands it to the handler.
bool ControlServer::Impl::take_request(Client& client) {
    const auto end =
        std::find(client.in.begin(), client.in.begin() + static_cast<std::ptrdiff_t>(client.in_size), '\n');
    const auto length = static_cast<size_t>(end - client.in.begin());
    if (length == client.in_size) return false;
    client.taken = length + 1;
    ++counts.requests;
    std::string_view error;
    auto request = parse_control_request(std::span(client.in).first(length), error);
    client.state = State::answering;
    client.deadline = boot_ns() + limits.answer_ns;
    if (!request) {
        std::array<char, 256> line;
        const size_t n = error_line(error, line);
        start_sending(client, {line.data(), n}, State::sending);
        return true;
    }
    request->pid = client.pid;
    request->uid = client.uid;
    handler({slot_of(client), client.generation}, *request);
    return true;
}

void ControlServer::Impl::start_sending(Client& client, std::string_view json, State state) {
    client.out_size = std::min(json.size(), client.out.size() - 1);
    json.copy(client.out.data(), client.out_size);
    client.out[client.out_size++] = '\n';
    client.out_sent = 0;
    client.state = state;
    client.deadline = boot_ns() + limits.send_ns;
    send_to(client);
}

void ControlServer::Impl::send_to(Client& client) {
    while (client.out_sent < client.out_size) {
        const ssize_t n = ::send(client.fd.get(), client.out.data() + client.out_sent,
                                 client.out_size - client.out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) return drop(client);
        client.out_sent += static_cast<size_t>(n);
    }
    if (client.state == State::refusing) return drop(client);
    std::memmove(client.in.data(), client.in.data() + client.taken, client.in_size - client.taken);
    client.in_size -= client.taken;
    client.taken = 0;
    client.state = State::reading;
    client.deadline = boot_ns() + limits.request_ns;
}

ControlServer::ControlServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ControlServer::ControlServer(ControlServer&&) noexcept = default;
ControlServer& ControlServer::operator=(ControlServer&&) noexcept = default;
ControlServer::~ControlServer() {
    if (impl_ && impl_->listener.valid()) ::unlink(impl_->path.c_str());
}

Result<ControlServer> ControlServer::listen(const std::string& path, Handler handler) {
    return listen(path, std::move(handler), Limits{});
}

Result<void> ControlServer::check_free(const std::string& path) {
    FR_ASSIGN(const sockaddr_un address, address_of(path));
    bool stale = false;
    return look_for_listener(path, address, &stale);
}

Result<ControlServer> ControlServer::listen(const std::string& path, Handler handler, const Limits& limits) {
    FR_ASSIGN(const sockaddr_un address, address_of(path));
    FR_TRY(prepare_folder(path));
    FR_TRY(remove_stale(path, address));
    auto impl = std::make_unique<Impl>();
    impl->handler = std::move(handler);
    impl->limits = limits;
    impl->spare.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return fail_errno(errno, "cannot make the control socket");
    // The mode of the descriptor becomes that of the file that bind() makes: it is never open to others.
    ::fchmod(fd.get(), 0600);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno == EADDRINUSE)
            return fail(Code::busy,
                        "another recorder took " + path + " at the same moment: give another --control path");
        return fail_errno(errno, "cannot make the control socket " + path);
    }
    impl->path = path;
    impl->listener = std::move(fd);
    if (::chmod(path.c_str(), 0600) != 0 || ::listen(impl->listener.get(), 16) != 0)
        return fail_errno(errno, "cannot listen on the control socket " + path);
    return ControlServer(std::move(impl));
}

std::span<pollfd> ControlServer::fds() {
    Impl& impl = *impl_;
    impl.polled[0] = {impl.listener.get(), POLLIN, 0};
    for (size_t i = 0; i < kControlClients; ++i) {
        const Client& client = impl.clients[i];
        short events = 0;
        if (client.state == State::reading) events = POLLIN;
        if (client.state == State::sending || client.state == State::refusing) events = POLLOUT;
        impl.polled[i + 1] = {client.state == State::free ? -1 : client.fd.get(), events, 0};
    }
    return impl.polled;
}

void ControlServer::on_ready() {
    Impl& impl = *impl_;
    impl.accept_all();
    const uint64_t now = boot_ns();
    for (Client& client : impl.clients) {
        if (client.state == State::sending || client.state == State::refusing) impl.send_to(client);
        if (client.state == State::reading) impl.read_from(client);
        if (client.state == State::answering && Impl::gone(client)) impl.drop(client);
        if (client.state != State::free && now > client.deadline) {
            ++impl.counts.timeouts;
            impl.drop(client);
        }
    }
}

void ControlServer::reply(ControlClient to, std::string_view json) {
    if (to.slot >= kControlClients) return;
    Client& client = impl_->clients[to.slot];
    if (client.generation != to.generation || client.state != State::answering) return;
    if (json.size() >= client.out.size()) return reply_error(to, "the answer is too long");
    impl_->start_sending(client, json, State::sending);
}

void ControlServer::reply_error(ControlClient to, std::string_view message) {
    std::array<char, 1024> line;
    reply(to, {line.data(), error_line(message, line)});
}

const ControlServer::Counts& ControlServer::counts() const { return impl_->counts; }

// ---- the client ------------------------------------------------------------------------------------------------

namespace {

Result<Fd> connect_client(const std::string& path) {
    FR_ASSIGN(const sockaddr_un address, address_of(path));
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return fail_errno(errno, "cannot make a socket");
    const int error = connect_to(fd.get(), address);
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        return fail(Code::not_found, "no recorder is listening on " + path +
                                         "; start one with \"flightrec record\" or give the --control path it uses");
    if (error == EACCES || error == EPERM)
        return fail(Code::permission, "only root may control the recorder on " + path);
    if (error != 0) return fail_errno(error, "cannot connect to the recorder on " + path);
    return fd;
}

// Waits for the descriptor until the deadline.
bool wait_for(int fd, short events, uint64_t deadline) {
    for (;;) {
        const uint64_t now = boot_ns();
        if (now >= deadline) return false;
        pollfd p{fd, events, 0};
        const auto ms = static_cast<int>(std::min<uint64_t>((deadline - now) / 1'000'000u + 1, 60'000));
        const int n = ::poll(&p, 1, ms);
        if (n > 0) return true;
        if (n < 0 && errno != EINTR) return false;
    }
}

}  // namespace

Result<nlohmann::json> control_request(const std::string& path, nlohmann::json request,
                                       std::chrono::milliseconds timeout) {
    FR_ASSIGN(const Fd fd, connect_client(path));
    request["v"] = kControlVersion;
    const std::string line = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    if (line.size() > kControlRequestMax)
        return fail(Code::usage,
                    fmt::format("the request is longer than {} bytes: shorten its text", kControlRequestMax));
    const uint64_t deadline = boot_ns() + static_cast<uint64_t>(timeout.count()) * 1'000'000u;
    const auto late = [&] {
        return fail(Code::io, fmt::format("the recorder on {} did not answer within {} s", path,
                                          static_cast<double>(timeout.count()) / 1000));
    };
    for (size_t sent = 0; sent < line.size();) {
        if (!wait_for(fd.get(), POLLOUT, deadline)) return late();
        const ssize_t n = ::send(fd.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += static_cast<size_t>(n);
        else if (errno == EPIPE || errno == ECONNRESET)
            break;  // it may have said why
        else if (errno != EINTR && errno != EAGAIN)
            return fail_errno(errno, "cannot send to the recorder on " + path);
    }
    std::string answer;
    std::array<char, 4096> piece;
    while (answer.find('\n') == std::string::npos && answer.size() <= kControlReplyMax) {
        if (!wait_for(fd.get(), POLLIN, deadline)) return late();
        const ssize_t n = ::recv(fd.get(), piece.data(), piece.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return fail(Code::io, "the recorder on " + path + " closed the connection without an answer");
        answer.append(piece.data(), static_cast<size_t>(n));
    }
    auto json = nlohmann::json::parse(answer, nullptr, false);
    if (json.is_discarded() || !json.is_object())
        return fail(Code::corrupt, "the recorder on " + path + " gave an answer that is not a JSON object");
    return json;
}

}  // namespace flightrec::record
