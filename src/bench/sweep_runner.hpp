#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/devices.hpp"
#include "bench/parts.hpp"
#include "comm/session.hpp"
#include "environment/launch_facts.hpp"
#include "result/folder.hpp"
#include "result/record.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {

class ReferenceWork;

/// A sweep that is ready to run; the same on every rank, but for the folder, which rank 0 has.
struct SweepRun {
  SweepRun(const Sweep& whole, const std::vector<Case>& selected) : sweep(whole), cases(selected) {}

  const Sweep& sweep;
  const std::vector<Case>& cases;  ///< those that the filters left
  ResultFolder* folder = nullptr;  ///< rank 0 only
  std::string environment_file;    ///< rank 0 only
  std::string folder_path;         ///< known to all: where rank 0 dies another may leave the record
  std::string label;
  bool resume = false;
  bool quiet = false;
  double watchdog_s = 60;
  DevicesByBackend devices;
  ReferenceWork* reference = nullptr;  ///< runs beside every case of the host; none without
  std::string how_to_resume;           ///< "finished records are kept in DIR; continue with ..."
  /// Text of summary.csv (rank 0 only).
  std::function<std::string(const std::vector<Record>&)> summarise;
};

/// Runs all cases of the sweep, epoch by epoch, and leaves a record after each. Collective over the world.
/// Returns the records of the whole folder, those kept from an earlier run among them, in the order of the
/// sweep; on ranks other than 0 nothing. Throws EnvironmentError when results cannot be written, on all
/// ranks.
std::vector<Record> run_sweep(const SweepRun& run, Session& session, const LaunchFacts& facts,
                              const Parts& parts);

/// The order in which the cases of one epoch run: as given, or shuffled by the seed and the epoch.
std::vector<std::size_t> run_order(std::size_t cases, Order order, std::uint64_t seed, std::int64_t epoch);

/// Seconds without a sign of life after which a case counts as stuck: `base_s`, and what the longest silent
/// stretch of work may take on a slow machine (1 GFLOP/s, a network of 10 MB/s, filling at 100 MB/s).
double watchdog_limit_s(double base_s, const Case& point);

}  // namespace tpbench
