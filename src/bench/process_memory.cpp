#include "bench/process_memory.hpp"

#include <malloc.h>

#include <fstream>
#include <string>

namespace tpbench {
namespace {

std::optional<std::int64_t> kilobytes_in(const char* file, const std::string& key) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    std::int64_t kilobytes = 0;
    if (word == key && lines >> kilobytes) return kilobytes * 1024;
  }
  return std::nullopt;
}

std::optional<std::int64_t> status_bytes(const std::string& key) {
  return kilobytes_in("/proc/self/status", key);
}

}  // namespace

std::optional<std::int64_t> huge_page_bytes() {
  return kilobytes_in("/proc/self/smaps_rollup", "AnonHugePages:");
}

std::optional<std::int64_t> resident_bytes() { return status_bytes("VmRSS:"); }

std::optional<std::int64_t> peak_resident_bytes() { return status_bytes("VmHWM:"); }

bool reset_peak_resident() {
  malloc_trim(0);
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5" << std::flush;  // 5: reset the peak, see proc(5)
  return clear.good();
}

void keep_heap_small() {
  // Without this, glibc raises its threshold after the first large free and keeps such blocks.
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

}  // namespace tpbench
