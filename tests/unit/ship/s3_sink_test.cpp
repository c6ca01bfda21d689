// SPDX-License-Identifier: Apache-2.0
// S3: the signature is checked by an independent implementation (server.py).
#include "userspace/ship/s3_sink.h"

#include <gmock/gmock.h>

#include "tests/unit/ship/support.h"
#include "userspace/ship/make_sink.h"

namespace flightrec::ship::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using Answer = Delivery::Answer;

const Cancel no_cancel;
constexpr const char* access_key = "AKIDEXAMPLE";
constexpr const char* secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

SinkOptions options_for(const Server& server, const std::filesystem::path& credentials) {
    SinkOptions options;
    options.s3.region = "eu-central-1";
    options.s3.endpoint = "http://127.0.0.1:" + std::to_string(server.port());
    options.s3.credentials_file = credentials;
    return options;
}

std::string credentials(const std::string& key, const std::string& extra = "") {
    return std::string("# ours\n[default]\naws_access_key_id = ") + access_key + "\naws_secret_access_key=" + key +
           "\n" + extra + "[other]\naws_access_key_id=no\n";
}

TEST(S3Sink, SignsSoThatTheStoreAccepts) {
    const TempDir tree;
    Server server({"s3", access_key, secret_key, "eu-central-1"});
    write_file(tree / "credentials", credentials(secret_key));
    const auto sink = sink_for("s3://my-bucket/dumps/{host}/", options_for(server, tree / "credentials"));
    const DumpFile dump = make_dump(tree / "spool", 1, 300'000);
    const auto delivery = sink->deliver(dump, no_cancel);
    const std::string line = server.line();
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_EQ(delivery->answer, Answer::accepted) << delivery->detail << line;
    EXPECT_EQ(line, "/my-bucket/dumps/web-1/" + dump.name + " good token=");
    EXPECT_THAT(sink->describe(), Not(HasSubstr(secret_key)));
}

TEST(S3Sink, ARenewedKeyAndSessionTokenAreTakenOver) {
    const TempDir tree;
    Server server({"s3", access_key, secret_key, "eu-central-1"});
    write_file(tree / "credentials", credentials("wrong"));
    const auto sink = sink_for("s3://my-bucket/", options_for(server, tree / "credentials"));
    const DumpFile dump = make_dump(tree / "spool", 1, 1000);
    auto delivery = sink->deliver(dump, no_cancel);
    ASSERT_TRUE(delivery);
    EXPECT_EQ(delivery->answer, Answer::refused);
    EXPECT_THAT(delivery->detail, HasSubstr("403: signature"));
    EXPECT_THAT(server.line(), HasSubstr("signature"));
    write_file(tree / "credentials", credentials(secret_key, "aws_session_token = abc/123==\n"));
    delivery = sink->deliver(dump, no_cancel);
    ASSERT_TRUE(delivery);
    EXPECT_EQ(delivery->answer, Answer::accepted);
    EXPECT_THAT(server.line(), HasSubstr("good token=abc/123=="));
}

TEST(S3Sink, NamesWithUnusualCharactersAreSignedToo) {
    const TempDir tree;
    Server server({"s3", access_key, secret_key, "eu-central-1"});
    write_file(tree / "credentials", credentials(secret_key));
    const auto sink = sink_for("s3://my-bucket/{host}/{name}", options_for(server, tree / "credentials"));
    DumpFile dump = make_dump(tree / "spool", 1, 1000);
    dump.incident.host = "Zürich ~ 1+1=2 (a*b)";
    const auto delivery = sink->deliver(dump, no_cancel);
    ASSERT_TRUE(delivery) << delivery.error().message;
    EXPECT_EQ(delivery->answer, Answer::accepted) << server.line();
}

TEST(S3Sink, BadSettingsAreToldAtStart) {
    const TempDir tree;
    const auto why = [&](const std::string& destination, const SinkOptions& options) {
        const auto sink = make_sink(*parse_destination(destination), options);
        EXPECT_FALSE(sink);
        return sink ? "" : sink.error().message;
    };
    for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}) unsetenv(name);
    SinkOptions options;
    EXPECT_THAT(why("s3://my-bucket/", options), HasSubstr("no credentials"));
    write_file(tree / "credentials", "[other]\naws_access_key_id=a\naws_secret_access_key=b\n");
    options.s3.credentials_file = tree / "credentials";
    EXPECT_THAT(why("s3://my-bucket/", options), HasSubstr("aws_access_key_id"));
    write_file(tree / "credentials", credentials(secret_key), 0644);
    EXPECT_THAT(why("s3://my-bucket/", options), HasSubstr("chmod 600"));
    write_file(tree / "credentials", credentials(secret_key));
    EXPECT_THAT(why("s3://my.bucket/", options), HasSubstr("dots"));
    options.s3.endpoint = "https://store.example/path";
    EXPECT_THAT(why("s3://my-bucket/", options), HasSubstr("endpoint"));
    options.s3.endpoint = "";
    options.s3.region = "eu:1";
    EXPECT_THAT(why("s3://my-bucket/", options), HasSubstr("region"));
}

}  // namespace
}  // namespace flightrec::ship::test
