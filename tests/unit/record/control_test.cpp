// SPDX-License-Identifier: Apache-2.0
// The control socket: who is served, what is understood, and that nobody can hold the recorder up.
#include "userspace/record/control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/unit/record/fake_tree.h"
#include "userspace/base/clock.h"
#include "userspace/base/handle.h"

namespace flightrec::record {
namespace {

using std::chrono::milliseconds;

std::optional<ControlRequest> parse(std::string& text, std::string_view& error) {
    return parse_control_request(text, error);
}

TEST(ControlRequest, ReadsCommandAndText) {
    std::string text =
        R"( {"v" : 1, "cmd":"dump","extra":-1.5e3,"flag":true,"reason":"a \"b\" \\ \n\u00e9\u20ac\ud83d\ude00"} )";
    std::string_view error;
    const auto request = parse(text, error);
    ASSERT_TRUE(request) << error;
    EXPECT_EQ(request->cmd, "dump");
    EXPECT_EQ(request->text, "a \"b\" \\ \n\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(ControlRequest, RefusesWhatIsNotOne) {
    for (const char* bad : {"",
                            "x",
                            "[]",
                            "{",
                            "{}",
                            R"({"v":1})",
                            R"({"cmd":"x"})",
                            R"({"v":2,"cmd":"x"})",
                            R"({"v":"1","cmd":"x"})",
                            R"({"v":1,"cmd":""})",
                            R"({"v":1,"cmd":"x"}})",
                            R"({"v":1 "cmd":"x"})",
                            R"({"v":1,"cmd":"x",})",
                            R"({"v":1,"cmd":"x","a":{}})",
                            R"({"v":1,"cmd":"x","a":[1]})",
                            R"({"v":1,"cmd":"\ud800"})",
                            R"({"v":1,"cmd":"\u12"})",
                            R"({"v":1,"cmd":"\q"})",
                            "{\"v\":1,\"cmd\":\"a\nb\"}",
                            R"({"v":1,"cmd":"x)"}) {
        std::string text = bad;
        std::string_view error;
        EXPECT_FALSE(parse(text, error)) << bad;
        EXPECT_FALSE(error.empty()) << bad;
    }
}

TEST(ControlRequest, EveryCutOfARequestIsRefused) {
    const std::string whole = R"({"v":1,"cmd":"dump","reason":"x\u00e9y"})";
    for (size_t n = 0; n < whole.size(); ++n) {
        std::string text = whole.substr(0, n);
        std::string_view error;
        EXPECT_FALSE(parse(text, error)) << n;
    }
}

// A server that runs in a thread of its own until the end of the test.
class Control : public ::testing::Test {
  protected:
    void SetUp() override { ::mkdir(tree_.path("run").c_str(), 0700); }
    void TearDown() override { stop(); }
    void start(ControlServer::Limits limits = {}) {
        auto server = ControlServer::listen(
            path(), [this](ControlClient c, const ControlRequest& r) { handle(c, r); }, limits);
        ASSERT_TRUE(server) << server.error().message;
        server_ = std::make_unique<ControlServer>(std::move(*server));
        stopping_ = false;
        thread_ = std::thread([this] {
            while (!stopping_) {
                const auto fds = server_->fds();
                ::poll(fds.data(), fds.size(), 20);
                ++turns_;
                server_->on_ready();
                if (late_ && boot_ns() > late_at_) {
                    server_->reply(*late_, R"({"v":1,"ok":true,"incident":9})");
                    late_.reset();
                }
            }
        });
    }
    void stop() {
        stopping_ = true;
        if (thread_.joinable()) thread_.join();
    }
    void handle(ControlClient client, const ControlRequest& request) {
        if (request.cmd == "ping")
            server_->reply(client, fmt::format(R"({{"v":1,"ok":true,"pid":{},"uid":{}}})", request.pid, request.uid));
        else if (request.cmd == "dump") {
            late_ = client;
            late_at_ = boot_ns() + 200'000'000;
        } else if (request.cmd == "huge")
            server_->reply(client, "{\"x\":\"" + std::string(40'000, 'x') + "\"}");
        else if (request.cmd == "hang")
            return;
        else
            server_->reply_error(client, fmt::format("there is no command \"{}\"", request.cmd));
    }
    [[nodiscard]] std::string path() const { return tree_.path("run/control.sock"); }
    [[nodiscard]] Fd connected() const {
        Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        timeval limit{.tv_sec = 5, .tv_usec = 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        return fd;
    }
    static std::string read_line(int fd) {
        std::string line;
        char c = 0;
        while (::recv(fd, &c, 1, 0) == 1 && c != '\n') line += c;
        return line;
    }
    static void send(int fd, std::string_view text) { ::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

    FakeTree tree_;
    std::unique_ptr<ControlServer> server_;
    std::atomic<bool> stopping_{false};
    std::atomic<uint64_t> turns_{0};
    std::optional<ControlClient> late_;
    uint64_t late_at_ = 0;
    std::thread thread_;
};

TEST_F(Control, AnswersWithThePeersCredentials) {
    start();
    const auto answer = control_request(path(), {{"cmd", "ping"}}, milliseconds(5000));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((*answer)["ok"], true);
    EXPECT_EQ((*answer)["pid"], ::getpid());
    EXPECT_EQ((*answer)["uid"], ::getuid());
}

TEST_F(Control, AnAnswerMayComeLater) {
    start();
    const uint64_t began = boot_ns();
    const auto answer = control_request(path(), {{"cmd", "dump"}, {"reason", "why \"not\"?"}}, milliseconds(5000));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((*answer)["incident"], 9);
    EXPECT_GT(boot_ns() - began, 150'000'000u);
}

TEST_F(Control, AnUnknownCommandIsAnErrorLine) {
    start();
    const auto answer = control_request(path(), {{"cmd", "ex\"plode"}}, milliseconds(5000));
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ((*answer)["ok"], false);
    EXPECT_EQ((*answer)["error"], "there is no command 'ex'plode'");
}

TEST_F(Control, AnAnswerThatDoesNotComeEndsInTime) {
    start();
    const auto answer = control_request(path(), {{"cmd", "hang"}}, milliseconds(200));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::io);
}

TEST_F(Control, ATooLongAnswerIsAnErrorLine) {
    start();
    const auto answer = control_request(path(), {{"cmd", "huge"}}, milliseconds(5000));
    ASSERT_TRUE(answer);
    EXPECT_EQ((*answer)["ok"], false);
}

TEST_F(Control, NoRecorderIsOneClearLine) {
    const auto answer = control_request(path(), {{"cmd", "ping"}}, milliseconds(500));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::not_found);
    EXPECT_NE(answer.error().message.find("no recorder is listening on " + path() + "; start one with"),
              std::string::npos)
        << answer.error().message;
    EXPECT_EQ(control_request(std::string(200, 'a'), {{"cmd", "ping"}}, milliseconds(500)).error().code, Code::usage);
}

TEST_F(Control, SocketAndFolderAreOfTheOwnerOnly) {
    ::rmdir(tree_.path("run").c_str());
    start();
    struct stat st {};
    ASSERT_EQ(::stat(path().c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0600u);
    ASSERT_EQ(::stat(tree_.path("run").c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0700u);
}

TEST_F(Control, WhoAsksFirstHearsOfALiveRecorderAndChangesNothing) {
    EXPECT_TRUE(ControlServer::check_free(path())) << "neither folder nor socket";
    start();
    const auto busy = ControlServer::check_free(path());
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().code, Code::busy);
    ASSERT_TRUE(control_request(path(), {{"cmd", "ping"}}, milliseconds(5000)));
}

TEST_F(Control, ALiveRecorderIsNotReplacedADeadOnesSocketIs) {
    start();
    const auto second = ControlServer::listen(path(), [](ControlClient, const ControlRequest&) {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::busy);
    ASSERT_TRUE(control_request(path(), {{"cmd", "ping"}}, milliseconds(5000)));
    stop();
    server_.reset();
    EXPECT_NE(::access(path().c_str(), F_OK), 0) << "removed at the end";
    // What a killed recorder leaves behind.
    {
        const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ASSERT_EQ(::access(path().c_str(), F_OK), 0);
    EXPECT_EQ(control_request(path(), {{"cmd", "ping"}}, milliseconds(500)).error().code, Code::not_found);
    start();
    EXPECT_TRUE(control_request(path(), {{"cmd", "ping"}}, milliseconds(5000)));
}

TEST_F(Control, RefusesFilesThatAreNoSocketAndFoldersOthersMayWrite) {
    const auto listen = [&] { return ControlServer::listen(path(), [](ControlClient, const ControlRequest&) {}); };
    tree_.write("run/control.sock", "precious");
    auto server = listen();
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, Code::usage);
    EXPECT_EQ(::access(path().c_str(), F_OK), 0) << "it is still there";
    tree_.remove("run/control.sock");
    ::chmod(tree_.path("run").c_str(), 0777);
    server = listen();
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, Code::permission);
    ::chmod(tree_.path("run").c_str(), 0700);
    tree_.link("aside", tree_.path("run"));
    EXPECT_FALSE(ControlServer::listen(tree_.path("aside/control.sock"), [](ControlClient, const ControlRequest&) {}))
        << "a folder reached by a symbolic link could be exchanged";
}

TEST_F(Control, OtherUsersAreRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
    start();
    ::chmod(tree_.path().c_str(), 0755);
    ::chmod(tree_.path("run").c_str(), 0755);
    ::chmod(path().c_str(), 0666);  // as if the file's mode had not kept them out already
    const pid_t child = ::fork();
    if (child == 0) {
        if (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(9);
        const auto answer = control_request(path(), {{"cmd", "ping"}}, milliseconds(5000));
        ::_exit(answer && (*answer)["ok"] == false ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    stop();
    EXPECT_EQ(server_->counts().refused_peers, 1u);
    EXPECT_EQ(server_->counts().requests, 0u);
}

TEST_F(Control, SeveralRequestsOnOneConnectionAlsoInPieces) {
    start();
    const Fd fd = connected();
    send(fd.get(), "{\"v\":1,\"cmd\":\"ping\"}\n{\"v\":1,\"cmd\":\"dump\"}\n{\"v\":1,\"cmd\":\"pi");
    EXPECT_NE(read_line(fd.get()).find("\"pid\""), std::string::npos);
    EXPECT_NE(read_line(fd.get()).find("\"incident\":9"), std::string::npos);
    send(fd.get(), "ng\"}\n");
    EXPECT_NE(read_line(fd.get()).find("\"pid\""), std::string::npos);
    send(fd.get(), "nonsense\n");
    EXPECT_NE(read_line(fd.get()).find("not a JSON object"), std::string::npos);
}

TEST_F(Control, AnEndlessRequestIsRefused) {
    start();
    const Fd fd = connected();
    send(fd.get(), std::string(8192, 'x'));
    EXPECT_NE(read_line(fd.get()).find("longer than 4096 bytes"), std::string::npos);
    EXPECT_EQ(read_line(fd.get()), "") << "and closed";
}

TEST_F(Control, ASilentClientIsDroppedAndTheNinthRefused) {
    start({.request_ns = 300'000'000});
    std::vector<Fd> silent;
    for (size_t i = 0; i < kControlClients; ++i) silent.push_back(connected());
    ::usleep(50'000);
    const Fd ninth = connected();
    EXPECT_NE(read_line(ninth.get()).find("too many"), std::string::npos);
    ::usleep(600'000);
    EXPECT_TRUE(control_request(path(), {{"cmd", "ping"}}, milliseconds(5000)));
    stop();
    EXPECT_EQ(server_->counts().timeouts, kControlClients);
}

TEST_F(Control, AClientThatHangsUpWhileItWaitsCostsNothing) {
    start();
    {
        const Fd fd = connected();
        send(fd.get(), "{\"v\":1,\"cmd\":\"hang\"}\n");
        ::usleep(100'000);
    }
    ::usleep(50'000);
    const uint64_t before = turns_;
    ::usleep(400'000);
    EXPECT_LT(turns_ - before, 60u) << "poll goes round without rest";
}

TEST_F(Control, AClientThatDoesNotReadItsAnswerBlocksNobody) {
    start({.request_ns = 5'000'000'000, .answer_ns = 5'000'000'000, .send_ns = 300'000'000});
    const Fd fd = connected();
    for (int i = 0; i < 100; ++i) {
        const std::string request = "{\"v\":1,\"cmd\":\"ping\"}\n";
        if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT) <= 0) break;
    }
    EXPECT_TRUE(control_request(path(), {{"cmd", "ping"}}, milliseconds(2000)));
}

TEST_F(Control, ALateAnswerNeverReachesTheNextClient) {
    std::optional<ControlClient> first;
    auto server = ControlServer::listen(path(), [&](ControlClient client, const ControlRequest&) {
        if (!first) first = client;
    });
    ASSERT_TRUE(server);
    {
        const Fd gone = connected();
        send(gone.get(), "{\"v\":1,\"cmd\":\"dump\"}\n");
        server->on_ready();
    }
    ASSERT_TRUE(first);
    server->on_ready();
    const Fd next = connected();
    send(next.get(), "{\"v\":1,\"cmd\":\"dump\"}\n");
    server->on_ready();
    EXPECT_EQ(server->counts().requests, 2u);
    server->reply(*first, R"({"v":1,"ok":true,"incident":1})");
    char byte = 0;
    EXPECT_EQ(::recv(next.get(), &byte, 1, MSG_DONTWAIT), -1) << "the answer was meant for another";
}

TEST_F(Control, ServingDoesNotAllocate) {
    uint64_t handled = 0;
    ControlServer* raw = nullptr;
    auto server = ControlServer::listen(path(), [&](ControlClient client, const ControlRequest& request) {
        ++handled;
        raw->reply(client, request.cmd == "ping" ? R"({"v":1,"ok":true})" : R"({"v":1,"ok":false})");
    });
    ASSERT_TRUE(server);
    raw = &*server;
    const Fd fd = connected();
    send(fd.get(), "{\"v\":1,\"cmd\":\"ping\"}\nrubbish\n");
    const uint64_t before = allocations();
    EXPECT_EQ(server->fds().size(), kControlClients + 1);
    server->on_ready();
    server->on_ready();
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(handled, 1u);
    EXPECT_EQ(read_line(fd.get()), R"({"v":1,"ok":true})");
    EXPECT_NE(read_line(fd.get()).find("\"ok\":false"), std::string::npos);
}

}  // namespace
}  // namespace flightrec::record
