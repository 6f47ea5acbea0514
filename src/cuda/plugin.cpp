// What libtpbench_cuda.so exports.
#include "compute/plugin.hpp"

#include <cublasLt.h>
#include <fmt/format.h>
#include <nccl.h>

#include "base/error.hpp"
#include "base/json.hpp"
#include "cuda/check.hpp"
#include "cuda/cuda_backend.hpp"
#include "cuda/device.hpp"
#include "cuda/nvml.hpp"

namespace tpbench::cuda {
namespace {

std::string cuda_version(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

// Three fields, the last of two digits: 22907 is 2.29.7, 130100 of cuBLAS is 13.1.0.
std::string library_version(std::size_t version, std::size_t unit) {
  return fmt::format("{}.{}.{}", version / unit, version % unit / 100, version % 100);
}

Json versions() {
  int runtime = 0, driver = 0, nccl = 0;
  TPBENCH_CUDA(cudaRuntimeGetVersion(&runtime));
  TPBENCH_CUDA(cudaDriverGetVersion(&driver));
  TPBENCH_NCCL(ncclGetVersion(&nccl));
  return {{"driver", json_or_null(driver_version())},
          {"cuda_driver", driver == 0 ? Json(nullptr) : Json(cuda_version(driver))},
          {"cuda_runtime", cuda_version(runtime)},
          {"cublaslt", library_version(cublasLtGetVersion(), 10000)},
          {"nccl", library_version(static_cast<std::size_t>(nccl), 10000)}};
}

Json describe() {
  Json described = versions();
  try {
    Json gpus = Json::array();
    for (int index = 0; index < count_gpus(); ++index) {
      cudaDeviceProp properties{};
      TPBENCH_CUDA(cudaGetDeviceProperties(&properties, index));
      gpus.push_back(describe_gpu(index, properties));
    }
    described["gpus"] = gpus;
  } catch (const EnvironmentError& missing) {
    described["missing"] = missing.what();
  }
  return described;
}

std::optional<DeviceInfo> device() {
  return DeviceInfo{Device::get().uuid(), Device::get().describe().dump()};
}

std::optional<DeviceState> device_state() { return state_of_gpu(Device::get().pci_bus_id()); }

}  // namespace
}  // namespace tpbench::cuda

extern "C" [[gnu::visibility("default")]] const tpbench::BackendPlugin* tpbench_backend_plugin() {
  static const tpbench::BackendPlugin plugin = {
      tpbench::plugin_build(), tpbench::cuda::Device::open, tpbench::cuda::make_cuda_backend,
      tpbench::cuda::describe, tpbench::cuda::device,       tpbench::cuda::device_state,
  };
  return &plugin;
}
