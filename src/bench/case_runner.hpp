#pragma once

#include <map>
#include <optional>
#include <string>

#include "bench/huge_pages.hpp"
#include "bench/library_rate.hpp"
#include "bench/parts.hpp"
#include "bench/sampling.hpp"
#include "bench/team.hpp"
#include "comm/communicator.hpp"
#include "compute/backend.hpp"
#include "environment/throttling.hpp"
#include "measure/heartbeat.hpp"
#include "result/record.hpp"
#include "result/reference_times.hpp"
#include "result/step_trace.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

class ReferenceWork;

/// The rank that computed longest while a case was sampled.
struct SlowestRank {
  int world_rank = 0;
  double compute_s = 0;  ///< over all samples
  double others_s = 0;   ///< the mean of the others that do the same
};

/// What one execution of a case brought; the same on all active ranks.
struct CaseOutcome {
  Status status = Status::failed;
  std::optional<ReasonCode> reason_code;
  std::optional<std::string> reason;
  Samples samples;                             ///< empty unless ok
  std::optional<OverlapResult> overlap;        ///< of a case that overlaps
  ClockQuality clock;                          ///< of the active ranks, over the samples
  double start_margin_s = 0;                   ///< StepStart::margin_s, in the end
  std::optional<MemoryByCategory> memory;      ///< counted, at its peak, on the rank with most
  std::int64_t added_bytes = 0;                ///< of it, by packing weights, beyond the formulas
  std::vector<MemoryByCategory> stage_memory;  ///< the same of each rank of a pipeline; empty on one stage
  std::optional<std::int64_t> process_base_rss, process_peak_rss;
  std::optional<HugePages> huge_pages;  ///< of the tensors, at the end
  /// Of the device's memory, in use by all its processes: before the case allocated, and with the case.
  std::optional<std::int64_t> device_base, device_in_use;
  std::optional<DeviceState> device_before, device_after;  ///< around sampling
  std::optional<ReferenceResult> reference;                ///< of an ok case on the host
  /// What CPU quotas did while it was sampled, on the host where they did most; empty where nothing counts.
  std::optional<Throttling> throttling;
  std::vector<RankResult> ranks;       ///< of an ok case, one per active rank
  std::optional<StepTrace> trace;      ///< likewise, on the first active rank alone
  std::optional<SlowestRank> slowest;  ///< of a case that computes, on two ranks or more
  DataPath data_path = DataPath::host;
  std::optional<MessageProgress> network_progress;  ///< of messages between stages on several hosts
  DataPath messages_path = DataPath::host;          ///< of messages between stages
  VerificationResult verification;
  ProductFacts products;  ///< on this rank
  std::optional<LibraryRate> library_rate;
  std::int64_t backend_threads = 0;
  bool cache_flushed = true;  ///< false: cold caches were asked for and cannot be made here
  std::map<std::string, double> phases_s;
};

/// How a case is run, beside what it is.
struct CaseSettings {
  MeasureSettings measure;
  VerifyMode verify = VerifyMode::automatic;
  /// Timed before the warm-up and after the samples of a case whose tensors are on the host; may be none.
  ReferenceWork* reference = nullptr;
};

/// The active ranks, this one among them, that share its host and its device: free memory is shared among
/// them.
struct RanksBeside {
  std::int64_t on_host = 1;
  std::int64_t on_device = 0;  ///< 0: tensors are in host memory
};

/// Runs one case, whose degree divides and fits, on the team's active ranks: allocates, fills, verifies,
/// warms up, samples. What goes wrong on a rank before the timed steps becomes a failed or skipped outcome on
/// all. What is thrown later, and CommError at any time, comes out of here on that rank alone: the others
/// wait in a collective, and the job must end. `point.threads_per_rank` is resolved.
CaseOutcome run_case(const Case& point, const CaseSettings& settings, const Team& team, const Parts& parts,
                     Heartbeat& heartbeat, const RanksBeside& beside);

}  // namespace tpbench
