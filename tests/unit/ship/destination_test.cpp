// SPDX-License-Identifier: Apache-2.0
// Destinations as given on a command line, good and bad.
#include "userspace/ship/destination.h"

#include <gmock/gmock.h>

#include "tests/unit/ship/support.h"

namespace flightrec::ship::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string problem_of(const std::string& text) {
    const auto parsed = parse_destination(text);
    EXPECT_FALSE(parsed) << text << " was taken";
    if (parsed) return {};
    EXPECT_EQ(parsed.error().code, Code::usage) << text;
    EXPECT_EQ(parsed.error().message.find('\n'), std::string::npos) << text;
    return parsed.error().message;
}

TEST(Destination, DirectoryIsMadeAbsolute) {
    EXPECT_EQ(parse_destination("/var/lib/dumps/")->path, "/var/lib/dumps/");
    EXPECT_EQ(parse_destination("file:///var/lib/dumps")->path, "/var/lib/dumps");
    EXPECT_EQ(parse_destination("dumps")->path, std::filesystem::current_path() / "dumps");
    EXPECT_EQ(parse_destination("./a://b")->kind, DestinationKind::directory);
    EXPECT_THAT(problem_of("file://host/dir"), HasSubstr("three slashes"));
    EXPECT_THAT(problem_of(""), HasSubstr("empty"));
}

TEST(Destination, UrlIsTakenApart) {
    const auto full = parse_destination("https://dumps.example:8443/in/");
    ASSERT_TRUE(full);
    EXPECT_TRUE(full->tls);
    EXPECT_EQ(full->host, "dumps.example");
    EXPECT_EQ(full->port, 8443);
    EXPECT_EQ(full->target, "/in/{name}");
    EXPECT_EQ(parse_destination("http://h")->target, "/{name}");
    EXPECT_EQ(parse_destination("http://h")->port, 80);
    const auto six = parse_destination("https://[::1]:9/x/{incident}");
    ASSERT_TRUE(six);
    EXPECT_EQ(six->host, "::1");
    EXPECT_EQ(six->port, 9);
}

TEST(Destination, BadUrlsGetOneLineWithTheRemedy) {
    EXPECT_THAT(problem_of("ftp://host/"), HasSubstr("'ftp:' begins no known address"));
    EXPECT_THAT(problem_of("s3:/bucket"), HasSubstr("'s3:' begins no known address"));
    EXPECT_THAT(problem_of("http:/host/"), HasSubstr("./http:/host/"));
    EXPECT_THAT(problem_of("https://"), HasSubstr("host is missing"));
    EXPECT_THAT(problem_of("https:///x/"), HasSubstr("host is missing"));
    EXPECT_THAT(problem_of("https://host:0/"), HasSubstr("port '0'"));
    EXPECT_THAT(problem_of("https://host:65536/"), HasSubstr("65535"));
    EXPECT_THAT(problem_of("https://host:80x/"), HasSubstr("port '80x'"));
    EXPECT_THAT(problem_of("https://ho st/"), HasSubstr("no host name"));
    EXPECT_THAT(problem_of("https://host/a b/"), HasSubstr("%XX"));
    EXPECT_THAT(problem_of("https://host/a\nb/"), HasSubstr("%XX"));
    EXPECT_THAT(problem_of("https://host/../"), HasSubstr("'..'"));
    EXPECT_THAT(problem_of("https://host/x#y"), HasSubstr("'#"));
    EXPECT_THAT(problem_of("https://host/fixed.flight"), HasSubstr("overwrite"));
    EXPECT_THAT(problem_of("https://host/{hostname}/"), HasSubstr("'{hostname}' is not known"));
    EXPECT_THAT(problem_of("https://host/{host/"), HasSubstr("braces"));
    EXPECT_THAT(problem_of("https://host/}/"), HasSubstr("braces"));
    EXPECT_THAT(problem_of("https://[::zz]/"), HasSubstr("IPv6"));
    EXPECT_THAT(problem_of("s3://Bucket_1/"), HasSubstr("bucket name"));
    EXPECT_THAT(problem_of("syslog+tcp:///dev/log"), HasSubstr("syslog:///dev/log"));
    EXPECT_THAT(problem_of(std::string("/x\0y", 4)), HasSubstr("NUL"));
}

TEST(Destination, SecretsAreNeverShown) {
    const std::string refused = problem_of("https://user:hunter2@host/");
    EXPECT_THAT(refused, Not(HasSubstr("hunter2")));
    EXPECT_THAT(refused, HasSubstr("--token-file"));
    const auto shared = parse_destination("https://h/c/{name}?sv=1&sig=hunter2");
    ASSERT_TRUE(shared);
    EXPECT_EQ(shared->text, "https://h/c/{name}");
    EXPECT_THAT(problem_of("https://h/c/x?sig=hunter2"), Not(HasSubstr("hunter2")));
    EXPECT_THAT(problem_of("https://h/c/?sig={hunter2}"), HasSubstr("not known"));
}

TEST(Destination, PlaceholdersAreFilledSafely) {
    Incident incident = make_incident(3);
    EXPECT_EQ(expand_target("/in/{host}/{reason}/{time}/{label.role}/{incident}.flight?h={host}", incident),
              "/in/web-1/oom-kill/20261118T110643Z/web/00112233445566778899aabbccddeeff-3.flight?h=web-1");
    incident.host = "../../x\r\nHost: y";
    incident.labels = {{"role", ".."}};
    const std::string target = expand_target("/{host}/{label.role}/{label.none}/{name}", incident);
    EXPECT_EQ(target, "/___.._x_r_nHost%3A%20y/__/unknown/" + incident.file_name());
}

TEST(Destination, OtherKinds) {
    EXPECT_EQ(parse_destination("s3://my-bucket/pre/fix/")->target, "/pre/fix/{name}");
    EXPECT_EQ(parse_destination("s3://my-bucket")->bucket, "my-bucket");
    EXPECT_EQ(parse_destination("syslog://log.example")->port, 514);
    EXPECT_EQ(parse_destination("syslog+tcp://log.example")->port, 601);
    EXPECT_EQ(parse_destination("syslog:")->path, "/dev/log");
    EXPECT_EQ(parse_destination("syslog:///run/log")->path, "/run/log");
    EXPECT_EQ(parse_destination("console:")->path, "/dev/console");
    EXPECT_EQ(parse_destination("console:///dev/ttyS0")->path, "/dev/ttyS0");
}

TEST(HttpHeaders, OnlyWellFormedOnesThatAreNotOurs) {
    EXPECT_TRUE(check_header("X-Team: storage"));
    for (const char* bad : {"", "X-Team", ": x", "X Team: x", "X-Team:", "X-Team: a\r\nEvil: b", "Content-Length: 3",
                            "host: elsewhere", "X-Flightrec-Incident: 1"})
        EXPECT_FALSE(check_header(bad)) << bad;
}

TEST(Proxy, MustBeAPlainHostAndPort) {
    std::string host;
    uint16_t port = 0;
    ASSERT_TRUE(parse_proxy("http://proxy.example:8080", host, port));
    EXPECT_EQ(host, "proxy.example");
    EXPECT_EQ(port, 8080);
    for (const char* bad : {"proxy:8080", "socks5://p:1", "http://u:p@proxy:1", "http://proxy:1/path", "http://"})
        EXPECT_FALSE(parse_proxy(bad, host, port)) << bad;
}

}  // namespace
}  // namespace flightrec::ship::test
