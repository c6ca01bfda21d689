// SPDX-License-Identifier: Apache-2.0
// The list of undelivered dumps, in memory and on disk.
#include "userspace/ship/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <nlohmann/json.hpp>
#include <tuple>

#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/ship/spare.h"

namespace flightrec::ship {
namespace {

using nlohmann::json;

constexpr int state_version = 1;
constexpr size_t state_max = 256u << 10;
constexpr size_t set_aside_max = 16;
constexpr size_t held_max = 4;
constexpr std::string_view dump_suffix = ".flight";
constexpr std::string_view part_suffix = ".part";
constexpr const char* reserve_name = "reserve.part";
constexpr const char* counters_name = "spool.json";

struct Entry {
    DumpFile dump;
    uint64_t order = 0;  // of arrival
    std::vector<Standing> standings;
    Fd memory{};  // holds the dump when the disk did not take it
    Fd held{};    // the file on the disk, of the newest dumps: where nothing can be opened any more, they still leave
    [[nodiscard]] bool finished() const {
        return std::all_of(standings.begin(), standings.end(),
                           [](const Standing& s) { return s.state == DeliveryState::delivered; });
    }
};

const char* text_of(DeliveryState state) {
    switch (state) {
        case DeliveryState::pending: return "pending";
        case DeliveryState::delivered: return "delivered";
        case DeliveryState::refused: return "refused";
    }
    return "pending";
}

std::string state_name(std::string_view dump_name) {
    return std::string(dump_name.substr(0, dump_name.size() - dump_suffix.size())) + ".json";
}

// {"hash":"…","state":{…}}: the hash is XXH3-64 of the state as nlohmann::json writes it (keys sorted, no spaces).
std::string sealed(const json& state) {
    const std::string text = state.dump(-1, ' ', false, json::error_handler_t::replace);
    return fmt::format("{{\"hash\":\"{:016x}\",\"state\":{}}}\n", XXH3_64bits(text.data(), text.size()), text);
}

Result<json> unsealed(const std::string& bytes) {
    const json whole = json::parse(bytes, nullptr, false);
    if (!whole.is_object() || !whole.contains("state") || !whole.contains("hash") || !whole["hash"].is_string() ||
        !whole["state"].is_object())
        return fail(Code::corrupt, "it is not a state file");
    const json& state = whole["state"];
    const std::string text = state.dump(-1, ' ', false, json::error_handler_t::replace);
    if (whole["hash"].get_ref<const std::string&>() != fmt::format("{:016x}", XXH3_64bits(text.data(), text.size())))
        return fail(Code::corrupt, "its hash does not match");
    if (!state.contains("version") || state["version"] != state_version)
        return fail(Code::unsupported, "it is of another version");
    return state;
}

std::string text_at(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

uint64_t number_at(const json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number_unsigned() ? at->get<uint64_t>() : 0;
}

json state_of(const Entry& entry, const std::vector<std::string>& sinks) {
    const auto& incident = entry.dump.incident;
    json out{{"version", state_version},
             {"name", entry.dump.name},
             {"realtime_ns", incident.realtime_ns},
             {"host", printable(incident.host)},
             {"reason", printable(incident.reason)},
             {"summary", printable(incident.summary)},
             {"facts", json::array()},
             {"labels", json::object()},
             {"size", entry.dump.size},
             {"hash", fmt::format("{:016x}", entry.dump.hash)},
             {"sinks", json::object()}};
    for (const auto& fact : incident.facts) out["facts"].push_back(printable(fact));
    for (const auto& [key, value] : incident.labels) out["labels"][printable(key)] = printable(value);
    for (size_t i = 0; i < sinks.size(); ++i) {
        const auto& standing = entry.standings[i];
        out["sinks"][printable(sinks[i])] = {{"state", text_of(standing.state)},
                                             {"attempts", standing.attempts},
                                             {"last_error", printable(standing.last_error)}};
    }
    return out;
}

// What a state file says about a dump; `entry.dump` has name, path, size and the incident its name tells.
Result<void> read_state(const std::string& bytes, const std::vector<std::string>& sinks, Entry& entry) {
    FR_ASSIGN(const json state, unsealed(bytes));
    if (text_at(state, "name") != entry.dump.name) return fail(Code::corrupt, "it is of another dump");
    auto& incident = entry.dump.incident;
    const std::string slug = incident.file_name();
    incident.realtime_ns = number_at(state, "realtime_ns");
    incident.reason = text_at(state, "reason");
    if (incident.file_name() != slug) return fail(Code::corrupt, "it contradicts the dump's name");
    incident.host = text_at(state, "host");
    incident.summary = text_at(state, "summary");
    for (const auto& fact : state.value("facts", json::array()))
        if (fact.is_string()) incident.facts.push_back(fact.get<std::string>());
    const json labels = state.contains("labels") ? state["labels"] : json::object();
    for (const auto& [key, value] : labels.items())
        if (value.is_string()) incident.labels.emplace_back(key, value.get<std::string>());
    if (number_at(state, "size") == entry.dump.size) {
        const std::string hash = text_at(state, "hash");
        std::from_chars(hash.data(), hash.data() + hash.size(), entry.dump.hash, 16);
    }
    const json standings = state.contains("sinks") ? state["sinks"] : json::object();
    for (size_t i = 0; i < sinks.size(); ++i) {
        const auto at = standings.find(printable(sinks[i]));
        if (at == standings.end() || !at->is_object()) continue;
        auto& standing = entry.standings[i];
        standing.last_error = text_at(*at, "last_error");
        // What was refused may have been put right meanwhile: pending again.
        if (text_at(*at, "state") == "delivered") standing.state = DeliveryState::delivered;
        if (text_at(*at, "state") == "pending") standing.attempts = static_cast<uint32_t>(number_at(*at, "attempts"));
    }
    return {};
}

}  // namespace

struct Spool::Impl {
    SpoolConfig config;
    std::vector<std::string> sinks;
    SecureDir dir;
    Fd lock;

    // Order: io before list. io: writing and removing files. list: what follows it. reserve: alone.
    std::mutex io;
    mutable std::mutex list;
    std::vector<Entry> entries;  // by order
    uint64_t next_order = 1;
    SpoolCounters counters;
    std::mutex reserve_mutex;
    Fd reserve;

    Impl(const SpoolConfig& c, std::vector<std::string> s, SecureDir d, Fd l)
        : config(c), sinks(std::move(s)), dir(std::move(d)), lock(std::move(l)) {
        entries.reserve(config.max_incidents + 1u);
    }

    Result<void> scan();
    std::optional<Entry> adopt(const SecureDir::Entry& file, size_t& bad);
    void read_counters();
    void write_counters();
    void add(Entry entry);
    void drop_surplus();
    void release_held();
    void remove_files(const std::string& dump_name);
    std::vector<Entry>::iterator find(const std::string& id) {
        return std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.dump.incident.id() == id; });
    }
    Result<Fd> take_reserve(const std::string& part);
    Result<Fd> open_part(const std::string& part, uint64_t expected_size);
    Result<Fd> open_memory(uint64_t expected_size);
};

struct SpoolWriter::Impl {
    Spool::Impl* spool = nullptr;
    DumpFile dump;
    std::string part;
    Fd fd;
    uint64_t written = 0;
    Handle<XXH3_state_t*, [](XXH3_state_t* s) { XXH3_freeState(s); }> hash;
    bool committed = false, in_memory = false;
    Result<DumpFile> commit_in_memory();

    ~Impl() {
        if (!committed && !in_memory) (void)spool->dir.remove(part);
    }
};

Result<DumpFile> SpoolWriter::Impl::commit_in_memory() {
    Entry entry{dump, 0, std::vector<Standing>(spool->sinks.size()), std::move(fd)};
    struct stat st {};
    if (fstat(entry.memory.get(), &st) != 0) return fail_errno(errno, "cannot look at a dump in memory");
    entry.dump.memory = entry.memory.get();
    entry.dump.memory_inode = st.st_ino;
    dump = entry.dump;
    const std::lock_guard io(spool->io);
    committed = true;
    spool->add(std::move(entry));
    spool->drop_surplus();
    return dump;
}

// ---- the writer ----------------------------------------------------------------------------------------------

SpoolWriter::SpoolWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SpoolWriter::SpoolWriter(SpoolWriter&&) noexcept = default;
SpoolWriter& SpoolWriter::operator=(SpoolWriter&&) noexcept = default;
SpoolWriter::~SpoolWriter() = default;

Result<void> SpoolWriter::write(std::span<const std::byte> bytes) {
    FR_TRY(write_all(impl_->fd.get(), bytes, impl_->written, impl_->part));
    XXH3_64bits_update(impl_->hash.get(), bytes.data(), bytes.size());
    impl_->written += bytes.size();
    return {};
}

uint64_t SpoolWriter::written() const { return impl_->written; }

Result<DumpFile> SpoolWriter::commit() {
    auto& w = *impl_;
    auto& spool = *w.spool;
    if (w.committed) return fail(Code::internal, "a dump was committed twice");
    w.dump.size = w.written;
    w.dump.hash = XXH3_64bits_digest(w.hash.get());
    if (w.written > spool.config.max_bytes)
        return fail(Code::no_space, fmt::format("the dump ({}) is larger than the spool may be ({}): raise its limit",
                                                format_bytes(w.written), format_bytes(spool.config.max_bytes)));
    if (w.in_memory) return w.commit_in_memory();
    if (ftruncate(w.fd.get(), static_cast<off_t>(w.written)) != 0 || fsync(w.fd.get()) != 0)
        return fail_errno(errno, fmt::format("cannot sync {}", printable(w.dump.path.string())));
    Entry entry{w.dump, 0, std::vector<Standing>(spool.sinks.size())};
    {
        const std::lock_guard io(spool.io);
        // The facts first: a dump without them would be adopted by its name alone. On a disk that is full to the last
        // block that is still better than no dump.
        if (auto facts = spool.dir.write(state_name(w.dump.name), sealed(state_of(entry, spool.sinks))); !facts)
            log::warning("{}", facts.error().message);
        FR_TRY(spool.dir.rename(w.part, w.dump.name));
        w.committed = true;
        FR_TRY(spool.dir.sync());
        struct stat st {};
        if (fstat(w.fd.get(), &st) == 0) {
            entry.dump.held = w.fd.get();
            entry.dump.held_inode = st.st_ino;
            entry.held = std::move(w.fd);
        }
        w.dump = entry.dump;
        spool.add(std::move(entry));
        spool.release_held();
        spool.drop_surplus();
    }
    return w.dump;
}

// ---- the list ------------------------------------------------------------------------------------------------

Spool::Spool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Spool::~Spool() {
    if (impl_->reserve.valid()) (void)impl_->dir.remove(reserve_name);
}

Result<std::unique_ptr<Spool>> Spool::open(const SpoolConfig& config, std::vector<std::string> sinks) {
    if (config.max_incidents == 0 || config.max_bytes == 0)
        return fail(Code::usage, "the spool must be allowed to hold at least one incident");
    if (config.reserve_bytes > config.max_bytes)
        return fail(Code::usage, fmt::format("the spool may hold {}, but one dump can have {}: raise the spool's limit",
                                             format_bytes(config.max_bytes), format_bytes(config.reserve_bytes)));
    auto opened = SecureDir::open(config.directory, SecureDir::Privacy::own);
    if (!opened) return std::unexpected(opened.error().within("spool"));
    Fd lock;
    if (auto existing = opened->open_file("lock", true)) {
        lock = std::move(*existing);
    } else {
        FR_ASSIGN(lock, opened->create("lock"));
    }
    if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return fail(Code::busy, fmt::format("another recorder uses the spool {}: give this one its own",
                                            printable(opened->path().string())));
    auto impl = std::make_unique<Impl>(config, std::move(sinks), std::move(*opened), std::move(lock));
    impl->read_counters();
    FR_TRY(impl->scan());
    {
        const std::lock_guard io(impl->io);
        impl->drop_surplus();
    }
    std::unique_ptr<Spool> spool(new Spool(std::move(impl)));
    spool->renew_reserve();
    if (config.reserve_bytes > 0 && !spool->counters().reserve_ready)
        log::warning("the spool {} has no room to reserve {} for the next dump", printable(config.directory.string()),
                     format_bytes(config.reserve_bytes));
    return spool;
}

Result<void> Spool::Impl::scan() {
    FR_ASSIGN(const auto files, dir.files());
    size_t bad = static_cast<size_t>(
        std::count_if(files.begin(), files.end(), [](const auto& f) { return f.name.ends_with(".json.bad"); }));
    const auto exists = [&](const std::string& name) {
        return std::any_of(files.begin(), files.end(), [&](const auto& f) { return f.name == name; });
    };
    std::vector<Entry> found;
    for (const auto& file : files) {
        if (file.name.ends_with(part_suffix)) {
            if (file.name.ends_with(".flight.part")) ++counters.interrupted;
            FR_TRY(dir.remove(file.name));
        } else if (file.name.ends_with(dump_suffix)) {
            if (auto entry = adopt(file, bad)) found.push_back(std::move(*entry));
        } else if (file.name.ends_with(".json") && file.name != counters_name) {
            // The dump was delivered or dropped, and the recorder killed before it removed this too.
            const auto stem = file.name.substr(0, file.name.size() - std::string_view(".json").size());
            const auto dump_name = stem + std::string(dump_suffix);
            if (!exists(dump_name) && incident_of_file_name(dump_name)) FR_TRY(dir.remove(file.name));
        }
    }
    if (counters.interrupted > 0)
        log::warning("{} unfinished dump{} of a killed recorder removed from the spool", counters.interrupted,
                     counters.interrupted == 1 ? "" : "s");
    std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) {
        const auto key = [](const Incident& i) { return std::tuple(i.realtime_ns, i.recording, i.number); };
        return key(a.dump.incident) < key(b.dump.incident);
    });
    for (auto& entry : found) {
        const bool finished = entry.finished();
        const std::string name = entry.dump.name;
        if (finished)
            remove_files(name);
        else
            add(std::move(entry));
    }
    return {};
}

// A dump found at start, with what its state file tells. A damaged state file is set aside and costs the facts only.
std::optional<Entry> Spool::Impl::adopt(const SecureDir::Entry& file, size_t& bad) {
    auto incident = incident_of_file_name(file.name);
    if (!incident || file.size == 0) {
        log::warning("{} in the spool is not a dump of ours: it is left alone", printable(file.name));
        return std::nullopt;
    }
    Entry entry{{*incident, dir.path() / file.name, file.name, file.size, 0}, 0, std::vector<Standing>(sinks.size())};
    const std::string name = state_name(file.name);
    auto bytes = dir.read(name, state_max);
    if (!bytes && bytes.error().sys_errno == ENOENT) return entry;
    auto told = bytes ? read_state(*bytes, sinks, entry) : Result<void>(std::unexpected(bytes.error()));
    if (told) return entry;
    log::warning("the spool's {} cannot be used, {}; its dump is sent without its facts", printable(name),
                 told.error().message);
    ++counters.set_aside;
    if (bad++ < set_aside_max)
        (void)dir.rename(name, name + ".bad");
    else
        (void)dir.remove(name);
    return Entry{{*incident, dir.path() / file.name, file.name, file.size, 0}, 0, std::vector<Standing>(sinks.size())};
}

void Spool::Impl::read_counters() {
    const auto bytes = dir.read(counters_name, state_max);
    if (!bytes && bytes.error().sys_errno == ENOENT) return;
    const auto state = bytes ? unsealed(*bytes) : Result<json>(std::unexpected(bytes.error()));
    if (state) {
        counters.dropped = number_at(*state, "dropped");
        return;
    }
    log::warning("the spool's {} cannot be used, {}; its counts start anew", counters_name, state.error().message);
    ++counters.set_aside;
    (void)dir.rename(counters_name, std::string(counters_name) + ".bad");
}

void Spool::Impl::write_counters() {
    uint64_t dropped = 0;
    {
        const std::lock_guard lock_list(list);
        dropped = counters.dropped;
    }
    if (auto written = dir.write(counters_name, sealed({{"version", state_version}, {"dropped", dropped}})); !written)
        log::warning("{}", written.error().message);
}

void Spool::Impl::add(Entry entry) {
    const std::lock_guard lock_list(list);
    const auto at = find(entry.dump.incident.id());
    entry.order = next_order++;
    if (at != entries.end()) {
        counters.bytes -= at->dump.size;
        *at = std::move(entry);
        counters.bytes += at->dump.size;
    } else {
        counters.bytes += entry.dump.size;
        ++counters.incidents;
        entries.push_back(std::move(entry));
    }
}

// Needs `io`. The newest always stays.
void Spool::Impl::drop_surplus() {
    bool any = false;
    while (true) {
        std::string name;
        {
            const std::lock_guard lock_list(list);
            if (entries.size() <= 1 || (entries.size() <= config.max_incidents && counters.bytes <= config.max_bytes))
                break;
            name = entries.front().dump.name;
            counters.bytes -= entries.front().dump.size;
            --counters.incidents;
            ++counters.dropped;
            entries.erase(entries.begin());
        }
        log::warning("the spool is full: the undelivered dump {} is dropped", printable(name));
        remove_files(name);
        any = true;
    }
    if (any) write_counters();
}

// The dump first: a state file alone is known to be a remainder.
void Spool::Impl::remove_files(const std::string& dump_name) {
    for (const auto& name : {dump_name, state_name(dump_name)})
        if (auto removed = dir.remove(name); !removed) log::warning("{}", removed.error().message);
}

// Only the newest ones stay open.
void Spool::Impl::release_held() {
    const std::lock_guard lock_list(list);
    size_t held = 0;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        if (!entry->held.valid() || ++held <= held_max) continue;
        entry->held.reset();
        entry->dump.held = -1;
    }
}

Result<Fd> Spool::Impl::take_reserve(const std::string& part) {
    const std::lock_guard lock_reserve(reserve_mutex);
    if (!reserve.valid()) return fail(Code::not_found, "no reserve");
    FR_TRY(dir.rename(reserve_name, part));
    return std::move(reserve);
}

Result<Fd> Spool::Impl::open_part(const std::string& part, uint64_t expected_size) {
    auto fresh = dir.create(part);
    if (!fresh) return std::unexpected(fresh.error().within("spool"));
    const bool room = expected_size == 0 || fallocate(fresh->get(), 0, 0, static_cast<off_t>(expected_size)) == 0;
    if (!room && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_errno(errno, fmt::format("spool {}: no room for a dump of {}", printable(dir.path().string()),
                                             format_bytes(expected_size)));
    return fresh;
}

Result<Fd> Spool::Impl::open_memory(uint64_t expected_size) {
    uint64_t used = 0;
    {
        const std::lock_guard lock_list(list);
        for (const auto& entry : entries) used += entry.memory.valid() ? entry.dump.size : 0;
    }
    if (used + expected_size > config.memory_bytes) return fail(Code::no_space, "no memory for another dump");
    Fd fd(with_spare([] { return memfd_create("flightrec-dump", MFD_CLOEXEC); }));
    if (!fd.valid()) return fail_errno(errno, "cannot make a file in memory");
    return fd;
}

Result<SpoolWriter> Spool::begin(const Incident& incident, uint64_t expected_size) {
    auto& s = *impl_;
    if (expected_size > s.config.max_bytes)
        return fail(Code::no_space, fmt::format("the dump ({}) is larger than the spool may be ({}): raise its limit",
                                                format_bytes(expected_size), format_bytes(s.config.max_bytes)));
    auto w = std::make_unique<SpoolWriter::Impl>();
    w->spool = &s;
    w->dump.incident = incident;
    w->dump.name = incident.file_name();
    w->dump.path = s.dir.path() / w->dump.name;
    w->part = w->dump.name + std::string(part_suffix);
    w->hash.reset(XXH3_createState());
    if (!w->hash.valid()) return fail(Code::no_space, "no memory for a dump");
    XXH3_64bits_reset(w->hash.get());
    auto reserved = s.take_reserve(w->part);
    if (reserved) {
        w->fd = std::move(*reserved);
        return SpoolWriter(std::move(w));
    }
    auto fresh = s.open_part(w->part, expected_size);
    if (!fresh) {
        auto memory = s.open_memory(expected_size);
        if (!memory) return std::unexpected(fresh.error());
        log::warning("{}; the dump is kept in memory until it is delivered", fresh.error().message);
        (void)s.dir.remove(w->part);
        w->in_memory = true;
        fresh = std::move(memory);
    }
    w->fd = std::move(*fresh);
    return SpoolWriter(std::move(w));
}

void Spool::renew_reserve() {
    auto& s = *impl_;
    if (s.config.reserve_bytes == 0) return;
    const std::lock_guard lock_reserve(s.reserve_mutex);
    if (s.reserve.valid()) return;
    auto fd = s.dir.create(reserve_name);
    if (!fd) return;
    if (fallocate(fd->get(), 0, 0, static_cast<off_t>(s.config.reserve_bytes)) == 0)
        s.reserve = std::move(*fd);
    else
        (void)s.dir.remove(reserve_name);
}

void Spool::enlist(const DumpFile& dump) {
    auto& s = *impl_;
    {
        const std::lock_guard lock_list(s.list);
        if (s.find(dump.incident.id()) != s.entries.end()) return;
    }
    struct stat st {};
    if (dump.memory >= 0) return;  // commit() has put it on the list
    // Dropped or delivered since it was committed: nothing to do.
    if (lstat(dump.path.c_str(), &st) != 0 || dump.path.parent_path() != s.dir.path()) return;
    s.add({dump, 0, std::vector<Standing>(s.sinks.size())});
}

Spool::Next Spool::next(size_t sink, uint64_t now_ns) const {
    const std::lock_guard lock_list(impl_->list);
    const Entry* best = nullptr;
    Next out;
    for (const auto& entry : impl_->entries) {
        const auto& standing = entry.standings[sink];
        if (standing.state == DeliveryState::delivered) continue;
        if (standing.next_attempt_ns > now_ns)
            out.due_ns = std::min(out.due_ns, standing.next_attempt_ns);
        else if (best == nullptr || standing.attempts < best->standings[sink].attempts)
            best = &entry;
    }
    if (best != nullptr) out.dump = best->dump;
    return out;
}

void Spool::settle(const std::string& incident_id, size_t sink, const Standing& standing) {
    auto& s = *impl_;
    const std::lock_guard io(s.io);
    std::string name, state;
    {
        const std::lock_guard lock_list(s.list);
        const auto at = s.find(incident_id);
        if (at == s.entries.end()) return;  // dropped meanwhile
        at->standings[sink] = standing;
        name = at->dump.name;
        if (at->memory.valid()) name.clear();
        if (at->finished()) {
            s.counters.bytes -= at->dump.size;
            --s.counters.incidents;
            s.entries.erase(at);
        } else {
            state = sealed(state_of(*at, s.sinks));
        }
    }
    if (name.empty()) return;  // in memory: nothing of it is on the disk
    if (state.empty())
        s.remove_files(name);
    else if (auto written = s.dir.write(state_name(name), state); !written)
        log::warning("{}", written.error().message);
}

void Spool::make_due(size_t sink, uint64_t latest_ns) {
    const std::lock_guard lock_list(impl_->list);
    for (auto& entry : impl_->entries) {
        auto& standing = entry.standings[sink];
        if (standing.state == DeliveryState::pending)
            standing.next_attempt_ns = std::min(standing.next_attempt_ns, latest_ns);
    }
}

std::optional<Standing> Spool::standing(const std::string& incident_id, size_t sink) const {
    const std::lock_guard lock_list(impl_->list);
    const auto at = impl_->find(incident_id);
    if (at == impl_->entries.end()) return std::nullopt;
    return at->standings[sink];
}

size_t Spool::pending(size_t sink) const {
    const std::lock_guard lock_list(impl_->list);
    return static_cast<size_t>(std::count_if(impl_->entries.begin(), impl_->entries.end(), [&](const Entry& e) {
        return e.standings[sink].state == DeliveryState::pending;
    }));
}

size_t Spool::refused(size_t sink) const {
    const std::lock_guard lock_list(impl_->list);
    return static_cast<size_t>(std::count_if(impl_->entries.begin(), impl_->entries.end(), [&](const Entry& e) {
        return e.standings[sink].state == DeliveryState::refused;
    }));
}

uint64_t Spool::earliest_due(size_t sink) const {
    const std::lock_guard lock_list(impl_->list);
    uint64_t out = UINT64_MAX;
    for (const auto& entry : impl_->entries)
        if (entry.standings[sink].state != DeliveryState::delivered)
            out = std::min(out, entry.standings[sink].next_attempt_ns);
    return out;
}

SpoolCounters Spool::counters() const {
    SpoolCounters out;
    {
        const std::lock_guard lock_list(impl_->list);
        out = impl_->counters;
    }
    const std::unique_lock lock_reserve(impl_->reserve_mutex, std::try_to_lock);
    // While it is being taken or made it is not ready.
    out.reserve_ready = lock_reserve.owns_lock() && impl_->reserve.valid();
    return out;
}

}  // namespace flightrec::ship
