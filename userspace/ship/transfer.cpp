// SPDX-License-Identifier: Apache-2.0
// libcurl driven through its multi interface, because only that can be left at any moment.
#include "userspace/ship/transfer.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "userspace/base/handle.h"
#include "userspace/base/log.h"
#include "userspace/base/text.h"
#include "userspace/ship/make_sink.h"
#include "userspace/ship/resolver.h"
#include "userspace/ship/secret_file.h"
#include "userspace/ship/spare.h"

namespace flightrec::ship {
namespace {

constexpr size_t reply_text_max = 300;
constexpr long upload_buffer = 256L << 10;
constexpr int poll_ms = 50;  // how late a cancel may be seen
constexpr std::chrono::milliseconds resolve_patience{5'000};

using Easy = Handle<CURL*, [](CURL* h) { curl_easy_cleanup(h); }>;
using Multi = Handle<CURLM*, [](CURLM* h) { curl_multi_cleanup(h); }>;
using List = Handle<curl_slist*, [](curl_slist* l) { curl_slist_free_all(l); }>;
using Store = Handle<X509_STORE*, [](X509_STORE* s) { X509_STORE_free(s); }>;
using Bio = Handle<BIO*, [](BIO* b) { BIO_free(b); }>;
using Cert = Handle<X509*, [](X509* c) { X509_free(c); }>;
using Key = Handle<EVP_PKEY*, [](EVP_PKEY* k) { EVP_PKEY_free(k); }>;

// Where distributions keep the bundle of trusted authorities.
constexpr std::array<const char*, 4> system_bundles{"/etc/ssl/certs/ca-certificates.crt",
                                                    "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
                                                    "/etc/ssl/cert.pem"};

Bio memory_bio(const std::string& pem) { return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

Result<Store> trust_of(const WatchedFile& file) {
    Store store(X509_STORE_new());
    const Bio bio = memory_bio(file.content());
    if (!store.valid() || !bio.valid()) return fail(Code::no_space, "no memory for the trusted certificates");
    size_t count = 0;
    while (true) {
        const Cert cert(PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr));
        if (!cert.valid()) break;
        if (X509_STORE_add_cert(store.get(), cert.get()) == 1) ++count;
    }
    ERR_clear_error();  // the end of the file is reported as an error
    if (count == 0)
        return fail(Code::usage,
                    fmt::format("the CA file {} holds no certificate in PEM form", printable(file.path().string())));
    // A given intermediate authority is trusted as it is, without its root (as curl does).
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
    return store;
}

int no_passphrase(char*, int, int, void*) { return 0; }

Result<void> check_client_pair(const WatchedFile& certificate, const WatchedFile& key) {
    const auto name = [](const WatchedFile& f) { return printable(f.path().string()); };
    const Bio cert_bio = memory_bio(certificate.content());
    const Cert cert(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr));
    ERR_clear_error();
    if (!cert.valid())
        return fail(Code::usage,
                    fmt::format("the client certificate {} is no certificate in PEM form", name(certificate)));
    const Bio key_bio = memory_bio(key.content());
    const Key parsed(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!parsed.valid())
        return fail(Code::usage,
                    fmt::format("the client key {} is no private key in PEM form without a passphrase", name(key)));
    const bool match = X509_check_private_key(cert.get(), parsed.get()) == 1;
    ERR_clear_error();
    if (!match)
        return fail(Code::usage, fmt::format("the client key {} does not belong to the certificate {}", name(key),
                                             name(certificate)));
    return {};
}

bool is_loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

std::string bracketed(const std::string& host) { return host.contains(':') ? "[" + host + "]" : host; }

Result<std::string> token_of(const WatchedFile& file) {
    std::string token = file.content();
    const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!token.empty() && space(token.back())) token.pop_back();
    while (!token.empty() && space(token.front())) token.erase(0, 1);
    const bool plain = std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (token.empty() || !plain || token.size() > 16384)
        return fail(Code::usage, fmt::format("the token file {} must hold one token in printable ASCII on one line",
                                             printable(file.path().string())));
    return token;
}

// What libcurl's callbacks need of a running transfer.
struct Upload {
    int fd = -1;
    uint64_t size = 0;
    uint64_t offset = 0;
    int read_errno = 0;
    bool truncated = false;
    std::string text;
    std::string location;
};

size_t read_file(char* buffer, size_t size, size_t count, void* context) {
    auto& up = *static_cast<Upload*>(context);
    const size_t want = static_cast<size_t>(std::min<uint64_t>(size * count, up.size - up.offset));
    if (want == 0) return 0;
    ssize_t n = 0;
    do n = pread(up.fd, buffer, want, static_cast<off_t>(up.offset));
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        up.read_errno = n < 0 ? errno : 0;
        up.truncated = n == 0;
        return CURL_READFUNC_ABORT;
    }
    up.offset += static_cast<uint64_t>(n);
    return static_cast<size_t>(n);
}

// A connection that was kept open may turn out dead: libcurl then starts over.
int seek_file(void* context, curl_off_t offset, int origin) {
    if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_FAIL;
    static_cast<Upload*>(context)->offset = static_cast<uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
}

size_t keep_start(char* data, size_t size, size_t count, void* context) {
    auto& up = *static_cast<Upload*>(context);
    if (up.text.size() < reply_text_max) up.text.append(data, std::min(size * count, reply_text_max - up.text.size()));
    return size * count;
}

size_t keep_location(char* data, size_t size, size_t count, void* context) {
    auto& up = *static_cast<Upload*>(context);
    const std::string_view line(data, size * count);
    constexpr std::string_view name = "location:";
    const bool match = line.size() > name.size() &&
                       std::equal(name.begin(), name.end(), line.begin(),
                                  [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b); });
    if (match) {
        auto value = line.substr(name.size(), 400);
        value = value.substr(0, value.find_first_of("?\r\n"));
        if (value.starts_with(' ')) value.remove_prefix(1);
        up.location = printable(value);
    }
    return size * count;
}

curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
    if (address->socktype == SOCK_STREAM) return open_stream_socket(address->family);
    return with_spare([&] { return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol); });
}

int close_socket(void*, curl_socket_t fd) { return close_stream_socket(fd); }

CURLcode use_store(CURL*, void* ssl_ctx, void* store) {
    auto* trust = static_cast<X509_STORE*>(store);
    X509_STORE_up_ref(trust);
    SSL_CTX_set_cert_store(static_cast<SSL_CTX*>(ssl_ctx), trust);  // takes that reference
    return CURLE_OK;
}

// "<html>… <title>502 Bad Gateway" to one line without tags.
std::string plain_text(std::string_view body) {
    std::string out;
    bool tag = false;
    for (char c : body) {
        if (c == '<')
            tag = true;
        else if (c == '>')
            tag = false, c = ' ';
        if (tag) continue;
        if (static_cast<unsigned char>(c) <= ' ') c = ' ';
        if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return printable(std::string_view(out).substr(0, 120));
}

}  // namespace

std::string Endpoint::origin() const {
    const bool usual = port == (tls ? 443 : 80);
    return fmt::format("{}://{}{}", tls ? "https" : "http", bracketed(host), usual ? "" : fmt::format(":{}", port));
}

struct Transfer::Impl {
    Endpoint endpoint;
    HttpOptions options;
    SigningKey key;
    std::optional<WatchedFile> ca, client_cert, client_key, token;
    Store store;
    std::optional<Resolver> resolver;
    std::string resolved_name;  // host:port that libcurl will look up: ours or the proxy's
    std::array<char, CURL_ERROR_SIZE> error{};
    Upload upload;
    List header_list, resolve_list;
    Multi multi;
    Easy easy;

    Result<void> load_files();
    Result<void> set_up();
    void refresh_files();
    void set_client_certificate();
    Result<void> tell_addresses(const Cancel& cancel);
    Result<void> set_headers(const std::vector<std::string>& headers);
    void begin(int fd, uint64_t size);
    Result<CURLcode> run(const Cancel& cancel);
    [[nodiscard]] bool kept_connection_was_dead(CURLcode code);
    Error explain(CURLcode code) const;
    [[nodiscard]] std::string where() const { return endpoint.origin(); }

    template <class T>
    void set(CURLoption option, T value) {
        if (const CURLcode code = curl_easy_setopt(easy.get(), option, value); code != CURLE_OK)
            log::error("libcurl refuses option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
    }
};

Result<void> Transfer::Impl::load_files() {
    using Secrecy = WatchedFile::Secrecy;
    if (endpoint.tls) {
        std::filesystem::path path = options.ca_file;
        for (const char* candidate : system_bundles)
            if (path.empty() && access(candidate, R_OK) == 0) path = candidate;
        if (path.empty())
            return fail(Code::usage, "this system has no bundle of trusted certificates: name one with --ca-file");
        FR_ASSIGN(ca, WatchedFile::open(path, "CA file", Secrecy::open));
        FR_ASSIGN(store, trust_of(*ca));
    }
    if (!options.client_key.empty() && options.client_cert.empty())
        return fail(Code::usage, "--client-key needs --client-cert");
    if (endpoint.tls && !options.client_cert.empty()) {
        const auto& key_path = options.client_key.empty() ? options.client_cert : options.client_key;
        FR_ASSIGN(client_cert, WatchedFile::open(options.client_cert, "client certificate", Secrecy::open));
        FR_ASSIGN(client_key, WatchedFile::open(key_path, "client key", Secrecy::secret));
        FR_TRY(check_client_pair(*client_cert, *client_key));
    }
    if (!options.token_file.empty()) {
        if (!endpoint.tls && !is_loopback(endpoint.host))
            return fail(Code::usage, fmt::format("the token would travel in the clear to {}: use https://", where()));
        FR_ASSIGN(token, WatchedFile::open(options.token_file, "token file", Secrecy::secret));
        FR_TRY(token_of(*token));
    }
    return {};
}

Result<void> Transfer::Impl::set_up() {
    FR_TRY(init_network());
    easy.reset(curl_easy_init());
    multi.reset(curl_multi_init());
    if (!easy.valid() || !multi.valid()) return fail(Code::no_space, "no memory for libcurl");
    curl_multi_setopt(multi.get(), CURLMOPT_MAXCONNECTS, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_ERRORBUFFER, error.data());
    set(CURLOPT_PROTOCOLS_STR, endpoint.tls ? "https" : "http");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PROXY, options.proxy.c_str());  // "": none, and the environment is not asked
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_UPLOAD_BUFFERSIZE, upload_buffer);
    set(CURLOPT_READFUNCTION, read_file);
    set(CURLOPT_READDATA, &upload);
    set(CURLOPT_SEEKFUNCTION, seek_file);
    set(CURLOPT_SEEKDATA, &upload);
    set(CURLOPT_WRITEFUNCTION, keep_start);
    set(CURLOPT_WRITEDATA, &upload);
    set(CURLOPT_HEADERFUNCTION, keep_location);
    set(CURLOPT_HEADERDATA, &upload);
    set(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    set(CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    set(CURLOPT_USERAGENT, "flightrec");
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(options.max_time.count()));
    const auto stall = std::chrono::ceil<std::chrono::seconds>(options.stall_timeout).count();
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(stall)));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (endpoint.tls) {
        set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));  // use_store() brings the anchors
        set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        // libcurl 7.88 fills its cache after the callback, that is with our store, and would bring it back later.
        set(CURLOPT_CA_CACHE_TIMEOUT, 0L);
        set(CURLOPT_SSL_CTX_FUNCTION, use_store);
        set(CURLOPT_SSL_CTX_DATA, store.get());
        set_client_certificate();
    }
    if (!key.scope.empty()) {
        set(CURLOPT_EXPECT_100_TIMEOUT_MS, 1L);
        set(CURLOPT_AWS_SIGV4, key.scope.c_str());
        set(CURLOPT_USERNAME, key.access_key.c_str());
        set(CURLOPT_PASSWORD, key.secret_key.c_str());
    }
    return {};
}

void Transfer::Impl::set_client_certificate() {
    if (!client_cert) return;
    const auto blob = [](const std::string& bytes) {
        return curl_blob{const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_COPY};
    };
    const curl_blob certificate = blob(client_cert->content());
    const curl_blob private_key = blob(client_key->content());
    set(CURLOPT_SSLCERTTYPE, "PEM");
    set(CURLOPT_SSLCERT_BLOB, &certificate);
    set(CURLOPT_SSLKEYTYPE, "PEM");
    set(CURLOPT_SSLKEY_BLOB, &private_key);
}

// Certificates and keys are replaced under us (short-lived ones daily). What does not fit together is not taken over.
void Transfer::Impl::refresh_files() {
    if (ca && ca->refresh()) {
        if (auto fresh = trust_of(*ca)) {
            store = std::move(*fresh);
            set(CURLOPT_SSL_CTX_DATA, store.get());
        } else {
            log::warning("{}; the former trusted certificates are used", fresh.error().message);
        }
    }
    if (!client_cert) return;
    const bool cert_changed = client_cert->refresh();
    const bool key_changed = client_key->refresh();
    if (!cert_changed && !key_changed) return;
    if (auto fits = check_client_pair(*client_cert, *client_key); fits)
        set_client_certificate();
    else
        log::warning("{}; the former client certificate is used", fits.error().message);
}

Result<void> Transfer::Impl::tell_addresses(const Cancel& cancel) {
    FR_ASSIGN(const auto addresses, resolver->addresses(resolve_patience, cancel));
    std::string entry = resolved_name + ":";
    for (const auto& address : addresses) {
        if (!entry.ends_with(':')) entry += ',';
        entry += bracketed(address);
    }
    // libcurl forgets the former addresses of the name by itself (CURLOPT_RESOLVE(3)).
    List list(curl_slist_append(nullptr, entry.c_str()));
    if (!list.valid()) return fail(Code::no_space, "no memory for an address list");
    set(CURLOPT_RESOLVE, list.get());
    resolve_list = std::move(list);
    return {};
}

Result<void> Transfer::Impl::set_headers(const std::vector<std::string>& headers) {
    List list;
    const auto add = [&](const std::string& line) {
        curl_slist* grown = curl_slist_append(list.get(), line.c_str());
        if (grown == nullptr) return false;
        if (!list.valid()) list.reset(grown);
        return true;
    };
    // Not waiting for "100 Continue" saves a round trip. In a signed request libcurl 7.88 would sign the header that it
    // is told to leave out: there it is sent, and not waited for (set_up).
    bool complete = !key.scope.empty() || add("Expect:");
    for (const auto& line : headers) complete = complete && add(line);
    for (const auto& line : options.headers) complete = complete && add(line);
    if (token) {
        token->refresh();
        FR_ASSIGN(std::string value, token_of(*token));
        std::string line = "Authorization: Bearer " + value;
        complete = complete && add(line);
        wipe(value);
        wipe(line);
    }
    if (!complete) return fail(Code::no_space, "no memory for the request");
    set(CURLOPT_HTTPHEADER, list.get());
    header_list = std::move(list);
    return {};
}

void Transfer::Impl::begin(int fd, uint64_t size) {
    upload.fd = fd;
    upload.size = size;
    upload.offset = 0;
    upload.read_errno = 0;
    upload.truncated = false;
    upload.text.clear();
    upload.location.clear();
    error[0] = '\0';
}

// A receiver may close a kept connection at any moment; the request is then sent again on a new one (RFC 9112, 9.3.1).
// libcurl does so only when it learns of the close by reading, not when its write fails first.
bool Transfer::Impl::kept_connection_was_dead(CURLcode code) {
    if (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING) return false;
    long made = 0, status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_NUM_CONNECTS, &made);
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    return made == 0 && status == 0;
}

Result<CURLcode> Transfer::Impl::run(const Cancel& cancel) {
    if (const CURLMcode code = curl_multi_add_handle(multi.get(), easy.get()); code != CURLM_OK)
        return fail(Code::internal, fmt::format("libcurl: {}", curl_multi_strerror(code)));
    // Leaves in every case; a transfer that is not finished loses its connection.
    struct Leave {
        CURLM* multi;
        CURL* easy;
        ~Leave() { curl_multi_remove_handle(multi, easy); }
    } const leave{multi.get(), easy.get()};
    while (true) {
        int running = 0;
        if (const CURLMcode code = curl_multi_perform(multi.get(), &running); code != CURLM_OK)
            return fail(Code::internal, fmt::format("libcurl: {}", curl_multi_strerror(code)));
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left))
            if (message->msg == CURLMSG_DONE) return message->data.result;
        if (cancel.requested()) return fail(Code::interrupted, "stopped");
        curl_multi_poll(multi.get(), nullptr, 0, poll_ms, nullptr);
    }
}

Error Transfer::Impl::explain(CURLcode code) const {
    const std::string detail = printable(error[0] != '\0' ? error.data() : curl_easy_strerror(code));
    const auto network = [](std::string text) { return Error{Code::network, std::move(text), 0}; };
    switch (code) {
        case CURLE_ABORTED_BY_CALLBACK:
            if (upload.truncated) return {Code::io, "the dump is shorter than it was", 0};
            return fail_errno(upload.read_errno, "cannot read the dump").error();
        case CURLE_PEER_FAILED_VERIFICATION:
            return network(
                fmt::format("the certificate of {} is not accepted: {} (a private authority is named with "
                            "--ca-file)",
                            where(), detail));
        case CURLE_SSL_CERTPROBLEM:
            return network(fmt::format("the client certificate cannot be used with {}: {}", where(), detail));
        case CURLE_SSL_CONNECT_ERROR: return network(fmt::format("no TLS connection to {}: {}", where(), detail));
        case CURLE_OPERATION_TIMEDOUT: return network(fmt::format("{} did not answer in time: {}", where(), detail));
        case CURLE_COULDNT_CONNECT: return network(fmt::format("cannot connect to {}: {}", where(), detail));
        case CURLE_OUT_OF_MEMORY: return {Code::no_space, fmt::format("sending to {}: out of memory", where()), 0};
        default: return network(fmt::format("sending to {} failed: {}", where(), detail));
    }
}

Transfer::Transfer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transfer::Transfer(Transfer&&) noexcept = default;
Transfer& Transfer::operator=(Transfer&&) noexcept = default;
Transfer::~Transfer() = default;

Result<Transfer> Transfer::make(const Endpoint& endpoint, const HttpOptions& options, SigningKey key) {
    auto impl = std::make_unique<Impl>();
    impl->endpoint = endpoint;
    impl->options = options;
    impl->key = std::move(key);
    std::string host = endpoint.host;
    uint16_t port = endpoint.port;
    if (!options.proxy.empty()) FR_TRY(parse_proxy(options.proxy, host, port));
    impl->resolved_name = fmt::format("{}:{}", bracketed(host), port);
    for (const auto& line : options.headers) FR_TRY(check_header(line));
    FR_TRY(impl->load_files());
    FR_TRY(impl->set_up());
    FR_ASSIGN(impl->resolver, Resolver::make(host, port));
    return Transfer(std::move(impl));
}

Result<void> Transfer::warm_up(const Cancel& cancel) {
    FR_TRY(impl_->resolver->addresses(resolve_patience, cancel));
    return {};
}

void Transfer::set_key(const std::string& access_key, const std::string& secret_key) {
    impl_->set(CURLOPT_USERNAME, access_key.c_str());
    impl_->set(CURLOPT_PASSWORD, secret_key.c_str());
}

Result<PutReply> Transfer::put(const std::string& target, const std::vector<std::string>& headers, int fd,
                               uint64_t size, const Cancel& cancel) {
    auto& t = *impl_;
    t.refresh_files();
    FR_TRY(t.set_headers(headers));
    FR_TRY(t.tell_addresses(cancel));
    const std::string url = t.endpoint.origin() + target;
    t.set(CURLOPT_URL, url.c_str());
    t.set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(size));
    t.begin(fd, size);
    FR_ASSIGN(CURLcode code, t.run(cancel));
    if (code != CURLE_OK && t.kept_connection_was_dead(code)) {
        t.begin(fd, size);
        t.set(CURLOPT_FRESH_CONNECT, 1L);
        const auto again = t.run(cancel);
        t.set(CURLOPT_FRESH_CONNECT, 0L);
        FR_TRY(again);
        code = *again;
    }
    if (code != CURLE_OK) return std::unexpected(t.explain(code));
    PutReply reply;
    curl_easy_getinfo(t.easy.get(), CURLINFO_RESPONSE_CODE, &reply.status);
    curl_off_t wait = 0;
    curl_easy_getinfo(t.easy.get(), CURLINFO_RETRY_AFTER, &wait);
    reply.retry_after = std::chrono::seconds(std::clamp<curl_off_t>(wait, 0, 3600));
    reply.text = plain_text(t.upload.text);
    reply.location = std::move(t.upload.location);
    return reply;
}

Delivery judge(const PutReply& reply, const std::string& where) {
    using Answer = Delivery::Answer;
    const auto said = [&] {
        return fmt::format("{} answers {}{}{}", where, reply.status, reply.text.empty() ? "" : ": ", reply.text);
    };
    const long s = reply.status;
    if (s >= 200 && s < 300) return {Answer::accepted, where, {}};
    if (s >= 300 && s < 400)
        return {
            Answer::refused,
            fmt::format("{} redirects to '{}', which is not followed: name the final address", where, reply.location),
            {}};
    if (s == 408 || s == 425 || s == 429 || s >= 500) return {Answer::later, said(), reply.retry_after};
    return {Answer::refused, said(), {}};
}

}  // namespace flightrec::ship
