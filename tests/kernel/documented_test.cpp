// SPDX-License-Identifier: Apache-2.0
// docs/recorded-facts.md lists every capability with its variants and what is lost, in doctor's own words.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "userspace/kernel/capabilities.h"

namespace flightrec::kernel {
namespace {

TEST(Documented, EveryVariantAndWhatItLosesAsDoctorPrintsIt) {
    std::ifstream in(FLIGHTREC_SOURCE_DIR "/docs/recorded-facts.md");
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    ASSERT_FALSE(text.empty());
    for (const CapabilitySpec& spec : capability_specs()) {
        for (const Variant& v : spec.variants) {
            const std::string line =
                fmt::format("| {} | {} | {} | {} |\n", spec.name, describe(v), v.loses.empty() ? "" : v.loses,
                            &v == spec.variants.data() ? spec.without : "");
            EXPECT_NE(text.find(line), std::string::npos) << "missing: " << line;
        }
    }
}

}  // namespace
}  // namespace flightrec::kernel
