#include "bench/why_skipped.hpp"

#include <fmt/format.h>

#include <numeric>
#include <vector>

#include "bench/team.hpp"
#include "comm/communicator.hpp"
#include "compute/backend.hpp"
#include "compute/products.hpp"
#include "environment/launch.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

std::vector<int> those_of(const std::vector<int>& group, std::span<const int> place_of) {
  std::vector<int> places;
  for (const int rank : group) {
    if (!place_of.empty()) places.push_back(place_of[static_cast<std::size_t>(rank)]);
  }
  return places;
}

// Asks the case's algorithm about each group that would run.
std::optional<Skip> why_not_placed(const Case& point, const GroupPlaces& places) {
  const AlgorithmEntry* algorithm = find_algorithm(point.algorithm.value_or(""));
  if (algorithm == nullptr) return std::nullopt;  // a workload without collectives
  for (const std::vector<int>& group : groups_of(point, places.host_of)) {
    std::vector<std::vector<int>> carried = shards_of(group, point.layout);
    if (algorithm->connect != nullptr) carried = {group};
    for (const std::vector<int>& ranks : carried) {
      const std::vector<int> hosts = those_of(ranks, places.host_of);
      const std::vector<int> devices = those_of(ranks, places.device_of);
      if (const auto reason = why_not_carried(*algorithm, {hosts, devices}, point.dtype))
        return Skip{ReasonCode::placement, *reason};
    }
  }
  return std::nullopt;
}

std::optional<Skip> why_not_piped(const Case& point) {
  if (point.layout.pp == 1) return std::nullopt;
  if (point.placement == Placement::spread)
    return Skip{ReasonCode::combination,
                "placement spread is for pp_degree 1; placements tp_inside and pp_inside say what of a "
                "pipeline stays inside hosts"};
  return std::nullopt;
}

std::optional<Skip> why_not_computed(const Case& point) {
  if (auto skip = why_not_piped(point)) return skip;
  const BackendEntry* backend = find_backend(point.backend);
  if (backend == nullptr) return std::nullopt;
  std::vector<std::string_view> names;
  for (const DType dtype : backend->dtypes) {
    if (dtype == point.dtype) return why_not_multiplied(point);
    names.push_back(name_of(dtype));
  }
  return Skip{ReasonCode::combination,
              fmt::format("backend {} does not compute in dtype {}; it does in {}", point.backend,
                          name_of(point.dtype), fmt::join(names, ", "))};
}

// On one host, or on one each; where operands lie on devices, on one each.
std::optional<std::string> why_never_carried(const Case& point) {
  const AlgorithmEntry* algorithm = find_algorithm(point.algorithm.value_or(""));
  const BackendEntry* backend = find_backend(point.backend);
  if (algorithm == nullptr || backend == nullptr) return std::nullopt;
  const std::vector<int> one_host(static_cast<std::size_t>(point.layout.tp), 0);
  std::vector<int> one_each(one_host.size());
  std::iota(one_each.begin(), one_each.end(), 0);
  const std::vector<int> devices = backend->on_device ? one_each : std::vector<int>();
  const auto reason = why_not_carried(*algorithm, {one_host, devices}, point.dtype);
  return reason && why_not_carried(*algorithm, {one_each, devices}, point.dtype) ? reason : std::nullopt;
}

std::optional<Skip> why_not_packed(const Case& point, const LibraryEntry& library) {
  if (point.weight_layout != WeightLayout::packed) return std::nullopt;
  if (!library.packs) {
    return Skip{
        ReasonCode::combination,
        fmt::format("library {} multiplies weights as they lie; weight_layout plain runs, and library "
                    "onednn packs",
                    library.name)};
  }
  if (point.pass == Pass::forward) return std::nullopt;
  return Skip{
      ReasonCode::combination,
      "weight_layout packed is for pass forward: training changes the weights in every step, and they "
      "would be packed each time; weight_layout plain runs"};
}

}  // namespace

std::optional<Skip> why_not_multiplied(const Case& point) {
  const LibraryEntry* library = find_library(point.library.value_or(""));
  if (library == nullptr || point.backend != host_backend()) return std::nullopt;  // or it multiplies nothing
  std::optional<std::string> reason = library->why_not(point.dtype);
  if (!reason) return why_not_packed(point, *library);
  for (const LibraryEntry& other : all_libraries()) {
    const bool is_able = &other != library && !other.why_not(point.dtype);
    if (is_able) *reason += fmt::format("; library {} does", other.name);
  }
  return Skip{ReasonCode::combination, *reason};
}

std::optional<std::string> why_never_run(const Case& point) {
  if (const auto skip = why_not_computed(point)) return skip->reason;
  return why_never_carried(point);
}

std::optional<Skip> why_skipped(const Case& point, const GroupPlaces& places) {
  const auto world = static_cast<std::int64_t>(places.host_of.size());
  const Workload& workload = point.workload_row();
  if (const auto reason = why_impossible(workload, point.shape())) {
    return Skip{ReasonCode::combination, *reason};
  }
  if (const auto reason = why_not_divisible(workload, point.shape())) {
    return Skip{ReasonCode::divisibility, *reason + about_default_heads(point)};
  }
  const std::int64_t ranks = point.layout.ranks();
  if (ranks > world) {
    return Skip{
        ReasonCode::ranks,
        fmt::format("tp_degree {}{} needs {} ranks and this launch has {}; start it with {}", point.layout.tp,
                    point.layout.pp == 1 ? "" : fmt::format(" x pp_degree {}", point.layout.pp), ranks, world,
                    start_to_type(static_cast<long>(ranks)))};
  }
  if (const auto skip = why_not_computed(point)) return skip;
  if (point.shape().overlaps() && !places.threads_may_communicate) {
    return Skip{ReasonCode::combination,
                fmt::format("overlap_chunks {} communicates on a thread of its own, which needs thread level "
                            "serialized, and this MPI library provides less; overlap_chunks 1 runs",
                            point.overlap_chunks)};
  }
  return why_not_placed(point, places);
}

}  // namespace tpbench
