#include "bench/parts.hpp"

#include <stdexcept>

#include "layers/layer.hpp"

namespace tpbench {

Parts built_in_parts() {
  return {
      .make_backend =
          [](const BackendNeeds& needs) {
            const BackendEntry* entry = find_backend(needs.backend);
            if (entry == nullptr) throw std::logic_error("no backend " + needs.backend);
            return entry->make(needs);
          },
      .make_communicator =
          [](const std::string& algorithm, const Control& group, DeviceSide* device) {
            const AlgorithmEntry* entry = find_algorithm(algorithm);
            if (entry == nullptr) throw std::logic_error("no algorithm " + algorithm);
            return entry->make(group, device);
          },
  };
}

Availability built_in_availability() {
  Availability available;
  for (const LayerEntry& entry : all_layers()) available.workloads.emplace_back(entry.workload);
  for (const BackendEntry& entry : all_backends()) available.backends.emplace_back(entry.name);
  for (const AlgorithmEntry& entry : all_algorithms()) available.algorithms.emplace_back(entry.name);
  return available;
}

}  // namespace tpbench
