#include <array>

#include "comm/communicator.hpp"
#include "comm/device_communicators.hpp"
#include "comm/hierarchical_communicator.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/shm_communicator.hpp"

namespace tpbench {
namespace {

using MaybeReason = std::optional<std::string>;

MaybeReason runs_anywhere(const GroupPlaces&) { return std::nullopt; }

// What ranks of a host write and read with their own loads and stores is host memory.
template <MaybeReason (*WhyNot)(std::span<const int> host_of)>
MaybeReason in_host_memory(const GroupPlaces& places) {
  if (!places.device_of.empty())
    return "algorithms shm and hierarchical work in host memory, and these operands lie on devices; "
           "algorithms "
           "nccl and mpi take them there";
  return WhyNot(places.host_of);
}

constexpr std::array kAlgorithms = {
    AlgorithmEntry{"mpi",
                   [](const Control& group, DeviceSide* device) {
                     return device == nullptr ? make_mpi_communicator(group)
                                              : make_mpi_for_device(group, *device);
                   },
                   runs_anywhere},
    AlgorithmEntry{"shm", [](const Control& group, DeviceSide*) { return make_shm_communicator(group); },
                   in_host_memory<why_not_shm>},
    AlgorithmEntry{"hierarchical",
                   [](const Control& group, DeviceSide*) { return make_hierarchical_communicator(group); },
                   in_host_memory<why_not_hierarchical>},
    AlgorithmEntry{"nccl", make_nccl, why_not_nccl}};

}  // namespace

std::span<const AlgorithmEntry> all_algorithms() { return kAlgorithms; }

const AlgorithmEntry* find_algorithm(std::string_view name) {
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
