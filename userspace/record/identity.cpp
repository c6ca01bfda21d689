// SPDX-License-Identifier: Apache-2.0
#include "userspace/record/identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "userspace/base/handle.h"
#include "userspace/base/text.h"
#include "userspace/record/procfs.h"

namespace flightrec::record {
namespace {

constexpr size_t kFileMax = 65536;

// flightrec's application id (machine-id(5)): random, and the same for ever.
constexpr std::array<unsigned char, 16> kApplication{0x5c, 0x1e, 0x94, 0x3a, 0xd7, 0x06, 0x4b, 0x8f,
                                                     0xa2, 0x6d, 0x30, 0xe9, 0x71, 0xbc, 0x58, 0x04};

std::string hex(std::span<const unsigned char> bytes) {
    std::string out;
    for (const unsigned char b : bytes) out += fmt::format("{:02x}", b);
    return out;
}

// A small file's bytes; empty when it cannot be read.
std::string slurp(const std::string& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    std::string text(kFileMax, '\0');
    size_t have = 0;
    while (fd.valid() && have < text.size()) {
        const ssize_t n = ::read(fd.get(), text.data() + have, text.size() - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        have += static_cast<size_t>(n);
    }
    text.resize(have);
    return text;
}

// The first line of a file, blanks trimmed, safe to show.
std::string line_of(const std::string& path) {
    const std::string text = slurp(path);
    std::string_view line = text;
    line = take_until(line, '\n');
    while (!line.empty() && (line.back() == ' ' || line.back() == '\0')) line.remove_suffix(1);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    return printable(line);
}

void put(nlohmann::json& to, const char* key, std::string value) {
    if (!value.empty()) to[key] = std::move(value);
}

nlohmann::json read_os(const SystemPaths& paths) {
    std::string text = slurp(paths.root + "/etc/os-release");
    if (text.empty()) text = slurp(paths.root + "/usr/lib/os-release");
    const auto values = parse_os_release(text);
    auto os = nlohmann::json::object();
    static constexpr std::array<std::pair<const char*, const char*>, 9> keys{{{"ID", "id"},
                                                                              {"VERSION_ID", "version_id"},
                                                                              {"PRETTY_NAME", "pretty_name"},
                                                                              {"VERSION_CODENAME", "codename"},
                                                                              {"VARIANT_ID", "variant_id"},
                                                                              {"BUILD_ID", "build_id"},
                                                                              {"IMAGE_ID", "image_id"},
                                                                              {"IMAGE_VERSION", "image_version"},
                                                                              {"SYSEXT_LEVEL", "sysext_level"}}};
    for (const auto& [from, to] : keys)
        if (const auto found = values.find(from); found != values.end()) put(os, to, printable(found->second));
    return os;
}

nlohmann::json read_kernel(const SystemPaths& paths) {
    auto kernel = nlohmann::json::object();
    put(kernel, "release", line_of(paths.proc + "/sys/kernel/osrelease"));
    put(kernel, "version", line_of(paths.proc + "/sys/kernel/version"));
    put(kernel, "command_line", line_of(paths.proc + "/cmdline"));
    put(kernel, "build_id", build_id_of_notes(slurp(paths.sys + "/kernel/notes")));
    utsname name{};
    if (::uname(&name) == 0) put(kernel, "architecture", printable(name.machine));
    return kernel;
}

std::string provider_of(std::string_view vendor, std::string_view product, std::string_view chassis_tag) {
    const auto has = [](std::string_view text, std::string_view part) {
        return text.find(part) != std::string_view::npos;
    };
    if (has(vendor, "Amazon EC2")) return "aws";
    if (has(product, "Google Compute Engine")) return "gce";
    if (chassis_tag == "7783-7084-3265-9085-8269-3286-77") return "azure";  // "MSFT AZURE VM" as character codes
    if (has(vendor, "DigitalOcean")) return "digitalocean";
    if (has(vendor, "Hetzner")) return "hetzner";
    if (has(vendor, "OpenStack") || has(product, "OpenStack")) return "openstack";
    if (has(vendor, "Alibaba Cloud")) return "alibaba";
    if (has(chassis_tag, "OracleCloud")) return "oracle";
    return {};
}

// The cloud's name of this machine: what the configuration says, what cloud-init found, else what DMI tells.
nlohmann::json read_instance(const SystemPaths& paths, const std::string& configured) {
    const auto dmi = [&](const char* name) { return line_of(paths.sys + "/class/dmi/id/" + name); };
    auto instance = nlohmann::json::object();
    const std::string vendor = dmi("sys_vendor"), product = dmi("product_name");
    put(instance, "vendor", vendor);
    put(instance, "product", product);
    const std::string provider = provider_of(vendor, product, dmi("chassis_asset_tag"));
    put(instance, "provider", provider);
    const auto take = [&](std::string id, const char* source) {
        if (id.empty() || instance.contains("id")) return;
        instance["id"] = std::move(id);
        instance["source"] = source;
    };
    take(printable(configured), "configuration");
    take(line_of(paths.root + "/var/lib/cloud/data/instance-id"), "cloud-init");
    if (const std::string tag = dmi("board_asset_tag"); tag.starts_with("i-")) take(tag, "dmi board_asset_tag");
    if (provider == "digitalocean" || provider == "hetzner") take(dmi("product_serial"), "dmi product_serial");
    take(dmi("product_uuid"), "dmi product_uuid");
    return instance;
}

}  // namespace

std::string hashed_machine_id(std::string_view machine_id) {
    std::array<unsigned char, 16> key{};
    if (machine_id.size() < 32) return {};
    for (size_t i = 0; i < key.size(); ++i) {
        uint64_t byte = 0;
        for (const char c : machine_id.substr(i * 2, 2)) {
            const auto digit = std::string_view("0123456789abcdef").find(c);
            if (digit == std::string_view::npos) return {};
            byte = byte * 16 + digit;
        }
        key[i] = static_cast<unsigned char>(byte);
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), kApplication.data(), kApplication.size(),
               digest.data(), &size) == nullptr)
        return {};
    digest[6] = static_cast<unsigned char>((digest[6] & 0x0f) | 0x40);
    digest[8] = static_cast<unsigned char>((digest[8] & 0x3f) | 0x80);
    return hex(std::span(digest).first(16));
}

std::map<std::string, std::string> parse_os_release(std::string_view text) {
    std::map<std::string, std::string> out;
    while (!text.empty()) {
        std::string_view line = take_until(text, '\n');
        if (line.empty() || line[0] == '#' || line.find('=') == std::string_view::npos) continue;
        const std::string key(take_until(line, '='));
        const char quote = line.size() >= 2 && (line[0] == '"' || line[0] == '\'') ? line[0] : '\0';
        std::string value;
        for (size_t i = quote != '\0' ? 1 : 0; i < line.size() && (quote == '\0' || line[i] != quote); ++i) {
            if (line[i] == '\\' && quote != '\'' && i + 1 < line.size()) ++i;
            value += line[i];
        }
        out[key] = std::move(value);
    }
    return out;
}

std::string build_id_of_notes(std::string_view notes) {
    constexpr uint32_t kGnuBuildId = 3;  // NT_GNU_BUILD_ID
    const auto padded = [](uint32_t n) { return (size_t{n} + 3) & ~size_t{3}; };
    while (notes.size() >= 12) {
        std::array<uint32_t, 3> head;  // name size, descriptor size, type
        std::memcpy(head.data(), notes.data(), sizeof head);
        notes.remove_prefix(sizeof head);
        const size_t name = padded(head[0]), descriptor = padded(head[1]);
        if (name + descriptor > notes.size()) return {};
        if (head[2] == kGnuBuildId && notes.substr(0, head[0]) == std::string_view("GNU\0", 4)) {
            const std::string_view id = notes.substr(name, head[1]);
            return hex({reinterpret_cast<const unsigned char*>(id.data()), id.size()});
        }
        notes.remove_prefix(name + descriptor);
    }
    return {};
}

Result<std::pair<std::string, std::string>> parse_label(std::string_view text) {
    const size_t equals = text.find('=');
    const auto refuse = [&](const char* why) {
        return fail(Code::usage,
                    fmt::format("label \"{}\" {}: give it as KEY=VALUE", printable(text.substr(0, 80)), why));
    };
    if (equals == std::string_view::npos) return refuse("has no \"=\"");
    const std::string_view key = text.substr(0, equals), value = text.substr(equals + 1);
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto in_key = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'; };
    if (key.empty() || key.size() > 63 || !letter(key[0]) || !std::all_of(key.begin(), key.end(), in_key))
        return refuse("needs a key of at most 63 letters, digits, \".\", \"_\" and \"-\" that begins with a letter");
    if (value.size() > 255) return refuse("has a value of more than 255 bytes");
    if (printable(value) != value) return refuse("has a value with control characters or invalid UTF-8");
    return std::pair{std::string(key), std::string(value)};
}

nlohmann::json read_identity(const SystemPaths& paths, const IdentityInput& input) {
    auto out = nlohmann::json::object();
    put(out, "hostname", line_of(paths.proc + "/sys/kernel/hostname"));
    std::string machine_id = slurp(paths.root + "/etc/machine-id");
    put(out, "machine_id", hashed_machine_id(machine_id));
    put(out, "boot_id", line_of(paths.proc + "/sys/kernel/random/boot_id"));
    out["os"] = read_os(paths);
    out["kernel"] = read_kernel(paths);
    if (auto instance = read_instance(paths, input.instance_id); !instance.empty()) out["instance"] = instance;
    out["cpus"] = {{"online", ::sysconf(_SC_NPROCESSORS_ONLN)}, {"configured", ::sysconf(_SC_NPROCESSORS_CONF)}};
    const std::string cpuinfo = slurp(paths.proc + "/cpuinfo");
    if (size_t at = cpuinfo.find("model name"); at != std::string::npos) {
        std::string_view line = std::string_view(cpuinfo).substr(at);
        line = take_until(line, '\n');
        take_until(line, ':');
        put(out["cpus"], "model", printable(line.substr(std::min(line.find_first_not_of(' '), line.size()))));
    }
    if (const auto kib = value_of(slurp(paths.proc + "/meminfo"), "MemTotal:")) out["memory_bytes"] = *kib * 1024;
    out["page_size"] = ::sysconf(_SC_PAGESIZE);
    out["recorder"] = {{"version", printable(input.recorder_version)}};
    put(out["recorder"], "config_hash", input.config_hash);
    if (!input.labels.empty()) out["labels"] = input.labels;
    return out;
}

}  // namespace flightrec::record
