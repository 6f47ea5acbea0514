// A library to preload, or to link into a test, that gives one rank's monotonic clock an offset and a drift:
// TPBENCH_SKEWED_CLOCK=RANK:OFFSET_S:DRIFT_PPM. All that the process reads by clock_gettime is skewed, and
// nothing that waits in the kernel; the kernel's own time is still there by the system call.

#include <dlfcn.h>
#include <time.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

struct Skew {
  bool is_on = false;
  std::int64_t offset_ns = 0;
  double drift = 0;
};

Skew read_skew() {
  const char* text = std::getenv("TPBENCH_SKEWED_CLOCK");
  const char* own_rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (text == nullptr || own_rank == nullptr) return {};
  int rank = -1;
  double offset_s = 0, drift_ppm = 0;
  if (std::sscanf(text, "%d:%lf:%lf", &rank, &offset_s, &drift_ppm) != 3) {
    std::fputs("TPBENCH_SKEWED_CLOCK: must be RANK:OFFSET_S:DRIFT_PPM\n", stderr);
    std::abort();
  }
  return {rank == std::atoi(own_rank), static_cast<std::int64_t>(offset_s * 1e9), drift_ppm * 1e-6};
}

std::int64_t nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  using Read = int (*)(clockid_t, timespec*);
  static const Read read = reinterpret_cast<Read>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = read(clock, time);
  if (clock != CLOCK_MONOTONIC || result != 0) return result;
  static const Skew skew = read_skew();
  static const std::int64_t began_ns = nanoseconds(*time);
  if (!skew.is_on) return result;
  const std::int64_t now_ns = nanoseconds(*time);
  const std::int64_t skewed_ns =
      now_ns + skew.offset_ns +
      static_cast<std::int64_t>(skew.drift * static_cast<double>(now_ns - began_ns));
  time->tv_sec = skewed_ns / 1'000'000'000;
  time->tv_nsec = skewed_ns % 1'000'000'000;
  return result;
}
