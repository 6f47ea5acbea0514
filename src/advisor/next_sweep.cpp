#include "advisor/next_sweep.hpp"

#include <algorithm>

namespace tpbench {
namespace {

// A sweep runs stages from host memory alone; of others it has the layers.
bool runs_stages(const ModelPlan& plan) { return plan.question.machine.backend == "cpu"; }

// What both a sweep and one of its points may say.
Json point_of(const ModelPlan& plan, const SplitPlan& split, ModelPhase phase) {
  const ModelTask& task = plan.question.task;
  const ModelSplit& how = split.split;
  const bool decodes = phase == ModelPhase::decode;
  const bool has_stages = how.layout.pp > 1 && runs_stages(plan);
  const std::int64_t pp = has_stages ? how.layout.pp : 1;
  // A round of the pipeline takes as long as the next once it is full; memory and time are for what is seen.
  const std::int64_t enough = pp == 1 ? 1 : 4 * pp;
  const std::int64_t each = task.batch_size / how.layout.dp / how.microbatches;
  std::int64_t microbatches = task.trains ? std::min(how.microbatches, enough) : how.microbatches;
  if (!has_stages) microbatches = 1;
  const bool interleaves = has_stages && how.schedule == Schedule::interleaved;
  Json point = {{"pass", task.trains ? "forward_backward" : "forward"},
                {"num_layers", interleaves ? pp * how.virtual_stages : pp},
                {"batch_size", each * microbatches},
                {"sequence_length", decodes ? 1 : task.sequence_length},
                {"context_length", decodes ? task.context_length : 0},
                {"tp_degree", how.layout.tp},
                {"pp_degree", pp},
                {"microbatches", microbatches},
                {"sequence_parallel", how.sequence_parallel && !decodes}};
  if (pp > 1) {
    point["placement"] = std::string(name_of(split.placement));
    if (task.trains) point["schedule"] = std::string(name_of(how.schedule));
    if (interleaves) point["virtual_stages"] = how.virtual_stages;
  }
  if (has_stages && split.boundary) point["boundary"] = std::string(name_of(*split.boundary));
  return point;
}

std::vector<const SplitPlan*> measured_splits(const ModelPlan& plan) {
  std::vector<const SplitPlan*> splits;
  for (const std::size_t at : plan.contenders) {
    if (splits.size() < kMostMeasured) splits.push_back(&plan.fitting[at]);
  }
  if (splits.empty()) throw AdvisorError("no split of the model fits: there is nothing to measure");
  return splits;
}

}  // namespace

Json next_sweep(const ModelPlan& plan, const std::string& model) {
  const PlanMachine& machine = plan.question.machine;
  std::vector<Json> points;
  const auto add_point = [&](Json point) {
    if (std::find(points.begin(), points.end(), point) == points.end()) points.push_back(std::move(point));
  };
  for (const SplitPlan* split : measured_splits(plan)) {
    if (plan.question.task.trains) {
      add_point(point_of(plan, *split, ModelPhase::training));
    } else {
      add_point(point_of(plan, *split, ModelPhase::decode));
      add_point(point_of(plan, *split, ModelPhase::prefill));
    }
  }
  Json sweep = {{"name", "next-of-plan"},
                {"backend", machine.backend},
                {"dtype", std::string(name_of(machine.dtype))},
                {"workload", "block"},
                {"model", model},
                {"algorithm", machine.algorithm}};
  Case of_library;
  of_library.backend = machine.backend;
  set_library(of_library, machine.library);
  if (machine.backend == "cpu" && machine.library != "openblas") {
    sweep["library"] = *of_library.library;
    sweep["weight_layout"] = std::string(name_of(*of_library.weight_layout));
  }
  if (machine.pages == Pages::huge) sweep["pages"] = std::string(name_of(machine.pages));
  if (machine.threads_per_rank) sweep["threads_per_rank"] = *machine.threads_per_rank;
  if (machine.cache == CacheState::cold) sweep["measure"] = {{"cache", "cold"}};
  sweep.update(points.front());
  Json others = Json::array();
  for (std::size_t i = 1; i < points.size(); ++i) {
    // What the first has and this one has not is its default again.
    Json point = points[i];
    for (const auto& [key, usual] : {std::pair<const char*, Json>{"placement", "packed"},
                                     {"schedule", "1f1b"},
                                     {"virtual_stages", 1},
                                     {"boundary", "whole"}}) {
      if (points.front().contains(key) && !point.contains(key)) point[key] = usual;
    }
    others.push_back(std::move(point));
  }
  if (!others.empty()) sweep["cases"] = std::move(others);
  return sweep;
}

std::int64_t ranks_to_measure(const ModelPlan& plan) {
  std::int64_t ranks = 0;
  for (const SplitPlan* split : measured_splits(plan))
    ranks = std::max(ranks, split->split.layout.tp * (runs_stages(plan) ? split->split.layout.pp : 1));
  return ranks;
}

}  // namespace tpbench
