#include "cuda/device.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/units.hpp"
#include "cuda/check.hpp"
#include "measure/clock.hpp"

namespace tpbench::cuda {
namespace {

std::unique_ptr<Device> the_device;  // NOLINT: one context a process, as CUDA has it

// Ordered before and after others by events alone: the legacy default stream would wait for all.
class Queue {
 public:
  explicit Queue(int device) {
    TPBENCH_CUDA(cudaSetDevice(device));
    TPBENCH_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  }
  // A thread may outlive the driver: what fails then does not matter.
  ~Queue() { cudaStreamDestroy(stream_); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  [[nodiscard]] cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

bool driver_is_installed() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  dlclose(driver);
  return true;
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string why_no_gpus(cudaError_t error) {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  if (error == cudaErrorInsufficientDriver || error == cudaErrorNoDevice) {
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
      if (!driver_is_installed()) return "no NVIDIA driver: libcuda.so.1 is not installed on this machine";
      return "the NVIDIA driver is installed (libcuda.so.1) and does not start: is its kernel module loaded?";
    }
    if (driver / 1000 < runtime / 1000) {
      return fmt::format(
          "the NVIDIA driver is too old: it brings CUDA {}, and this plug-in is built for CUDA {}",
          version_text(driver), version_text(runtime));
    }
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return fmt::format("the NVIDIA driver finds no GPU{}",
                       visible == nullptr ? "" : fmt::format(" (CUDA_VISIBLE_DEVICES={})", visible));
  }
  return fmt::format("{} ({})", cudaGetErrorString(error), cudaGetErrorName(error));
}

cudaDeviceProp properties_of(int index) {
  cudaDeviceProp properties{};
  TPBENCH_CUDA(cudaGetDeviceProperties(&properties, index));
  return properties;
}

std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU-";
  for (std::size_t i = 0; i < sizeof(uuid.bytes); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += fmt::format("{:02x}", static_cast<unsigned char>(uuid.bytes[i]));
  }
  return text;
}

std::string pci_text(const cudaDeviceProp& properties) {
  return fmt::format("{:08x}:{:02x}:{:02x}.0", properties.pciDomainID, properties.pciBusID,
                     properties.pciDeviceID);
}

}  // namespace

int count_gpus() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  throw EnvironmentError(why_no_gpus(error == cudaSuccess ? cudaErrorNoDevice : error));
}

Json describe_gpu(int index, const cudaDeviceProp& properties) {
  return {{"index", index},
          {"name", properties.name},
          {"pci_bus_id", pci_text(properties)},
          {"uuid", uuid_text(properties.uuid)},
          {"memory_bytes", properties.totalGlobalMem},
          {"l2_bytes", properties.l2CacheSize},
          {"multiprocessors", properties.multiProcessorCount},
          {"compute_capability", fmt::format("{}.{}", properties.major, properties.minor)}};
}

void Device::open(int local_rank) {
  if (the_device) return;
  const int index = local_rank % count_gpus();
  try {
    the_device.reset(new Device(index));
  } catch (const std::exception& error) {
    throw EnvironmentError(fmt::format("GPU {} cannot be used: {}", index, error.what()));
  }
}

Device& Device::get() {
  if (!the_device) throw std::logic_error("the CUDA device is used before it is opened");
  return *the_device;
}

bool Device::is_open() { return the_device != nullptr; }

Device::Device(int index) : index_(index), properties_(properties_of(index)) {
  TPBENCH_CUDA(cudaSetDevice(index));
  TPBENCH_CUDA(cudaFree(nullptr));  // makes the context, whose memory and time belong to no case
}

std::string Device::uuid() const { return uuid_text(properties_.uuid); }
std::string Device::pci_bus_id() const { return pci_text(properties_); }
Json Device::describe() const { return describe_gpu(index_, properties_); }

cudaStream_t Device::queue() {
  thread_local const Queue queue(index_);
  return queue.get();
}

void Device::finish() {
  const cudaStream_t own = queue();  // first of all: it makes this GPU the thread's
  thread_local const Event last(cudaEventDisableTiming);
  TPBENCH_CUDA(cudaEventRecord(last.get(), own));
  wait(last.get());
}

void Device::wait(cudaEvent_t event) {
  constexpr double kLookS = 1e-3, kNearS = 50e-6;
  const double began_s = now_s();
  double next_look_s = began_s + kLookS;
  for (;;) {
    const cudaError_t state = cudaEventQuery(event);
    if (state == cudaSuccess) return;
    if (state != cudaErrorNotReady)
      check_cuda(state, "what was queued before an event", std::source_location::current());
    cudaGetLastError();  // "not ready" counts as an error too, and would be taken for that of the next launch
    const double here_s = now_s();
    if (here_s > next_look_s) {
      look_after_watched();
      next_look_s = now_s() + kLookS;
    }
    // Ranks may outnumber cores; what is about to come is not to be seen a turn late.
    if (here_s - began_s > kNearS) std::this_thread::yield();
  }
}

std::shared_ptr<void> Device::allocate(std::int64_t bytes) const {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, static_cast<std::size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0, total = 0;
    TPBENCH_CUDA(cudaMemGetInfo(&free, &total));
    throw CaseError(fmt::format("GPU {} has {} of {} free", index_, format_bytes(static_cast<double>(free)),
                                format_bytes(static_cast<double>(total))));
  }
  check_cuda(error, "cudaMalloc", std::source_location::current());
  return {data, [](void* memory) { cudaFree(memory); }};
}

std::shared_ptr<void> Device::allocate_queued(std::int64_t bytes, cudaStream_t queue) {
  void* data = nullptr;
  const cudaError_t error = cudaMallocAsync(&data, static_cast<std::size_t>(bytes), queue);
  if (error == cudaErrorMemoryAllocation || error == cudaErrorNotSupported) {
    cudaGetLastError();
    throw CaseError(fmt::format("a GPU has no {} for a moment", format_bytes(static_cast<double>(bytes))));
  }
  check_cuda(error, "cudaMallocAsync", std::source_location::current());
  return {data, [queue](void* memory) { cudaFreeAsync(memory, queue); }};
}

std::shared_ptr<void> Device::allocate_pinned(std::int64_t bytes) const {
  void* data = nullptr;
  TPBENCH_CUDA(cudaMallocHost(&data, static_cast<std::size_t>(bytes)));
  return {data, [](void* memory) { cudaFreeHost(memory); }};
}

std::shared_ptr<void> Device::watch(std::function<void()> check) {
  const std::lock_guard lock(mutex_);
  const auto place = watched_.insert(watched_.end(), std::move(check));
  return {&*place, [this, place](void*) {
            const std::lock_guard forgetting(mutex_);
            watched_.erase(place);
          }};
}

void Device::look_after_watched() {
  const std::lock_guard lock(mutex_);
  for (const auto& check : watched_) check();
}

Event::Event(unsigned flags) { TPBENCH_CUDA(cudaEventCreateWithFlags(&event_, flags)); }

Event::~Event() {
  if (event_ != nullptr) cudaEventDestroy(event_);
}

}  // namespace tpbench::cuda
