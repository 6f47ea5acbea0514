#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.hpp"
#include "tensor/tracked_memory.hpp"

namespace tpbench {

/// Row-major [rows, columns] in memory that somebody else owns; row r starts `row_stride` elements after row
/// r-1.
struct MatrixView {
  void* data = nullptr;
  DType dtype = DType::f32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t row_stride = 0;

  [[nodiscard]] std::int64_t elements() const { return rows * columns; }
  [[nodiscard]] void* row(std::int64_t r) const {
    return static_cast<std::byte*>(data) + r * row_stride * size_of(dtype);
  }
  /// Columns [begin, begin + count) of all rows.
  [[nodiscard]] MatrixView column_slice(std::int64_t begin, std::int64_t count) const {
    return {static_cast<std::byte*>(data) + begin * size_of(dtype), dtype, rows, count, row_stride};
  }
};

/// A contiguous matrix that owns its memory.
class Matrix {
 public:
  Matrix() = default;
  Matrix(Allocation allocation, DType dtype, std::int64_t rows, std::int64_t columns)
      : allocation_(std::move(allocation)), view_{allocation_.data(), dtype, rows, columns, columns} {}

  [[nodiscard]] const MatrixView& view() const { return view_; }

 private:
  Allocation allocation_;
  MatrixView view_;
};

}  // namespace tpbench
