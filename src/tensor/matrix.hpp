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
  /// Rows [row, row + row_count) of columns [column, column + column_count).
  [[nodiscard]] MatrixView block(std::int64_t first_row, std::int64_t row_count, std::int64_t column,
                                 std::int64_t column_count) const {
    return {static_cast<std::byte*>(row(first_row)) + column * size_of(dtype), dtype, row_count, column_count,
            row_stride};
  }
  /// Columns [begin, begin + count) of all rows.
  [[nodiscard]] MatrixView column_slice(std::int64_t begin, std::int64_t count) const {
    return block(0, rows, begin, count);
  }
  /// All columns of rows [begin, begin + count).
  [[nodiscard]] MatrixView row_slice(std::int64_t begin, std::int64_t count) const {
    return block(begin, count, 0, columns);
  }
};

/// Matrices of one shape at equal distances: each begins `stride` elements behind the one before.
struct MatrixStack {
  MatrixView first;
  std::int64_t count = 1;
  std::int64_t stride = 0;

  MatrixStack() = default;
  MatrixStack(const MatrixView& single) : first(single) {}  // NOLINT: a matrix is a stack of one
  MatrixStack(const MatrixView& the_first, std::int64_t how_many, std::int64_t elements_between)
      : first(the_first), count(how_many), stride(elements_between) {}
  [[nodiscard]] MatrixView at(std::int64_t i) const {
    MatrixView one = first;
    one.data = static_cast<std::byte*>(first.data) + i * stride * size_of(first.dtype);
    return one;
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
