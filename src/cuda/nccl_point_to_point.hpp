#pragma once

#include <memory>
#include <span>

#include "comm/device_side.hpp"
#include "comm/point_to_point.hpp"

namespace tpbench::cuda {

/// NCCL's sends and receives. Each link is a communicator of its two ranks and a queue of its own: operations
/// of one communicator run one after the other, and a receive that is posted ahead would hold up what is
/// sent. Collective over the group.
std::unique_ptr<PointToPoint> make_nccl_point_to_point(const NativeGroup& group, std::span<const Link> links);

}  // namespace tpbench::cuda
