#include <fmt/format.h>

#include <array>

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

std::optional<std::string> why_impossible(const Workload& workload, const Shape& s) {
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
