#pragma once

#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "comm/point_to_point.hpp"
#include "compute/backend.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

/// By what the algorithm brings; or else by what reaches the peer, through host memory.
std::unique_ptr<PointToPoint> built_in_point_to_point(const std::string& algorithm, const Control& stages,
                                                      const PointToPointNeeds& needs, DeviceSide* device);

/// The machine that a run is made of, by name. The program takes its tables of backends and algorithms; tests
/// put faults in between.
struct Parts {
  std::function<std::unique_ptr<Backend>(const BackendNeeds& needs)> make_backend;
  std::function<std::unique_ptr<Communicator>(const std::string& algorithm, const Control& group,
                                              DeviceSide* device)>
      make_communicator;
  /// Messages between the ranks that hold the stages of a pipeline.
  std::function<std::unique_ptr<PointToPoint>(const std::string& algorithm, const Control& stages,
                                              const PointToPointNeeds& needs, DeviceSide* device)>
      make_point_to_point = built_in_point_to_point;
};

/// The parts of this build.
Parts built_in_parts();

/// The names in the tables of this build.
Availability built_in_availability();

}  // namespace tpbench
