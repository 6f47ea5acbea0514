#include "result/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.hpp"

namespace tpbench {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what, int error) {
  throw EnvironmentError(fmt::format("{}: cannot {}: {}", path.string(), what, std::strerror(error)));
}

// The temporary file: closed and removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& target)
      : target_(target), path_(target.string() + std::string(kTemporaryMark) + std::to_string(::getpid())) {
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail(target_, "create the file", errno);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(path_.c_str());
  }

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(target_, "write", errno);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void close(Flush flush) {
    if (flush == Flush::yes && ::fsync(descriptor_) != 0) fail(target_, "flush", errno);
    // Network file systems report a full disk or a quota only here.
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) fail(target_, "close", errno);
  }

  void rename() {
    if (::rename(path_.c_str(), target_.c_str()) != 0) fail(target_, "rename the finished file", errno);
    renamed_ = true;
  }

 private:
  std::filesystem::path target_;
  std::string path_;
  int descriptor_ = -1;
  bool renamed_ = false;
};

void flush_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail(folder, "open the folder", errno);
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some file systems cannot flush a folder: the rename is then as safe as they can make it.
  if (error != 0 && error != EINVAL && error != ENOTSUP) fail(folder, "flush the folder", error);
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::string_view text, Flush flush) {
  TemporaryFile file(path);
  file.write(text);
  file.close(flush);
  file.rename();
  if (flush == Flush::yes) flush_folder(path.parent_path());
}

}  // namespace tpbench
