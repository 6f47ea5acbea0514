#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/dtype.hpp"
#include "tensor/fill.hpp"
#include "tensor/matrix.hpp"

namespace tpbench::test {

/// How a matrix lies in memory.
struct Layout {
  std::int64_t rows, columns;
  std::int64_t extra = 0;  ///< entries behind each row that nobody may touch
  std::int64_t shift = 0;  ///< entries from an address that is good for any access to the first one
};

inline std::ostream& operator<<(std::ostream& out, const Layout& layout) {
  return out << layout.rows << " x " << layout.columns << ", stride + " << layout.extra << ", shifted by "
             << layout.shift;
}

// Types of the host that round to nearest even, other than those of the toolkit that is under test.
inline std::uint16_t bits_of_bf16(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
  if (std::isnan(value)) return 0x7fc0;
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline double value_of_bf16(std::uint16_t bits) {
  return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16));
}

/// A matrix of any type whose entries are read and written as double. What lies between its rows is watched.
class Tensor {
 public:
  Tensor(DType dtype, const Layout& layout)
      : dtype_(dtype),
        layout_(layout),
        bytes_(static_cast<std::size_t>((layout.shift + layout.rows * stride() + kBehind) * size_of(dtype)),
               kGuard) {}
  /// With the values of tensor number `tensor`, rounded to the type; from -2 to 2.
  Tensor(DType dtype, const Layout& layout, std::uint32_t tensor) : Tensor(dtype, layout) {
    std::vector<float> row(static_cast<std::size_t>(layout.columns));
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      fill_row(row.data(), {.seed = 5, .tensor = tensor, .scale = 2}, r, 0, layout.columns);
      for (std::int64_t c = 0; c < layout.columns; ++c)
        set(r, c, static_cast<double>(row[static_cast<std::size_t>(c)]));
    }
  }
  /// The same values, contiguous, in the type that the CPU backend computes them in.
  [[nodiscard]] Tensor widened() const {
    Tensor wide(dtype_ == DType::f64 ? DType::f64 : DType::f32, {layout_.rows, layout_.columns});
    for (std::int64_t r = 0; r < layout_.rows; ++r) {
      for (std::int64_t c = 0; c < layout_.columns; ++c) wide.set(r, c, get(r, c));
    }
    return wide;
  }

  [[nodiscard]] MatrixView view() {
    return {bytes_.data() + layout_.shift * size_of(dtype_), dtype_, layout_.rows, layout_.columns, stride()};
  }
  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] DType dtype() const { return dtype_; }
  [[nodiscard]] std::int64_t stride() const { return layout_.columns + layout_.extra; }

  void set(std::int64_t row, std::int64_t column, double value) {
    switch (dtype_) {
      case DType::f64:
        return put(row, column, value);
      case DType::f16:
        return put(row, column, static_cast<_Float16>(static_cast<float>(value)));
      case DType::bf16:
        return put(row, column, bits_of_bf16(value));
      default:
        return put(row, column, static_cast<float>(value));
    }
  }
  [[nodiscard]] double get(std::int64_t row, std::int64_t column) const {
    switch (dtype_) {
      case DType::f64:
        return take<double>(row, column);
      case DType::f16:
        return static_cast<double>(take<_Float16>(row, column));
      case DType::bf16:
        return value_of_bf16(take<std::uint16_t>(row, column));
      default:
        return static_cast<double>(take<float>(row, column));
    }
  }
  /// The bits of an entry, whatever they mean.
  [[nodiscard]] std::uint64_t bits(std::int64_t row, std::int64_t column) const {
    std::uint64_t bits = 0;
    std::memcpy(&bits, bytes_.data() + offset(row, column), static_cast<std::size_t>(size_of(dtype_)));
    return bits;
  }

  /// Whether what lies before the first, between and behind the rows is as it was made.
  [[nodiscard]] bool guards_untouched() const {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const std::int64_t entry = static_cast<std::int64_t>(i) / size_of(dtype_) - layout_.shift;
      const bool belongs =
          entry >= 0 && entry < layout_.rows * stride() && entry % stride() < layout_.columns;
      if (!belongs && bytes_[i] != kGuard) return false;
    }
    return true;
  }

 private:
  static constexpr auto kGuard = std::byte{0x5a};
  static constexpr std::int64_t kBehind = 8;

  [[nodiscard]] std::size_t offset(std::int64_t row, std::int64_t column) const {
    return static_cast<std::size_t>((layout_.shift + row * stride() + column) * size_of(dtype_));
  }
  template <typename T>
  void put(std::int64_t row, std::int64_t column, T value) {
    std::memcpy(bytes_.data() + offset(row, column), &value, sizeof(T));
  }
  template <typename T>
  [[nodiscard]] T take(std::int64_t row, std::int64_t column) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset(row, column), sizeof(T));
    return value;
  }

  DType dtype_;
  Layout layout_;
  std::vector<std::byte> bytes_;
};

/// Compares a result with that of the CPU backend, in the wider type. What both compute with may be
/// `roundings` roundings apart, relative to 1 or to the value where that is larger; what is stored is rounded
/// once more.
inline void expect_near(const Tensor& result, const Tensor& expected, double roundings) {
  const DType dtype = result.dtype();
  const bool narrow = dtype == DType::f16 || dtype == DType::bf16;
  const double smallest_f16 = 0x1p-24;
  for (std::int64_t r = 0; r < result.layout().rows; ++r) {
    for (std::int64_t c = 0; c < result.layout().columns; ++c) {
      const double value = expected.get(r, c);
      double tolerance = roundings * epsilon_of(expected.dtype()) * std::max(1.0, std::abs(value));
      if (narrow) tolerance += epsilon_of(dtype) / 2 * std::abs(value) * 1.01 + smallest_f16;
      ASSERT_NEAR(result.get(r, c), value, tolerance) << "entry " << r << ", " << c;
    }
  }
  ASSERT_TRUE(result.guards_untouched());
}

}  // namespace tpbench::test
