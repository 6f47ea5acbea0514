#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/json_fwd.hpp"
#include "tensor/fill.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {

/// Where tensors live and compute runs. One per case and rank; all calls come from the rank's main thread and
/// have finished their work, or queued it in order, when they return. Failures throw CaseError.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Compute threads that this backend really uses on this rank.
  [[nodiscard]] virtual int threads() const = 0;
  /// The memory from which this backend's tensors come.
  virtual TrackedMemory& memory() = 0;
  /// A contiguous matrix of undefined content.
  Matrix make_matrix(Category category, DType dtype, std::int64_t rows, std::int64_t columns) {
    return {memory().allocate(category, rows * columns * size_of(dtype)), dtype, rows, columns};
  }

  /// C [m, n] = A [m, k] B [k, n]
  virtual void gemm(const MatrixView& a, const MatrixView& b, const MatrixView& c) = 0;
  /// x = gelu(x), tanh form (arXiv 1606.08415), in place
  virtual void gelu(const MatrixView& x) = 0;
  /// x[:, :f] = silu(x[:, :f]) * x[:, f:], x [rows, 2f] (arXiv 2002.05202), in place
  virtual void swiglu(const MatrixView& x) = 0;
  /// to = from, the same shape, any strides
  virtual void copy(const MatrixView& from, const MatrixView& to) = 0;
  virtual void set_zero(const MatrixView& x) = 0;

  /// Fills the part of a tensor that starts at (row, column) of the whole; see TensorKey.
  virtual void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) = 0;
  /// Overwrites every entry with NaN.
  virtual void poison(const MatrixView& x) = 0;
  /// Makes row `row` readable by the host: returns its address, or fills `scratch` and returns that.
  virtual const void* host_row(const MatrixView& x, std::int64_t row, std::span<std::byte> scratch) = 0;
  /// Runs `body(first, last)` over pieces of [0, count) on this rank's compute threads, for host work around
  /// a case.
  virtual void parallel_for(std::int64_t count,
                            const std::function<void(std::int64_t, std::int64_t)>& body) = 0;
  /// Removes all tensors of this backend from the caches. Returns false where that cannot be done.
  virtual bool flush_caches() = 0;
};

/// One row of the table of backends.
struct BackendEntry {
  std::string_view name;
  std::unique_ptr<Backend> (*make)(int threads);
  /// Version, core name, thread model: for environment.json.
  Json (*describe)();
};

std::span<const BackendEntry> all_backends();
const BackendEntry* find_backend(std::string_view name);

}  // namespace tpbench
