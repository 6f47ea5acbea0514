#pragma once

#include <string>
#include <vector>

#include "advisor/plan_model.hpp"
#include "report/document.hpp"
#include "report/render.hpp"

namespace tpbench {

/// What `tpbench plan` says of a plan, made by `calibration`. `next_sweep`: the sweep file that was written
/// to tell the best apart; empty when none was.
struct PlanReport {
  const ModelPlan* plan = nullptr;
  const Calibration* calibration = nullptr;
  std::string next_sweep;
};

/// In words: the best split, those near it, what cannot be told apart, what to measure next; or what is
/// missing where nothing fits.
std::vector<std::string> plan_answer(const PlanReport& report);

/// "llama3-70b, inference of 1 sequence: prompts of 2048 tokens, then 2048 to look back at, bf16; 64 ranks,
/// 8 a host, 80.0 GB each."
std::string plan_question(const PlanQuestion& question);

/// "TP 8 x PP 2", "TP 8 x PP 2 x 4 copies".
std::string layout_words(const Layout& layout);

/// `table` and `markdown`: the answer, then the best of each TP x PP, then what does not fit. `csv` and
/// `jsonl`: all splits that fit, best first, then what does not. `json`: the document of
/// docs/plan.schema.json.
std::string render_model_plan(Format format, const PlanReport& report);

/// What the schema says of the document.
Json plan_schema();

}  // namespace tpbench
