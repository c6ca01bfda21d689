// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or an Error that says what was attempted and why it failed.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace flightrec {

// What kind of failure; the exit codes of the command line tool follow from it (docs/exit-codes.md).
enum class Code {
    internal,     // a broken promise of our own
    usage,        // an option, argument or configuration value that makes no sense
    not_found,    // a file, process or recorder that is not there
    permission,   // a missing privilege or capability
    unsupported,  // the kernel or the file is of a kind or version this build cannot use
    corrupt,      // a file is damaged
    io,           // reading or writing failed
    network,      // a remote side could not be reached or refused
    busy,         // somebody else holds it: a second recorder, a locked window
    no_space,     // disk or memory limit
    interrupted,  // stopped by a signal
};

struct Error {
    Code code = Code::internal;
    std::string message;  // one line, lower case start, no final stop: "cannot open /x: Permission denied"
    int sys_errno = 0;    // 0 where no system call failed

    // The same error with what the caller attempted in front: "context: message".
    [[nodiscard]] Error within(std::string_view context) const;
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] std::unexpected<Error> fail(Code code, std::string message);
// Adds ": strerror(err)" to message and picks a code that fits err.
[[nodiscard]] std::unexpected<Error> fail_errno(int err, std::string message);
[[nodiscard]] Code code_of_errno(int err);

}  // namespace flightrec

// Returns the error of a Result from the enclosing function, else goes on.
#define FR_TRY(expr)                                                       \
    do {                                                                   \
        auto fr_try_result = (expr);                                       \
        if (!fr_try_result) return std::unexpected(fr_try_result.error()); \
    } while (false)

#define FR_CONCAT_(a, b) a##b
#define FR_CONCAT(a, b) FR_CONCAT_(a, b)
// FR_ASSIGN(auto file, open(path)): declares or assigns the value, or returns the error.
#define FR_ASSIGN(lhs, expr)                                                                                          \
    auto FR_CONCAT(fr_assign_, __LINE__) = (expr);                                                                    \
    if (!FR_CONCAT(fr_assign_, __LINE__)) return std::unexpected(std::move(FR_CONCAT(fr_assign_, __LINE__)).error()); \
    lhs = *std::move(FR_CONCAT(fr_assign_, __LINE__))  // NOLINT(bugprone-macro-parentheses): lhs may declare
