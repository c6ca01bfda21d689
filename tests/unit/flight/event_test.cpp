// SPDX-License-Identifier: Apache-2.0
// Looking at records and building them.
#include "tests/unit/flight/support.h"

namespace flightrec::flight::test {
namespace {

using namespace std::string_literals;

TEST(EventNames, EveryNameLeadsBackToItsClass) {
    for (uint8_t c = 1; c <= FR_CLASS_MODULE; ++c) {
        ASSERT_NE(class_name(c), "unknown") << int{c};
        EXPECT_EQ(class_of_name(class_name(c)), c);
        EXPECT_GE(fixed_size_of(c), sizeof(fr_event));
    }
    EXPECT_EQ(class_name(200), "unknown");
    EXPECT_FALSE(class_of_name("no such").has_value());
    EXPECT_FALSE(class_of_name("").has_value());
}

TEST(EventPath, ComponentsLeafFirstBecomeAPath) {
    EXPECT_EQ(path_from_components("ls\0bin\0usr\0"s), "/usr/bin/ls");
    EXPECT_EQ(path_from_components("ls\0bin\0\0"s), "…/bin/ls");
    EXPECT_EQ(path_from_components(""), "/");
    EXPECT_EQ(path_from_components("ls\0bi"s), "/bi/ls");
}

TEST(EventBuilder, BlobThatDoesNotFitIsCutAndSaysSo) {
    EventBuilder builder;
    builder.begin<fr_exec>(FR_CLASS_EXEC);
    builder.blob(FR_BLOB_FILENAME, "/bin/ls");
    builder.blob(FR_BLOB_ARGV, std::string(FR_EVENT_MAX, 'x'));
    builder.blob(FR_BLOB_CWD, "/");
    EXPECT_EQ(builder.bytes().size(), FR_EVENT_MAX);
    EventRef event{builder.bytes(), 0, sizeof(fr_exec)};
    EXPECT_EQ(event.head().size, builder.bytes().size());
    EXPECT_TRUE(event.head().flags & FR_EVENT_TRUNCATED);
    EXPECT_EQ(find_blob(event, FR_BLOB_FILENAME)->text, "/bin/ls");
    EXPECT_TRUE(find_blob(event, FR_BLOB_ARGV)->flags & FR_BLOB_CUT);
    EXPECT_FALSE(find_blob(event, FR_BLOB_CWD).has_value());
}

TEST(EventRef, FieldsTheWriterDidNotHaveAreZero) {
    const Bytes record = marker(1, "text", 7, 42);
    EventRef event{record, 0, offsetof(fr_marker, value)};
    EXPECT_EQ(event.as<fr_marker>().kind, 7u);
    EXPECT_EQ(event.as<fr_marker>().value[0], 0u);
}

TEST(BlobWalk, LengthBeyondTheRecordEndsTheWalk) {
    Bytes record = marker(1, "text");
    record[sizeof(fr_marker)] = std::byte{200};  // blob length
    EXPECT_FALSE(find_blob({record, 0, sizeof(fr_marker)}, FR_BLOB_TEXT).has_value());
}

}  // namespace
}  // namespace flightrec::flight::test
