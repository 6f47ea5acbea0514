// A plan as sentences: what somebody reads who reads one line.
#include <fmt/format.h>

#include "advisor/next_sweep.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/model_plan.hpp"

namespace tpbench {
namespace {

std::string bytes_text(std::int64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

std::string tokens_text(double tokens) {
  return tokens < 10 ? fmt::format("{:.2g} tokens/s", tokens) : fmt::format("{:.0f} tokens/s", tokens);
}

// Both ends and the middle in one unit: "41.2 ms (36.0 to 47.1)".
std::string time_text(const PredictedTime& time, const std::string& of) {
  const std::string low = format_seconds(time.low_s), high = format_seconds(time.high_s);
  return fmt::format("{}{} ({} to {})", format_seconds(time.median_s), of, low, high);
}

bool by_token(const PlanQuestion& question) { return !question.task.trains; }

std::string main_figure(const PlanQuestion& question, const SplitPlan& split) {
  if (question.task.trains) return time_text(split.step, " per step");
  if (question.goal == Goal::latency) return time_text(*split.token, " per token");
  return fmt::format("{} ({:.0f} to {:.0f})", tokens_text(split.tokens_per_s.median), split.tokens_per_s.low,
                     split.tokens_per_s.high);
}

std::string microbatch_words(const PlanQuestion& question, const SplitPlan& split) {
  const ModelSplit& how = split.split;
  std::vector<std::string> words;
  if (how.microbatches > 1 || how.layout.pp > 1)
    words.push_back(how.microbatches == 1 ? "1 microbatch"
                                          : fmt::format("{} microbatches", how.microbatches));
  if (question.task.trains && how.layout.pp > 1) {
    words.push_back(std::string(name_of(how.schedule)));
    if (how.virtual_stages > 1) words.push_back(fmt::format("{} stages a rank", how.virtual_stages));
  }
  if (split.placement == Placement::pp_inside) words.push_back("stages inside hosts");
  return words.empty() ? "" : " with " + fmt::format("{}", fmt::join(words, ", "));
}

// What keeps a split behind, or is most of the best.
std::string why_text(const SplitPlan& split) {
  if (split.dominant == Dominant::communication && split.tp_hosts > 1) return "its collectives cross hosts";
  if (split.dominant == Dominant::communication) return "most of it is collectives";
  if (split.dominant == Dominant::waiting) return "most of it is waiting between stages";
  if (split.dominant == Dominant::gradients) return "most of it is sums of gradients over copies";
  if (split.dominant == Dominant::optimizer) return "most of it is the optimizer";
  if (split.tp_hosts > 1) return "most of it is compute; its collectives cross hosts";
  return "most of it is compute";
}

std::string composed_text(const ModelPlan& plan) {
  if (plan.measured_cases == 0) return "composed from the description of a machine";
  return fmt::format("composed from {} measured {}", plan.measured_cases,
                     plan.measured_cases == 1 ? "case" : "cases");
}

std::string memory_text(const ModelPlan& plan, const SplitPlan& split) {
  const std::string of =
      plan.question.memory_per_rank ? fmt::format(" of {}", bytes_text(*plan.question.memory_per_rank)) : "";
  const std::string where =
      split.split.layout.pp == 1
          ? ""
          : fmt::format(" on stage {} of {}", split.largest_stage, split.split.layout.pp);
  std::vector<std::string> parts = {fmt::format("weights {}", bytes_text(split.memory.weights))};
  const auto add = [&](const char* name, std::int64_t bytes) {
    if (bytes > 0) parts.push_back(fmt::format("{} {}", name, bytes_text(bytes)));
  };
  add("gradients", split.memory.gradients);
  add("optimizer", split.memory.optimizer);
  add("KV cache", split.memory.kv_cache);
  add("activations", split.memory.activations);
  add("buffers", split.memory.buffers);
  return fmt::format("A rank holds up to {}{}{}: {}.", bytes_text(split.memory.total()), of, where,
                     join_words(parts));
}

std::string idle_text(const ModelPlan& plan, const SplitPlan& split) {
  const std::int64_t idle = plan.question.ranks - split.ranks();
  if (idle == 0) return "";
  return fmt::format(
      " It uses {} of {} ranks: no number of copies of {} ranks that divides batch {} takes more.",
      split.ranks(), plan.question.ranks, split.split.layout.tp * split.split.layout.pp,
      plan.question.task.batch_size);
}

std::string best_text(const ModelPlan& plan) {
  const SplitPlan& best = plan.fitting.front();
  std::string text =
      fmt::format("{}{}: {}, {}; {}.", layout_words(best.split.layout), microbatch_words(plan.question, best),
                  main_figure(plan.question, best), composed_text(plan), why_text(best));
  if (by_token(plan.question)) {
    text += fmt::format(" First token after {}", time_text(best.step, ""));
    if (plan.question.goal == Goal::latency)
      text += fmt::format(", {}.", tokens_text(best.tokens_per_s.median));
    else
      text += fmt::format(", then {}.", time_text(*best.token, " per token"));
  } else {
    text += fmt::format(" {}.", tokens_text(best.tokens_per_s.median));
  }
  return text + idle_text(plan, best);
}

std::string rivals_text(const ModelPlan& plan) {
  std::vector<std::string> rivals;
  const std::vector<std::size_t> best = best_of_each(plan);
  for (std::size_t i = 1; i < best.size() && rivals.size() < 2; ++i) {
    const SplitPlan& rival = plan.fitting[best[i]];
    rivals.push_back(fmt::format("{}{}: {}, {}.", layout_words(rival.split.layout),
                                 microbatch_words(plan.question, rival), main_figure(plan.question, rival),
                                 why_text(rival)));
  }
  return fmt::format("{}", fmt::join(rivals, " "));
}

std::string ties_text(const ModelPlan& plan) {
  std::vector<std::string> names;
  for (std::size_t i = 1; i < plan.contenders.size() && i < kMostMeasured; ++i)
    names.push_back(layout_words(plan.fitting[plan.contenders[i]].split.layout));
  if (names.empty()) return "";
  const std::size_t more = plan.contenders.size() - 1 - names.size();
  if (more > 0) names.push_back(fmt::format("{} more", more));
  return fmt::format("It cannot be told from {}: their ranges reach into its own.", join_words(names));
}

std::string extrapolated_text(const SplitPlan& best) {
  if (!best.extrapolated()) return "";
  std::vector<std::string> words;
  for (const Beyond& beyond : best.beyond) words.push_back(beyond.text());
  return fmt::format("Extrapolated: {}.", fmt::join(words, "; "));
}

std::string untold_text(const ModelPlan& plan) {
  std::vector<std::string> reasons;
  for (const Untold& untold : plan.untold)
    reasons.push_back(fmt::format("{} cannot be told: {}.", counted(untold.splits, "split"), untold.why));
  return fmt::format("{}", fmt::join(reasons, " "));
}

std::string measure_next_text(const PlanReport& report) {
  if (report.next_sweep.empty())
    return report.plan->contenders.size() > 1
               ? "Measure next: --write-sweep FILE writes the sweep that would tell them apart."
               : "Measure next: --write-sweep FILE writes the sweep that would check it.";
  return fmt::format(
      "Measure next: mpirun -n {} tpbench --config {}, and give its folder to this command too.",
      ranks_to_measure(*report.plan), shell_quoted(report.next_sweep));
}

// What would hold less.
std::string smaller_text(const PlanQuestion& question) {
  if (!question.task.trains) return "";
  std::vector<std::string> options;
  if (question.recompute != Recompute::full) options.emplace_back("--recompute full");
  if (!question.sequence_parallel) options.emplace_back("--sequence-parallel");
  return options.empty() ? "" : fmt::format(" {} would hold less.", join_words(options, " or "));
}

std::string nothing_fits_text(const ModelPlan& plan) {
  const SplitPlan& smallest = plan.too_large.front();
  return fmt::format("Nothing fits in {} per rank: {}{} comes nearest, at {}, {} too much. {}{}",
                     bytes_text(*plan.question.memory_per_rank), layout_words(smallest.split.layout),
                     microbatch_words(plan.question, smallest), bytes_text(smallest.memory.total()),
                     bytes_text(smallest.over_bytes), memory_text(plan, smallest),
                     smaller_text(plan.question));
}

}  // namespace

std::string plan_question(const PlanQuestion& question) {
  const ModelTask& task = question.task;
  const std::string sequences = counted(static_cast<std::size_t>(task.batch_size), "sequence");
  const std::string work = task.trains
                               ? fmt::format("training on {} of {} tokens, recompute {}", sequences,
                                             task.sequence_length, name_of(question.recompute))
                               : fmt::format("inference of {}: prompts of {} tokens, then {} to look back at",
                                             sequences, task.sequence_length, task.context_length);
  const std::int64_t per_host = question.machine.machine.ranks_per_host;
  return fmt::format(
      "{}, {}, {}{}; {}, {}{}.", task.model.name, work, name_of(task.dtype),
      question.sequence_parallel ? ", sequence parallel" : "",
      counted(static_cast<std::size_t>(question.ranks), "rank"),
      per_host == 0 ? "all on one host" : fmt::format("{} a host", per_host),
      question.memory_per_rank ? fmt::format(", {} each", bytes_text(*question.memory_per_rank)) : "");
}

std::string layout_words(const Layout& layout) {
  std::string words = fmt::format("TP {}", layout.tp);
  if (layout.pp > 1) words += fmt::format(" x PP {}", layout.pp);
  if (layout.dp > 1) words += fmt::format(" x {} copies", layout.dp);
  return words;
}

std::vector<std::string> plan_answer(const PlanReport& report) {
  const ModelPlan& plan = *report.plan;
  if (plan.fitting.empty()) return {nothing_fits_text(plan)};
  std::vector<std::string> answer;
  for (std::string sentence :
       {best_text(plan), rivals_text(plan), ties_text(plan), memory_text(plan, plan.fitting.front()),
        extrapolated_text(plan.fitting.front()), untold_text(plan), measure_next_text(report)}) {
    if (!sentence.empty()) answer.push_back(std::move(sentence));
  }
  return answer;
}

}  // namespace tpbench
