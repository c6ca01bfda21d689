// SPDX-License-Identifier: Apache-2.0
// The one list of sink kinds, and the start of libcurl.
#include "userspace/ship/make_sink.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>

#include <mutex>

#include "userspace/ship/console_sink.h"
#include "userspace/ship/directory_sink.h"
#include "userspace/ship/http_sink.h"
#include "userspace/ship/s3_sink.h"
#include "userspace/ship/syslog_sink.h"

namespace flightrec::ship {
namespace {

MemoryFunctions reserve{};

// OpenSSL also tells where in its source it allocates.
void* crypto_allocate(size_t size, const char*, int) { return reserve.allocate(size); }
void* crypto_resize(void* block, size_t size, const char*, int) { return reserve.resize(block, size); }
void crypto_release(void* block, const char*, int) { reserve.release(block); }

}  // namespace

Result<void> init_network(const MemoryFunctions* memory) {
    static std::once_flag once;
    static CURLcode outcome = CURLE_FAILED_INIT;
    bool first = false;
    bool taken = true;
    std::call_once(once, [&] {
        first = true;
        if (memory != nullptr) {
            reserve = *memory;
            taken = CRYPTO_set_mem_functions(crypto_allocate, crypto_resize, crypto_release) == 1;
        }
        outcome = memory == nullptr ? curl_global_init(CURL_GLOBAL_DEFAULT)
                                    : curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory->allocate, memory->release,
                                                           memory->resize, memory->duplicate, memory->allocate_zeroed);
    });
    if (memory != nullptr && (!first || !taken))
        return fail(Code::busy, "the memory reserve for the network comes too late");
    if (outcome != CURLE_OK) return fail(Code::internal, fmt::format("libcurl: {}", curl_easy_strerror(outcome)));
    return {};
}

Result<std::unique_ptr<Sink>> make_sink(const Destination& destination, const SinkOptions& options) {
    switch (destination.kind) {
        case DestinationKind::directory: return DirectorySink::make(destination.path, options.directory);
        case DestinationKind::http: return HttpSink::make(destination, options.http);
        case DestinationKind::s3: return S3Sink::make(destination, options.http, options.s3);
        case DestinationKind::syslog: return SyslogSink::make(destination);
        case DestinationKind::console: return ConsoleSink::make(destination);
    }
    return fail(Code::internal, "unknown kind of destination");
}

}  // namespace flightrec::ship
