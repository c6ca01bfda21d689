// SPDX-License-Identifier: Apache-2.0
// Writing JSON by appending to a string: no tree, no allocation once the string has grown. RFC 8259.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstring>
#include <string>
#include <string_view>

#include "schemas/flightrec/event.h"
#include "userspace/base/text.h"

namespace flightrec::replay {

// Objects and arrays may be nested; the caller closes what it opens. Keys are literals that need no escaping. What is
// written stands in the string when the outermost object is closed, after flush() and at the end of the JsonLine's
// life; in between the string is not to be touched.
class JsonLine {
  public:
    explicit JsonLine(std::string& out) : out_(out) {}
    JsonLine(const JsonLine&) = delete;
    JsonLine& operator=(const JsonLine&) = delete;
    ~JsonLine() { flush(); }

    void open(char bracket = '{') {
        ++depth_;
        char* at = room(2);
        separate(at);
        *at++ = bracket;
        at_ = at;
        first_ = true;
    }
    void close(char bracket = '}') {
        *room(1) = bracket;
        ++at_;
        first_ = false;
        if (--depth_ <= 0) flush();
    }
    JsonLine& key(std::string_view name) {
        char* at = room(name.size() + 4);
        separate(at);
        *at++ = '"';
        std::memcpy(at, name.data(), name.size());
        at += name.size();
        *at++ = '"';
        *at++ = ':';
        at_ = at;
        first_ = true;  // the value needs no comma before it
        return *this;
    }
    void text(std::string_view value) {
        char* at = room(value.size() + 3);
        separate(at);
        if (is_json_plain(value)) {
            *at++ = '"';
            at = std::copy(value.begin(), value.end(), at);
            *at++ = '"';
            at_ = at;
            return;
        }
        at_ = at;
        flush();
        append_json_string(out_, value);
    }
    // A text that render(std::string&) appends: in its place at once, if nothing of it needs escaping.
    template <class Render>
    void rendered(Render&& render) {
        char* at = room(2);
        separate(at);
        *at++ = '"';
        at_ = at;
        flush();
        const size_t begin = out_.size();
        render(out_);
        if (is_json_plain(std::string_view(out_).substr(begin))) {
            out_ += '"';
            return;
        }
        const std::string text = out_.substr(begin);
        out_.resize(begin - 1);
        append_json_string(out_, text);
    }
    template <std::integral T>
    void number(T value) {
        char* at = room(24);
        separate(at);
        at_ = std::to_chars(at, at + 22, value).ptr;
    }
    void hex(uint64_t value) {
        char* at = room(24);
        separate(at);
        for (const char c : {'"', '0', 'x'}) *at++ = c;
        at = std::to_chars(at, at + 16, value, 16).ptr;
        *at++ = '"';
        at_ = at;
    }
    void boolean(bool value) { raw(value ? "true" : "false"); }
    void null() { raw("null"); }
    void raw(std::string_view value) {
        char* at = room(value.size() + 1);
        separate(at);
        at_ = std::copy(value.begin(), value.end(), at);
    }
    // What was written so far stands in the string, to which the caller may append.
    std::string& flush() {
        if (at_ != nullptr) out_.resize(static_cast<size_t>(at_ - out_.data()));
        at_ = limit_ = nullptr;
        return out_;
    }

    // Fields.
    void text(std::string_view name, std::string_view value) { key(name).text(value); }
    template <std::integral T>
    void number(std::string_view name, T value) {
        key(name).number(value);
    }
    void hex(std::string_view name, uint64_t value) { key(name).hex(value); }
    void boolean(std::string_view name, bool value) { key(name).boolean(value); }
    // null where it was not known, "max" where there is no limit.
    void sample(std::string_view name, uint64_t value) {
        key(name);
        if (value == FR_UNKNOWN)
            null();
        else if (value == FR_NO_LIMIT)
            text("max");
        else
            number(value);
    }

  private:
    // Where the next n bytes go.
    char* room(size_t n) {
        if (static_cast<size_t>(limit_ - at_) < n) [[unlikely]]
            grow(n);
        return at_;
    }
    void grow(size_t n) {
        flush();
        const size_t used = out_.size();
        out_.resize_and_overwrite(used + n + 512, [](char*, size_t size) { return size; });
        at_ = out_.data() + used;
        limit_ = out_.data() + out_.size();
    }
    void separate(char*& at) {
        *at = ',';
        at += first_ ? 0 : 1;
        first_ = false;
    }
    std::string& out_;
    char* at_ = nullptr;  // nullptr: all is in the string
    char* limit_ = nullptr;
    int depth_ = 0;
    bool first_ = true;
};

}  // namespace flightrec::replay
