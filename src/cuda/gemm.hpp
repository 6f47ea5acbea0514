#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench::cuda {

/// Products of row-major matrices by cuBLASLt, a stack of them as one batch. For each shape the algorithms
/// that its heuristic proposes are timed at the first call of this process, and the fastest is kept.
class Gemm {
 public:
  /// `workspace` holds `workspace_bytes` on the device and outlives it.
  Gemm(void* workspace, std::int64_t workspace_bytes);
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// As Backend::multiply; queued. Throws CaseError when cuBLASLt has no algorithm for the shape.
  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store, cudaStream_t queue);

 private:
  struct Plan;
  using Key = std::array<std::int64_t, 17>;

  Plan& plan_for(const Factor& a, const Factor& b, const MatrixStack& c, Store store, cudaStream_t queue);
  /// Algorithms that can do it, the library's first choice first; none where it knows none.
  std::vector<cublasLtMatmulAlgo_t> propose(const Plan& plan, const Factor& a, const Factor& b,
                                            const MatrixStack& c);
  cublasLtMatmulAlgo_t fastest(const Plan& plan, const std::vector<cublasLtMatmulAlgo_t>& proposals,
                               const Factor& a, const Factor& b, const MatrixStack& c, Store store,
                               cudaStream_t queue);
  cublasStatus_t run(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, const Factor& a,
                     const Factor& b, const MatrixStack& c, void* result, Store store, cudaStream_t queue);

  cublasLtHandle_t handle_ = nullptr;
  void* workspace_;
  std::size_t workspace_bytes_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace tpbench::cuda
