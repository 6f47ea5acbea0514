#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "advisor/probed_path.hpp"
#include "bench/parts.hpp"
#include "bench/probe_paths.hpp"
#include "comm/session.hpp"
#include "environment/environment.hpp"

namespace tpbench {

/// How a probe measures.
struct ProbeSettings {
  std::int64_t max_bytes = std::int64_t{16} << 20;
  bool quick = false;     ///< fewer sizes and samples
  std::size_t most = 28;  ///< of hosts and of pairs of hosts: all pairs of eight hosts
  double watchdog_s = 60;

  static constexpr std::size_t kPasses =
      6;  ///< over all sizes, so that a drift of the machine is on all of them
  static constexpr double kSecondsOfPath = 10, kSecondsOfPathQuick = 2;  ///< about

  [[nodiscard]] std::size_t samples_per_pass() const { return quick ? 2 : 5; }
  [[nodiscard]] double seconds_of_path() const { return quick ? kSecondsOfPathQuick : kSecondsOfPath; }
};

/// Message sizes from 8 bytes to `max_bytes`, each twice the one before (four times, when quick), and
/// `max_bytes` itself in any case.
std::vector<std::int64_t> probe_sizes(const ProbeSettings& settings);

/// Times every path of `plan`, one after the other; ranks that are not on it sleep. Collective over the
/// world; complete on rank 0, whose `inputs` say what carries messages where. A path on which a wrong byte or
/// sum arrived has `problem` and no times. A rank that dies or hangs ends the job.
std::vector<ProbedPath> run_probe(const ProbeSettings& settings, const ProbePlan& plan,
                                  const EnvironmentInputs& inputs, const Parts& parts, Session& session);

/// `settings` of docs/probe.schema.json.
Json probe_settings_to_json(const ProbeSettings& settings);

}  // namespace tpbench
