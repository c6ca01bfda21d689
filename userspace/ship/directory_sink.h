// SPDX-License-Identifier: Apache-2.0
// Dumps in a directory: the embedded default. Also for a mounted share.
//
// A dump appears under its name complete and synced, or not at all; 0600, ours. On the spool's file system it is a
// second link to the same blocks and takes no space of its own. After it stands, the oldest dumps beyond the limits go,
// by the time in their names: never the newest, never what is not a dump of ours. With a full disk only what the limits
// would remove anyway is removed first. The directory is opened anew each time (SecureDir), so a remount is followed.
#pragma once

#include "userspace/ship/destination.h"
#include "userspace/ship/secure_dir.h"
#include "userspace/ship/sink.h"

namespace flightrec::ship {

class DirectorySink final : public Sink {
  public:
    static Result<std::unique_ptr<Sink>> make(const std::filesystem::path& path, const DirectoryLimits& limits);

    [[nodiscard]] const std::string& name() const override { return name_; }
    [[nodiscard]] std::string describe() const override;
    Result<Delivery> deliver(const DumpFile& dump, const Cancel& cancel) override;

  private:
    DirectorySink(SecureDir dir, const DirectoryLimits& limits);
    Result<void> reopen();
    Result<void> copy(const DumpFile& dump, const std::string& part, const Cancel& cancel);
    Result<void> make_room(const DumpFile& dump);
    Result<void> trim(const std::string& newest);
    void remove_leftovers();

    std::string name_;
    DirectoryLimits limits_;
    SecureDir dir_;
    std::vector<std::byte> buffer_;
};

}  // namespace flightrec::ship
