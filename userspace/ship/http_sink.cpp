// SPDX-License-Identifier: Apache-2.0
// From a dump to a PUT request.
#include "userspace/ship/http_sink.h"

#include <fmt/format.h>

#include "userspace/base/text.h"

namespace flightrec::ship {

std::vector<std::string> dump_headers(const DumpFile& dump) {
    const auto& incident = dump.incident;
    std::vector<std::string> out{
        "Content-Type: application/vnd.flightrec",
        "X-Flightrec-Incident: " + incident.id(),
        "X-Flightrec-Recording: " + incident.recording_text(),
        "X-Flightrec-Reason: " + percent_encoded(safe_part(incident.reason)),
        "X-Flightrec-Time: " + incident.time_text(),
        "X-Flightrec-Host: " + percent_encoded(safe_part(incident.host)),
    };
    if (dump.hash != 0) out.push_back(fmt::format("X-Flightrec-Hash: xxh3-64={:016x}", dump.hash));
    return out;
}

HttpSink::HttpSink(Destination destination, const HttpOptions& options, Transfer transfer)
    : destination_(std::move(destination)), options_(options), transfer_(std::move(transfer)) {}

Result<std::unique_ptr<Sink>> HttpSink::make(const Destination& destination, const HttpOptions& options) {
    const Endpoint endpoint{destination.tls, destination.host, destination.port};
    auto transfer = Transfer::make(endpoint, options);
    if (!transfer) return std::unexpected(transfer.error().within(printable(destination.text)));
    return std::unique_ptr<Sink>(new HttpSink(destination, options, std::move(*transfer)));
}

std::string HttpSink::describe() const {
    std::string out = fmt::format("PUT {}", printable(destination_.text));
    if (!destination_.tls) out += ", not encrypted";
    if (!options_.ca_file.empty() && destination_.tls)
        out += fmt::format(", authority {}", printable(options_.ca_file.string()));
    if (!options_.client_cert.empty() && destination_.tls) out += ", client certificate";
    if (!options_.token_file.empty()) out += ", bearer token";
    if (!options_.proxy.empty()) out += fmt::format(", proxy {}", printable(options_.proxy));
    for (const auto& header : options_.headers)
        out += fmt::format(", header {}", printable(header.substr(0, header.find(':'))));
    return out;
}

Result<Delivery> HttpSink::deliver(const DumpFile& dump, const Cancel& cancel) {
    FR_ASSIGN(const Fd file, dump.open());
    const std::string target = expand_target(destination_.target, dump.incident);
    FR_ASSIGN(const auto reply, transfer_.put(target, dump_headers(dump), file.get(), dump.size, cancel));
    const Endpoint endpoint{destination_.tls, destination_.host, destination_.port};
    return judge(reply, printable(endpoint.origin() + target.substr(0, target.find('?'))));
}

}  // namespace flightrec::ship
