#include <array>

#include "workload/workload.hpp"

namespace tpbench {
namespace {

constexpr std::array kCatalog = {
    &gemm_workload,          &all_reduce_workload, &all_gather_workload, &reduce_scatter_workload,
    &column_linear_workload, &row_linear_workload, &mlp_workload};

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

std::span<const Workload* const> all_workloads() { return kCatalog; }

const Workload* find_workload(std::string_view name) {
  for (const Workload* workload : kCatalog) {
    if (workload->name == name) return workload;
  }
  return nullptr;
}

}  // namespace tpbench
