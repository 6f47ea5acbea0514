#include "bench/devices.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/json.hpp"
#include "comm/agreement.hpp"
#include "compute/backend.hpp"
#include "environment/host.hpp"

namespace tpbench {
namespace {

std::vector<int> numbered(const std::vector<std::string>& ids) {
  std::vector<std::string> seen;
  std::vector<int> numbers;
  for (const std::string& id : ids) {
    const auto found = std::find(seen.begin(), seen.end(), id);
    numbers.push_back(static_cast<int>(found - seen.begin()));
    if (found == seen.end()) seen.push_back(id);
  }
  return numbers;
}

}  // namespace

DevicesByBackend open_backends(const std::set<std::string>& backends, const Session& session) {
  const Control& world = session.world();
  DevicesByBackend devices;
  for (const std::string& name : backends) {
    const BackendEntry* entry = find_backend(name);
    std::string id;
    together<EnvironmentError>(world, [&] {
      try {
        if (entry == nullptr) throw EnvironmentError("no backend " + name);
        entry->open(session.host().rank());
        if (const auto device = entry->device()) id = device->id;
      } catch (const std::exception& error) {
        throw EnvironmentError(
            fmt::format("backend {} cannot run on {}: {}", name, host_name(), error.what()));
      }
    });
    const std::vector<std::string> ids = world.all_gather(id);
    if (!ids.front().empty()) devices[name] = numbered(ids);
  }
  return devices;
}

std::vector<Json> describe_devices(const DevicesByBackend& devices, const Session& session) {
  std::vector<Json> described;
  for (const auto& [name, device_of] : devices) {
    Json own = Json::parse(find_backend(name)->device()->description);
    own["host"] = host_name();
    const std::vector<std::string> texts = session.world().gather(own.dump());
    for (std::size_t rank = 0; rank < texts.size(); ++rank) {
      Json device = {{"rank", rank}, {"device", device_of[rank]}};
      device.update(Json::parse(texts[rank]));
      described.push_back(std::move(device));
    }
  }
  return described;
}

std::vector<int> devices_of(const DevicesByBackend& devices, const std::string& backend) {
  const auto found = devices.find(backend);
  return found == devices.end() ? std::vector<int>() : found->second;
}

}  // namespace tpbench
