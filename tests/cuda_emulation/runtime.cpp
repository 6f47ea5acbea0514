#include "runtime.hpp"

#include <cuda_runtime.h>

#include <cstring>
#include <utility>
#include <vector>

#include "machine.hpp"
#include "queue.hpp"

namespace tpbench::cuda::emulation {
namespace {

// A call of the runtime: counted, then done by `body`.
template <typename Body>
cudaError_t call(const char* name, const Body& body) {
  const cudaError_t error = enter(name);
  return error != cudaSuccess ? error : leave(body());
}

// One that concerns a stream, of whatever device.
template <typename Body>
cudaError_t queued(const char* name, cudaStream_t stream, const Body& body) {
  return call(name, [&] {
    const cudaError_t error = check_stream_of_any_device(stream);
    return error != cudaSuccess ? error : body();
  });
}

void copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
               std::size_t height) {
  for (std::size_t row = 0; row < height; ++row) {
    std::memmove(static_cast<std::byte*>(to) + row * to_pitch,
                 static_cast<const std::byte*>(from) + row * from_pitch, width);
  }
}

// Pageable memory of the host is read before the call returns, and written before it does.
cudaError_t copy(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                 std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  const cudaError_t error = check_copy(to, to_pitch, from, from_pitch, width, height, kind);
  if (error != cudaSuccess || width == 0 || height == 0) return error;
  if (is_pageable(from)) {
    std::vector<std::byte> read(width * height);
    copy_rows(read.data(), width, from, from_pitch, width, height);
    give(stream, [=, read = std::move(read)] { copy_rows(to, to_pitch, read.data(), width, width, height); });
  } else {
    const Place place = give(stream, [=] { copy_rows(to, to_pitch, from, from_pitch, width, height); });
    if (is_pageable(to)) place.reach();
  }
  return cudaSuccess;
}

// Memory is given back when nothing works on it any more.
cudaError_t free_memory(void* pointer, cudaMemoryType type) {
  do_all_work();
  return give_back(pointer, type);
}

struct ErrorWords {
  cudaError_t error;
  const char* name;
  const char* text;
};
constexpr ErrorWords kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidPitchValue, "cudaErrorInvalidPitchValue", "invalid pitch argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
};

const ErrorWords* words_of(cudaError_t error) {
  for (const ErrorWords& words : kErrors) {
    if (words.error == error) return &words;
  }
  return nullptr;
}

}  // namespace
}  // namespace tpbench::cuda::emulation

using namespace tpbench::cuda::emulation;

// -- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call(__func__, [&] {
    *count = count_devices();
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call(__func__, [&] {
    if (!is_device(device)) return cudaErrorInvalidDevice;
    set_current_device(device);
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call(__func__, [&] {
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call(__func__, [&] {
    if (!is_device(device)) return cudaErrorInvalidDevice;
    *properties = properties_of(device);
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return call(__func__, [] {
    do_all_work();
    return cudaSuccess;
  });
}

// -- memory

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  return call(__func__, [&] {
    *total_bytes = bytes_of_device();
    *free_bytes = bytes_of_device() - static_cast<std::size_t>(bytes_in_use(current_device()));
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call(__func__, [&] { return take(pointer, bytes, cudaMemoryTypeDevice); });
}

cudaError_t cudaFree(void* pointer) {
  return call(__func__, [&] { return free_memory(pointer, cudaMemoryTypeDevice); });
}

// Taken at once, given back in its place.
cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  return queued(__func__, stream, [&] { return take(pointer, bytes, cudaMemoryTypeDevice); });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return queued(__func__, stream, [&] {
    give(stream, [pointer] { give_back(pointer, cudaMemoryTypeDevice); });
    return cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return call(__func__, [&] { return take(pointer, bytes, cudaMemoryTypeHost); });
}

cudaError_t cudaFreeHost(void* pointer) {
  return call(__func__, [&] { return free_memory(pointer, cudaMemoryTypeHost); });
}

cudaError_t cudaHostRegister(void* pointer, std::size_t bytes, unsigned /*flags*/) {
  return call(__func__, [&] { return pin(pointer, bytes); });
}

cudaError_t cudaHostUnregister(void* pointer) {
  return call(__func__, [&] {
    do_all_work();
    return unpin(pointer);
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return queued(__func__, stream, [&] { return copy(to, bytes, from, bytes, bytes, 1, kind, stream); });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return queued(__func__, stream,
                [&] { return copy(to, to_pitch, from, from_pitch, width, height, kind, stream); });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return queued(__func__, stream, [&] {
    if (bytes == 0) return cudaSuccess;
    if (!is_known(pointer, bytes)) return cudaErrorInvalidValue;
    give(stream, [=] { std::memset(pointer, value, bytes); });
    return cudaSuccess;
  });
}

// -- streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  return call(__func__, [&] {
    *stream = make_stream();
    return cudaSuccess;
  });
}

// What is in it is still done.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call(__func__, [&] {
    if (const std::shared_ptr<Queue> queue = queue_of(stream)) queue->do_all();
    return forget(stream);
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return queued(__func__, stream, [&] {
    if (const std::shared_ptr<Queue> queue = queue_of(stream)) queue->do_all();
    return cudaSuccess;
  });
}

// For the place at which the event stands now: recorded anew, it is another one.
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  return queued(__func__, stream, [&] {
    const cudaError_t error = check_event(event);
    if (error != cudaSuccess) return error;
    give(stream, [place = event->place] { place.reach(); });
    return cudaSuccess;
  });
}

// -- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call(__func__, [&] {
    *event = make_event((flags & cudaEventDisableTiming) == 0);
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(__func__, [&] { return forget(event); });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return queued(__func__, stream, [&] {
    const cudaError_t error = check_event(event);
    if (error != cudaSuccess) return error;
    if (queue_of(stream) != nullptr && stream->device != event->device) return cudaErrorInvalidResourceHandle;
    event->is_recorded = true;
    event->seen = false;
    event->place = give(stream, [time = event->time] { *time = std::chrono::steady_clock::now(); });
    return cudaSuccess;
  });
}

// A device needs a moment: the first answer after a record is that it is not there yet, and stays for
// cudaGetLastError as the real one does. Who asks again wants it to come there.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call(__func__, [&] {
    const cudaError_t error = check_event(event);
    if (error != cudaSuccess) return error;
    if (!std::exchange(event->seen, true)) return cudaErrorNotReady;
    event->place.reach();
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(__func__, [&] {
    const cudaError_t error = check_event(event);
    if (error == cudaSuccess) event->place.reach();
    return error;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call(__func__, [&] {
    for (const cudaEvent_t event : {start, end}) {
      const cudaError_t error = check_event(event);
      if (error != cudaSuccess) return error;
      if (!event->timed || !event->is_recorded) return cudaErrorInvalidResourceHandle;
      if (!event->place.is_past()) return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(**end->time - **start->time).count();
    return cudaSuccess;
  });
}

// -- errors

cudaError_t cudaGetLastError() { return take_last_error(); }

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorWords* words = words_of(error);
  return words == nullptr ? "an error that is not emulated" : words->text;
}

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorWords* words = words_of(error);
  return words == nullptr ? "cudaErrorUnknown" : words->name;
}
