#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "advisor/evidence.hpp"
#include "advisor/predict_case.hpp"

namespace tpbench {

/// What is to be foretold.
struct Question {
  std::vector<std::int64_t> degrees;  ///< tp_degree; empty: those of the shapes
  std::vector<std::string> shapes;    ///< "key=value,key=value" over the fields of a case, each one shape
  PredictedMachine machine;
  bool is_other_machine = false;  ///< than was measured: what was measured is foretold too
};

/// The parts of a step that was measured: medians, over the launches of the case.
struct MeasuredTimes {
  double step_s = 0, compute_s = 0;
  std::optional<double> communication_s;
  std::optional<double> boundary_s, waiting_s, bubble;  ///< of a pipeline, as of a PredictedCase
  std::size_t launches = 1;
};
MeasuredTimes measured_times(std::span<const MeasuredCase* const> launches);

/// One case: as it was measured, as it is to be expected, or both.
struct AnswerRow {
  std::string id;  ///< as a sweep names it
  Case point;
  std::optional<MeasuredTimes> measured;
  std::optional<PredictedCase> predicted;
  std::string why_not;  ///< where it was asked for and cannot be told
};

/// Changes fields of a case; what followed from a field by default follows it on. Throws UsageError naming
/// what it does not know.
void set_shape(Case& point, const std::string& shape);

/// The measured cases, and what was asked: each shape that was measured, changed by each of `shapes`, at each
/// of `degrees`. Without measured cases the shapes stand for themselves.
std::vector<AnswerRow> answer(const Calibration& calibration, std::span<const MeasuredCase> measured,
                              const Question& question);

}  // namespace tpbench
