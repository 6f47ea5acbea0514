#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/json.hpp"
#include "compute/backend.hpp"
#include "compute/cpu_backend.hpp"
#include "compute/cuda_workspace.hpp"
#include "compute/plugin.hpp"
#include "compute/products.hpp"

namespace tpbench {
namespace {

constexpr std::array kCpuTypes = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr std::array kCudaTypes = {DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16};

constexpr PluginFile kCuda = {
    "libtpbench_cuda.so", "tpbench_backend_plugin",
    "where CMake finds the CUDA toolkit and NCCL, `cmake --build --preset release` builds it beside the "
    "program, and with -D TPBENCH_CUDA=ON CMake says what it does not find"};

const BackendPlugin& cuda() { return load_plugin<BackendPlugin>(kCuda); }

Json describe_cuda() {
  try {
    return cuda().describe();
  } catch (const EnvironmentError& missing) {
    return {{"missing", missing.what()}};
  }
}

// As many heads as fill a device, as long as their scores stay in its second-level cache (40 MB on an A100,
// 50 MB on an H100). On the host a tile of one head keeps all cores busy.
constexpr std::int64_t kCudaScoresBytes = std::int64_t{32} << 20;

constexpr std::array kBackends = {
    BackendEntry{
        .name = "cpu",
        .dtypes = kCpuTypes,
        .on_device = false,
        .workspace_bytes = 0,
        .scores_bytes = 0,
        .described_as = "blas",
        .open = [](int) {},
        .make = [](const BackendNeeds& needs) { return make_cpu_backend(needs); },
        .describe = describe_openblas,
        .device = [] { return std::optional<DeviceInfo>(); },
        .device_state = [] { return std::optional<DeviceState>(); },
    },
    BackendEntry{
        .name = "cuda",
        .dtypes = kCudaTypes,
        .on_device = true,
        .workspace_bytes = kCudaWorkspaceBytes,
        .scores_bytes = kCudaScoresBytes,
        .described_as = "gpu",
        .open = [](int local_rank) { cuda().open(local_rank); },
        .make = [](const BackendNeeds& needs) { return cuda().make(needs.threads); },
        .describe = describe_cuda,
        .device = [] { return cuda().device(); },
        .device_state = [] { return cuda().device_state(); },
    },
};

}  // namespace

std::span<const BackendEntry> all_backends() { return kBackends; }

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const BackendEntry& entry : kBackends) names.emplace_back(entry.name);
  return names;
}

std::string host_backend() {
  const auto host = std::find_if(kBackends.begin(), kBackends.end(),
                                 [](const BackendEntry& entry) { return !entry.on_device; });
  return std::string(host->name);
}

std::map<std::string, Json> describe_backends(const std::set<std::string>& names) {
  std::map<std::string, Json> described;
  for (const std::string& name : names) {
    const BackendEntry* entry = find_backend(name);
    described[std::string(entry->described_as)] = entry->describe();
  }
  return described;
}

const BackendEntry* find_backend(std::string_view name) {
  for (const BackendEntry& entry : kBackends) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
