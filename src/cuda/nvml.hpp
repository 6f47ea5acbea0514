#pragma once

#include <optional>
#include <string>

#include "compute/backend.hpp"

namespace tpbench::cuda {

/// The driver's own account of a GPU, by the management library that comes with it (libnvidia-ml.so.1, loaded
/// at the first call). Reads only: clocks and limits are never changed. Empty where the library is missing or
/// does not know the GPU.
std::optional<DeviceState> state_of_gpu(const std::string& pci_bus_id);

/// "580.159.03"
std::optional<std::string> driver_version();

}  // namespace tpbench::cuda
