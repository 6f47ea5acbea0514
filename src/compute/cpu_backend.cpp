#include "compute/cpu_backend.hpp"

#include <cblas.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/vectorise.hpp"
#include "compute/activation.hpp"
#include "compute/blas_kernels.hpp"
#include "compute/cross_entropy.hpp"
#include "compute/norm.hpp"
#include "compute/softmax.hpp"
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

TPBENCH_VECTORISE void add_row(const float* a, const float* b, float* sum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}
TPBENCH_VECTORISE void add_row(const double* a, const double* b, double* sum, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}

void gemm_of(CBLAS_TRANSPOSE order_a, CBLAS_TRANSPOSE order_b, blasint m, blasint n, blasint k,
             const float* a, blasint lda, const float* b, blasint ldb, float beta, float* c, blasint ldc) {
  cblas_sgemm(CblasRowMajor, order_a, order_b, m, n, k, 1.0F, a, lda, b, ldb, beta, c, ldc);
}
void gemm_of(CBLAS_TRANSPOSE order_a, CBLAS_TRANSPOSE order_b, blasint m, blasint n, blasint k,
             const double* a, blasint lda, const double* b, blasint ldb, double beta, double* c,
             blasint ldc) {
  cblas_dgemm(CblasRowMajor, order_a, order_b, m, n, k, 1.0, a, lda, b, ldb, beta, c, ldc);
}

class CpuBackend final : public Backend {
 public:
  // The library may allow fewer threads than asked for; the loops beside it use as many as it does.
  explicit CpuBackend(int threads) : pool_((openblas_set_num_threads(threads), openblas_get_num_threads())) {}

  int threads() const override { return openblas_get_num_threads(); }
  TrackedMemory& memory() override { return memory_; }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    for (std::int64_t i = 0; i < c.count; ++i) multiply_one(a.at(i), b.at(i), c.at(i), store);
  }

  static void multiply_one(const Factor& a, const Factor& b, const MatrixView& c, Store store) {
    const blasint m = to_blas(c.rows), n = to_blas(c.columns), k = to_blas(a.columns());
    const blasint lda = to_blas(a.matrix.row_stride), ldb = to_blas(b.matrix.row_stride),
                  ldc = to_blas(c.row_stride);
    const auto order = [](const Factor& factor) { return factor.transposed ? CblasTrans : CblasNoTrans; };
    const bool adds = store == Store::add;
    dispatch_computed(c.dtype, [&](auto zero) {
      using T = decltype(zero);
      gemm_of(order(a), order(b), m, n, k, static_cast<const T*>(a.matrix.data), lda,
              static_cast<const T*>(b.matrix.data), ldb, T(adds ? 1 : 0), static_cast<T*>(c.data), ldc);
    });
  }

  void gelu(const MatrixView& x, const MatrixView& y) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        gelu_row(at<T>(x, row) + first, at<T>(y, row) + first, last - first);
      });
    });
  }

  void swiglu(const MatrixView& x, const MatrixView& y) override {
    const std::int64_t half = x.columns / 2;
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, half, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        const T* gate = at<T>(x, row) + first;
        swiglu_row(gate, gate + half, at<T>(y, row) + first, last - first);
      });
    });
  }

  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, x.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        gelu_backward_row(at<T>(x, row) + first, at<T>(dy, row) + first, at<T>(dx, row) + first,
                          last - first);
      });
    });
  }

  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    const std::int64_t half = x.columns / 2;
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(x.rows, half, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        const T* gate = at<T>(x, row) + first;
        T* dgate = at<T>(dx, row) + first;
        swiglu_backward_row(gate, gate + half, at<T>(dy, row) + first, dgate, dgate + half, last - first);
      });
    });
  }

  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(x, [&](std::int64_t row) {
        norm_row(at<T>(x, row), scale_of<T>(kind, x, row), at<T>(parameters, 0), shift<T>(kind, parameters),
                 at<T>(y, row), x.columns);
      });
    });
  }

  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    set_zero(dparameters);
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      auto& scales = std::get<std::vector<RowScale<T>>>(row_scales_);
      scales.resize(static_cast<std::size_t>(x.rows));
      for_rows(x, [&](std::int64_t row) {
        const RowScale<T> scale = scale_of<T>(kind, x, row);
        scales[static_cast<std::size_t>(row)] = scale;
        norm_backward_row(at<T>(x, row), scale, at<T>(parameters, 0), kind == Norm::layer_norm,
                          at<T>(dy, row), at<T>(dx, row), x.columns);
      });
      // Each thread sums its own columns over all rows.
      T* dshift = shift<T>(kind, dparameters);
      share(x.columns, x.elements(), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = 0; row < x.rows; ++row) {
          add_norm_gradients(at<T>(x, row) + first, scales[static_cast<std::size_t>(row)],
                             at<T>(dy, row) + first, at<T>(dparameters, 0) + first,
                             dshift == nullptr ? nullptr : dshift + first, last - first);
        }
      });
    });
  }

  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      for_rows(x, [&](std::int64_t row) {
        softmax_row(at<decltype(zero)>(x, row), visible.of_row(row), x.columns, scale);
      });
    });
  }

  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    dispatch_computed(p.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(p, [&](std::int64_t row) {
        softmax_backward_row(at<T>(p, row), at<T>(dp, row), p.columns, scale);
      });
    });
  }

  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override {
    const std::int64_t size = size_of(y.dtype);
    for_row_pieces(y.rows, y.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
      std::byte* target = static_cast<std::byte*>(y.row(row)) + first * size;
      const auto bytes = static_cast<std::size_t>((last - first) * size);
      const std::int64_t place = ids.place_of(ids.data[row]);
      if (place < 0)
        std::memset(target, 0, bytes);
      else
        std::memcpy(target, static_cast<const std::byte*>(table.row(place)) + first * size, bytes);
    });
  }

  // Each thread adds its own columns of all tokens, in their order.
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    if (store == Store::overwrite) set_zero(dtable);
    dispatch_computed(dy.dtype, [&](auto zero) {
      using T = decltype(zero);
      share(dy.columns, dy.elements(), [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t row = 0; row < dy.rows; ++row) {
          const std::int64_t place = ids.place_of(ids.data[row]);
          if (place < 0) continue;
          T* sum = at<T>(dtable, place) + first;
          add_row(sum, at<T>(dy, row) + first, sum, last - first);
        }
      });
    });
  }

  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(x, [&](std::int64_t row) {
        at<T>(maxima, 0)[row] = largest_of(at<T>(x, row), ids.held, T(kLeastLogit));
      });
    });
  }

  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(x, [&](std::int64_t row) {
        T* values = at<T>(x, row);
        const T largest = at<T>(maxima, 0)[row];
        const std::int64_t place = ids.place_of(ids.data[row]);
        at<T>(targets, 0)[row] = place < 0 ? T(0) : values[place] - largest;
        at<T>(sums, 0)[row] = exponentials_row(values, ids.held, largest);
        std::fill(values + ids.held, values + x.columns, T(0));
      });
    });
  }

  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override {
    dispatch_computed(loss.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t r = 0; r < loss.columns; ++r)
        at<T>(loss, 0)[r] = std::log(at<T>(sums, 0)[r]) - at<T>(targets, 0)[r];
    });
  }

  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    dispatch_computed(x.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_rows(x, [&](std::int64_t row) {
        scale_row(at<T>(x, row), ids.held, T(1) / at<T>(sums, 0)[row]);
        const std::int64_t place = ids.place_of(ids.data[row]);
        if (place >= 0) at<T>(x, row)[place] -= T(1);
      });
    });
  }

  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    dispatch_computed(a.dtype, [&](auto zero) {
      using T = decltype(zero);
      for_row_pieces(a.rows, a.columns, [&](std::int64_t row, std::int64_t first, std::int64_t last) {
        add_row(at<T>(a, row) + first, at<T>(b, row) + first, at<T>(sum, row) + first, last - first);
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

  MatrixView host_view(const MatrixView& x, std::vector<std::byte>&) override { return x; }

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
  template <typename T>
  static T* at(const MatrixView& x, std::int64_t row) {
    return static_cast<T*>(x.row(row));
  }
  template <typename T>
  static T* shift(Norm kind, const MatrixView& parameters) {
    return kind == Norm::layer_norm ? at<T>(parameters, 1) : nullptr;
  }
  template <typename T>
  static RowScale<T> scale_of(Norm kind, const MatrixView& x, std::int64_t row) {
    return kind == Norm::layer_norm ? layer_scale(at<T>(x, row), x.columns)
                                    : rms_scale(at<T>(x, row), x.columns);
  }

  // Calls `body(first, last)` over pieces of [0, count), on all threads when there is enough work for that.
  template <typename Body>
  void share(std::int64_t count, std::int64_t elements, const Body& body) {
    constexpr std::int64_t kWorthWaking =
        1 << 14;  // below this many elements waking a thread costs more than it brings
    if (elements < kWorthWaking)
      body(std::int64_t{0}, count);
    else
      pool_.parallel_for(count, std::cref(body));  // a function that holds a copy may allocate
  }

  template <typename Body>
  void for_rows(const MatrixView& x, const Body& body) {
    share(x.rows, x.elements(), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) body(row);
    });
  }

  // Calls `body(row, first, last)` so that every element of a [rows, columns] array is covered once, shared
  // over the threads by elements: one long row is shared as well as many short ones.
  template <typename Body>
  void for_row_pieces(std::int64_t rows, std::int64_t columns, const Body& body) {
    share(rows * columns, rows * columns, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t row = begin / columns, first = begin % columns;
        const std::int64_t last = std::min(columns, first + end - begin);
        body(row, first, last);
        begin += last - first;
      }
    });
  }

  TrackedMemory memory_;
  ThreadPool pool_;
  // Kept from one call to the next, so that a step allocates nothing.
  std::tuple<std::vector<RowScale<float>>, std::vector<RowScale<double>>> row_scales_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(int threads) { return std::make_unique<CpuBackend>(threads); }

Json describe_openblas() {
  const char* const kThreading[] = {"sequential", "pthreads", "openmp"};
  const int parallel = openblas_get_parallel();
  Json described = {{"library", "OpenBLAS"},
                    {"config", openblas_get_config()},
                    {"threading", parallel >= 0 && parallel < 3 ? kThreading[parallel] : "unknown"},
                    {"max_threads", openblas_get_num_procs()}};
  described.update(kernels_to_json(blas_kernels()));
  return described;
}

}  // namespace tpbench
