#include "cuda/nvml.hpp"

#include <dlfcn.h>

#include <array>

namespace tpbench::cuda {
namespace {

// The few functions that are needed, as nvml.h declares them; the header does not come with every toolkit.
// https://docs.nvidia.com/deploy/nvml-api
using NvmlDevice = void*;
constexpr int kSuccess = 0;
constexpr int kClockSm = 1, kClockMemory = 2;
constexpr int kTemperatureGpu = 0;

struct Nvml {
  int (*init)() = nullptr;
  int (*driver)(char*, unsigned) = nullptr;
  int (*by_pci)(const char*, NvmlDevice*) = nullptr;
  int (*clock)(NvmlDevice, int, unsigned*) = nullptr;
  int (*temperature)(NvmlDevice, int, unsigned*) = nullptr;
  int (*reasons)(NvmlDevice, unsigned long long*) = nullptr;
  bool works = false;

  Nvml() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const bool complete = find(library, "nvmlInit_v2", init) &&
                          find(library, "nvmlSystemGetDriverVersion", driver) &&
                          find(library, "nvmlDeviceGetHandleByPciBusId_v2", by_pci) &&
                          find(library, "nvmlDeviceGetClockInfo", clock) &&
                          find(library, "nvmlDeviceGetTemperature", temperature) &&
                          find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", reasons);
    works = complete && init() == kSuccess;
  }

  template <typename Function>
  static bool find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }
};

const Nvml& nvml() {
  static const Nvml library;
  return library;
}

}  // namespace

std::optional<DeviceState> state_of_gpu(const std::string& pci_bus_id) {
  NvmlDevice device = nullptr;
  if (!nvml().works || nvml().by_pci(pci_bus_id.c_str(), &device) != kSuccess) return std::nullopt;
  unsigned sm = 0, memory = 0, temperature = 0;
  unsigned long long reasons = 0;
  if (nvml().clock(device, kClockSm, &sm) != kSuccess ||
      nvml().clock(device, kClockMemory, &memory) != kSuccess ||
      nvml().temperature(device, kTemperatureGpu, &temperature) != kSuccess ||
      nvml().reasons(device, &reasons) != kSuccess)
    return std::nullopt;
  return DeviceState{sm, memory, temperature, reasons};
}

std::optional<std::string> driver_version() {
  std::array<char, 96> text{};
  if (!nvml().works || nvml().driver(text.data(), text.size()) != kSuccess) return std::nullopt;
  return text.data();
}

}  // namespace tpbench::cuda
