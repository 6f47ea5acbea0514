#pragma once

#include <memory>
#include <optional>
#include <string>

#include "comm/communicator.hpp"

namespace tpbench {

/// MPI's own collectives for operands on a device: given to MPI where they lie when the library says at run
/// time that it takes such pointers, and copied to pinned host memory and back where it does not. MPI sums
/// numbers of two bytes by a function that runs on the host: those are always copied.
std::unique_ptr<Communicator> make_mpi_for_device(const Control& group, DeviceSide& device);

/// The collectives of the device's own library. Throws CaseError where there is no device.
std::unique_ptr<Communicator> make_nccl(const Control& group, DeviceSide* device);

/// Why `nccl` cannot carry such a group; empty when it can.
std::optional<std::string> why_not_nccl(const GroupPlaces& places);

/// Copies operands to pinned host memory, has `host` work on them there, and copies the result back. Public
/// for tests.
std::unique_ptr<Communicator> make_staged(std::unique_ptr<Communicator> host, DeviceSide& device);

}  // namespace tpbench
