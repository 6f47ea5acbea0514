#include "cuda/gemm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/error.hpp"
#include "cuda/check.hpp"
#include "cuda/device.hpp"

namespace tpbench::cuda {
namespace {

struct Types {
  cudaDataType_t element;
  cublasComputeType_t compute;
  cudaDataType_t scale;
};

Types types_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return {CUDA_R_32F, CUBLAS_COMPUTE_32F, CUDA_R_32F};
    case DType::f64:
      return {CUDA_R_64F, CUBLAS_COMPUTE_64F, CUDA_R_64F};
    case DType::tf32:
      return {CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, CUDA_R_32F};
    case DType::f16:
      return {CUDA_R_16F, CUBLAS_COMPUTE_32F, CUDA_R_32F};
    case DType::bf16:
      return {CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUDA_R_32F};
  }
  throw std::logic_error("types_of: unknown dtype");
}

// The heuristic takes 256 bytes for granted; the part of a matrix that a rank or a head works on begins
// anywhere.
std::uint32_t alignment_of(const MatrixStack& stack) {
  constexpr std::uint64_t kMost = 256;
  const auto offset = static_cast<std::uint64_t>(stack.stride * size_of(stack.first.dtype));
  const std::uint64_t addresses = reinterpret_cast<std::uint64_t>(stack.first.data) | offset | kMost;
  return static_cast<std::uint32_t>(addresses & (~addresses + 1));
}
std::uint32_t alignment_of(const Factor& factor) {
  return alignment_of(MatrixStack(factor.matrix, 1, factor.stride));
}

template <typename T>
void set(cublasLtMatmulDesc_t descriptor, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  TPBENCH_CUBLAS(cublasLtMatmulDescSetAttribute(descriptor, attribute, &value, sizeof(value)));
}

template <typename T>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  TPBENCH_CUBLAS(cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof(value)));
}

template <typename T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  TPBENCH_CUBLAS(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value)));
}

// A row-major matrix is its transpose to a library that counts in columns.
cublasLtMatrixLayout_t layout_of(const MatrixView& matrix, std::int64_t count, std::int64_t stride) {
  cublasLtMatrixLayout_t layout = nullptr;
  TPBENCH_CUBLAS(cublasLtMatrixLayoutCreate(
      &layout, types_of(matrix.dtype).element, static_cast<std::uint64_t>(matrix.columns),
      static_cast<std::uint64_t>(matrix.rows), std::max(matrix.row_stride, matrix.columns)));
  if (count > 1) {
    set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(count));
    set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride);
  }
  return layout;
}

constexpr std::size_t kProposals = 8;

struct Preference {
  cublasLtMatmulPreference_t get = nullptr;
  Preference() { TPBENCH_CUBLAS(cublasLtMatmulPreferenceCreate(&get)); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(get); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
};

}  // namespace

// C^T = B^T A^T: what the library calls A is our B.
struct Gemm::Plan {
  cublasLtMatmulDesc_t descriptor = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm{};

  Plan(const Factor& left, const Factor& right, const MatrixStack& result) {
    const Types types = types_of(result.first.dtype);
    const auto order = [](const Factor& factor) { return factor.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
    TPBENCH_CUBLAS(cublasLtMatmulDescCreate(&descriptor, types.compute, types.scale));
    set(descriptor, CUBLASLT_MATMUL_DESC_TRANSA, order(right));
    set(descriptor, CUBLASLT_MATMUL_DESC_TRANSB, order(left));
    a = layout_of(right.matrix, result.count, right.stride);
    b = layout_of(left.matrix, result.count, left.stride);
    c = layout_of(result.first, result.count, result.stride);
  }
  ~Plan() {
    for (const cublasLtMatrixLayout_t layout : {a, b, c}) {
      if (layout != nullptr) cublasLtMatrixLayoutDestroy(layout);
    }
    if (descriptor != nullptr) cublasLtMatmulDescDestroy(descriptor);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
};

Gemm::Gemm(void* workspace, std::int64_t workspace_bytes)
    : workspace_(workspace), workspace_bytes_(static_cast<std::size_t>(workspace_bytes)) {
  TPBENCH_CUBLAS(cublasLtCreate(&handle_));
}

Gemm::~Gemm() {
  plans_.clear();
  cublasLtDestroy(handle_);
}

void Gemm::multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store, cudaStream_t queue) {
  if (c.first.elements() == 0) return;
  const Plan& plan = plan_for(a, b, c, store, queue);
  TPBENCH_CUBLAS(run(plan, plan.algorithm, a, b, c, c.first.data, store, queue));
}

Gemm::Plan& Gemm::plan_for(const Factor& a, const Factor& b, const MatrixStack& c, Store store,
                           cudaStream_t queue) {
  const Key key = {static_cast<std::int64_t>(c.first.dtype),
                   c.count,
                   c.first.rows,
                   c.first.columns,
                   a.columns(),
                   a.transposed,
                   b.transposed,
                   a.matrix.row_stride,
                   b.matrix.row_stride,
                   c.first.row_stride,
                   a.stride,
                   b.stride,
                   c.stride,
                   alignment_of(a),
                   alignment_of(b),
                   alignment_of(c),
                   store == Store::add};
  const auto found = plans_.find(key);
  if (found != plans_.end()) return *found->second;
  auto plan = std::make_unique<Plan>(a, b, c);
  choose(*plan, a, b, c, store, queue);
  return *(plans_[key] = std::move(plan));
}

void Gemm::choose(Plan& plan, const Factor& a, const Factor& b, const MatrixStack& c, Store store,
                  cudaStream_t queue) {
  const Preference preference;
  set(preference.get, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes_);
  // A sum in parts (split-K) may be put together in the type of the result, which rounds again and again.
  if (size_of(c.first.dtype) == 2)
    set(preference.get, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
        static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(preference.get, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(b));
  set(preference.get, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(a));
  set(preference.get, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c));
  set(preference.get, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c));
  std::array<cublasLtMatmulHeuristicResult_t, kProposals> proposals{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, plan.descriptor, plan.a, plan.b, plan.c, plan.c, preference.get,
                                     static_cast<int>(kProposals), proposals.data(), &count);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) TPBENCH_CUBLAS(status);
  if (count == 0) {
    throw CaseError(fmt::format("cuBLASLt has no algorithm for {} product(s) [{}, {}] x [{}, {}] in {}",
                                c.count, a.rows(), a.columns(), b.rows(), b.columns(),
                                name_of(c.first.dtype)));
  }
  plan.algorithm = proposals[0].algo;
  if (count == 1) return;

  // What a sum is added to must stay as it is while algorithms are tried.
  std::shared_ptr<void> elsewhere;
  if (store == Store::add) {
    try {
      elsewhere = Device::get().allocate(((c.count - 1) * c.stride + c.first.rows * c.first.row_stride) *
                                         size_of(c.first.dtype));
    } catch (const CaseError&) {
      return;  // no memory to try them in: the library's first choice it is
    }
  }
  void* result = elsewhere ? elsewhere.get() : c.first.data;
  float fastest = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    if (proposals[i].state != CUBLAS_STATUS_SUCCESS) continue;
    const float milliseconds = time_of(plan, proposals[i].algo, a, b, c, result, store, queue);
    // The library's first choice stays unless another is clearly faster: timing has noise of its own.
    constexpr float kClearly = 0.98F;
    if (i > 0 && milliseconds >= fastest * kClearly) continue;
    fastest = milliseconds;
    plan.algorithm = proposals[i].algo;
  }
}

// Seconds do not matter, only the order. Enough calls in a row that the device, and not their launch, is
// timed.
float Gemm::time_of(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, const Factor& a, const Factor& b,
                    const MatrixStack& c, void* result, Store store, cudaStream_t queue) {
  constexpr int kMostCalls = 20;
  constexpr float kEnoughMs = 0.3F;
  const Event begin, end;
  const auto timed = [&](int calls) {
    TPBENCH_CUDA(cudaEventRecord(begin.get(), queue));
    for (int i = 0; i < calls; ++i) {
      if (run(plan, algorithm, a, b, c, result, store, queue) != CUBLAS_STATUS_SUCCESS)
        return std::numeric_limits<float>::infinity();
    }
    TPBENCH_CUDA(cudaEventRecord(end.get(), queue));
    TPBENCH_CUDA(cudaEventSynchronize(end.get()));
    float milliseconds = 0;
    TPBENCH_CUDA(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    return milliseconds / static_cast<float>(calls);
  };
  if (timed(1) == std::numeric_limits<float>::infinity()) return std::numeric_limits<float>::infinity();
  const float once = timed(1);
  const int calls = std::clamp(static_cast<int>(kEnoughMs / std::max(once, 1e-3F)), 2, kMostCalls);
  return std::min(timed(calls), timed(calls));
}

cublasStatus_t Gemm::run(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, const Factor& a,
                         const Factor& b, const MatrixStack& c, void* result, Store store,
                         cudaStream_t queue) {
  const bool adds = store == Store::add;
  const double alpha64 = 1, beta64 = adds ? 1 : 0;
  const float alpha32 = 1, beta32 = adds ? 1 : 0;
  const bool wide = c.first.dtype == DType::f64;
  const void* alpha = wide ? static_cast<const void*>(&alpha64) : &alpha32;
  const void* beta = wide ? static_cast<const void*>(&beta64) : &beta32;
  return cublasLtMatmul(handle_, plan.descriptor, alpha, b.matrix.data, plan.a, a.matrix.data, plan.b, beta,
                        c.first.data, plan.c, result, plan.c, &algorithm, workspace_, workspace_bytes_,
                        queue);
}

}  // namespace tpbench::cuda
