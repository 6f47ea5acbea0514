#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.hpp"
#include "comm/communicator.hpp"
#include "comm/device_communicators.hpp"
#include "comm/device_point_to_point.hpp"
#include "comm/hierarchical_communicator.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/shm_communicator.hpp"

namespace tpbench {
namespace {

using MaybeReason = std::optional<std::string>;

constexpr std::array kEveryType = {DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16};

constexpr std::array kAlgorithms = {
    AlgorithmEntry{"mpi", Operands::anywhere, kEveryType,
                   [](const Control& group, DeviceSide* device) {
                     return device == nullptr ? make_mpi_communicator(group)
                                              : make_mpi_for_device(group, *device);
                   },
                   [](const GroupPlaces&) { return MaybeReason(); }},
    // What ranks of a host write and read with their own loads and stores is host memory.
    AlgorithmEntry{"shm", Operands::host, kEveryType,
                   [](const Control& group, DeviceSide*) { return make_shm_communicator(group); },
                   [](const GroupPlaces& places) { return why_not_shm(places.host_of); }},
    AlgorithmEntry{"hierarchical", Operands::host, kEveryType,
                   [](const Control& group, DeviceSide*) { return make_hierarchical_communicator(group); },
                   [](const GroupPlaces& places) { return why_not_hierarchical(places.host_of); }},
    AlgorithmEntry{"nccl", Operands::device, kEveryType, make_nccl, why_not_nccl, make_nccl_point_to_point}};

MaybeReason why_not(const AlgorithmEntry& entry, const GroupPlaces& places, DType dtype) {
  if (entry.operands == Operands::device && places.device_of.empty())
    return fmt::format("algorithm {} works on GPU memory, and these operands lie in host memory", entry.name);
  if (entry.operands == Operands::host && !places.device_of.empty())
    return fmt::format("algorithm {} works in host memory, and these operands lie on GPUs", entry.name);
  if (std::find(entry.dtypes.begin(), entry.dtypes.end(), dtype) == entry.dtypes.end())
    return fmt::format("algorithm {} does not sum dtype {}", entry.name, name_of(dtype));
  return entry.why_not_placed(places);
}

}  // namespace

std::span<const AlgorithmEntry> all_algorithms() { return kAlgorithms; }

const AlgorithmEntry* find_algorithm(std::string_view name) {
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::optional<std::string> why_not_carried(const AlgorithmEntry& algorithm, const GroupPlaces& places,
                                           DType dtype) {
  MaybeReason reason = why_not(algorithm, places, dtype);
  if (!reason) return reason;
  std::vector<std::string> able;
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (!why_not(entry, places, dtype)) able.emplace_back(entry.name);
  }
  if (!able.empty())
    *reason += fmt::format("; algorithm{} {} would run here", able.size() == 1 ? "" : "s", join_words(able));
  return reason;
}

}  // namespace tpbench
