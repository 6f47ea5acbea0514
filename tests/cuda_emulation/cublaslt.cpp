// The part of cuBLASLt that src/cuda/ uses, for the emulated device: plain loops in column-major order.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "queue.hpp"
#include "runtime.hpp"

using tpbench::cuda::emulation::abandon;
using tpbench::cuda::emulation::check_stream;
using tpbench::cuda::emulation::enter;
using tpbench::cuda::emulation::give;

namespace {

struct Description {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};
struct Layout {
  cudaDataType_t type;
  std::int64_t rows, columns, stride;
  std::int32_t batch = 1;
  std::int64_t batch_stride = 0;
};
struct Preference {
  std::array<std::uint32_t, 4> alignment = {256, 256, 256, 256};  // of A, B, C, D, as the library assumes
  std::size_t workspace = 0;
};
// What the heuristic was told, kept in the algorithm that it proposed.
struct Algorithm {
  std::uint32_t number;
  std::array<std::uint32_t, 4> alignment;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

constexpr int kProposals = 4;

// Batches of three have no algorithm here: what is to be done one by one has to be tried too.
constexpr std::int32_t kRefusedBatch = 3;

template <typename Handle, typename Mine>
Mine* mine(Handle handle) {
  return reinterpret_cast<Mine*>(handle);
}
Description& description(cublasLtMatmulDesc_t handle) {
  return *mine<cublasLtMatmulDesc_t, Description>(handle);
}
Layout& layout(cublasLtMatrixLayout_t handle) { return *mine<cublasLtMatrixLayout_t, Layout>(handle); }

// A tensor core reads ten bits of the fraction of a tf32 factor.
float as_tf32(float value) {
  auto bits = std::bit_cast<std::uint32_t>(value);
  bits += 0xfffU + (bits >> 13 & 1U);
  return std::bit_cast<float>(bits & ~0x1fffU);
}

double load(const void* data, std::int64_t at, cudaDataType_t type, cublasComputeType_t compute) {
  switch (type) {
    case CUDA_R_64F:
      return static_cast<const double*>(data)[at];
    case CUDA_R_16F:
      return __half2float(static_cast<const __half*>(data)[at]);
    case CUDA_R_16BF:
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
    default: {
      const float value = static_cast<const float*>(data)[at];
      return compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? as_tf32(value) : value;
    }
  }
}

void keep(void* data, std::int64_t at, cudaDataType_t type, double value) {
  const auto narrow = static_cast<float>(value);
  if (type == CUDA_R_64F) static_cast<double*>(data)[at] = value;
  if (type == CUDA_R_32F) static_cast<float*>(data)[at] = narrow;
  if (type == CUDA_R_16F) static_cast<__half*>(data)[at] = __float2half_rn(narrow);
  if (type == CUDA_R_16BF) static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16_rn(narrow);
}

// op(X) [rows, columns], each column one after the other.
template <typename Sum>
std::vector<Sum> unpacked(const void* data, const Layout& x, cublasOperation_t operation,
                          cublasComputeType_t compute) {
  const bool turned = operation == CUBLAS_OP_T;
  const std::int64_t rows = turned ? x.columns : x.rows, columns = turned ? x.rows : x.columns;
  std::vector<Sum> values(static_cast<std::size_t>(rows * columns));
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t at = turned ? c + r * x.stride : r + c * x.stride;
      values[static_cast<std::size_t>(c * rows + r)] = static_cast<Sum>(load(data, at, x.type, compute));
    }
  }
  return values;
}

template <typename Sum>
void multiply(const Description& what, double alpha, const void* a, const Layout& a_layout, const void* b,
              const Layout& b_layout, double beta, const void* c, const Layout& c_layout, void* d) {
  const std::vector<Sum> left = unpacked<Sum>(a, a_layout, what.a, what.compute);
  const std::vector<Sum> right = unpacked<Sum>(b, b_layout, what.b, what.compute);
  const std::int64_t m = c_layout.rows, n = c_layout.columns;
  const std::int64_t k = m == 0 ? 0 : static_cast<std::int64_t>(left.size()) / m;
  const Sum factor = static_cast<Sum>(alpha), kept = static_cast<Sum>(beta);
  std::vector<Sum> column(static_cast<std::size_t>(m));
  for (std::int64_t j = 0; j < n; ++j) {
    std::fill(column.begin(), column.end(), Sum(0));
    for (std::int64_t p = 0; p < k; ++p) {
      const Sum value = right[static_cast<std::size_t>(j * k + p)];
      const Sum* from = left.data() + p * m;
      for (std::int64_t i = 0; i < m; ++i) column[static_cast<std::size_t>(i)] += from[i] * value;
    }
    for (std::int64_t i = 0; i < m; ++i) {
      const std::int64_t at = i + j * c_layout.stride;
      const double before =
          kept == Sum(0) ? 0 : static_cast<double>(kept) * load(c, at, c_layout.type, CUBLAS_COMPUTE_32F);
      keep(d, at, c_layout.type, static_cast<double>(factor * column[static_cast<std::size_t>(i)]) + before);
    }
  }
}

// The first entry of matrix `i` of a batch.
template <typename Data>
Data* at(Data* data, const Layout& layout, std::int64_t i) {
  using Byte = std::conditional_t<std::is_const_v<Data>, const std::byte, std::byte>;
  const std::int64_t size = layout.type == CUDA_R_64F ? 8 : layout.type == CUDA_R_32F ? 4 : 2;
  return static_cast<Byte*>(data) + i * layout.batch_stride * size;
}

void check_alignment(const void* data, std::uint32_t claimed, const char* which) {
  if (reinterpret_cast<std::uintptr_t>(data) % claimed != 0)
    abandon("cublasLtMatmul: %s at %p is not aligned to the %u bytes that the heuristic was told", which,
            data, claimed);
}

cublasStatus_t entered(const char* name) {
  return enter(name) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(new int(0));
  return entered("cublasLtCreate");
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return CUBLAS_STATUS_SUCCESS;
}
std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_EXECUTION_FAILED ? "emulated: the device has failed"
         : status == CUBLAS_STATUS_INVALID_VALUE  ? "emulated: an argument is wrong"
                                                  : "emulated: a status";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new Description{compute, scale});
  return entered("cublasLtMatmulDescCreate");
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t made) {
  delete &description(made);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t made,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  if (bytes != sizeof(cublasOperation_t)) return CUBLAS_STATUS_INVALID_VALUE;
  cublasOperation_t& operation =
      attribute == CUBLASLT_MATMUL_DESC_TRANSA ? description(made).a : description(made).b;
  if (attribute != CUBLASLT_MATMUL_DESC_TRANSA && attribute != CUBLASLT_MATMUL_DESC_TRANSB)
    abandon("cublasLtMatmulDescSetAttribute: attribute %d is not emulated", static_cast<int>(attribute));
  std::memcpy(&operation, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t stride) {
  if (stride < static_cast<std::int64_t>(rows)) return CUBLAS_STATUS_INVALID_VALUE;
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(
      new Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), stride});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t made,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  const auto take = [&](auto& member) {
    if (bytes != sizeof(member)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&member, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  };
  if (attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) return take(layout(made).batch);
  if (attribute == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) return take(layout(made).batch_stride);
  abandon("cublasLtMatrixLayoutSetAttribute: attribute %d is not emulated", static_cast<int>(attribute));
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t made) {
  delete &layout(made);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  *made = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t made) {
  delete reinterpret_cast<Preference*>(made);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t made,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  auto& preference = *reinterpret_cast<Preference*>(made);
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    if (bytes != sizeof(std::size_t)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&preference.workspace, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  }
  if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
    return bytes == sizeof(std::uint32_t) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
  const std::array of = {
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
      CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (of[i] != attribute) continue;
    if (bytes != sizeof(std::uint32_t)) return CUBLAS_STATUS_INVALID_VALUE;
    std::memcpy(&preference.alignment[i], value, bytes);
    return CUBLAS_STATUS_SUCCESS;
  }
  abandon("cublasLtMatmulPreferenceSetAttribute: attribute %d is not emulated", static_cast<int>(attribute));
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t made, int asked,
                                              cublasLtMatmulHeuristicResult_t results[], int* count) {
  const auto& preference = *reinterpret_cast<const Preference*>(made);
  *count = std::min(asked, kProposals);
  for (const cublasLtMatrixLayout_t each : {a, b, c}) {
    if (layout(each).rows == 0 || layout(each).columns == 0 || layout(each).batch != layout(c).batch)
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (layout(c).batch == kRefusedBatch) {
    *count = 0;
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  for (int i = 0; i < *count; ++i) {
    const Algorithm algorithm = {static_cast<std::uint32_t>(i), preference.alignment};
    results[i] = {};
    std::memcpy(&results[i].algo, &algorithm, sizeof(algorithm));
    // The second one is said not to work, and does not; nor does the third, of which it is not said.
    results[i].state = i == 1 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
    results[i].workspaceSize = preference.workspace;
  }
  return entered("cublasLtMatmulAlgoGetHeuristic");
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t what, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* chosen,
                              void* workspace, std::size_t, cudaStream_t queue) {
  if (const cublasStatus_t status = entered("cublasLtMatmul"); status != CUBLAS_STATUS_SUCCESS) return status;
  if (check_stream(queue) != cudaSuccess || workspace == nullptr || c_layout != d_layout)
    return CUBLAS_STATUS_INVALID_VALUE;
  Algorithm algorithm{};
  std::memcpy(&algorithm, chosen, sizeof(algorithm));
  if (algorithm.number == 1 || algorithm.number == 2) return CUBLAS_STATUS_NOT_SUPPORTED;
  // Factors on the host and what describes the product are read before the call returns, matrices later.
  const Description asked = description(what);
  const auto factor = [&](const void* value) {
    return asked.scale == CUDA_R_64F ? *static_cast<const double*>(value)
                                     : static_cast<double>(*static_cast<const float*>(value));
  };
  give(queue, [=, alpha = factor(alpha), beta = factor(beta), of_a = layout(a_layout),
               of_b = layout(b_layout), of_c = layout(c_layout)] {
    const auto multiply_in = asked.scale == CUDA_R_64F ? multiply<double> : multiply<float>;
    for (std::int64_t i = 0; i < of_c.batch; ++i) {
      const void *a_i = at(a, of_a, i), *b_i = at(b, of_b, i), *c_i = at(c, of_c, i);
      void* d_i = at(d, of_c, i);
      check_alignment(a_i, algorithm.alignment[0], "A");
      check_alignment(b_i, algorithm.alignment[1], "B");
      check_alignment(c_i, algorithm.alignment[2], "C");
      check_alignment(d_i, algorithm.alignment[3], "D");
      multiply_in(asked, alpha, a_i, of_a, b_i, of_b, beta, c_i, of_c, d_i);
    }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
