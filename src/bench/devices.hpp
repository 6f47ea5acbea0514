#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json_fwd.hpp"
#include "comm/session.hpp"

namespace tpbench {

/// The devices of a launch, for each backend that computes on one: device_of[backend][r] numbers the device
/// of world rank r in order of first appearance; ranks with the same number share a device. No entry for
/// backends that compute on the host. The same on all ranks.
using DevicesByBackend = std::map<std::string, std::vector<int>>;

/// Makes the backends ready on every rank: libraries are loaded, each rank takes its device. Collective over
/// the world. Throws EnvironmentError on all ranks when one of them cannot, with its words.
DevicesByBackend open_backends(const std::set<std::string>& backends, const Session& session);

/// Descriptions of the devices that the ranks have taken, by world rank: {"rank": 0, "device": 0, "name":
/// ...}. Collective; complete on rank 0. Empty where no backend has devices.
std::vector<Json> describe_devices(const DevicesByBackend& devices, const Session& session);

/// device_of of this backend, or nothing.
std::vector<int> devices_of(const DevicesByBackend& devices, const std::string& backend);

}  // namespace tpbench
