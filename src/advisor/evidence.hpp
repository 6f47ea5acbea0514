#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "advisor/calibration.hpp"
#include "advisor/probed_path.hpp"
#include "result/record.hpp"

namespace tpbench {

/// A record that a fit may use.
struct MeasuredCase {
  Record record;
  std::string file;
  std::size_t source = 0;           ///< of Evidence::sources
  bool tells_communication = true;  ///< false: its clocks, schema or fabric are not to be used for that

  /// Where its ranks were: the most of its group on one host; 0 where all were on one.
  [[nodiscard]] std::int64_t ranks_per_host() const;
  /// The same of all its ranks, at least 1: how many computed beside each other.
  [[nodiscard]] std::int64_t busy_ranks() const;
};

/// Times of one path of a probe.
struct ProbedCurve {
  PathKind kind = PathKind::inside_host;
  ProbeOperation operation = ProbeOperation::ping_pong;
  std::int64_t ranks = 2;
  std::int64_t hosts = 1;
  std::vector<TimedSize> points;  ///< medians, in ascending order of size
};

/// What folders and files say, sorted into what can be used and what not.
struct Evidence {
  std::vector<CalibrationSource> sources;
  std::vector<MeasuredCase> cases;
  std::vector<ProbedCurve> curves;
  std::vector<LeftOut> left_out;
};

/// Reads result folders and documents of `tpbench probe`. What is damaged, was not ok or is of another
/// machine than most is left out and listed. Throws UsageError for a path that is neither, or holds nothing.
Evidence read_evidence(std::span<const std::string> paths);

/// The curves of one probe's document; `file` names it in `left_out`. Throws UsageError when it is none.
std::vector<ProbedCurve> read_probe(const std::string& file, std::vector<LeftOut>& left_out,
                                    CalibrationSource& source);

}  // namespace tpbench
