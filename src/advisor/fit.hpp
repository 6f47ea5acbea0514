#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "advisor/evidence.hpp"
#include "advisor/predict_case.hpp"

namespace tpbench {

/// One time that work took: an equation of a fit.
struct WorkPoint {
  const MeasuredCase* measured = nullptr;
  std::vector<Work> work;
  double step_bytes = 0;  ///< of the whole step that it is a part of, once through
  double seconds = 0;
  double half_width = 0;  ///< of its 95 % interval, relative
};

/// Times of compute in these cases: of each half of a pass, or of each rank of a pipeline.
std::vector<WorkPoint> work_points(std::span<const MeasuredCase* const> cases);

/// Rates of each library, dtype, number of threads and state of the caches by non-negative least squares of
/// relative deviations; kinds with fewer than two times are left out and listed.
std::vector<ComputeFit> fit_compute(std::span<const WorkPoint> points, std::vector<LeftOut>& left_out);

/// Curves of the collectives and messages of these cases and of probes.
std::vector<CollectiveRate> fit_collectives(std::span<const MeasuredCase* const> cases,
                                            std::span<const ProbedCurve> curves);
std::vector<BoundaryRate> fit_boundaries(std::span<const MeasuredCase* const> cases,
                                         std::span<const ProbedCurve> curves);

/// A measured case and what a fit without its shape says of it.
struct CheckedCase {
  const MeasuredCase* measured = nullptr;
  std::optional<PredictedCase> predicted;
  std::string why_not;  ///< without `predicted`
};

/// What a calibration says of cases, with the reason where it says nothing.
std::vector<CheckedCase> check_cases(const Calibration& calibration,
                                     std::span<const MeasuredCase* const> cases);

/// Each case by a fit of those of all other shapes: the shapes in at most ten parts. Ranges are those of
/// `spread`.
std::vector<CheckedCase> check_shapes(const Evidence& evidence, const Spread& spread = {});

/// The fit of all of it, its errors (on what was fitted, without a shape, without each degree) and the spread
/// that they show. Throws AdvisorError where there is too little to fit anything.
Calibration fit_calibration(const Evidence& evidence);

/// What these paths say: one calibration as it stands there, or a fit of result folders and probes. Throws
/// UsageError.
Calibration calibrate(std::span<const std::string> paths);

/// A calibration from its file. Throws UsageError naming file and key.
Calibration read_calibration(const std::string& file);
bool is_calibration(const std::string& path);

/// The fit of some cases of it, without errors.
Calibration fit_cases(const Evidence& evidence, std::span<const MeasuredCase* const> cases);

}  // namespace tpbench
