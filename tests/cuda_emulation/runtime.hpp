#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

/// The part of the CUDA runtime that src/cuda/ uses, on the CPU: the memory of a device is memory of the
/// host, and work is done, in the order of its stream, when somebody waits for it and not before [queue.hpp].
/// What a device would refuse is refused: memory beyond its size, copies whose direction is not that of their
/// pointers, handles that are none. The environment says what is emulated, and is read at the first call:
///
///   TPBENCH_EMULATED_GPUS     devices; default 1; 0 is a machine without one
///   TPBENCH_EMULATED_GPU_MIB  memory of each device in MiB, for each process; default 256
///   TPBENCH_EMULATED_FAULT    NAME:COUNT makes the COUNT-th call of the function NAME, and every call after
///                             it, fail with cudaErrorLaunchFailure; launches count as cudaLaunchKernel
namespace tpbench::cuda::emulation {

/// For tests within one process: forgets errors and counts and reads the environment again. Memory that is in
/// use stays.
void restart();

/// Bytes in use on a device.
std::int64_t bytes_in_use(int device);

/// Counts a call of the function `name`. Returns what it must fail with, or cudaSuccess; kept for
/// cudaGetLastError.
cudaError_t enter(const char* name);

/// Keeps `error` for cudaGetLastError, and returns it.
cudaError_t leave(cudaError_t error);

/// cudaSuccess when `queue` is a stream of the current device.
cudaError_t check_stream(cudaStream_t queue);

/// How an unusable environment or kernel ends the program: it is the test that is wrong.
[[noreturn]] void abandon(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace tpbench::cuda::emulation
