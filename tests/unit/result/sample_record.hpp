#pragma once

#include <string>
#include <vector>

#include "result/record.hpp"

namespace tpbench::sample {

inline Case make_case(const std::string& workload, std::int64_t tp_degree, std::int64_t hidden_size = 4096) {
  Case point;
  point.workload = workload;
  point.hidden_size = hidden_size;
  point.sequence_length = 128;
  point.layout.tp = tp_degree;
  normalise_case(point);
  return point;
}

inline Case make_model_case(const std::string& workload, std::int64_t tp_degree, const std::string& model) {
  Case point;
  point.workload = workload;
  point.model = model;
  point.sequence_length = 128;
  point.layout.tp = tp_degree;
  normalise_case(point);
  return point;
}

inline Quantity make_quantity(double seconds) {
  Quantity quantity;
  // Mixed, as samples that came one after the other by size would not be independent.
  for (int i = 0; i < 10; ++i) quantity.samples_s.push_back(seconds * (1 + 0.01 * (i * 7 % 10 - 4.5)));
  quantity.summary = summarise(quantity.samples_s);
  quantity.epoch_medians_s = {quantity.summary.median};
  return quantity;
}

struct Parts {
  double compute = 0, communication = 0, wait = 0, other = 0;
};

/// An ok record as a run writes it: the id is that of the case as asked, threads_per_rank that of the launch.
inline Record make_ok(const Case& point, const Parts& parts) {
  Record record;
  record.id = case_id(point);
  record.status = Status::ok;
  record.label = "eth-1g";
  record.started_at = "2026-11-22T12:00:00Z";
  record.duration_s = 1.25;
  record.point = point;
  record.point.threads_per_rank = 1;
  record.time = TimeResult{make_quantity(parts.compute + parts.communication + parts.other),
                           make_quantity(parts.compute),
                           make_quantity(parts.communication),
                           make_quantity(parts.wait),
                           make_quantity(parts.other),
                           {},
                           {},
                           {},
                           {}};
  const Cost cost = point.workload_row().cost(point.shape());
  Shape unsharded = point.shape();
  unsharded.layout.tp = 1;
  record.memory = MemoryResult{.by_category = cost.memory,
                               .peak = cost.memory.total(),
                               .predicted_peak = cost.memory.total(),
                               .unsharded_peak = point.workload_row().cost(unsharded).memory.total(),
                               .process_peak_rss = 123456789,
                               .process_base_rss = 23456789,
                               .device_in_use = std::nullopt};
  record.model_memory = model_memory_of_case(point.workload_row(), point.shape(), point.model_row());
  record.flop_per_rank = cost.flop();
  record.gflops_per_rank = cost.flop() / (parts.compute + 1e-9) / 1e9;
  for (const CollectiveCost& collective : cost.collectives) {
    CollectiveResult result{collective.op,        collective.bytes, collective.calls_per_step,
                            collective.direction, collective.ranks, std::nullopt,
                            std::nullopt};
    if (point.layout.tp > 1) result.algbw_gb_per_s = result.busbw_gb_per_s = 1.0 / 3.0;
    record.collectives.push_back(result);
  }
  record.bytes_per_step = cost.bytes_per_step();
  record.verification = {"full", 128, 1.5e-7, 1e-4, 0, std::nullopt, true};
  record.converged = true;
  record.epochs_done = 1;
  record.phases_s = {{"fill", 0.1}, {"sampling", 1.0}};
  for (std::int64_t rank = 0; rank < point.layout.tp; ++rank) {
    record.ranks.group.push_back(rank);
    record.ranks.hosts.push_back("node");
    record.ranks.cpus.push_back({rank});
  }
  record.ranks.world = 8;
  return record;
}

inline Record make_not_ok(const Case& point, Status status, ReasonCode code, const std::string& reason) {
  Record record;
  record.id = case_id(point);
  record.status = status;
  record.reason_code = code;
  record.reason = reason;
  record.label = "eth-1g";
  record.started_at = "2026-11-22T12:00:00Z";
  record.point = point;
  record.ranks.world = 8;
  return record;
}

}  // namespace tpbench::sample
