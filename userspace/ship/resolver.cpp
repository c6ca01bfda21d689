// SPDX-License-Identifier: Apache-2.0
// A look-up thread with one question at a time.
#include "userspace/ship/resolver.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <resolv.h>
#include <sys/socket.h>

#include <condition_variable>
#include <mutex>

#include "userspace/base/handle.h"
#include "userspace/ship/thread.h"

namespace flightrec::ship {

struct Resolver::Shared {
    std::string host;
    std::string service;
    std::mutex mutex;
    std::condition_variable asked_changed, answered_changed;
    uint64_t asked = 0, answered = 0;  // numbers of the last question and of the last one answered
    bool stop = false;
    std::vector<std::string> good;  // last good answer
    std::string problem;            // of the last answer; empty: good
    Thread thread;

    void run();
};

namespace {

bool is_address(const std::string& host) {
    in6_addr buffer;
    return inet_pton(AF_INET, host.c_str(), &buffer) == 1 || inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

using AddressList = Handle<addrinfo*, [](addrinfo* a) { freeaddrinfo(a); }>;

// Empty `problem` and some addresses, or the other way round.
void look_up(const std::string& host, const std::string& service, std::vector<std::string>& out, std::string& problem) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int err = getaddrinfo(host.c_str(), service.c_str(), &hints, &raw);
    if (err != 0) {
        problem = err == EAI_SYSTEM ? "the look-up failed" : gai_strerror(err);
        return;
    }
    const AddressList list(raw);
    for (const addrinfo* a = list.get(); a != nullptr && out.size() < 16; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
            out.emplace_back(text);
    }
    if (out.empty()) problem = "it has no address";
}

}  // namespace

void Resolver::Shared::run() {
    std::unique_lock lock(mutex);
    while (true) {
        asked_changed.wait(lock, [&] { return stop || asked != answered; });
        if (stop) return;
        const uint64_t question = asked;
        lock.unlock();
        std::vector<std::string> found;
        std::string trouble;
        look_up(host, service, found, trouble);
        lock.lock();
        if (trouble.empty()) good = std::move(found);
        problem = std::move(trouble);
        answered = question;
        answered_changed.notify_all();
    }
}

Resolver::Resolver(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
Resolver::Resolver(Resolver&&) noexcept = default;
Resolver& Resolver::operator=(Resolver&&) noexcept = default;

Resolver::~Resolver() {
    if (!shared_ || !shared_->thread.running()) return;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stop = true;
    }
    shared_->asked_changed.notify_all();
    // A look-up in progress cannot be interrupted; the thread then ends alone and gives up its share.
    if (!shared_->thread.join_until(std::chrono::steady_clock::now() + std::chrono::milliseconds(50)))
        shared_->thread.detach();
}

Result<Resolver> Resolver::make(const std::string& host, uint16_t port) {
    auto shared = std::make_shared<Shared>();
    shared->host = host;
    shared->service = std::to_string(port);
    if (is_address(host)) {
        shared->good = {host};
        return Resolver(std::move(shared));
    }
    FR_ASSIGN(shared->thread, Thread::start("fr-resolver", [shared] { shared->run(); }));
    return Resolver(std::move(shared));
}

Result<std::vector<std::string>> Resolver::addresses(std::chrono::milliseconds patience, const Cancel& cancel) {
    std::unique_lock lock(shared_->mutex);
    if (!shared_->thread.running()) return shared_->good;
    // A question that is still open serves as ours.
    if (shared_->asked == shared_->answered) ++shared_->asked;
    shared_->asked_changed.notify_all();
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (shared_->asked != shared_->answered && !cancel.requested() && std::chrono::steady_clock::now() < deadline)
        shared_->answered_changed.wait_for(lock, std::chrono::milliseconds(50));
    if (cancel.requested()) return fail(Code::interrupted, "stopped");
    if (!shared_->good.empty()) return shared_->good;
    return fail(Code::network,
                fmt::format("cannot resolve the name {}: {}", shared_->host,
                            shared_->asked != shared_->answered ? "no answer in time" : shared_->problem));
}

}  // namespace flightrec::ship
