// SPDX-License-Identifier: Apache-2.0
// A small file that may be replaced while we run (token, certificate, key): read again when it changed, and its last
// good content kept for the moment when the disk cannot be read any more.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "userspace/base/result.h"

namespace flightrec::ship {

class WatchedFile {
  public:
    enum class Secrecy {
        open,    // writable by root and us alone
        secret,  // and readable by nobody but its owner, and its group if that is root's or ours
    };
    // `what` names it in messages: "token file". Errors: Code::permission, Code::not_found, Code::usage (over 1 MiB).
    static Result<WatchedFile> open(const std::filesystem::path& path, std::string_view what, Secrecy secrecy);

    // True when the content is another than at the last call. A file that cannot be read any more, or whose
    // permissions became too wide, keeps its last good content and is logged once.
    bool refresh();
    [[nodiscard]] const std::string& content() const { return content_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  private:
    Result<void> load();
    std::filesystem::path path_;
    std::string what_;
    Secrecy secrecy_ = Secrecy::open;
    std::string content_;
    struct stat seen_ {};
    bool complained_ = false;
};

// Overwrites the bytes before the string is given back.
void wipe(std::string& secret);

}  // namespace flightrec::ship
