#include "bench/parts.hpp"

#include <stdexcept>

#include "comm/device_point_to_point.hpp"
#include "layers/layer.hpp"

namespace tpbench {

namespace {

const AlgorithmEntry& algorithm_named(const std::string& name) {
  const AlgorithmEntry* entry = find_algorithm(name);
  if (entry == nullptr) throw std::logic_error("no algorithm " + name);
  return *entry;
}

}  // namespace

std::unique_ptr<PointToPoint> built_in_point_to_point(const std::string& algorithm, const Control& stages,
                                                      const PointToPointNeeds& needs, DeviceSide* device) {
  const AlgorithmEntry& entry = algorithm_named(algorithm);
  if (entry.connect != nullptr) return entry.connect(stages, needs, device);
  if (device != nullptr) return make_staged_point_to_point(stages, needs, *device);
  return make_point_to_point(stages, needs);
}

Parts built_in_parts() {
  return {
      .make_backend =
          [](const BackendNeeds& needs) {
            const BackendEntry* entry = find_backend(needs.backend);
            if (entry == nullptr) throw std::logic_error("no backend " + needs.backend);
            return entry->make(needs);
          },
      .make_communicator = [](const std::string& algorithm, const Control& group,
                              DeviceSide* device) { return algorithm_named(algorithm).make(group, device); },
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
