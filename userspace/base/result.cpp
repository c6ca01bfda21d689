// SPDX-License-Identifier: Apache-2.0
#include "userspace/base/result.h"

#include <cerrno>
#include <cstring>

namespace flightrec {

Error Error::within(std::string_view context) const { return {code, std::string(context) + ": " + message, sys_errno}; }

std::unexpected<Error> fail(Code code, std::string message) {
    return std::unexpected(Error{code, std::move(message), 0});
}

Code code_of_errno(int err) {
    switch (err) {
        case ENOENT:
        case ENOTDIR:
        case ESRCH: return Code::not_found;
        case EPERM:
        case EACCES:
        case EROFS: return Code::permission;
        case ENOSPC:
        case EDQUOT:
        case ENOMEM:
        case EFBIG: return Code::no_space;
        case EBUSY:
        case EWOULDBLOCK:
        case EADDRINUSE: return Code::busy;
        case EOPNOTSUPP:
        case ENOSYS: return Code::unsupported;
        case ECONNREFUSED:
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ETIMEDOUT:
        case ECONNRESET: return Code::network;
        case EINTR: return Code::interrupted;
        case EINVAL:
        case ENAMETOOLONG: return Code::usage;
        default: return Code::io;
    }
}

std::unexpected<Error> fail_errno(int err, std::string message) {
    char buffer[128];
    // GNU strerror_r: returns the text, which need not stand in the buffer.
    const char* text = strerror_r(err, buffer, sizeof buffer);
    return std::unexpected(Error{code_of_errno(err), std::move(message) + ": " + text, err});
}

}  // namespace flightrec
