#include "cuda/check.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cuda/sticky.hpp"

namespace tpbench::cuda {
namespace {

// Of a call the function's name is enough: the place says which one it was.
std::string sentence(const char* call, const std::string& words, std::source_location where) {
  const std::string_view text = call;
  return fmt::format("{} failed: {} ({}:{})", text.substr(0, text.find('(')), words,
                     std::filesystem::path(where.file_name()).filename().string(), where.line());
}

}  // namespace

void check_cuda(cudaError_t result, const char* call, std::source_location where) {
  if (result == cudaSuccess) return;
  const std::string words = fmt::format("{} ({})", cudaGetErrorString(result), cudaGetErrorName(result));
  cudaGetLastError();  // what is not sticky is told once
  if (is_sticky(result))
    throw CommError(sentence(call, words + "; this process can no longer use the GPU", where));
  throw CaseError(sentence(call, words, where));
}

void check_cublas(cublasStatus_t result, const char* call, std::source_location where) {
  if (result == CUBLAS_STATUS_SUCCESS) return;
  // cuBLASLt says only that something failed, and has a runtime of its own; the device knows whether it was
  // it.
  check_cuda(cudaDeviceSynchronize(), call, where);
  throw CaseError(sentence(call, cublasLtGetStatusString(result), where));
}

void check_nccl(ncclResult_t result, const char* call, std::source_location where) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const char* last = ncclGetLastError(nullptr);
  std::string words = ncclGetErrorString(result);
  if (last != nullptr && *last != '\0') words += fmt::format("; {}", last);
  throw CommError(sentence(call, words, where));
}

}  // namespace tpbench::cuda
