// SPDX-License-Identifier: Apache-2.0
// Move-only owners of what C libraries and the kernel hand out.
#pragma once

#include <unistd.h>

#include <utility>

namespace flightrec {

// Owns one C handle. `Close` is a function that takes the handle; `Null` is the value that means "none".
template <class T, auto Close, T Null = T{}>
class Handle {
  public:
    Handle() = default;
    explicit Handle(T value) : value_(value) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    Handle(Handle&& other) noexcept : value_(std::exchange(other.value_, Null)) {}
    Handle& operator=(Handle&& other) noexcept {
        if (this != &other) reset(std::exchange(other.value_, Null));
        return *this;
    }
    ~Handle() { reset(); }

    [[nodiscard]] T get() const { return value_; }
    [[nodiscard]] bool valid() const { return value_ != Null; }
    [[nodiscard]] T release() { return std::exchange(value_, Null); }
    void reset(T value = Null) {
        if (value_ != Null) Close(value_);
        value_ = value;
    }

  private:
    T value_ = Null;
};

// A file descriptor. No implicit int: get() where a system call needs it.
// The closer has a name: a lambda here would give Fd, and every class with one, a different type per source file.
inline void close_fd(int fd) { ::close(fd); }
using Fd = Handle<int, &close_fd, -1>;

}  // namespace flightrec
