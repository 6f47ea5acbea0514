#pragma once

#include "advisor/calibration.hpp"

namespace tpbench {

/// A machine of which all is known: 50 GFLOP/s, 10 GB/s and 2 us a call for every kind of work; inside a host
/// an all-reduce of 2 ranks takes 5 us and 1 s for each 4 GB, between hosts 50 us and 1 s for each 0.1 GB.
inline Calibration known_machine() {
  Calibration known;
  ComputeFit fit;
  for (const auto& [kind, name] : EnumNames<WorkKind>::table)
    fit.rates.push_back({kind, 2e-6, 1 / 50e9, 1 / 10e9, 0, {16, 4096}, {256, 16384}, 8});
  fit.points = 8;
  known.compute.push_back(fit);
  const auto piece = [](double alpha_s, double bandwidth) {
    return CostPiece{1024, 64 << 20, 8, {alpha_s, 1 / bandwidth, 0.01, 0.02}};
  };
  known.collectives = {
      {CollectiveOp::all_reduce, "mpi", Reach::inside_host, 2, 1, RateSource::records, {piece(5e-6, 4e9)}},
      {CollectiveOp::all_reduce,
       "mpi",
       Reach::between_hosts,
       2,
       2,
       RateSource::records,
       {piece(50e-6, 0.1e9)}}};
  known.boundaries = {{Reach::inside_host, RateSource::probe, {piece(2e-6, 5e9)}},
                      {Reach::between_hosts, RateSource::probe, {piece(30e-6, 0.11e9)}}};
  known.other_s_per_step = 1e-6;
  known.spread = {0.05, 0.1, 0.1, 0.02, true, 0.1};
  known.compute[0].crowding = {{1, 1}};
  known.degrees = {1, 2, 4, 8};
  known.errors = {{"step", "degree 2", 4, 0.03, 0.08}};
  known.sources = {{"r",
                    "eth",
                    "tpbench.record/2",
                    4,
                    {"a", "b"},
                    "CPU",
                    "OpenBLAS 0.3.21 SkylakeX",
                    "Open MPI 4.1.4",
                    1}};
  known.left_out = {{"r/records/x.json", "status", "failed"}};
  return known;
}

}  // namespace tpbench
