#include "compute/cpu_backend.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.hpp"
#include "base/json.hpp"
#include "compute/activation.hpp"
#include "compute/thread_pool.hpp"

namespace tpbench {
namespace {

blasint to_blas(std::int64_t value) {
  if (value > std::numeric_limits<blasint>::max()) {
    throw CaseError(fmt::format("a matrix dimension of {} is beyond what this BLAS library takes ({})", value,
                                std::numeric_limits<blasint>::max()));
  }
  return static_cast<blasint>(value);
}

class CpuBackend final : public Backend {
 public:
  // The library may allow fewer threads than asked for; the loops beside it use as many as it does.
  explicit CpuBackend(int threads) : pool_((openblas_set_num_threads(threads), openblas_get_num_threads())) {}

  int threads() const override { return openblas_get_num_threads(); }
  TrackedMemory& memory() override { return memory_; }

  void gemm(const MatrixView& a, const MatrixView& b, const MatrixView& c) override {
    const blasint m = to_blas(c.rows), n = to_blas(c.columns), k = to_blas(a.columns);
    const blasint lda = to_blas(a.row_stride), ldb = to_blas(b.row_stride), ldc = to_blas(c.row_stride);
    if (c.dtype == DType::f32) {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0F, static_cast<const float*>(a.data),
                  lda, static_cast<const float*>(b.data), ldb, 0.0F, static_cast<float*>(c.data), ldc);
    } else {
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0, static_cast<const double*>(a.data),
                  lda, static_cast<const double*>(b.data), ldb, 0.0, static_cast<double*>(c.data), ldc);
    }
  }

  void gelu(const MatrixView& x) override {
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        gelu_row(static_cast<T*>(x.row(row)) + first, last - first);
      });
    });
  }

  void swiglu(const MatrixView& x) override {
    const std::int64_t half = x.columns / 2;
    dispatch(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, half, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        T* gate = static_cast<T*>(x.row(row));
        swiglu_row(gate + first, gate + half + first, last - first);
      });
    });
  }

  void copy(const MatrixView& from, const MatrixView& to) override {
    const std::int64_t size = size_of(from.dtype);
    for_row_pieces(from.rows, from.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::memcpy(static_cast<std::byte*>(to.row(row)) + first * size,
                  static_cast<const std::byte*>(from.row(row)) + first * size,
                  static_cast<std::size_t>((last - first) * size));
    });
  }

  void set_zero(const MatrixView& x) override {
    const std::int64_t size = size_of(x.dtype);
    for_row_pieces(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::memset(static_cast<std::byte*>(x.row(row)) + first * size, 0,
                  static_cast<std::size_t>((last - first) * size));
    });
  }

  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    pool_.parallel_for(
        x.rows, [&](std::int64_t first, std::int64_t last) { fill_rows(x, key, row, column, first, last); });
  }

  void poison(const MatrixView& x) override { tpbench::poison(x); }

  const void* host_row(const MatrixView& x, std::int64_t row, std::span<std::byte>) override {
    return x.row(row);
  }

  void parallel_for(std::int64_t count,
                    const std::function<void(std::int64_t, std::int64_t)>& body) override {
    pool_.parallel_for(count, body);
  }

  bool flush_caches() override {
    bool flushed = true;
    memory_.for_each_block(
        [&](const void* data, std::int64_t bytes) { flushed = flush_from_caches(data, bytes) && flushed; });
    return flushed;
  }

 private:
  // Calls `body(row, first, last)` so that every element of a [rows, columns] array is covered once, shared
  // over the threads by elements: one long row is shared as well as many short ones.
  template <typename Body>
  void for_row_pieces(std::int64_t rows, std::int64_t columns, const Body& body) {
    constexpr std::int64_t kWorthWaking =
        1 << 14;  // below this many elements waking a thread costs more than it brings
    const auto span = [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t row = begin / columns, first = begin % columns;
        const std::int64_t last = std::min(columns, first + end - begin);
        body(row, first, last);
        begin += last - first;
      }
    };
    if (rows * columns < kWorthWaking)
      span(0, rows * columns);
    else
      pool_.parallel_for(rows * columns, span);
  }

  TrackedMemory memory_;
  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<CpuBackend>(threads); }

Json describe_openblas() {
  const char* const kThreading[] = {"sequential", "pthreads", "openmp"};
  const int parallel = openblas_get_parallel();
  return {{"library", "OpenBLAS"},
          {"config", openblas_get_config()},
          {"core", openblas_get_corename()},
          {"threading", parallel >= 0 && parallel < 3 ? kThreading[parallel] : "unknown"},
          {"max_threads", openblas_get_num_procs()}};
}

}  // namespace tpbench
