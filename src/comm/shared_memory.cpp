#include "comm/shared_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.hpp"
#include "base/units.hpp"
#include "comm/agreement.hpp"

namespace tpbench {
namespace {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept { *this = std::move(other); }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_ = -1;
};

// Where the file of a rank is to be found by others, and what proves that it is the one.
struct Origin {
  std::int64_t process_id = 0;
  std::int64_t descriptor = 0;
  std::int64_t device = 0;
  std::int64_t inode = 0;
};

[[noreturn]] void fail(const std::string& what) {
  throw CaseError(fmt::format("{}: {}", what, std::strerror(errno)));
}

struct stat look_at(int descriptor) {
  struct stat status = {};
  if (fstat(descriptor, &status) != 0) fail("cannot look at shared memory");
  return status;
}

Descriptor create(std::int64_t bytes, Origin& origin) {
  Descriptor file(memfd_create("tpbench", MFD_CLOEXEC));
  if (file.number() < 0 || ftruncate(file.number(), bytes) != 0) {
    fail(fmt::format("cannot make {} of memory that ranks share", format_bytes(static_cast<double>(bytes))));
  }
  const struct stat status = look_at(file.number());
  origin = {getpid(), file.number(), static_cast<std::int64_t>(status.st_dev),
            static_cast<std::int64_t>(status.st_ino)};
  return file;
}

// The number may mean another process here than it does where it came from: in another container, say.
Descriptor open_from(const Origin& origin) {
  const std::string path = fmt::format("/proc/{}/fd/{}", origin.process_id, origin.descriptor);
  Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.number() < 0) fail("cannot open the memory of another rank at " + path);
  const struct stat status = look_at(file.number());
  if (static_cast<std::int64_t>(status.st_dev) != origin.device ||
      static_cast<std::int64_t>(status.st_ino) != origin.inode) {
    throw CaseError(path +
                    " is not the memory of another rank: the ranks do not see each other's processes (other "
                    "containers or hosts), so that they cannot share memory");
  }
  return file;
}

// Private memory beyond all reason is refused by the kernel; of this kind it promises any amount.
void check_amount(double bytes) {
  const double machine =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (bytes <= machine) return;
  throw CaseError(fmt::format("cannot make {} of memory that ranks share: this machine has {}",
                              format_bytes(bytes), format_bytes(machine)));
}

}  // namespace

SharedMemory::SharedMemory(const Control& group, std::int64_t bytes) {
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  const std::int64_t largest = std::max<std::int64_t>(1, group.max(bytes));
  check_amount(static_cast<double>(largest) * group.size());
  segment_bytes_ = (largest + page - 1) / page * page;
  bytes_ = segment_bytes_ * group.size();

  Descriptor file;
  Origin origin;
  together<CaseError>(group, [&] {
    if (group.rank() == 0) file = create(bytes_, origin);
  });
  for (std::int64_t* value : {&origin.process_id, &origin.descriptor, &origin.device, &origin.inode})
    *value = group.broadcast(*value);
  try {
    together<CaseError>(group, [&] {
      if (group.rank() != 0) file = open_from(origin);
      void* mapped = mmap(nullptr, static_cast<std::size_t>(bytes_), PROT_READ | PROT_WRITE, MAP_SHARED,
                          file.number(), 0);
      if (mapped == MAP_FAILED) {
        fail(fmt::format("cannot map {} of shared memory", format_bytes(static_cast<double>(bytes_))));
      }
      base_ = static_cast<std::byte*>(mapped);
    });
  } catch (...) {
    if (base_ != nullptr) munmap(base_, static_cast<std::size_t>(bytes_));
    throw;
  }
}

SharedMemory::~SharedMemory() { munmap(base_, static_cast<std::size_t>(bytes_)); }

}  // namespace tpbench
