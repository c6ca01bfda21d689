// SPDX-License-Identifier: Apache-2.0
// Writing, reading and checking summaries.
#include "userspace/flight/block_summary.h"

#include "userspace/flight/block.h"
#include "userspace/flight/bytes.h"

namespace flightrec::flight {
namespace {

constexpr size_t frame_header = 2 * sizeof(uint32_t);

// Of a block's header what the block's encoder knows, so that a summary belongs to one block alone.
uint64_t summary_hash(const fr_block_header& header, std::span<const std::byte> content) {
    const std::array<uint64_t, 4> block{header.events, header.first_ns, header.last_ns, header.raw_size};
    return hash64(std::as_bytes(std::span(block)), content);
}

// A list that a damaged or made-up count cannot make us allocate for: every element takes a byte at least.
bool count_of(ByteStream& in, uint64_t most, uint64_t& count) {
    count = in.varint();
    return !in.bad() && count <= most && count <= in.left();
}

bool read_lists(ByteStream& in, BlockSummary& out) {
    uint64_t count = 0;
    if (!count_of(in, max_numbers, count)) return false;
    out.numbers.reserve(count);
    for (; count > 0; --count) {
        const uint64_t number = in.varint();
        if (number > 0xffffffff) return false;
        out.numbers.push_back(static_cast<uint32_t>(number));
    }
    if (!count_of(in, 4095, count)) return false;
    out.errors.reserve(count);
    for (; count > 0; --count) {
        const uint64_t error = in.varint();
        if (error == 0 || error > 4095 || (!out.errors.empty() && error <= out.errors.back())) return false;
        out.errors.push_back(static_cast<uint16_t>(error));
    }
    if (!count_of(in, max_threads, count)) return false;
    out.threads.reserve(count);
    uint64_t tid = 0;
    for (; count > 0; --count) {
        tid += unzigzag(in.varint());
        const uint64_t pid = tid + unzigzag(in.varint());
        if (tid > 0xffffffff || pid > 0xffffffff) return false;
        out.threads.push_back({static_cast<uint32_t>(tid), static_cast<uint32_t>(pid)});
    }
    return !in.bad() && in.left() == 0;
}

}  // namespace

size_t summary_size(std::span<const std::byte> payload) {
    std::array<uint32_t, 2> frame;
    if (payload.size() < sizeof frame) return 0;
    std::memcpy(frame.data(), payload.data(), sizeof frame);
    if (frame[0] != FR_SUMMARY_MAGIC || frame[1] > FR_SUMMARY_MAX || frame[1] > payload.size() - sizeof frame) return 0;
    return sizeof frame + frame[1];
}

std::optional<BlockSummary> read_summary(const fr_block_header& header, std::span<const std::byte> payload) {
    const size_t size = summary_size(payload);
    if (header.kind != FR_BLOCK_SYSCALLS || header.codec != FR_CODEC_ZSTD || size < frame_header + sizeof(uint64_t))
        return std::nullopt;
    const auto content = payload.subspan(frame_header, size - frame_header - sizeof(uint64_t));
    uint64_t hash = 0;
    std::memcpy(&hash, content.data() + content.size(), sizeof hash);
    if (summary_hash(header, content) != hash) return std::nullopt;
    ByteStream in(content);
    if (in.u8() != FR_SUMMARY_VERSION) return std::nullopt;
    BlockSummary out;
    out.flags = in.u8();
    out.longest_ns = in.varint();
    if (!read_lists(in, out)) return std::nullopt;
    return out;
}

size_t SummaryCounts::write(const fr_block_header& header, SyscallModel& model, std::span<uint8_t> to) const {
    uint8_t* at = to.data() + frame_header;
    const uint8_t* const end = to.data() + summary_bound - sizeof(uint64_t) - 2 * varint_max;  // room for one more
    *at++ = FR_SUMMARY_VERSION;
    *at++ = flags_;
    at = put_varint(at, longest_ns_);
    at = put_varint(at, model.numbers());
    for (uint32_t i = 0; i < model.numbers(); ++i) {
        if (at > end) return 0;
        at = put_varint(at, model.number(i).nr);
    }
    size_t errors = 0;
    for (const uint64_t word : errors_) errors += static_cast<size_t>(std::popcount(word));
    at = put_varint(at, errors);
    for (size_t i = 0; i < errors_.size(); ++i)
        for (uint64_t word = errors_[i]; word != 0; word &= word - 1) {
            if (at > end) return 0;
            at = put_varint(at, i * 64 + static_cast<size_t>(std::countr_zero(word)));
        }
    if (at > end) return 0;
    at = put_varint(at, model.threads());
    uint32_t before = 0;
    for (uint32_t i = 0; i < model.threads(); ++i) {
        if (at > end) return 0;
        const ThreadState& t = model.thread(i);
        at = put_varint(at, zigzag(uint64_t{t.tid} - before));
        at = put_varint(at, zigzag(uint64_t{t.pid} - t.tid));
        before = t.tid;
    }
    if (at > end) return 0;
    const std::span content(to.data() + frame_header, at);
    const uint64_t hash = summary_hash(header, std::as_bytes(content));
    std::memcpy(at, &hash, sizeof hash);
    const std::array<uint32_t, 2> frame{FR_SUMMARY_MAGIC, static_cast<uint32_t>(content.size() + sizeof hash)};
    std::memcpy(to.data(), frame.data(), sizeof frame);
    return frame_header + content.size() + sizeof hash;
}

bool SummaryCounts::equals(const BlockSummary& summary, SyscallModel& model) const {
    if (summary.flags != flags_ || summary.longest_ns != longest_ns_ || summary.numbers.size() != model.numbers() ||
        summary.threads.size() != model.threads())
        return false;
    for (uint32_t i = 0; i < model.numbers(); ++i)
        if (summary.numbers[i] != model.number(i).nr) return false;
    for (uint32_t i = 0; i < model.threads(); ++i)
        if (summary.threads[i] != BlockSummary::Thread{model.thread(i).tid, model.thread(i).pid}) return false;
    std::array<uint64_t, 64> errors{};
    for (const uint16_t error : summary.errors) errors[error / 64] |= uint64_t{1} << (error % 64);
    return errors == errors_;
}

}  // namespace flightrec::flight
