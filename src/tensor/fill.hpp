#pragma once

#include <cstdint>

#include "tensor/matrix.hpp"

namespace tpbench {

/// Which tensor is filled: the same key gives the same infinite matrix of values everywhere.
struct TensorKey {
  std::uint64_t seed = 0;
  std::uint32_t tensor = 0;  ///< which tensor of the layer
  std::int64_t layer = 0;    ///< which weight set; 0 for inputs
  double scale = 1;          ///< values are uniform in [-scale, scale)
};

/// Values of columns [column, column + count) of row `row`, rounded to T. Counter-based: a value depends on
/// (seed, tensor, layer, row, column) alone, so a shard equals its slice of the whole, and any rank can
/// compute any entry. The mixing is that of integer hash functions with two rounds of multiply and xor-shift
/// (Wellons, "lowbias32"), keyed anew for each row.
void fill_row(float* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count);
void fill_row(double* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count);
/// The values of f32, rounded once more.
void fill_row(Float16* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count);
void fill_row(BFloat16* out, const TensorKey& key, std::int64_t row, std::int64_t column, std::int64_t count);

/// Fills `matrix`, which lies at (`row`, `column`) of the whole tensor, rows [first, last) of it.
void fill_rows(const MatrixView& matrix, const TensorKey& key, std::int64_t row, std::int64_t column,
               std::int64_t first, std::int64_t last);

/// Overwrites every entry with NaN, so that what is not written shows.
void poison(const MatrixView& matrix);

/// Removes [data, data + bytes) from all caches of the calling core's machine, where the processor lets a
/// user program do that. Returns false where it does not.
bool flush_from_caches(const void* data, std::int64_t bytes);

}  // namespace tpbench
