#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "runtime.hpp"

/// The state behind the emulated runtime: devices, their memory, handles.
namespace tpbench::cuda::emulation {

class Queue;

int count_devices();
bool is_device(int device);
int current_device();
void set_current_device(int device);
cudaDeviceProp properties_of(int device);
/// An injected fault has struck.
bool has_failed();

// -- errors, for cudaGetLastError
cudaError_t last_error();
cudaError_t take_last_error();

// -- memory
cudaError_t take(void** pointer, std::size_t bytes, cudaMemoryType type);
cudaError_t give_back(void* pointer, cudaMemoryType type);
/// Memory of the program's own that becomes pinned, and is no longer.
cudaError_t pin(void* pointer, std::size_t bytes);
cudaError_t unpin(void* pointer);
std::size_t bytes_of_device();
/// May a copy of that kind, of `height` rows of `width` bytes, be made between these?
cudaError_t check_copy(const void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                       std::size_t width, std::size_t height, cudaMemcpyKind kind);
/// Is all of it memory that the runtime gave?
bool is_known(const void* pointer, std::size_t bytes);
/// Memory of the host that the runtime does not know: copies do not wait for it, or it for them.
bool is_pageable(const void* pointer);

// -- handles
cudaStream_t make_stream();
cudaError_t forget(cudaStream_t stream);
cudaEvent_t make_event(bool timed);
cudaError_t forget(cudaEvent_t event);
cudaError_t check_stream_of_any_device(cudaStream_t stream);
cudaError_t check_event(cudaEvent_t event);
/// Null for streams that are not the program's own.
std::shared_ptr<Queue> queue_of(cudaStream_t stream);
std::vector<std::shared_ptr<Queue>> all_queues();

}  // namespace tpbench::cuda::emulation
