#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench {

/// Rows of a matrix on the host, for one thread, which best asks for them in order: where they lie on a
/// device, many are copied at once. A reader keeps what it has read, so it does not outlive the next write to
/// the matrix.
class RowReader {
 public:
  RowReader(const MatrixView& x, Backend& backend) : x_(x), backend_(backend) {}

  /// Entries of row `r` in the type of the matrix; stand until the next call.
  const void* row(std::int64_t r) {
    if (r < first_ || r >= first_ + read_.rows) read_from(r);
    return read_.row(r - first_);
  }
  /// Row `r` in double.
  void row_to(std::int64_t r, std::vector<double>& values);

 private:
  void read_from(std::int64_t r);

  MatrixView x_;
  Backend& backend_;
  std::int64_t first_ = 0;
  MatrixView read_;
  std::vector<std::byte> scratch_;
};

}  // namespace tpbench
