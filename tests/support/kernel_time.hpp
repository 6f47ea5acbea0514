#pragma once

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace tpbench::test {

/// The kernel's monotonic time, nanoseconds: the same for all processes of this kernel, whatever their time
/// namespace and whatever clock_gettime has been made to say.
inline std::int64_t kernel_ns() {
  static const std::int64_t ahead_ns = [] {
    std::ifstream file("/proc/self/timens_offsets");
    std::string clock;
    std::int64_t seconds = 0, nanoseconds = 0;
    while (file >> clock >> seconds >> nanoseconds) {
      if (clock == "monotonic") return seconds * 1'000'000'000 + nanoseconds;
    }
    return std::int64_t{0};
  }();
  timespec time{};
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec - ahead_ns;
}

/// A moment as a process sees it, and as the kernel knows it.
struct Moment {
  std::int64_t own_ns = 0;
  std::int64_t true_ns = 0;
};

}  // namespace tpbench::test
