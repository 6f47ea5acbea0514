#include <array>

#include "compute/backend.hpp"
#include "compute/cpu_backend.hpp"

namespace tpbench {
namespace {

constexpr std::array kBackends = {BackendEntry{"cpu", make_cpu_backend, describe_openblas}};

}  // namespace

std::span<const BackendEntry> all_backends() { return kBackends; }

const BackendEntry* find_backend(std::string_view name) {
  for (const BackendEntry& entry : kBackends) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
