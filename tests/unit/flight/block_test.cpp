// SPDX-License-Identifier: Apache-2.0
// EVENTS blocks: what goes in comes out.
#include "tests/unit/flight/support.h"

namespace flightrec::flight::test {
namespace {

TEST(EventBlock, RecordsComeBackInTimeOrderWithTheirCpu) {
    auto encoder = value_of(EventBlockEncoder::make(1 << 20));
    Random random(1);
    std::vector<std::pair<Bytes, uint16_t>> in;
    for (int i = 0; i < 2000; ++i) {
        Bytes r = random_bytes(random, sizeof(fr_event) + 8 * (random() % 40));
        fr_event head;
        std::memcpy(&head, r.data(), sizeof head);
        head.time_ns = random() % 500;  // many ties
        std::memcpy(r.data(), &head, sizeof head);
        in.emplace_back(r, static_cast<uint16_t>(random()));
        ASSERT_TRUE(encoder.add(r, in.back().second));
    }
    const auto block = keep(encoder.finish());
    EXPECT_TRUE(encoder.empty());
    EXPECT_EQ(block.header.events, in.size());
    EXPECT_EQ(block.header.kind, FR_BLOCK_EVENTS);
    EXPECT_LE(block.payload.size(), encoder.payload_bound());
    const auto time = [](const Bytes& r) {
        fr_event head;
        std::memcpy(&head, r.data(), sizeof head);
        return head.time_ns;
    };
    std::stable_sort(in.begin(), in.end(), [&](auto& a, auto& b) { return time(a.first) < time(b.first); });
    EXPECT_EQ(block.header.first_ns, time(in.front().first));
    EXPECT_EQ(block.header.last_ns, time(in.back().first));
    BlockDecoder decoder;
    const auto out = value_of(decoder.decode(block.header, block.payload, fixed_sizes()));
    ASSERT_EQ(out.size(), in.size());
    for (size_t i = 0; i < in.size(); ++i) {
        EXPECT_EQ(copy(out[i]), stored(in[i].first)) << i;
        EXPECT_EQ(out[i].cpu, in[i].second) << i;
    }
}

TEST(EventBlock, FullBlockRefusesAndGoesOnAfterFinish) {
    auto encoder = value_of(EventBlockEncoder::make(FR_EVENT_MAX + 8));
    const Bytes large(FR_EVENT_MAX, std::byte{1});
    EXPECT_TRUE(encoder.add(large, 0));
    EXPECT_FALSE(encoder.add(large, 0));
    EXPECT_EQ(encoder.finish().header.events, 1u);
    EXPECT_TRUE(encoder.add(large, 0));
}

TEST(EventBlock, RecordOfAnImpossibleSizeIsRefused) {
    auto encoder = value_of(EventBlockEncoder::make(1 << 20));
    EXPECT_FALSE(encoder.add(Bytes(24), 0));
    EXPECT_FALSE(encoder.add(Bytes(36), 0));
    EXPECT_FALSE(encoder.add(Bytes(FR_EVENT_MAX + 8), 0));
    EXPECT_TRUE(encoder.empty());
}

TEST(EventBlock, CountsEventsByClass) {
    auto encoder = value_of(EventBlockEncoder::make(1 << 20));
    ASSERT_TRUE(encoder.add(marker(5), 0));
    ASSERT_TRUE(encoder.add(marker(4), 0));
    EXPECT_EQ(encoder.by_class()[FR_CLASS_MARKER], 2u);
    EXPECT_EQ(encoder.finish().by_class[FR_CLASS_MARKER], 2u);
    EXPECT_EQ(encoder.by_class()[FR_CLASS_MARKER], 0u);
}

TEST(EventBlock, BadPayloadIsAnErrorNeverMore) {
    auto encoder = value_of(EventBlockEncoder::make(1 << 16));
    for (uint64_t i = 0; i < 20; ++i) ASSERT_TRUE(encoder.add(marker(i, "some text"), 0));
    const auto block = keep(encoder.finish());
    BlockDecoder decoder;
    const auto decode = [&](fr_block_header h, std::span<const std::byte> payload) {
        return decoder.decode(h, payload, fixed_sizes());
    };
    ASSERT_TRUE(decode(block.header, block.payload).has_value());
    auto h = block.header;
    h.raw_size = FR_BLOCK_RAW_MAX + 1;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::corrupt);
    h = block.header;
    h.raw_size -= 8;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::corrupt);
    h = block.header;
    h.events = 0xffffffff;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::corrupt);
    h.events = block.header.events + 1;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::corrupt);
    h.events = block.header.events - 8;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::corrupt);
    h = block.header;
    h.codec = 9;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::unsupported);
    h = block.header;
    h.kind = 9;
    EXPECT_EQ(decode(h, block.payload).error().code, Code::unsupported);
    for (size_t n = 0; n < block.payload.size(); ++n) {
        h = block.header;
        h.stored_size = static_cast<__u32>(n);
        EXPECT_FALSE(decode(h, std::span(block.payload).first(n)).has_value()) << n;
    }
}

}  // namespace
}  // namespace flightrec::flight::test
