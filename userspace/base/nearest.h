// SPDX-License-Identifier: Apache-2.0
// What a user may have meant by a word that is misspelt.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace flightrec {

// The nearest of `words` by changed, missing, added and swapped letters, capitals apart; "" when none is near: at most
// one letter in three may differ, one in words of up to four. Of several equally near the first.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> words);
// "; did you mean X?", "" when none is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> words);

}  // namespace flightrec
