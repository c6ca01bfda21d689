// SPDX-License-Identifier: Apache-2.0
// Buffered writing of what the renderers made.
#include "userspace/replay/output.h"

#include <unistd.h>

#include <cerrno>

namespace flightrec::replay {

void Output::commit(bool now) {
    if (buffer_.size() < flush_at && !now) return;
    std::string_view rest = buffer_;
    while (open_ && !rest.empty()) {
        const ssize_t n = ::write(fd_, rest.data(), rest.size());
        if (n >= 0) {
            rest.remove_prefix(static_cast<size_t>(n));
        } else if (errno != EINTR) {
            open_ = false;
            if (errno != EPIPE) error_ = errno;
        }
    }
    buffer_.clear();
}

Result<void> Output::finish() {
    commit(true);
    if (error_ != 0) return fail_errno(error_, "cannot write the output");
    return {};
}

}  // namespace flightrec::replay
