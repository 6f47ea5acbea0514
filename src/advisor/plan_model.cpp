#include "advisor/plan_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "advisor/split_times.hpp"

namespace tpbench {
namespace {

std::vector<std::int64_t> divisors_of(std::int64_t number) {
  std::vector<std::int64_t> small, large;
  for (std::int64_t i = 1; i * i <= number; ++i) {
    if (number % i != 0) continue;
    small.push_back(i);
    if (i * i != number) large.push_back(number / i);
  }
  small.insert(small.end(), large.rbegin(), large.rend());
  return small;
}

// TP x PP, for messages and maps.
using Degrees = std::pair<std::int64_t, std::int64_t>;
Degrees tp_and_pp(const SplitPlan& plan) { return {plan.split.layout.tp, plan.split.layout.pp}; }

class Planner {
 public:
  Planner(const Calibration& calibration, const PlanQuestion& question)
      : question_(question), timer_(calibration, question.machine) {}

  ModelPlan run() {
    for (std::int64_t tp = 1; tp <= question_.ranks; ++tp) {
      if (!splits_layers(tp)) continue;
      for (const std::int64_t pp : divisors_of(question_.task.model.num_layers)) {
        if (tp * pp <= question_.ranks) add_degrees(tp, pp);
      }
    }
    if (plan_.tried == 0) refuse();
    if (plan_.fitting.empty() && !plan_.untold.empty()) throw AdvisorError(plan_.untold.front().why);
    plan_.question = question_;
    rank();
    return std::move(plan_);
  }

 private:
  // TP degrees that the heads and f of the model allow.
  [[nodiscard]] bool splits_layers(std::int64_t tp) const {
    const Model& model = question_.task.model;
    const bool shares_kv = model.num_kv_heads % tp == 0 || tp % model.num_kv_heads == 0;
    return model.num_heads % tp == 0 && model.ffn_hidden_size % tp == 0 && shares_kv;
  }

  // Copies of the model on what is left of the ranks, as many as share the batch.
  [[nodiscard]] std::int64_t copies(std::int64_t ranks_of_one) const {
    std::int64_t copies = question_.ranks / ranks_of_one;
    while (question_.task.batch_size % copies != 0) --copies;
    return copies;
  }

  void add_degrees(std::int64_t tp, std::int64_t pp) {
    SplitPlan plan;
    plan.split.layout = {tp, pp, copies(tp * pp)};
    plan.split.sequence_parallel = question_.sequence_parallel && tp > 1;
    plan.split.recompute = question_.recompute;
    for (const std::int64_t m : divisors_of(question_.task.batch_size / plan.split.layout.dp)) {
      plan.split.microbatches = m;
      add_schedules(plan);
    }
  }

  void add_schedules(SplitPlan plan) {
    const std::int64_t pp = plan.split.layout.pp;
    if (pp == 1 || !question_.task.trains) return add_placements(plan);
    for (const Schedule schedule : {Schedule::one_f_one_b, Schedule::gpipe, Schedule::zb_h1}) {
      plan.split.schedule = schedule;
      add_placements(plan);
    }
    if (plan.split.microbatches % pp != 0) return;
    plan.split.schedule = Schedule::interleaved;
    for (const std::int64_t v : divisors_of(question_.task.model.num_layers / pp)) {
      plan.split.virtual_stages = v;
      if (v > 1) add_placements(plan);
    }
  }

  // The ranks of a layer inside hosts, and where that keeps messages inside, the stages.
  void add_placements(const SplitPlan& of_split) {
    if (why_no_split(question_.task, of_split.split)) return;
    SplitPlan plan = of_split;
    const std::int64_t tp = plan.split.layout.tp, pp = plan.split.layout.pp;
    const std::int64_t all = tp * pp;
    const std::int64_t per_host =
        question_.machine.machine.ranks_per_host == 0 ? all : question_.machine.machine.ranks_per_host;
    // Ranks next to each other; where a host does not hold whole groups, some are on one host more.
    const auto hosts_of = [&](std::int64_t ranks) {
      return ranks <= per_host ? (per_host % ranks == 0 ? 1 : 2) : (ranks + per_host - 1) / per_host;
    };
    plan.placement = pp == 1 ? Placement::packed : Placement::tp_inside;
    plan.tp_hosts = hosts_of(tp);
    plan.stage_reach = hosts_of(all) > 1 ? Reach::between_hosts : Reach::inside_host;
    find_memory(plan);
    add(plan);
    const bool stages_fit = pp > 1 && tp > 1 && all > per_host && pp <= per_host && per_host % pp == 0;
    if (!stages_fit || plan.stage_reach == Reach::inside_host) return;
    plan.placement = Placement::pp_inside;
    plan.tp_hosts = (tp * pp + per_host - 1) / per_host;
    plan.stage_reach = Reach::inside_host;
    add(plan);
  }

  // Stages between the second and the last but one hold no more than one of these.
  void find_memory(SplitPlan& plan) const {
    const std::int64_t pp = plan.split.layout.pp;
    std::int64_t most = -1;
    for (const std::int64_t rank : std::set<std::int64_t>{0, std::min<std::int64_t>(1, pp - 1),
                                                          std::max<std::int64_t>(0, pp - 2), pp - 1}) {
      const StageMemory memory = stage_memory(question_.task, plan.split, rank);
      if (memory.total() <= most) continue;
      most = memory.total();
      plan.largest_stage = rank;
      plan.memory = memory;
    }
    if (question_.memory_per_rank)
      plan.over_bytes = std::max<std::int64_t>(0, most - *question_.memory_per_rank);
  }

  void add(SplitPlan& plan) {
    ++plan_.tried;
    if (plan.over_bytes > 0) {
      const auto [smallest, is_new] = too_large_.try_emplace(tp_and_pp(plan), plan);
      if (!is_new && plan.over_bytes < smallest->second.over_bytes) smallest->second = plan;
      return;
    }
    try {
      time_split(plan, question_, timer_);
    } catch (const AdvisorError& error) {
      return note_untold(error.what());
    }
    plan_.fitting.push_back(plan);
  }

  // What is missing stands before the first colon; what to type for it may differ by the ranks that it takes.
  void note_untold(const std::string& why) {
    const auto missing = [](const std::string& text) { return text.substr(0, text.find(':')); };
    const auto known = std::find_if(plan_.untold.begin(), plan_.untold.end(),
                                    [&](const Untold& other) { return missing(other.why) == missing(why); });
    if (known == plan_.untold.end())
      plan_.untold.push_back({why, 1});
    else
      ++known->splits;
  }

  void rank() {
    const auto better = [&](const SplitPlan& one, const SplitPlan& other) {
      const Merit a = merit_of(question_, one), b = merit_of(question_, other);
      if (a.median != b.median) return a.less_is_better == (a.median < b.median);
      if (one.step.median_s != other.step.median_s) return one.step.median_s < other.step.median_s;
      return one.ranks() < other.ranks();
    };
    std::stable_sort(plan_.fitting.begin(), plan_.fitting.end(), better);
    std::set<Degrees> seen;
    for (const std::size_t i : best_of_each(plan_)) {
      const Merit best = merit_of(question_, plan_.fitting.front());
      const Merit own = merit_of(question_, plan_.fitting[i]);
      seen.insert(tp_and_pp(plan_.fitting[i]));
      if (i == 0 || (best.less_is_better ? own.best < best.worst : own.best > best.worst))
        plan_.contenders.push_back(i);
    }
    for (auto& [degrees, plan] : too_large_) {
      if (!seen.contains(degrees)) plan_.too_large.push_back(std::move(plan));
    }
    std::stable_sort(plan_.too_large.begin(), plan_.too_large.end(),
                     [](const auto& a, const auto& b) { return a.over_bytes < b.over_bytes; });
  }

  [[noreturn]] void refuse() const {
    ModelSplit whole;
    whole.sequence_parallel = question_.sequence_parallel;
    throw AdvisorError(fmt::format("{} has no split on {} ranks: {}", question_.task.model.name,
                                   question_.ranks,
                                   why_no_split(question_.task, whole).value_or("none divides it")));
  }

  const PlanQuestion& question_;
  ModelTimer timer_;
  ModelPlan plan_;
  std::map<Degrees, SplitPlan> too_large_;
};

}  // namespace

Merit merit_of(const PlanQuestion& question, const SplitPlan& plan) {
  if (question.task.trains || question.goal == Goal::throughput)
    return {plan.tokens_per_s.median, plan.tokens_per_s.high, plan.tokens_per_s.low, false};
  const PredictedTime token = plan.token.value_or(plan.step);
  return {token.median_s, token.low_s, token.high_s, true};
}

std::vector<std::size_t> best_of_each(const ModelPlan& plan) {
  std::set<Degrees> seen;
  std::vector<std::size_t> best;
  for (std::size_t i = 0; i < plan.fitting.size(); ++i) {
    if (seen.insert(tp_and_pp(plan.fitting[i])).second) best.push_back(i);
  }
  return best;
}

ModelPlan plan_model(const Calibration& calibration, const PlanQuestion& question) {
  ModelPlan plan = Planner(calibration, question).run();
  for (const CalibrationSource& source : calibration.sources) plan.measured_cases += source.cases;
  return plan;
}

}  // namespace tpbench
