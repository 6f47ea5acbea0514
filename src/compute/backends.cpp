#include <array>

#include "base/error.hpp"
#include "base/json.hpp"
#include "compute/backend.hpp"
#include "compute/cpu_backend.hpp"
#include "compute/plugin.hpp"

namespace tpbench {
namespace {

constexpr std::array kCpuTypes = {DType::f32, DType::f64};
constexpr std::array kCudaTypes = {DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16};

const BackendPlugin& cuda() { return load_plugin("libtpbench_cuda.so"); }

Json describe_cuda() {
  try {
    return cuda().describe();
  } catch (const EnvironmentError& missing) {
    return {{"missing", missing.what()}};
  }
}

constexpr std::array kBackends = {
    BackendEntry{"cpu", kCpuTypes, /*on_device=*/false, [](int) {}, make_cpu_backend, describe_openblas,
                 [] { return std::optional<DeviceInfo>(); }, [] { return std::optional<DeviceState>(); }},
    BackendEntry{"cuda", kCudaTypes, /*on_device=*/true, [](int local_rank) { cuda().open(local_rank); },
                 [](int threads) { return cuda().make(threads); }, describe_cuda,
                 [] { return cuda().device(); }, [] { return cuda().device_state(); }},
};

}  // namespace

std::span<const BackendEntry> all_backends() { return kBackends; }

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const BackendEntry& entry : kBackends) names.emplace_back(entry.name);
  return names;
}

const BackendEntry* find_backend(std::string_view name) {
  for (const BackendEntry& entry : kBackends) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
