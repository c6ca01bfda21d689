// SPDX-License-Identifier: Apache-2.0
// Writing JSON by appending to a string: no tree, no allocation once the string has grown. RFC 8259.
#pragma once

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
        separate();
        out_ += '"';
        out_ += name;
        out_ += "\":";
        first_ = true;  // the value needs no comma before it
        return *this;
    }
    void text(std::string_view value) {
        separate();
        append_json_string(out_, value);
    }
    template <std::integral T>
    void number(T value) {
        separate();
        char digits[24];
        out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
    void hex(uint64_t value) {
        separate();
        char digits[16];
        out_ += "\"0x";
        out_.append(digits, std::to_chars(digits, digits + sizeof digits, value, 16).ptr);
        out_ += '"';
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
