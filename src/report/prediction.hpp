#pragma once

#include <string>
#include <vector>

#include "advisor/fit.hpp"
#include "advisor/question.hpp"
#include "report/compare_render.hpp"
#include "report/document.hpp"

namespace tpbench {

/// What `tpbench predict` shows.
struct Prediction {
  Calibration calibration;
  PredictedMachine machine;
  std::vector<AnswerRow> rows;       ///< without --check
  std::vector<CheckedCase> checked;  ///< with --check or --against
  std::string checked_with;          ///< "a fit without its shape", "records of DIR"
};

/// Words first, then the tables.
std::string render_prediction(CompareFormat format, const Prediction& prediction);

/// The answer as sentences.
std::vector<std::string> prediction_sentences(const Prediction& prediction);

/// What a fit is worth, from what was left out of it, and what its ranges are.
std::vector<std::string> trust_sentences(const Calibration& calibration);

/// The files that were left out, by reason: "24 records: status (skipped: ...)". A sentence each.
std::vector<std::string> left_out_sentences(const Calibration& calibration);

}  // namespace tpbench
