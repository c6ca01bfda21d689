// SPDX-License-Identifier: Apache-2.0
// Distance between words (Damerau-Levenshtein, swaps of neighbours only).
#include "userspace/base/nearest.h"

#include <algorithm>
#include <vector>

namespace flightrec {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i)
        for (size_t j = 1; j <= b.size(); ++j) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.size()][b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> words) {
    constexpr size_t longest = 64;
    if (word.empty() || word.size() > longest) return {};
    size_t best = word.size() <= 4 ? 1 : word.size() / 3;
    std::string_view out;
    for (const auto candidate : words) {
        if (candidate.empty() || candidate.size() > longest) continue;
        const size_t apart = distance(word, candidate);
        if (apart > best || (apart == best && !out.empty())) continue;
        best = apart;
        out = candidate;
    }
    return out;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> words) {
    const auto found = nearest(word, words);
    return found.empty() ? std::string{} : "; did you mean " + std::string(found) + "?";
}

}  // namespace flightrec
