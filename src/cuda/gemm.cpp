#include "cuda/gemm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

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

constexpr std::size_t kMostProposals = 8;

struct Preference {
  cublasLtMatmulPreference_t get = nullptr;
  Preference() { TPBENCH_CUBLAS(cublasLtMatmulPreferenceCreate(&get)); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(get); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
};

// Times calls beside each other. Seconds do not matter, only the order; each wait for a device that other
// ranks share may take a while, so there are few.
class Trial {
 public:
  using Call = std::function<cublasStatus_t(std::size_t which)>;

  Trial(std::size_t count, cudaStream_t queue, Call call)
      : queue_(queue), call_(std::move(call)), calls_(count, 1), times_(count, kNever) {
    for (std::size_t i = 0; i < count; ++i) marks_.emplace_back();
  }

  /// Milliseconds of each; infinite of one that cannot be called.
  std::vector<float> times() {
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (call_(i) != CUBLAS_STATUS_SUCCESS) calls_[i] = 0;
    }
    take_times();
    // Enough in a row that the device, and not their launch, is timed.
    constexpr float kEnoughMs = 0.3F;
    constexpr int kMostCalls = 20;
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (calls_[i] > 0)
        calls_[i] = std::clamp(static_cast<int>(kEnoughMs / std::max(times_[i], 1e-3F)), 2, kMostCalls);
      times_[i] = kNever;
    }
    for (int round = 0; round < 2; ++round) take_times();
    return times_;
  }

 private:
  static constexpr float kNever = std::numeric_limits<float>::infinity();

  // What is shorter than before counts.
  void take_times() {
    for (std::size_t i = 0; i < times_.size(); ++i) {
      TPBENCH_CUDA(cudaEventRecord(marks_[i].begin.get(), queue_));
      for (int call = 0; call < calls_[i]; ++call) TPBENCH_CUBLAS(call_(i));
      TPBENCH_CUDA(cudaEventRecord(marks_[i].end.get(), queue_));
    }
    TPBENCH_CUDA(cudaEventSynchronize(marks_.back().end.get()));
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (calls_[i] == 0) continue;
      float milliseconds = 0;
      TPBENCH_CUDA(cudaEventElapsedTime(&milliseconds, marks_[i].begin.get(), marks_[i].end.get()));
      times_[i] = std::min(times_[i], milliseconds / static_cast<float>(calls_[i]));
    }
  }

  struct Marks {
    Event begin, end;
  };
  cudaStream_t queue_;
  Call call_;
  std::vector<Marks> marks_;
  std::vector<int> calls_;
  std::vector<float> times_;
};

}  // namespace

// C^T = B^T A^T: what the library calls A is our B.
struct Gemm::Plan {
  cublasLtMatmulDesc_t descriptor = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  std::optional<cublasLtMatmulAlgo_t> algorithm;  // none for a stack: it has to be done one by one

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
  if (plan.algorithm) {
    TPBENCH_CUBLAS(run(plan, *plan.algorithm, a, b, c, c.first.data, store, queue));
  } else {
    for (std::int64_t i = 0; i < c.count; ++i) multiply(a.at(i), b.at(i), c.at(i), store, queue);
  }
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
  // Found once for a shape, an algorithm stays: each epoch measures the same one.
  static std::map<Key, std::optional<cublasLtMatmulAlgo_t>> of_this_process;
  const auto known = of_this_process.find(key);
  if (known != of_this_process.end()) {
    plan->algorithm = known->second;
  } else {
    const std::vector<cublasLtMatmulAlgo_t> proposals = propose(*plan, a, b, c);
    if (proposals.empty() && c.count == 1) {
      throw CaseError(fmt::format("cuBLASLt has no algorithm for a product [{}, {}] x [{}, {}] in {}",
                                  a.rows(), a.columns(), b.rows(), b.columns(), name_of(c.first.dtype)));
    }
    if (!proposals.empty()) plan->algorithm = fastest(*plan, proposals, a, b, c, store, queue);
    of_this_process[key] = plan->algorithm;
  }
  return *(plans_[key] = std::move(plan));
}

// Nothing but algorithms that add up in the type of the products' sums, and that work on these addresses.
std::vector<cublasLtMatmulAlgo_t> Gemm::propose(const Plan& plan, const Factor& a, const Factor& b,
                                                const MatrixStack& c) {
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
  std::array<cublasLtMatmulHeuristicResult_t, kMostProposals> results{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle_, plan.descriptor, plan.a, plan.b, plan.c, plan.c, preference.get,
                                     static_cast<int>(kMostProposals), results.data(), &count);
  if (status != CUBLAS_STATUS_NOT_SUPPORTED) TPBENCH_CUBLAS(status);
  std::vector<cublasLtMatmulAlgo_t> proposals;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    if (results[i].state == CUBLAS_STATUS_SUCCESS) proposals.push_back(results[i].algo);
  }
  return proposals;
}

cublasLtMatmulAlgo_t Gemm::fastest(const Plan& plan, const std::vector<cublasLtMatmulAlgo_t>& proposals,
                                   const Factor& a, const Factor& b, const MatrixStack& c, Store store,
                                   cudaStream_t queue) {
  if (proposals.size() == 1) return proposals[0];
  // What a sum is added to must stay as it is while algorithms are tried.
  std::shared_ptr<void> elsewhere;
  if (store == Store::add) {
    try {
      elsewhere = Device::allocate_queued(
          ((c.count - 1) * c.stride + c.first.rows * c.first.row_stride) * size_of(c.first.dtype), queue);
    } catch (const CaseError&) {
      return proposals[0];  // no memory to try them in: the library's first choice it is
    }
  }
  Trial trial(proposals.size(), queue, [&](std::size_t i) {
    return run(plan, proposals[i], a, b, c, elsewhere ? elsewhere.get() : c.first.data, store, queue);
  });
  const std::vector<float> milliseconds = trial.times();
  std::size_t best = 0;
  for (std::size_t i = 1; i < proposals.size(); ++i) {
    // The library's first choice stays unless another is clearly faster: timing has noise of its own.
    constexpr float kClearly = 0.98F;
    if (milliseconds[i] < milliseconds[best] * (best == 0 ? kClearly : 1)) best = i;
  }
  return proposals[best];
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
