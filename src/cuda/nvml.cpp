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

// nvmlTemperature_v1_t, with its version as NVML_STRUCT_VERSION makes it
struct Temperature {
  unsigned version = sizeof(Temperature) | 1U << 24;
  int sensor = kTemperatureGpu;
  int celsius = 0;
};

struct Nvml {
  int (*init)() = nullptr;
  int (*driver)(char*, unsigned) = nullptr;
  int (*by_pci)(const char*, NvmlDevice*) = nullptr;
  int (*clock)(NvmlDevice, int, unsigned*) = nullptr;
  int (*temperature)(NvmlDevice, int, unsigned*) = nullptr;  // goes with CUDA 14, the next one stays
  int (*temperature_v)(NvmlDevice, Temperature*) = nullptr;
  int (*reasons)(NvmlDevice, unsigned long long*) = nullptr;
  bool works = false;

  Nvml() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const bool complete = find(library, "nvmlInit_v2", init) &&
                          find(library, "nvmlSystemGetDriverVersion", driver) &&
                          find(library, "nvmlDeviceGetHandleByPciBusId_v2", by_pci) &&
                          find(library, "nvmlDeviceGetClockInfo", clock) &&
                          // Its newer name first: the older one goes.
                          (find(library, "nvmlDeviceGetCurrentClocksEventReasons", reasons) ||
                           find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", reasons));
    find(library, "nvmlDeviceGetTemperature", temperature);
    find(library, "nvmlDeviceGetTemperatureV", temperature_v);
    works = complete && init() == kSuccess;
  }

  [[nodiscard]] std::optional<int> celsius(NvmlDevice device) const {
    unsigned of_old = 0;
    Temperature of_new;
    if (temperature != nullptr && temperature(device, kTemperatureGpu, &of_old) == kSuccess)
      return static_cast<int>(of_old);
    if (temperature_v != nullptr && temperature_v(device, &of_new) == kSuccess) return of_new.celsius;
    return std::nullopt;
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
  unsigned sm = 0, memory = 0;
  unsigned long long reasons = 0;
  if (nvml().clock(device, kClockSm, &sm) != kSuccess ||
      nvml().clock(device, kClockMemory, &memory) != kSuccess || nvml().reasons(device, &reasons) != kSuccess)
    return std::nullopt;
  const std::optional<int> celsius = nvml().celsius(device);
  if (!celsius) return std::nullopt;
  return DeviceState{sm, memory, *celsius, reasons};
}

std::optional<std::string> driver_version() {
  std::array<char, 96> text{};
  if (!nvml().works || nvml().driver(text.data(), text.size()) != kSuccess) return std::nullopt;
  return text.data();
}

}  // namespace tpbench::cuda
