#include <cblas.h>
#include <fmt/format.h>

#include <limits>

#include "base/error.hpp"
#include "base/json.hpp"
#include "compute/blas_kernels.hpp"
#include "compute/products.hpp"

namespace tpbench {
namespace {

blasint to_blas(std::int64_t value) {
  if (value > std::numeric_limits<blasint>::max()) {
    throw CaseError(fmt::format("a matrix dimension of {} is beyond what this BLAS library takes ({})", value,
                                std::numeric_limits<blasint>::max()));
  }
  return static_cast<blasint>(value);
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

class OpenblasProducts final : public Products {
 public:
  // The library may allow fewer threads than asked for.
  explicit OpenblasProducts(int threads) { openblas_set_num_threads(threads); }

  int threads() const override { return openblas_get_num_threads(); }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    for (std::int64_t i = 0; i < c.count; ++i) multiply_one(a.at(i), b.at(i), c.at(i), store);
  }

 private:
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
};

}  // namespace

std::unique_ptr<Products> make_openblas_products(const ProductNeeds& needs) {
  return std::make_unique<OpenblasProducts>(needs.threads);
}

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
