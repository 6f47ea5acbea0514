// How fast products are by this backend, by a plain loop over cuBLASLt in the same process, and by what the
// device can do at best: its largest rate over all algorithms that are proposed, and that of a copy.
// Interleaved; medians.
//   gpu_rates [--size N] [--rounds N]
#include <cublasLt.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "compute/cuda_workspace.hpp"
#include "cuda/check.hpp"
#include "cuda/cuda_backend.hpp"
#include "cuda/device.hpp"
#include "measure/statistics.hpp"

namespace tpbench::cuda {
namespace {

struct Product {
  DType dtype;
  std::int64_t tokens, hidden;
};

// Written for itself, as somebody would who only wants one product: the library's first proposal.
class PlainLoop {
 public:
  PlainLoop(const MatrixView& x, const MatrixView& w, const MatrixView& y) : x_(x), w_(w), y_(y) {
    const bool wide = x.dtype == DType::f64;
    scale_ = wide ? CUDA_R_64F : CUDA_R_32F;
    const cudaDataType_t type = wide                     ? CUDA_R_64F
                                : x.dtype == DType::f16  ? CUDA_R_16F
                                : x.dtype == DType::bf16 ? CUDA_R_16BF
                                                         : CUDA_R_32F;
    const cublasComputeType_t compute = wide                     ? CUBLAS_COMPUTE_64F
                                        : x.dtype == DType::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                 : CUBLAS_COMPUTE_32F;
    TPBENCH_CUBLAS(cublasLtCreate(&handle_));
    TPBENCH_CUBLAS(cublasLtMatmulDescCreate(&product_, compute, scale_));
    const auto layout = [&](const MatrixView& matrix) {
      cublasLtMatrixLayout_t made = nullptr;
      TPBENCH_CUBLAS(cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(matrix.columns),
                                                static_cast<std::uint64_t>(matrix.rows), matrix.columns));
      return made;
    };
    w_layout_ = layout(w);
    x_layout_ = layout(x);
    y_layout_ = layout(y);
    workspace_ = Device::get().allocate(kCudaWorkspaceBytes);
    propose();
  }
  PlainLoop(const PlainLoop&) = delete;
  PlainLoop& operator=(const PlainLoop&) = delete;
  ~PlainLoop() {
    for (const cublasLtMatrixLayout_t layout : {w_layout_, x_layout_, y_layout_})
      cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(product_);
    cublasLtDestroy(handle_);
  }

  void run(std::size_t proposal = 0) { TPBENCH_CUBLAS(call(proposals_[proposal].algo)); }
  [[nodiscard]] std::size_t proposals() const { return proposals_.size(); }

 private:
  cublasStatus_t call(const cublasLtMatmulAlgo_t& algorithm) {
    const double one64 = 1, zero64 = 0;
    const float one32 = 1, zero32 = 0;
    const bool wide = scale_ == CUDA_R_64F;
    return cublasLtMatmul(handle_, product_, wide ? static_cast<const void*>(&one64) : &one32, w_.data,
                          w_layout_, x_.data, x_layout_, wide ? static_cast<const void*>(&zero64) : &zero32,
                          y_.data, y_layout_, y_.data, y_layout_, &algorithm, workspace_.get(),
                          static_cast<std::size_t>(kCudaWorkspaceBytes), Device::get().queue());
  }

  void propose() {
    cublasLtMatmulPreference_t preference = nullptr;
    TPBENCH_CUBLAS(cublasLtMatmulPreferenceCreate(&preference));
    const auto bytes = static_cast<std::size_t>(kCudaWorkspaceBytes);
    TPBENCH_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                        &bytes, sizeof(bytes)));
    constexpr int kMost = 32;
    proposals_.resize(kMost);
    int count = 0;
    TPBENCH_CUBLAS(cublasLtMatmulAlgoGetHeuristic(handle_, product_, w_layout_, x_layout_, y_layout_,
                                                  y_layout_, preference, kMost, proposals_.data(), &count));
    cublasLtMatmulPreferenceDestroy(preference);
    proposals_.resize(static_cast<std::size_t>(count));
    std::erase_if(proposals_, [&](const auto& proposal) {
      return proposal.state != CUBLAS_STATUS_SUCCESS || call(proposal.algo) != CUBLAS_STATUS_SUCCESS;
    });
  }

  MatrixView x_, w_, y_;
  cudaDataType_t scale_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t x_layout_ = nullptr, w_layout_ = nullptr, y_layout_ = nullptr;
  std::shared_ptr<void> workspace_;
  std::vector<cublasLtMatmulHeuristicResult_t> proposals_;
};

// Seconds of one call, from several in a row.
double seconds_of(const std::function<void()>& call) {
  constexpr int kCalls = 5;
  const Event begin, end;
  TPBENCH_CUDA(cudaEventRecord(begin.get(), Device::get().queue()));
  for (int i = 0; i < kCalls; ++i) call();
  TPBENCH_CUDA(cudaEventRecord(end.get(), Device::get().queue()));
  Device::get().wait(end.get());
  float milliseconds = 0;
  TPBENCH_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return static_cast<double>(milliseconds) * 1e-3 / kCalls;
}

double median_of(const std::vector<double>& values) { return summarise(values).median; }

Json measure(const Product& product, int rounds) {
  const auto backend = make_cuda_backend(1);
  const auto matrix = [&](std::int64_t rows, std::int64_t columns, std::uint32_t tensor) {
    Matrix made = backend->make_matrix(Category::activations, product.dtype, rows, columns);
    backend->fill(made.view(), {.seed = 1, .tensor = tensor}, 0, 0);
    return made;
  };
  const Matrix x = matrix(product.tokens, product.hidden, 1), w = matrix(product.hidden, product.hidden, 2),
               y = matrix(product.tokens, product.hidden, 3);
  PlainLoop plain(x.view(), w.view(), y.view());
  std::vector<double> ours_s, plain_s, ratio;
  std::vector<std::vector<double>> each_s(plain.proposals());
  const auto ours = [&] { backend->gemm(x.view(), w.view(), y.view()); };
  seconds_of(ours);
  for (int round = 0; round < rounds; ++round) {
    // In turn, and whoever was first is next time second.
    for (int turn = 0; turn < 2; ++turn) {
      if ((round + turn) % 2 == 0)
        ours_s.push_back(seconds_of(ours));
      else
        plain_s.push_back(seconds_of([&] { plain.run(); }));
    }
    ratio.push_back(plain_s.back() / ours_s.back());
    if (round % 4 == 0) {
      for (std::size_t i = 0; i < plain.proposals(); ++i)
        each_s[i].push_back(seconds_of([&] { plain.run(i); }));
    }
  }
  double best_s = median_of(plain_s);
  for (const std::vector<double>& one_s : each_s) best_s = std::min(best_s, median_of(one_s));
  const double flop = 2.0 * static_cast<double>(product.tokens) * static_cast<double>(product.hidden) *
                      static_cast<double>(product.hidden);
  return {{"dtype", name_of(product.dtype)},
          {"tokens", product.tokens},
          {"hidden_size", product.hidden},
          {"tpbench_tflops", flop / median_of(ours_s) / 1e12},
          {"plain_tflops", flop / median_of(plain_s) / 1e12},
          {"best_of_proposals_tflops", flop / best_s / 1e12},
          {"tpbench_over_plain", median_of(ratio)}};
}

Json measure_copy(std::int64_t bytes, int rounds) {
  const std::shared_ptr<void> from = Device::get().allocate(bytes), to = Device::get().allocate(bytes);
  const auto copy = [&] {
    TPBENCH_CUDA(cudaMemcpyAsync(to.get(), from.get(), static_cast<std::size_t>(bytes),
                                 cudaMemcpyDeviceToDevice, Device::get().queue()));
  };
  seconds_of(copy);
  std::vector<double> copy_s;
  for (int round = 0; round < rounds; ++round) copy_s.push_back(seconds_of(copy));
  return {{"copy_bytes", bytes}, {"copy_gb_per_s", 2 * static_cast<double>(bytes) / median_of(copy_s) / 1e9}};
}

int run(std::int64_t size, int rounds) {
  Device::open(0);
  Json rates = {{"gpu", Device::get().properties().name}, {"products", Json::array()}};
  const std::vector<Product> products = {
      {DType::bf16, size, size},        {DType::f16, size, size},         {DType::tf32, size, size},
      {DType::f32, size / 2, size / 2}, {DType::f64, size / 2, size / 2}, {DType::bf16, size / 16, size / 2}};
  for (const Product& product : products) rates["products"].push_back(measure(product, rounds));
  rates.update(measure_copy(size * size * 16, rounds));
  fmt::print("{}\n", rates.dump(2));
  return 0;
}

}  // namespace
}  // namespace tpbench::cuda

int main(int argc, char** argv) {
  std::int64_t size = 8192;
  int rounds = 20;
  for (int i = 1; i < argc; i += 2) {
    const bool is_size = std::strcmp(argv[i], "--size") == 0;
    const long value = i + 1 < argc ? std::strtol(argv[i + 1], nullptr, 10) : 0;
    if (value < 1 || (!is_size && std::strcmp(argv[i], "--rounds") != 0)) {
      fmt::print(stderr, "Usage: gpu_rates [--size N] [--rounds N]\n");
      return 2;
    }
    if (is_size)
      size = value;
    else
      rounds = static_cast<int>(value);
  }
  try {
    return tpbench::cuda::run(size, rounds);
  } catch (const std::exception& error) {
    fmt::print(stderr, "gpu_rates: {}\n", error.what());
    return 3;
  }
}
