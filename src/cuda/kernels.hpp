#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "compute/token_ids.hpp"
#include "compute/visible.hpp"
#include "tensor/fill.hpp"
#include "tensor/matrix.hpp"
#include "workload/shape.hpp"

/// The operations of a Backend [compute/backend.hpp] but for products, as kernels. Views hold device
/// pointers; all dtypes; any strides and alignment, 16 bytes at a time where these allow. What is narrower
/// than f32 is computed in f32. Each function queues its work and returns; results are the same from run to
/// run. Empty views are legal. Throws CaseError with the kernel's name when a launch fails. What may be the
/// same as what stands at each operation in compute/backend.hpp.
namespace tpbench::cuda {

void gelu(const MatrixView& x, const MatrixView& y, cudaStream_t queue);
void swiglu(const MatrixView& x, const MatrixView& y, cudaStream_t queue);
void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx, cudaStream_t queue);
void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx, cudaStream_t queue);

void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y,
          cudaStream_t queue);
/// Bytes of `scratch` that norm_backward needs: mean and inverse of each row, in f32, or f64 where x is.
std::int64_t norm_backward_scratch_bytes(const MatrixView& x);
/// `scratch` lies on the device, aligned to 16 bytes.
void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                   const MatrixView& dx, const MatrixView& dparameters, void* scratch, cudaStream_t queue);

void softmax(const MatrixView& x, const Visible& visible, double scale, cudaStream_t queue);
void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale, cudaStream_t queue);

void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y, cudaStream_t queue);
void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable, bool adds,
                      cudaStream_t queue);
void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima, cudaStream_t queue);
void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima, const MatrixView& sums,
                  const MatrixView& targets, cudaStream_t queue);
void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss,
                   cudaStream_t queue);
void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x,
                            cudaStream_t queue);

void copy(const MatrixView& from, const MatrixView& to, cudaStream_t queue);
void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum, cudaStream_t queue);
void set_zero(const MatrixView& x, cudaStream_t queue);

/// The values of fill_rows [tensor/fill.hpp], bit for bit; f16 and bf16 hold the f32 value, rounded to
/// nearest even.
void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column,
          cudaStream_t queue);
void poison(const MatrixView& x, cudaStream_t queue);

}  // namespace tpbench::cuda
