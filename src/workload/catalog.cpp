#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <vector>

#include "workload/workload.hpp"

namespace tpbench {
namespace {

constexpr std::array kCatalog = {
    &gemm_workload,          &all_reduce_workload, &all_gather_workload, &reduce_scatter_workload,
    &column_linear_workload, &row_linear_workload, &mlp_workload,        &attention_workload,
    &block_workload,         &embedding_workload,  &lm_head_workload,    &model_workload};

}  // namespace

double bus_factor(CollectiveOp op, std::int64_t ranks) {
  const double n = static_cast<double>(ranks);
  return (op == CollectiveOp::all_reduce ? 2.0 : 1.0) * (n - 1) / n;
}

std::int64_t Cost::bytes_per_step() const {
  std::int64_t bytes = 0;
  for (const CollectiveCost& collective : collectives) bytes += collective.bytes * collective.calls_per_step;
  return bytes;
}

namespace {

// "; microbatches 3 and 6 would do", of the numbers nearest to `value` of which `allows` says yes.
std::string nearest(std::string_view what, std::int64_t value, std::int64_t most,
                    const std::function<bool(std::int64_t)>& allows) {
  std::vector<std::string> would;
  std::int64_t below = std::min(value - 1, most), above = value + 1;
  while (below > 0 && !allows(below)) --below;
  while (above <= most && !allows(above)) ++above;
  if (below > 0) would.push_back(std::to_string(below));
  if (above <= most) would.push_back(std::to_string(above));
  return would.empty() ? "" : fmt::format("; {} {} would do", what, fmt::join(would, " and "));
}

std::optional<std::string> why_no_microbatches(const Workload& workload, const Shape& s) {
  if (!s.has_microbatches()) return std::nullopt;
  if (!workload.uses.stages)
    return fmt::format("workload {} has no stages: pp_degree and microbatches are for block and model",
                       workload.name);
  if (s.is_scaled)
    return fmt::format(
        "scaled_from_layers composes a step whose layers run one after the other, and not over pp_degree {} "
        "and "
        "microbatches {}; without it all layers would run, and so would pp_degree 1 with microbatches 1",
        s.layout.pp, s.microbatches);
  if (s.overlap_chunks > 1)
    return fmt::format(
        "overlap_chunks {} is for pp_degree 1 and microbatches 1: microbatches and stages have an order of "
        "their own",
        s.overlap_chunks);
  const auto why_not = [&](std::int64_t microbatches) -> std::optional<std::string> {
    if (s.batch_size() % microbatches != 0)
      return fmt::format("batch_size {} is not divisible by microbatches {}", s.batch_size(), microbatches);
    PipelineShape pipeline = s.pipeline();
    pipeline.microbatches = microbatches;
    return s.layout.pp == 1 ? std::nullopt : why_no_schedule(pipeline);
  };
  const auto reason = why_not(s.microbatches);
  if (!reason) return std::nullopt;
  const std::string would =
      nearest("microbatches", s.microbatches, s.batch_size(), [&](std::int64_t m) { return !why_not(m); });
  const bool divides = s.batch_size() % s.microbatches == 0;
  return *reason + (would.empty() && divides ? "; virtual_stages 1 would do" : would);
}

std::optional<std::string> why_no_stages(const Shape& s) {
  const std::int64_t p = s.layout.pp, v = s.pipeline().virtual_stages;
  if (s.num_layers % (p * v) == 0) return std::nullopt;
  std::string would = nearest("pp_degree", p, s.num_layers,
                              [&](std::int64_t pp) { return pp > 1 && s.num_layers % (pp * v) == 0; });
  if (v > 1)
    would += nearest("virtual_stages", v, s.num_layers,
                     [&](std::int64_t stages) { return stages > 1 && s.num_layers % (p * stages) == 0; });
  if (would.empty()) would = nearest("pp_degree", p, p, [](std::int64_t pp) { return pp == 1; });
  return fmt::format("num_layers {} is not divisible by pp_degree {}{}{}", s.num_layers, p,
                     v == 1 ? "" : fmt::format(" x virtual_stages {}", v), would);
}

}  // namespace

std::optional<std::string> why_impossible(const Workload& workload, const Shape& s) {
  if (auto reason = why_no_microbatches(workload, s)) return reason;
  if (s.overlap_chunks > 1 && s.sequence_parallel)
    return fmt::format("overlap_chunks {} is for sums of whole outputs: sequence_parallel leaves none",
                       s.overlap_chunks);
  if (s.overlap_chunks > 1 && s.is_scaled)
    return fmt::format(
        "overlap_chunks {} is compared with three other ways to run a whole step: "
        "scaled_from_layers leaves none",
        s.overlap_chunks);
  if (!workload.uses.num_heads) return std::nullopt;
  if (s.head_dim == 0 && s.hidden_size % s.num_heads != 0)
    return fmt::format("hidden_size {} is not divisible by num_heads {}, and no head_dim is given",
                       s.hidden_size, s.num_heads);
  if (s.num_heads % s.num_kv_heads != 0)
    return fmt::format("num_heads {} is not divisible by num_kv_heads {}", s.num_heads, s.num_kv_heads);
  if (s.context_length > 0 && s.trains())
    return fmt::format("context_length {} is for pass forward: training keeps no keys of earlier tokens",
                       s.context_length);
  return std::nullopt;
}

std::optional<std::string> why_not_divisible(const Workload& workload, const Shape& shape) {
  if (auto reason = why_no_stages(shape)) return reason;
  return why_not_divisible(workload.split(shape), shape.layout.tp);
}

std::span<const Workload* const> all_workloads() { return kCatalog; }

const Workload* find_workload(std::string_view name) {
  for (const Workload* workload : kCatalog) {
    if (workload->name == name) return workload;
  }
  return nullptr;
}

bool probes_fabric(std::string_view workload) {
  const Workload* row = find_workload(workload);
  return row != nullptr && row->kind == WorkloadKind::fabric_probe;
}

}  // namespace tpbench
