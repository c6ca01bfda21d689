// SPDX-License-Identifier: Apache-2.0
// HTTP(S) against a real nginx, and against receivers that misbehave.
#include "userspace/ship/http_sink.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <algorithm>
#include <chrono>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/unit/ship/support.h"
#include "userspace/ship/make_sink.h"
#include "userspace/ship/shipper.h"

namespace flightrec::ship::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Answer = Delivery::Answer;

const Cancel no_cancel;

SinkOptions impatient() {
    SinkOptions options;
    options.http.connect_timeout = milliseconds(1000);
    options.http.stall_timeout = milliseconds(1000);
    options.http.max_time = milliseconds(3000);
    return options;
}

void expect_accepted(Sink& sink, const DumpFile& dump) {
    const auto delivery = sink.deliver(dump, no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_EQ(delivery->answer, Answer::accepted) << delivery->detail;
}

std::string error_of(Sink& sink, const DumpFile& dump) {
    const auto delivery = sink.deliver(dump, no_cancel);
    EXPECT_FALSE(delivery) << "it was answered: " << (delivery ? delivery->detail : "");
    if (delivery) return {};
    EXPECT_EQ(delivery.error().code, Code::network) << delivery.error().message;
    return delivery.error().message;
}

Delivery answer_of(Sink& sink, const DumpFile& dump) {
    const auto delivery = sink.deliver(dump, no_cancel);
    EXPECT_TRUE(delivery) << delivery.error().message;
    return delivery ? *delivery : Delivery{};
}

// Why make_sink() refuses.
std::string refusal(const std::string& destination, const SinkOptions& options) {
    const auto parsed = parse_destination(destination);
    if (!parsed) return parsed.error().message;
    const auto sink = make_sink(*parsed, options);
    EXPECT_FALSE(sink);
    return sink ? "" : sink.error().message;
}

TEST(HttpSink, PutsTheDumpToNginxWithItsFacts) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url() + "in/{host}/{label.role}/");
    const DumpFile dump = make_dump(tree / "spool", 1, 3'000'000);
    expect_accepted(*sink, dump);
    EXPECT_EQ(read_file(nginx.root() / "in/web-1/web" / dump.name), content(3'000'000, 1));
    EXPECT_THAT(
        read_file(tree / "n/incidents.log"),
        HasSubstr("PUT /in/web-1/web/" + dump.name + " " + dump.incident.id() + " application/vnd.flightrec oom-kill"));
}

TEST(HttpSink, TheSameIncidentTwiceIsOneFile) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url());
    const DumpFile dump = make_dump(tree / "spool", 1, 10'000);
    expect_accepted(*sink, dump);
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(nginx.root()), ElementsAre(dump.name));
    EXPECT_EQ(read_file(nginx.root() / dump.name), content(10'000, 1));
}

TEST(HttpSink, KeepsItsConnectionForTheNextDump) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url());
    for (uint64_t i = 1; i <= 3; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 1000));
    // The log's last word is nginx's number of the connection.
    // It writes its log after it has answered.
    std::string log;
    for (int i = 0; i < 100 && std::count(log.begin(), log.end(), '\n') < 3; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        log = read_file(tree / "n/incidents.log");
    }
    std::vector<std::string> connections;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) connections.push_back(line.substr(line.rfind(' ')));
    ASSERT_EQ(connections.size(), 3u);
    EXPECT_EQ(connections[0], connections[2]);
}

TEST(HttpSink, AHostileHostNameStaysBelowThePrefix) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url() + "in/{host}/{name}");
    DumpFile dump = make_dump(tree / "spool", 1, 100);
    dump.incident.host = "../../../escaped/\r\nX-Evil: 1";
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(nginx.root()), ElementsAre("in"));
    ASSERT_EQ(names_in(nginx.root() / "in").size(), 1u);
    EXPECT_EQ(read_file(nginx.root() / "in" / names_in(nginx.root() / "in")[0] / dump.name), content(100, 1));
}

TEST(HttpSink, AnEmptyDumpIsStillAFile) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url());
    const DumpFile dump = make_dump(tree / "spool", 1, 0);
    expect_accepted(*sink, dump);
    EXPECT_THAT(names_in(nginx.root()), ElementsAre(dump.name));
}

TEST(HttpsSink, DeliversWhenTheAuthorityIsGiven) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx nginx(tree / "n", "", certs.server, certs.server_key);
    SinkOptions options = impatient();
    options.http.ca_file = certs.ca;
    const DumpFile dump = make_dump(tree / "spool", 1, 3'000'000);
    expect_accepted(*sink_for(nginx.url(), options), dump);
    EXPECT_EQ(read_file(nginx.root() / dump.name), content(3'000'000, 1));
    expect_accepted(*sink_for("https://localhost:" + std::to_string(nginx.port()) + "/by-name/", options), dump);
}

TEST(HttpsSink, VerifiesOnEveryNewConnection) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx nginx(tree / "n", "keepalive_timeout 0;", certs.server, certs.server_key);
    SinkOptions options = impatient();
    options.http.ca_file = certs.ca;
    const auto sink = sink_for(nginx.url(), options);
    for (uint64_t i = 1; i <= 3; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 1000));
    options.http.ca_file = certs.other_ca;
    const auto other = sink_for(nginx.url(), options);
    for (uint64_t i = 1; i <= 3; ++i)
        EXPECT_THAT(error_of(*other, make_dump(tree / "spool", i, 1000)), HasSubstr("is not accepted"));
}

std::atomic<size_t> reserve_calls{0}, reserve_blocks{0};

void* counted_allocate(size_t size) {
    ++reserve_calls;
    ++reserve_blocks;
    return malloc(size);
}
void counted_release(void* block) {
    if (block != nullptr) --reserve_blocks;
    free(block);
}
void* counted_resize(void* block, size_t size) {
    ++reserve_calls;
    if (block == nullptr) ++reserve_blocks;
    return realloc(block, size);
}
char* counted_duplicate(const char* text) {
    ++reserve_calls;
    ++reserve_blocks;
    return strdup(text);
}
void* counted_zeroed(size_t count, size_t size) {
    ++reserve_calls;
    ++reserve_blocks;
    return calloc(count, size);
}

TEST(HttpsSink, TakesItsMemoryFromTheGivenReserveAndGivesItBack) {
    const MemoryFunctions functions{counted_allocate, counted_release, counted_resize, counted_duplicate,
                                    counted_zeroed};
    if (const auto taken = init_network(&functions); !taken) GTEST_SKIP() << "another test of this process was first";
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx nginx(tree / "n", "keepalive_timeout 0;", certs.server, certs.server_key);
    SinkOptions options = impatient();
    options.http.ca_file = certs.ca;
    const auto sink = sink_for(nginx.url(), options);
    expect_accepted(*sink, make_dump(tree / "spool", 1, 100'000));
    const size_t calls = reserve_calls, blocks = reserve_blocks;
    EXPECT_GT(calls, 1000u) << "a TLS handshake alone takes more";
    for (uint64_t i = 2; i <= 20; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 100'000));
    EXPECT_LE(reserve_blocks, blocks + 10) << "delivering does not grow";
    EXPECT_EQ(init_network(&functions).error().code, Code::busy);
}

TEST(HttpsSink, RefusesAReceiverItCannotTrust) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx good(tree / "good", "", certs.server, certs.server_key);
    const Nginx other_host(tree / "other", "", certs.other_host, certs.other_host_key);
    const Nginx expired(tree / "expired", "", certs.expired, certs.expired_key);
    const DumpFile dump = make_dump(tree / "spool", 1, 100'000);
    SinkOptions options = impatient();
    // The system's authorities do not know ours.
    EXPECT_THAT(error_of(*sink_for(good.url(), options), dump), HasSubstr("--ca-file"));
    options.http.ca_file = certs.other_ca;
    EXPECT_THAT(error_of(*sink_for(good.url(), options), dump), HasSubstr("is not accepted"));
    options.http.ca_file = certs.ca;
    EXPECT_THAT(error_of(*sink_for(other_host.url(), options), dump), HasSubstr("is not accepted"));
    EXPECT_THAT(error_of(*sink_for(expired.url(), options), dump), HasSubstr("expired"));
    for (const auto* nginx : {&good, &other_host, &expired}) EXPECT_TRUE(names_in(nginx->root()).empty());
}

TEST(HttpsSink, PlainHttpOnTheOtherSideIsAnErrorNotAFallback) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx nginx(tree / "n");
    SinkOptions options = impatient();
    options.http.ca_file = certs.ca;
    const auto sink = sink_for("https://127.0.0.1:" + std::to_string(nginx.port()) + "/", options);
    EXPECT_THAT(error_of(*sink, make_dump(tree / "spool", 1, 100)), HasSubstr("TLS"));
    EXPECT_TRUE(names_in(nginx.root()).empty());
}

TEST(HttpsSink, ShowsItsClientCertificateWhenAsked) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const Nginx nginx(tree / "n", "ssl_client_certificate " + certs.ca.string() + "; ssl_verify_client on;",
                      certs.server, certs.server_key);
    const DumpFile dump = make_dump(tree / "spool", 1, 100'000);
    SinkOptions options = impatient();
    options.http.ca_file = certs.ca;
    const auto without = answer_of(*sink_for(nginx.url(), options), dump);
    EXPECT_EQ(without.answer, Answer::refused);
    EXPECT_THAT(without.detail, HasSubstr("No required SSL certificate was sent"));
    options.http.client_cert = certs.foreign_client;
    options.http.client_key = certs.foreign_client_key;
    EXPECT_EQ(answer_of(*sink_for(nginx.url(), options), dump).answer, Answer::refused);
    EXPECT_TRUE(names_in(nginx.root()).empty());
    options.http.client_cert = certs.client;
    options.http.client_key = certs.client_key;
    expect_accepted(*sink_for(nginx.url(), options), dump);
    EXPECT_EQ(read_file(nginx.root() / dump.name), content(100'000, 1));
}

TEST(HttpsSink, TakesOverARenewedClientCertificateAndAuthority) {
    const TempDir tree;
    const Certificates certs(tree / "c"), renewed(tree / "c2");
    const Nginx nginx(tree / "n", "ssl_client_certificate " + renewed.ca.string() + "; ssl_verify_client on;",
                      renewed.server, renewed.server_key);
    for (const auto& [name, from] :
         {std::pair("ca.pem", certs.ca), {"client.pem", certs.client}, {"client.key", certs.client_key}})
        write_file(tree / "live" / name, read_file(from));
    SinkOptions options = impatient();
    options.http.ca_file = tree / "live/ca.pem";
    options.http.client_cert = tree / "live/client.pem";
    options.http.client_key = tree / "live/client.key";
    const auto sink = sink_for(nginx.url(), options);
    const DumpFile dump = make_dump(tree / "spool", 1, 1000);
    EXPECT_THAT(error_of(*sink, dump), HasSubstr("not accepted"));
    for (const auto& [name, from] :
         {std::pair("ca.pem", renewed.ca), {"client.pem", renewed.client}, {"client.key", renewed.client_key}})
        write_file(tree / "live" / name, read_file(from));
    expect_accepted(*sink, dump);
    // And when the files are gone, what was read last still serves.
    std::filesystem::remove_all(tree / "live");
    expect_accepted(*sink, make_dump(tree / "spool", 2, 1000));
}

TEST(HttpSink, SendsTheTokenOfItsFileAndReadsItAnew) {
    const TempDir tree;
    const Nginx nginx(tree / "n", "if ($http_authorization != \"Bearer right\") { return 401; }");
    write_file(tree / "token", "wrong\n");
    SinkOptions options = impatient();
    options.http.token_file = tree / "token";
    const auto sink = sink_for(nginx.url(), options);
    const DumpFile dump = make_dump(tree / "spool", 1, 1000);
    const auto refused = answer_of(*sink, dump);
    EXPECT_EQ(refused.answer, Answer::refused);
    EXPECT_THAT(refused.detail, HasSubstr("401"));
    EXPECT_THAT(refused.detail, Not(HasSubstr("wrong")));
    EXPECT_THAT(sink->describe(), Not(HasSubstr("wrong")));
    write_file(tree / "token", "right\n");
    expect_accepted(*sink, dump);
    std::filesystem::remove(tree / "token");
    expect_accepted(*sink, dump);
}

TEST(HttpSink, UnusableTokensCertificatesAndKeysAreToldAtStart) {
    const TempDir tree;
    const Certificates certs(tree / "c");
    const std::string https = "https://127.0.0.1:1/";
    SinkOptions options;
    options.http.ca_file = certs.ca;
    write_file(tree / "token", "secret", 0644);
    options.http.token_file = tree / "token";
    EXPECT_THAT(refusal(https, options), HasSubstr("chmod 600"));
    chmod((tree / "token").c_str(), 0602);
    EXPECT_THAT(refusal(https, options), HasSubstr("changed by other users"));
    for (const std::string bad : {"", "\n", "two words", "line\r\nEvil: x", "caf\xe9"}) {
        write_file(tree / "token", bad, 0600);
        const auto why = refusal(https, options);
        EXPECT_THAT(why, HasSubstr("one token in printable ASCII")) << bad;
        EXPECT_THAT(why, Not(HasSubstr("Evil")));
    }
    options.http.token_file = tree / "missing";
    EXPECT_THAT(refusal(https, options), HasSubstr("No such file"));
    write_file(tree / "token", "good", 0600);
    options.http.token_file = tree / "token";
    EXPECT_THAT(refusal("http://dumps.example/", options), HasSubstr("use https://"));
    options.http.token_file.clear();

    options.http.ca_file = tree / "token";
    EXPECT_THAT(refusal(https, options), HasSubstr("holds no certificate"));
    options.http.ca_file = certs.ca;
    options.http.client_key = certs.client_key;
    EXPECT_THAT(refusal(https, options), HasSubstr("--client-key needs --client-cert"));
    options.http.client_cert = certs.server;
    EXPECT_THAT(refusal(https, options), HasSubstr("does not belong to the certificate"));
    options.http.client_cert = certs.client;
    chmod(certs.client_key.c_str(), 0644);
    EXPECT_THAT(refusal(https, options), HasSubstr("can be read by other users"));
    options.http = {};
    options.http.headers = {"Broken header"};
    EXPECT_THAT(refusal("http://127.0.0.1:1/", options), HasSubstr("Name: value"));
    options.http.headers.clear();
    options.http.proxy = "socks5://x:1";
    EXPECT_THAT(refusal("http://127.0.0.1:1/", options), HasSubstr("http://HOST:PORT"));
}

TEST(HttpSink, DescribesItselfWithoutSecrets) {
    const TempDir tree;
    SinkOptions options;
    options.http.headers = {"X-Api-Key: hunter2"};
    const auto sink = sink_for("http://127.0.0.1:1/{name}?sig=hunter2", options);
    EXPECT_THAT(sink->describe(), HasSubstr("X-Api-Key"));
    EXPECT_THAT(sink->describe(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(sink->name(), Not(HasSubstr("hunter2")));
    EXPECT_THAT(error_of(*sink, make_dump(tree / "spool", 1, 10)), Not(HasSubstr("hunter2")));
}

TEST(HttpSink, AnswersAreJudgedByTheirStatus) {
    const TempDir tree;
    const DumpFile dump = make_dump(tree / "spool", 1, 1000);
    for (const int status : {408, 425, 429, 500, 502, 503, 507}) {
        Server server({"status", std::to_string(status)});
        const auto delivery = answer_of(*sink_for(server.url(), impatient()), dump);
        EXPECT_EQ(delivery.answer, Answer::later) << status;
        EXPECT_THAT(delivery.detail, HasSubstr(std::to_string(status)));
        EXPECT_THAT(delivery.detail, HasSubstr("said the receiver"));
    }
    for (const int status : {400, 401, 403, 404, 405, 409, 413, 422}) {
        Server server({"status", std::to_string(status)});
        EXPECT_EQ(answer_of(*sink_for(server.url(), impatient()), dump).answer, Answer::refused) << status;
    }
    for (const int status : {200, 201, 204}) {
        Server server({"status", std::to_string(status)});
        EXPECT_EQ(answer_of(*sink_for(server.url(), impatient()), dump).answer, Answer::accepted) << status;
    }
}

TEST(HttpSink, AReceiverMaySayHowLongToWait) {
    const TempDir tree;
    Server server({"retry-after", "7"});
    const auto delivery = answer_of(*sink_for(server.url(), impatient()), make_dump(tree / "spool", 1, 1000));
    EXPECT_EQ(delivery.answer, Answer::later);
    EXPECT_EQ(delivery.wait.count(), 7);
}

TEST(HttpSink, ARedirectIsNotFollowed) {
    const TempDir tree;
    Server target({"status", "201"});
    Server server({"redirect", target.url() + "stolen?token=x"});
    const auto delivery = answer_of(*sink_for(server.url(), impatient()), make_dump(tree / "spool", 1, 1000));
    EXPECT_EQ(delivery.answer, Answer::refused);
    EXPECT_THAT(delivery.detail, HasSubstr("redirects to '" + target.url() + "stolen'"));
}

TEST(HttpSink, ARefusalBeforeTheEndOfTheDumpIsUnderstood) {
    const TempDir tree;
    Server server({"early", "413"});
    const auto delivery = answer_of(*sink_for(server.url(), impatient()), make_dump(tree / "spool", 1, 5'000'000));
    EXPECT_EQ(delivery.answer, Answer::refused);
    EXPECT_THAT(delivery.detail, HasSubstr("413"));
}

TEST(HttpSink, AConnectionThatWasClosedMeanwhileIsReplaced) {
    const TempDir tree;
    Server server({"keep-alive-close"});
    const auto sink = sink_for(server.url(), impatient());
    for (uint64_t i = 1; i <= 3; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 100'000));
}

TEST(HttpSink, AConnectionThatDiesInUseIsReplacedAndTheDumpSentFromItsStart) {
    const TempDir tree;
    Server server({"late-close"});
    const auto sink = sink_for(server.url(), impatient());
    for (uint64_t i = 1; i <= 2; ++i) expect_accepted(*sink, make_dump(tree / "spool", i, 3'000'000));
}

TEST(HttpSink, NetworkFaultsAreErrorsThatSayWhatHappened) {
    const TempDir tree;
    const DumpFile dump = make_dump(tree / "spool", 1, 4'000'000);
    EXPECT_THAT(error_of(*sink_for("http://127.0.0.1:" + std::to_string(free_port()) + "/", impatient()), dump),
                HasSubstr("cannot connect"));
    Server reset({"reset", "100000"});
    EXPECT_THAT(error_of(*sink_for(reset.url(), impatient()), dump), HasSubstr("failed"));
    Server hole({"black-hole"});
    const auto stalled = timed(
        [&] { EXPECT_THAT(error_of(*sink_for(hole.url(), impatient()), dump), HasSubstr("did not answer in time")); });
    EXPECT_LT(stalled.count(), 4000);
    // Moves all the time, and yet would never end: only the total time helps.
    Server slow({"slow", "20000"});
    const auto slowly = timed(
        [&] { EXPECT_THAT(error_of(*sink_for(slow.url(), impatient()), dump), HasSubstr("did not answer in time")); });
    EXPECT_GE(slowly.count(), 2900);
    EXPECT_LT(slowly.count(), 4500);
}

TEST(HttpSink, ACancelEndsATransferWithin200Milliseconds) {
    const TempDir tree;
    const DumpFile dump = make_dump(tree / "spool", 1, 4'000'000);
    for (const char* mode : {"black-hole", "slow"}) {
        Server server({mode, "10000"});
        const auto sink = sink_for(server.url());
        Cancel cancel;
        std::chrono::steady_clock::time_point asked;
        std::thread stopper([&] {
            std::this_thread::sleep_for(milliseconds(400));
            asked = steady_clock::now();
            cancel.request();
        });
        const auto delivery = sink->deliver(dump, cancel);
        const auto late = std::chrono::duration_cast<milliseconds>(steady_clock::now() - asked);
        stopper.join();
        ASSERT_FALSE(delivery);
        EXPECT_EQ(delivery.error().code, Code::interrupted);
        EXPECT_LT(late.count(), 200) << mode;
    }
}

TEST(HttpSink, ADumpThatShrankIsAnErrorNotAShortUpload) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    const auto sink = sink_for(nginx.url());
    DumpFile dump = make_dump(tree / "spool", 1, 1000);
    dump.size = 2000;
    const auto delivery = sink->deliver(dump, no_cancel);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().code, Code::io);
    EXPECT_TRUE(names_in(nginx.root()).empty());
    dump.path = tree / "spool/none";
    EXPECT_EQ(sink->deliver(dump, no_cancel).error().code, Code::not_found);
}

TEST(HttpSink, AGivenProxyIsUsedAndTheEnvironmentsIsNot) {
    const TempDir tree;
    const Nginx nginx(tree / "n");
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    const DumpFile dump = make_dump(tree / "spool", 1, 1000);
    expect_accepted(*sink_for(nginx.url()), dump);
    Server proxy({"status", "201"});
    SinkOptions options;
    options.http.proxy = "http://127.0.0.1:" + std::to_string(proxy.port());
    expect_accepted(*sink_for("http://dumps.invalid/in/", options), dump);
    EXPECT_EQ(proxy.line(), "PUT http://dumps.invalid/in/" + dump.name + " " + dump.incident.id());
}

std::vector<std::unique_ptr<Sink>> one(std::unique_ptr<Sink> sink) {
    std::vector<std::unique_ptr<Sink>> out;
    out.push_back(std::move(sink));
    return out;
}

const Backoff quick{milliseconds(20), milliseconds(200)};

void ship(Shipper& shipper, uint64_t number, uint64_t size) {
    auto writer = shipper.begin(make_incident(number), size);
    ASSERT_TRUE(writer);
    const std::string bytes = content(size, static_cast<unsigned>(number));
    ASSERT_TRUE(writer->write(std::as_bytes(std::span(bytes))));
    const auto dump = writer->commit();
    ASSERT_TRUE(dump);
    shipper.submit(*dump);
}

TEST(ShippingByHttp, A503IsTriedAgainUntilTheReceiverTakesIt) {
    const TempDir tree;
    Server server({"status", "503", "2"});
    auto shipper = Shipper::make({{tree / "s"}, quick}, one(sink_for(server.url(), impatient())));
    ASSERT_TRUE(shipper);
    ship(**shipper, 1, 10'000);
    ASSERT_TRUE(eventually([&] { return (*shipper)->status().sinks[0].delivered == 1; }));
    const std::string line = "PUT /" + make_incident(1).file_name() + " " + make_incident(1).id();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(server.line(), line) << "always the same name and incident";
}

TEST(ShippingByHttp, AResetInMidTransferIsTriedAgain) {
    const TempDir tree;
    Server server({"reset-once", "50000"});
    auto shipper = Shipper::make({{tree / "s"}, quick}, one(sink_for(server.url(), impatient())));
    ASSERT_TRUE(shipper);
    ship(**shipper, 1, 1'000'000);
    ASSERT_TRUE(eventually([&] { return (*shipper)->status().sinks[0].delivered == 1; }));
    EXPECT_GE((*shipper)->status().sinks[0].attempts, 2u);
}

TEST(ShippingByHttp, WhatWaitedDuringAnOutageArrivesAfterARestart) {
    const TempDir tree;
    const uint16_t closed = free_port();
    {
        auto shipper = Shipper::make({{tree / "s"}, quick},
                                     one(sink_for("http://127.0.0.1:" + std::to_string(closed) + "/", impatient())));
        ASSERT_TRUE(shipper);
        for (uint64_t i = 1; i <= 3; ++i) ship(**shipper, i, 50'000);
        ASSERT_TRUE(eventually([&] { return (*shipper)->status().sinks[0].attempts >= 3; }));
        EXPECT_THAT((*shipper)->status().sinks[0].last_error, HasSubstr("cannot connect"));
        EXPECT_EQ((*shipper)->status().sinks[0].queued, 3u);
    }
    const Nginx nginx(tree / "n");
    auto shipper = Shipper::make({{tree / "s"}, quick}, one(sink_for(nginx.url(), impatient())));
    ASSERT_TRUE(shipper);
    ASSERT_TRUE((*shipper)->flush(steady_clock::now() + std::chrono::seconds(10)));
    for (uint64_t i = 1; i <= 3; ++i)
        EXPECT_EQ(read_file(nginx.root() / make_incident(i).file_name()), content(50'000, static_cast<unsigned>(i)));
    EXPECT_EQ(names_in(nginx.root()).size(), 3u);
}

TEST(ShippingByHttp, StopDuringATransferTakesLessThan200Milliseconds) {
    const TempDir tree;
    Server server({"black-hole"});
    auto shipper = Shipper::make({{tree / "s"}, quick}, one(sink_for(server.url())));
    ASSERT_TRUE(shipper);
    ship(**shipper, 1, 1'000'000);
    ASSERT_TRUE(eventually([&] { return (*shipper)->status().sinks[0].sending; }));
    const auto took = timed([&] { EXPECT_TRUE((*shipper)->stop(steady_clock::now() + std::chrono::seconds(5))); });
    EXPECT_LT(took.count(), 200);
}

}  // namespace
}  // namespace flightrec::ship::test
