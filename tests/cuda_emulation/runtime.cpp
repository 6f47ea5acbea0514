#include "runtime.hpp"

#include <cuda_runtime.h>

#include <charconv>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

// What the runtime's handles point to.
struct CUstream_st {
  int device;
};
struct CUevent_st {
  int device;
  bool timed;
  std::optional<std::chrono::steady_clock::time_point> recorded;
  bool seen = true;  // nobody has to wait for what was never recorded
};

namespace tpbench::cuda::emulation {

void abandon(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::fputs("emulated GPU: ", stderr);
  std::vfprintf(stderr, format, arguments);
  std::fputs("\n", stderr);
  va_end(arguments);
  std::abort();
}

namespace {

constexpr std::size_t kPage = 4096;
constexpr int kMostDevices = 64;

struct Block {
  std::size_t bytes;
  cudaMemoryType type;
  int device;
};

struct Fault {
  std::string function;
  int count = 0;
};

struct Machine {
  std::mutex mutex;
  int devices = 1;
  std::size_t device_bytes = 0;
  Fault fault;
  int calls_of_fault = 0;
  cudaError_t sticky = cudaSuccess;
  std::map<std::uintptr_t, Block> blocks;
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
};

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

int number_from(const char* variable, std::string_view text, int smallest, int largest) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < smallest || value > largest) {
    abandon("%s: %s must be a whole number from %d to %d", variable, std::string(text).c_str(), smallest,
            largest);
  }
  return value;
}

int number_of_environment(const char* variable, int otherwise, int smallest, int largest) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : number_from(variable, text, smallest, largest);
}

Fault fault_of_environment() {
  constexpr const char* kVariable = "TPBENCH_EMULATED_FAULT";
  const char* given = std::getenv(kVariable);
  if (given == nullptr) return {};
  const std::string_view text = given;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !(text.starts_with("cu") || text.starts_with("nccl"))) {
    abandon("%s: %s must be NAME:COUNT, as in cudaMemcpyAsync:12", kVariable, given);
  }
  return {std::string(text.substr(0, colon)), number_from(kVariable, text.substr(colon + 1), 1, 1 << 30)};
}

void read_environment(Machine& machine) {
  machine.devices = number_of_environment("TPBENCH_EMULATED_GPUS", 1, 0, kMostDevices);
  machine.device_bytes =
      static_cast<std::size_t>(number_of_environment("TPBENCH_EMULATED_GPU_MIB", 256, 1, 1 << 20)) << 20;
  machine.fault = fault_of_environment();
}

Machine& machine() {
  static Machine* const the_machine = [] {  // never destroyed: objects with handles may outlive any order
    auto* made = new Machine;
    read_environment(*made);
    return made;
  }();
  return *the_machine;
}

using Lock = std::lock_guard<std::mutex>;

bool is_device(int device) { return device >= 0 && device < machine().devices; }

std::size_t bytes_in_use_locked(int device) {
  std::size_t bytes = 0;
  for (const auto& [address, block] : machine().blocks) {
    if (block.type == cudaMemoryTypeDevice && block.device == device) bytes += block.bytes;
  }
  return bytes;
}

// The block that `address` lies in.
const std::pair<const std::uintptr_t, Block>* find_block(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  auto after = machine().blocks.upper_bound(address);
  if (after == machine().blocks.begin()) return nullptr;
  --after;
  return address < after->first + after->second.bytes ? &*after : nullptr;
}

enum class Side { host, device, either };

// Whether [pointer, pointer + bytes) may stand on that side of a copy. Memory of the host that the runtime
// does not know is pageable, and good for copies.
bool may_stand(const void* pointer, std::size_t bytes, Side side) {
  const auto* block = find_block(pointer);
  if (block == nullptr) return side != Side::device && pointer != nullptr;
  const bool on_device = block->second.type == cudaMemoryTypeDevice;
  if ((side == Side::device && !on_device) || (side == Side::host && on_device)) return false;
  return reinterpret_cast<std::uintptr_t>(pointer) + bytes <= block->first + block->second.bytes;
}

bool is_known(const void* pointer, std::size_t bytes) {
  return find_block(pointer) != nullptr && may_stand(pointer, bytes, Side::either);
}

struct Sides {
  Side to, from;
};

std::optional<Sides> sides_of(cudaMemcpyKind kind) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return Sides{Side::host, Side::host};
    case cudaMemcpyHostToDevice:
      return Sides{Side::device, Side::host};
    case cudaMemcpyDeviceToHost:
      return Sides{Side::host, Side::device};
    case cudaMemcpyDeviceToDevice:
      return Sides{Side::device, Side::device};
    case cudaMemcpyDefault:
      return Sides{Side::either, Side::either};
  }
  return std::nullopt;
}

// Bytes from the first of a pitched area to its last.
std::size_t extent(std::size_t pitch, std::size_t width, std::size_t height) {
  return height == 0 ? 0 : (height - 1) * pitch + width;
}

cudaError_t copy_rows(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                      std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  const auto sides = sides_of(kind);
  if (!sides) return cudaErrorInvalidMemcpyDirection;
  if (width == 0 || height == 0) return cudaSuccess;
  if (to_pitch < width || from_pitch < width) return cudaErrorInvalidPitchValue;
  {
    const Lock lock(machine().mutex);
    if (!may_stand(to, extent(to_pitch, width, height), sides->to) ||
        !may_stand(from, extent(from_pitch, width, height), sides->from)) {
      return cudaErrorInvalidValue;
    }
  }
  for (std::size_t row = 0; row < height; ++row) {
    std::memmove(static_cast<std::byte*>(to) + row * to_pitch,
                 static_cast<const std::byte*>(from) + row * from_pitch, width);
  }
  return cudaSuccess;
}

cudaError_t set_rows(void* pointer, std::size_t pitch, int value, std::size_t width, std::size_t height) {
  if (width == 0 || height == 0) return cudaSuccess;
  if (pitch < width) return cudaErrorInvalidPitchValue;
  {
    const Lock lock(machine().mutex);
    if (!is_known(pointer, extent(pitch, width, height))) return cudaErrorInvalidValue;
  }
  for (std::size_t row = 0; row < height; ++row) {
    std::memset(static_cast<std::byte*>(pointer) + row * pitch, value, width);
  }
  return cudaSuccess;
}

cudaError_t take(void** pointer, std::size_t bytes, cudaMemoryType type) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const Lock lock(machine().mutex);
  const bool on_device = type == cudaMemoryTypeDevice;
  if (on_device && bytes > machine().device_bytes - bytes_in_use_locked(current_device)) {
    return cudaErrorMemoryAllocation;
  }
  if (posix_memalign(pointer, kPage, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xff, bytes);  // NaN in every type: what is read before it is written shows
  machine().blocks[reinterpret_cast<std::uintptr_t>(*pointer)] = {bytes, type, current_device};
  return cudaSuccess;
}

cudaError_t give_back(void* pointer, cudaMemoryType type) {
  if (pointer == nullptr) return cudaSuccess;
  const Lock lock(machine().mutex);
  const auto block = machine().blocks.find(reinterpret_cast<std::uintptr_t>(pointer));
  if (block == machine().blocks.end() || block->second.type != type) return cudaErrorInvalidValue;
  machine().blocks.erase(block);
  std::free(pointer);
  return cudaSuccess;
}

bool is_stream_locked(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread) return true;
  return machine().streams.contains(stream);
}

cudaError_t check_stream_of_any_device(cudaStream_t stream) {
  const Lock lock(machine().mutex);
  return is_stream_locked(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t check_event(cudaEvent_t event) {
  const Lock lock(machine().mutex);
  return machine().events.contains(event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp of{};
  std::snprintf(of.name, sizeof(of.name), "emulated device (tests)");
  static_assert(sizeof(of.uuid.bytes) == 16);
  std::memcpy(of.uuid.bytes, "tpbench emulated", sizeof(of.uuid.bytes));
  of.uuid.bytes[15] = static_cast<char>(device);
  of.totalGlobalMem = machine().device_bytes;
  of.sharedMemPerBlock = 48 << 10;
  of.sharedMemPerMultiprocessor = 228 << 10;
  of.sharedMemPerBlockOptin = 227 << 10;
  of.regsPerBlock = of.regsPerMultiprocessor = 65536;
  of.warpSize = 32;
  of.memPitch = 0x7fffffff;
  of.maxThreadsPerBlock = 1024;
  of.maxThreadsDim[0] = of.maxThreadsDim[1] = 1024;
  of.maxThreadsDim[2] = 64;
  of.maxGridSize[0] = 0x7fffffff;
  of.maxGridSize[1] = of.maxGridSize[2] = 65535;
  of.major = 9;
  of.minor = 0;
  of.multiProcessorCount = 4;
  of.maxThreadsPerMultiProcessor = 2048;
  of.maxBlocksPerMultiProcessor = 32;
  of.concurrentKernels = 1;
  of.pciBusID = device + 1;
  of.asyncEngineCount = 1;
  of.unifiedAddressing = 1;
  of.canMapHostMemory = 1;
  of.memoryBusWidth = 64;
  of.l2CacheSize = 4 << 20;
  return of;
}

std::optional<int> attribute_of(int device, cudaDeviceAttr attribute) {
  const cudaDeviceProp of = properties_of(device);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return of.maxThreadsPerBlock;
    case cudaDevAttrMaxGridDimX:
      return of.maxGridSize[0];
    case cudaDevAttrMaxGridDimY:
      return of.maxGridSize[1];
    case cudaDevAttrMaxGridDimZ:
      return of.maxGridSize[2];
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(of.sharedMemPerBlock);
    case cudaDevAttrWarpSize:
      return of.warpSize;
    case cudaDevAttrMaxPitch:
      return static_cast<int>(of.memPitch);
    case cudaDevAttrClockRate:
      return 1000000;  // kHz
    case cudaDevAttrMemoryClockRate:
      return 1000000;
    case cudaDevAttrGlobalMemoryBusWidth:
      return of.memoryBusWidth;
    case cudaDevAttrMultiProcessorCount:
      return of.multiProcessorCount;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return of.maxThreadsPerMultiProcessor;
    case cudaDevAttrL2CacheSize:
      return of.l2CacheSize;
    case cudaDevAttrComputeCapabilityMajor:
      return of.major;
    case cudaDevAttrComputeCapabilityMinor:
      return of.minor;
    case cudaDevAttrConcurrentKernels:
      return of.concurrentKernels;
    case cudaDevAttrEccEnabled:
      return of.ECCEnabled;
    case cudaDevAttrIntegrated:
      return of.integrated;
    case cudaDevAttrPciBusId:
      return of.pciBusID;
    case cudaDevAttrPciDeviceId:
      return of.pciDeviceID;
    case cudaDevAttrPciDomainId:
      return of.pciDomainID;
    case cudaDevAttrUnifiedAddressing:
      return of.unifiedAddressing;
    default:
      return std::nullopt;
  }
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

void restart() {
  const Lock lock(machine().mutex);
  read_environment(machine());
  machine().calls_of_fault = 0;
  machine().sticky = last_error = cudaSuccess;
}

std::int64_t bytes_in_use(int device) {
  const Lock lock(machine().mutex);
  return static_cast<std::int64_t>(bytes_in_use_locked(device));
}

cudaError_t enter(const char* name) {
  Machine& here = machine();
  const Lock lock(here.mutex);
  if (here.sticky == cudaSuccess && here.fault.function == name &&
      ++here.calls_of_fault == here.fault.count) {
    here.sticky = cudaErrorLaunchFailure;
  }
  if (here.sticky != cudaSuccess) return last_error = here.sticky;
  if (here.devices == 0) return last_error = cudaErrorNoDevice;
  return cudaSuccess;
}

cudaError_t leave(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

cudaError_t check_stream(cudaStream_t queue) {
  const Lock lock(machine().mutex);
  if (!is_stream_locked(queue)) return cudaErrorInvalidResourceHandle;
  const bool made = machine().streams.contains(queue);
  return made && queue->device != current_device ? cudaErrorInvalidResourceHandle : cudaSuccess;
}

namespace {

// A call of the runtime: counted, then done by `body`.
template <typename Body>
cudaError_t call(const char* name, const Body& body) {
  const cudaError_t error = enter(name);
  return error != cudaSuccess ? error : leave(body());
}

template <typename Body>
cudaError_t queued(const char* name, cudaStream_t stream, const Body& body) {
  return call(name, [&] {
    const cudaError_t error = check_stream_of_any_device(stream);
    return error != cudaSuccess ? error : body();
  });
}

}  // namespace
}  // namespace tpbench::cuda::emulation

using namespace tpbench::cuda::emulation;

// -- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call(__func__, [&] {
    *count = machine().devices;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call(__func__, [&] {
    if (!is_device(device)) return cudaErrorInvalidDevice;
    current_device = device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return call(__func__, [&] {
    *device = current_device;
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

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call(__func__, [&] {
    if (!is_device(device)) return cudaErrorInvalidDevice;
    const auto known = attribute_of(device, attribute);
    if (!known) return cudaErrorInvalidValue;
    *value = *known;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  return call(__func__, [&] {
    if (!is_device(device)) return cudaErrorInvalidDevice;
    const int written = std::snprintf(text, static_cast<std::size_t>(length), "0000:%02X:00.0",
                                      properties_of(device).pciBusID);
    return written < length ? cudaSuccess : cudaErrorInvalidValue;
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
  return call(__func__, [] { return cudaSuccess; });
}

// -- memory

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    *total_bytes = machine().device_bytes;
    *free_bytes = machine().device_bytes - bytes_in_use_locked(current_device);
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call(__func__, [&] { return take(pointer, bytes, cudaMemoryTypeDevice); });
}

cudaError_t cudaFree(void* pointer) {
  return call(__func__, [&] { return give_back(pointer, cudaMemoryTypeDevice); });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return call(__func__, [&] { return take(pointer, bytes, cudaMemoryTypeHost); });
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned /*flags*/) {
  return call(__func__, [&] { return take(pointer, bytes, cudaMemoryTypeHost); });
}

cudaError_t cudaFreeHost(void* pointer) {
  return call(__func__, [&] { return give_back(pointer, cudaMemoryTypeHost); });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call(__func__, [&] { return copy_rows(to, bytes, from, bytes, bytes, 1, kind); });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return queued(__func__, stream, [&] { return copy_rows(to, bytes, from, bytes, bytes, 1, kind); });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return queued(__func__, stream,
                [&] { return copy_rows(to, to_pitch, from, from_pitch, width, height, kind); });
}

cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  return call(__func__, [&] { return set_rows(pointer, bytes, value, bytes, 1); });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return queued(__func__, stream, [&] { return set_rows(pointer, bytes, value, bytes, 1); });
}

cudaError_t cudaMemset2DAsync(void* pointer, std::size_t pitch, int value, std::size_t width,
                              std::size_t height, cudaStream_t stream) {
  return queued(__func__, stream, [&] { return set_rows(pointer, pitch, value, width, height); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = -2;  // as the runtime says of memory that it does not know
    attributes->hostPointer = const_cast<void*>(pointer);
    const auto* block = find_block(pointer);
    if (block == nullptr) return cudaSuccess;
    attributes->type = block->second.type;
    attributes->device = block->second.device;
    attributes->devicePointer = const_cast<void*>(pointer);
    if (block->second.type == cudaMemoryTypeDevice) attributes->hostPointer = nullptr;
    return cudaSuccess;
  });
}

// -- streams: work is done when it is queued

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned /*flags*/) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    *stream = new CUstream_st{current_device};
    machine().streams.insert(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    if (machine().streams.erase(stream) == 0) return cudaErrorInvalidResourceHandle;
    delete stream;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return queued(__func__, stream, [] { return cudaSuccess; });
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return queued(__func__, stream, [] { return cudaSuccess; });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned /*flags*/) {
  return queued(__func__, stream, [&] { return check_event(event); });
}

// -- events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    *event = new CUevent_st{current_device, (flags & cudaEventDisableTiming) == 0, std::nullopt};
    machine().events.insert(*event);
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(__func__, [&] {
    const Lock lock(machine().mutex);
    if (machine().events.erase(event) == 0) return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return queued(__func__, stream, [&] {
    const cudaError_t error = check_event(event);
    if (error != cudaSuccess) return error;
    const Lock lock(machine().mutex);
    if (machine().streams.contains(stream) && stream->device != event->device)
      return cudaErrorInvalidResourceHandle;
    event->recorded = std::chrono::steady_clock::now();
    event->seen = false;
    return cudaSuccess;
  });
}

// A device needs a moment: the first answer after a record is that it is not there yet, and stays for
// cudaGetLastError as the real one does.
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return call(__func__, [&] {
    const cudaError_t error = check_event(event);
    if (error != cudaSuccess) return error;
    const Lock lock(machine().mutex);
    return std::exchange(event->seen, true) ? cudaSuccess : cudaErrorNotReady;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(__func__, [&] { return check_event(event); });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call(__func__, [&] {
    for (const cudaEvent_t event : {start, end}) {
      const cudaError_t error = check_event(event);
      if (error != cudaSuccess) return error;
      if (!event->timed || !event->recorded) return cudaErrorInvalidResourceHandle;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(*end->recorded - *start->recorded).count();
    return cudaSuccess;
  });
}

// -- errors

cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  const Lock lock(machine().mutex);
  last_error = machine().sticky;  // a device that has failed stays so
  return error != cudaSuccess ? error : machine().sticky;
}

cudaError_t cudaPeekAtLastError() {
  const Lock lock(machine().mutex);
  return last_error != cudaSuccess ? last_error : machine().sticky;
}

const char* cudaGetErrorString(cudaError_t error) {
  const ErrorWords* words = words_of(error);
  return words == nullptr ? "an error that is not emulated" : words->text;
}

const char* cudaGetErrorName(cudaError_t error) {
  const ErrorWords* words = words_of(error);
  return words == nullptr ? "cudaErrorUnknown" : words->name;
}
