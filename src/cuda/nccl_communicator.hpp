#pragma once

#include <memory>

#include "comm/communicator.hpp"
#include "comm/device_side.hpp"

namespace tpbench::cuda {

/// NCCL's collectives, queued behind the work of the thread that calls them. Matrices made here are plain
/// device memory, registered with NCCL. While a thread waits for the device NCCL's asynchronous errors are
/// looked at. Collective over the group.
std::unique_ptr<Communicator> make_nccl_communicator(const NativeGroup& group);

}  // namespace tpbench::cuda
