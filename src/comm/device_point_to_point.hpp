#pragma once

#include <memory>

#include "comm/device_side.hpp"
#include "comm/point_to_point.hpp"

namespace tpbench {

/// Messages by the device's own library (algorithm nccl): where operands lie, queued as work is. Throws
/// CaseError where there is no device.
std::unique_ptr<PointToPoint> make_nccl_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                       DeviceSide* device);

/// Messages from and to a device by what reaches the peer from host memory (make_point_to_point): the host
/// waits for the work in front of a message, copies it out, and copies in what has come. With an MPI library
/// that takes pointers to a device as well, as it does not know what is still queued. Collective over
/// `ranks`.
std::unique_ptr<PointToPoint> make_staged_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                         DeviceSide& device);

}  // namespace tpbench
