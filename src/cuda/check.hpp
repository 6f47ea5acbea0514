#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <nccl.h>

#include <source_location>

namespace tpbench::cuda {

/// Throw when a call has failed, with the call and the library's words. An error after which the device is of
/// no more use to this process, and any of NCCL, is a CommError: the sweep must end. All others are a
/// CaseError.
void check_cuda(cudaError_t result, const char* call, std::source_location where);
void check_cublas(cublasStatus_t result, const char* call, std::source_location where);
void check_nccl(ncclResult_t result, const char* call, std::source_location where);

}  // namespace tpbench::cuda

#define TPBENCH_CUDA(call) ::tpbench::cuda::check_cuda((call), #call, std::source_location::current())
#define TPBENCH_CUBLAS(call) ::tpbench::cuda::check_cublas((call), #call, std::source_location::current())
#define TPBENCH_NCCL(call) ::tpbench::cuda::check_nccl((call), #call, std::source_location::current())
