#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace tpbench {

/// Work that is always the same, so that its time tells whether the machine is: a product and a copy, both
/// larger than the second-level cache of a core. Nothing of a case is in it. Its memory is taken and touched
/// once: the resident set of the process is larger by kReferenceBytes from then on.
class ReferenceWork {
 public:
  /// Throws EnvironmentError when the memory is not to be had.
  ReferenceWork();

  /// Writes the seconds of each of several products [64, 1024] x [1024, 1024] in f32, on one thread, by the
  /// kernels of the cpu backend. 0.13 GFLOP each; the matrices are 4.5 MiB.
  void time_products(std::span<double> seconds);
  /// Writes the seconds of each of several copies of 12 MiB.
  void time_copies(std::span<double> seconds);

 private:
  std::shared_ptr<void> memory_;
};

inline constexpr std::int64_t kReferenceBytes = std::int64_t{24} << 20;

}  // namespace tpbench
