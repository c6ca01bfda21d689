// SPDX-License-Identifier: Apache-2.0
// Adding blobs to a record under construction.
#include "userspace/flight/event_builder.h"

namespace flightrec::flight {

void EventBuilder::blob(uint8_t kind, std::string_view text, uint8_t flags) {
    if (size_ + sizeof(fr_blob) + FR_EVENT_ALIGN > buffer_.size()) {
        head().flags |= FR_EVENT_TRUNCATED;  // not even an empty blob has room
        return;
    }
    const size_t room = buffer_.size() - size_ - sizeof(fr_blob);
    if (text.size() > room) {
        text = text.substr(0, room);
        flags |= FR_BLOB_CUT;
    }
    if (flags & FR_BLOB_CUT) head().flags |= FR_EVENT_TRUNCATED;
    const fr_blob blob{static_cast<__u16>(text.size()), kind, flags};
    const size_t whole = (sizeof blob + text.size() + FR_EVENT_ALIGN - 1) & ~size_t{FR_EVENT_ALIGN - 1};
    std::memset(buffer_.data() + size_, 0, whole);
    std::memcpy(buffer_.data() + size_, &blob, sizeof blob);
    if (!text.empty()) std::memcpy(buffer_.data() + size_ + sizeof blob, text.data(), text.size());
    size_ += whole;
    finish();
}

}  // namespace flightrec::flight
