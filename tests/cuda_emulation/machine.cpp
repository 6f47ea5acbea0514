#include "machine.hpp"

#include <charconv>
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

#include "queue.hpp"

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
  bool is_own = false;  // the program's, pinned
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

thread_local cudaError_t the_last_error = cudaSuccess;
thread_local int the_current_device = 0;

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

bool is_stream_locked(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread) return true;
  return machine().streams.contains(stream);
}

}  // namespace

void restart() {
  const Lock lock(machine().mutex);
  read_environment(machine());
  machine().calls_of_fault = 0;
  machine().sticky = the_last_error = cudaSuccess;
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
  if (here.sticky != cudaSuccess) return the_last_error = here.sticky;
  if (here.devices == 0) return the_last_error = cudaErrorNoDevice;
  return cudaSuccess;
}

cudaError_t leave(cudaError_t error) {
  if (error != cudaSuccess) the_last_error = error;
  return error;
}

cudaError_t check_stream(cudaStream_t queue) {
  const Lock lock(machine().mutex);
  if (!is_stream_locked(queue)) return cudaErrorInvalidResourceHandle;
  const bool made = machine().streams.contains(queue);
  return made && queue->device != the_current_device ? cudaErrorInvalidResourceHandle : cudaSuccess;
}

// -- devices

int count_devices() { return machine().devices; }
bool is_device(int device) { return device >= 0 && device < machine().devices; }
int current_device() { return the_current_device; }
void set_current_device(int device) { the_current_device = device; }

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

bool has_failed() {
  const Lock lock(machine().mutex);
  return machine().sticky != cudaSuccess;
}

// -- errors

cudaError_t last_error() {
  const Lock lock(machine().mutex);
  return the_last_error != cudaSuccess ? the_last_error : machine().sticky;
}

cudaError_t take_last_error() {
  const cudaError_t error = last_error();
  const Lock lock(machine().mutex);
  the_last_error = machine().sticky;  // a device that has failed stays so
  return error;
}

// -- memory

cudaError_t take(void** pointer, std::size_t bytes, cudaMemoryType type) {
  if (pointer == nullptr) return cudaErrorInvalidValue;
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const Lock lock(machine().mutex);
  const bool on_device = type == cudaMemoryTypeDevice;
  if (on_device && bytes > machine().device_bytes - bytes_in_use_locked(the_current_device)) {
    return cudaErrorMemoryAllocation;
  }
  if (posix_memalign(pointer, kPage, bytes) != 0) return cudaErrorMemoryAllocation;
  std::memset(*pointer, 0xff, bytes);  // NaN in every type: what is read before it is written shows
  machine().blocks[reinterpret_cast<std::uintptr_t>(*pointer)] = {bytes, type, the_current_device};
  return cudaSuccess;
}

cudaError_t give_back(void* pointer, cudaMemoryType type) {
  if (pointer == nullptr) return cudaSuccess;
  const Lock lock(machine().mutex);
  const auto block = machine().blocks.find(reinterpret_cast<std::uintptr_t>(pointer));
  if (block == machine().blocks.end() || block->second.type != type || block->second.is_own)
    return cudaErrorInvalidValue;
  machine().blocks.erase(block);
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t pin(void* pointer, std::size_t bytes) {
  if (pointer == nullptr || bytes == 0) return cudaErrorInvalidValue;
  const Lock lock(machine().mutex);
  const auto first = reinterpret_cast<std::uintptr_t>(pointer) / kPage,
             last = (reinterpret_cast<std::uintptr_t>(pointer) + bytes - 1) / kPage;
  for (const auto& [address, block] : machine().blocks) {
    if (address / kPage <= last && first <= (address + block.bytes - 1) / kPage)
      return cudaErrorHostMemoryAlreadyRegistered;
  }
  machine().blocks[reinterpret_cast<std::uintptr_t>(pointer)] = {bytes, cudaMemoryTypeHost,
                                                                 the_current_device, true};
  return cudaSuccess;
}

cudaError_t unpin(void* pointer) {
  const Lock lock(machine().mutex);
  const auto block = machine().blocks.find(reinterpret_cast<std::uintptr_t>(pointer));
  if (block == machine().blocks.end() || !block->second.is_own) return cudaErrorHostMemoryNotRegistered;
  machine().blocks.erase(block);
  return cudaSuccess;
}

std::size_t bytes_of_device() { return machine().device_bytes; }

cudaError_t check_copy(const void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                       std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  const auto sides = sides_of(kind);
  if (!sides) return cudaErrorInvalidMemcpyDirection;
  if (width == 0 || height == 0) return cudaSuccess;
  if (to_pitch < width || from_pitch < width) return cudaErrorInvalidPitchValue;
  const Lock lock(machine().mutex);
  const bool fits = may_stand(to, extent(to_pitch, width, height), sides->to) &&
                    may_stand(from, extent(from_pitch, width, height), sides->from);
  return fits ? cudaSuccess : cudaErrorInvalidValue;
}

bool is_known(const void* pointer, std::size_t bytes) {
  const Lock lock(machine().mutex);
  return find_block(pointer) != nullptr && may_stand(pointer, bytes, Side::either);
}

bool is_pageable(const void* pointer) {
  const Lock lock(machine().mutex);
  return find_block(pointer) == nullptr;
}

// -- handles

cudaStream_t make_stream() {
  const Lock lock(machine().mutex);
  return *machine().streams.insert(new CUstream_st{the_current_device}).first;
}

namespace {

template <typename Handle>
cudaError_t forget_one_of(std::set<Handle>& made, Handle handle) {
  const Lock lock(machine().mutex);
  if (made.erase(handle) == 0) return cudaErrorInvalidResourceHandle;
  delete handle;
  return cudaSuccess;
}

}  // namespace

cudaError_t forget(cudaStream_t stream) { return forget_one_of(machine().streams, stream); }
cudaError_t forget(cudaEvent_t event) { return forget_one_of(machine().events, event); }

cudaEvent_t make_event(bool timed) {
  const Lock lock(machine().mutex);
  return *machine().events.insert(new CUevent_st{the_current_device, timed}).first;
}

cudaError_t check_stream_of_any_device(cudaStream_t stream) {
  const Lock lock(machine().mutex);
  return is_stream_locked(stream) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t check_event(cudaEvent_t event) {
  const Lock lock(machine().mutex);
  return machine().events.contains(event) ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

std::shared_ptr<Queue> queue_of(cudaStream_t stream) {
  const Lock lock(machine().mutex);
  return machine().streams.contains(stream) ? stream->queue : nullptr;
}

std::vector<std::shared_ptr<Queue>> all_queues() {
  const Lock lock(machine().mutex);
  std::vector<std::shared_ptr<Queue>> queues;
  for (const cudaStream_t stream : machine().streams) queues.push_back(stream->queue);
  return queues;
}

}  // namespace tpbench::cuda::emulation
