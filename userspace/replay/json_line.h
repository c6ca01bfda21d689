// SPDX-License-Identifier: Apache-2.0
// Writing JSON by appending to a string: no tree, no allocation once the string has grown. RFC 8259.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

#include "schemas/flightrec/event.h"
#include "userspace/base/text.h"

namespace flightrec::replay {

// Objects and arrays may be nested; the caller closes what it opens. Keys are literals that need no escaping.
class JsonLine {
  public:
    explicit JsonLine(std::string& out) : out_(out) {}

    void open(char bracket = '{') {
        separate();
        out_ += bracket;
        first_ = true;
    }
    void close(char bracket = '}') {
        out_ += bracket;
        first_ = false;
    }
    JsonLine& key(std::string_view name) {
        out_.append(first_ ? "\"" : ",\"", first_ ? 1 : 2);
        out_ += name;
        out_.append("\":", 2);
        first_ = true;  // the value needs no comma before it
        return *this;
    }
    void text(std::string_view value) {
        const auto plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
        if (!std::all_of(value.begin(), value.end(), plain)) {
            separate();
            return append_json_string(out_, value);
        }
        out_.append(first_ ? "\"" : ",\"", first_ ? 1 : 2);
        first_ = false;
        out_ += value;
        out_ += '"';
    }
    template <std::integral T>
    void number(T value) {
        char digits[24];
        digits[0] = ',';
        char* end = std::to_chars(digits + 1, digits + sizeof digits, value).ptr;
        out_.append(digits + (first_ ? 1 : 0), end);
        first_ = false;
    }
    void hex(uint64_t value) {
        char digits[24] = {',', '"', '0', 'x'};
        char* end = std::to_chars(digits + 4, digits + sizeof digits, value, 16).ptr;
        *end++ = '"';
        out_.append(digits + (first_ ? 1 : 0), end);
        first_ = false;
    }
    void boolean(bool value) { raw(value ? "true" : "false"); }
    void null() { raw("null"); }
    void raw(std::string_view value) {
        separate();
        out_ += value;
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
    [[nodiscard]] std::string& out() { return out_; }

  private:
    void separate() {
        if (!first_) out_ += ',';
        first_ = false;
    }
    std::string& out_;
    bool first_ = true;
};

}  // namespace flightrec::replay
