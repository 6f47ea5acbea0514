#pragma once

#include <vector>

#include "tensor/matrix.hpp"

namespace tpbench::test {

/// A matrix with a few elements more in each row than belong to it, which nobody may touch.
template <typename T>
class Strided {
 public:
  static constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;
  static constexpr T kGuard = T(777);

  Strided(std::int64_t rows, std::int64_t columns, std::int64_t extra)
      : rows_(rows),
        columns_(columns),
        stride_(columns + extra),
        values_(static_cast<std::size_t>(rows * stride_), kGuard) {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c)
        at(r, c) = static_cast<T>((r * 31 + c * 17) % 23 - 11) / T(16);
    }
  }

  T& at(std::int64_t r, std::int64_t c) { return values_[static_cast<std::size_t>(r * stride_ + c)]; }
  MatrixView view() { return {values_.data(), kDType, rows_, columns_, stride_}; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] bool guards_untouched() {
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t c = columns_; c < stride_; ++c) {
        if (at(r, c) != kGuard) return false;
      }
    }
    return true;
  }

 private:
  std::int64_t rows_, columns_, stride_;
  std::vector<T> values_;
};

}  // namespace tpbench::test
