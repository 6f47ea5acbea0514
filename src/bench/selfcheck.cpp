#include "bench/selfcheck.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/sampling.hpp"
#include "comm/core_latency.hpp"
#include "environment/noise.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kChecks = 2000;

void check_timer(SelfCheck& check) {
  check.timer_resolution_s = 1;
  for (int i = 0; i < 10000; ++i) {
    const double first = now_s();
    double next = now_s();
    while (next == first) next = now_s();
    check.timer_resolution_s = std::min(check.timer_resolution_s, next - first);
  }
  const Stopwatch stopwatch;
  double sum = 0;
  for (std::size_t i = 0; i < 100 * kChecks; ++i) sum += now_s();
  check.timer_call_s = sum > 0 ? stopwatch.elapsed_s() / (100.0 * kChecks) : 0;
}

// Last rank - first, of moments on each rank's clock.
Summary skew_of(const std::vector<std::int64_t>& own_ns, const Team& team) {
  std::vector<std::int64_t> first, last;
  for (const std::int64_t own : own_ns) first.push_back(team.clock->common_ns(own));
  last = first;
  team.active->reduce_min(first);
  team.active->reduce_max(last);
  std::vector<double> skew_s;
  for (std::size_t i = 0; i < last.size(); ++i)
    skew_s.push_back(static_cast<double>(last[i] - first[i]) * 1e-9);
  return summarise(skew_s);
}

void check_barrier(const Team& team, SelfCheck& check) {
  std::vector<double> took(kChecks);
  std::vector<std::int64_t> left(kChecks);
  for (std::size_t i = 0; i < kChecks; ++i) {
    const Stopwatch stopwatch;
    team.active->barrier();
    left[i] = now_ns();
    took[i] = stopwatch.elapsed_s();
  }
  team.clock->measure();
  check.barrier = summarise(took);
  check.barrier_exit_skew = skew_of(left, team);
}

void check_starts(const Team& team, SelfCheck& check) {
  StepStart& start = *team.start;
  const std::int64_t starts = start.starts(), late_starts = start.late_starts();
  std::vector<std::int64_t> began(kChecks);
  for (std::int64_t& began_ns : began) {
    start.agree();
    start.wait();
    began_ns = now_ns();
  }
  start.conclude();
  team.clock->measure();
  check.clock = team.clock->quality();
  check.start_skew = skew_of(began, team);
  check.start_margin_s = start.margin_s();
  const auto named = static_cast<double>(start.starts() - starts);
  check.late_starts = named > 0 ? static_cast<double>(start.late_starts() - late_starts) / named : 0;
}

// What was measured when the launch began; rank 0 knows it of all.
void check_compute(const LaunchFacts& facts, SelfCheck& check) {
  if (facts.blas_problem) check.problems.push_back(*facts.blas_problem);
  std::set<std::string> advices;
  for (const RankCompute& compute : facts.compute_of) {
    if (compute.advice) advices.insert(*compute.advice);
    if (!compute.rates) continue;
    if (!check.worst) check.worst = compute.rates;
    if (compute.rates->f32.share() < check.worst->f32.share()) check.worst->f32 = compute.rates->f32;
    if (compute.rates->f64.share() < check.worst->f64.share()) check.worst->f64 = compute.rates->f64;
  }
  if (!facts.compute_of.empty()) check.core = facts.compute_of.front().core;
  check.problems.insert(check.problems.end(), advices.begin(), advices.end());
  for (const DType dtype : {DType::f32, DType::f64}) {
    const auto slow = check.worst ? why_slow(dtype, *check.worst->of(dtype)) : std::nullopt;
    if (slow) check.problems.push_back(*slow);
  }
}

void check_empty_step(Session& session, const Team& team, Backend& backend, SelfCheck& check) {
  const StepRunner empty{[](Trace&) {}, {}};
  Trace trace(session.heartbeat(), backend.device_clock());
  warm_up(empty, kChecks, 60, team, trace);
  std::vector<double> beside;
  for (int round = 0; round < 15; ++round) {
    const StepCost cost = warm_up(empty, kChecks, 60, team, trace);
    beside.push_back(cost.sample_s - cost.step_s);
  }
  check.beside_step_s = summarise(beside).median;
  const Samples samples = sample(empty, {kChecks, kChecks, 60, 0.02}, 1e-7, team, trace);
  check.empty_step = summarise(samples.step_s);
  if (!samples.host_step_s.empty()) check.empty_host_step = summarise(samples.host_step_s);
}

Json summary_json(const Summary& summary) {
  return {{"median", summary.median},
          {"min", summary.min},
          {"p95", summary.p95},
          {"p99", summary.p99},
          {"max", summary.max}};
}

}  // namespace

SelfCheck run_selfcheck(Session& session, const LaunchFacts& facts, Backend& backend, int threads) {
  const Team team = whole_world(session);
  SelfCheck check;
  check_compute(facts, check);
  check.worst_noise = facts.worst_noise;
  check.noise = facts.noise;
  check_timer(check);
  check.core_latency_s = CoreLatency(session.world()).slowest_s();
  team.clock->restart();
  check_barrier(team, check);
  check_starts(team, check);
  check_empty_step(session, team, backend, check);
  // Last: workers of oneDNN stay from here on.
  try {
    if (!facts.blas_problem) check.resting = measure_resting_ranks(session.world(), threads);
  } catch (const AgreedError& error) {
    check.problems.emplace_back(error.what());
  }
  if (const auto problem = check.resting ? resting_problem(*check.resting) : std::nullopt)
    check.problems.push_back(*problem);
  return check;
}

namespace {

Json resting_json(const RestingRanks& resting) {
  return {{"threads", resting.threads}, {"alone_s", resting.alone_s},    {"beside_s", resting.beside_s},
          {"cost", resting.cost()},     {"bound", RestingRanks::kBound}, {"free", resting.is_free()}};
}

}  // namespace

Json selfcheck_to_json(const SelfCheck& check, std::int64_t ranks) {
  return {{"schema", "tpbench.selfcheck/2"},
          {"ranks", ranks},
          {"timer_resolution_s", check.timer_resolution_s},
          {"timer_call_s", check.timer_call_s},
          {"barrier_s", summary_json(check.barrier)},
          {"barrier_exit_skew_s", summary_json(check.barrier_exit_skew)},
          {"clocks", check.clock.domains},
          {"clocks_aligned", check.clock.aligned},
          {"clock_error_s", check.clock.error_s},
          {"clock_worst_case_s", check.clock.worst_case_s},
          {"clock_drift_ppm", check.clock.drift_ppm},
          {"start_skew_s", summary_json(check.start_skew)},
          {"start_margin_s", check.start_margin_s},
          {"late_starts", check.late_starts},
          {"empty_step_s", summary_json(check.empty_step)},
          {"empty_host_step_s", check.empty_host_step ? summary_json(*check.empty_host_step) : Json(nullptr)},
          {"blas_core", check.core},
          {"worst_core_rates", check.worst ? core_rates_to_json(*check.worst) : Json(nullptr)},
          {"problems", check.problems},
          {"core_latency_s", check.core_latency_s ? Json(*check.core_latency_s) : Json(nullptr)},
          {"sample_beside_step_s", check.beside_step_s},
          {"resting_ranks", check.resting ? resting_json(*check.resting) : Json(nullptr)},
          {"noise", check.noise}};
}

std::string selfcheck_to_text(const SelfCheck& check, std::int64_t ranks) {
  const auto line = [](std::string_view name, const std::string& value, std::string_view remark) {
    return fmt::format("  {:<22}{:<24}{}\n", name, value, remark);
  };
  const auto spread = [](const Summary& s) {
    return fmt::format("{} (p95 {})", format_seconds(s.median), format_seconds(s.p95));
  };
  std::string text = fmt::format("What tpbench itself costs, on {} rank{}:\n", ranks, ranks == 1 ? "" : "s");
  text += line("timer resolution", format_seconds(check.timer_resolution_s),
               "the smallest difference the clock can show");
  text += line("timer call", format_seconds(check.timer_call_s), "two stand around each segment");
  text += line("barrier", spread(check.barrier), "what ranks would start behind without a common clock");
  text += line("barrier exit skew", spread(check.barrier_exit_skew), "last rank out - first");
  if (check.clock.domains > 1) {
    text += line("clocks of hosts", "+- " + format_seconds(check.clock.error_s),
                 fmt::format("{} clocks, {}; half a round trip {}; drift {:.1f} ppm", check.clock.domains,
                             check.clock.aligned ? "aligned" : "not aligned: a barrier starts the steps",
                             format_seconds(check.clock.worst_case_s), check.clock.drift_ppm));
  }
  text += line("start skew", spread(check.start_skew), "last rank - first to begin a step");
  text += line("late starts", format_percent(check.late_starts),
               fmt::format("of the moments agreed on, {} after the last rank came; run again",
                           format_seconds(check.start_margin_s)));
  text += line("empty step", spread(check.empty_step), "what a case with nothing in it reports");
  if (check.empty_host_step)
    text +=
        line("the same on the host", spread(*check.empty_host_step), "until the device was seen at its end");
  text += line("beside the step", format_seconds(check.beside_step_s), "wall time of a sample less its step");
  if (check.core_latency_s) {
    text += line("core latency", format_seconds(*check.core_latency_s),
                 "slowest neighbours on a host; when it changes, other cores run the ranks");
  }
  if (check.resting) {
    text += line("ranks at rest", fmt::format("{:+.1f} %", 100 * check.resting->cost()),
                 fmt::format("of a product's time ({}) beside ranks that have used onednn: {}",
                             counted(static_cast<std::size_t>(check.resting->threads), "thread"),
                             check.resting->is_free() ? "they cost nothing" : "their workers take cores"));
  }
  text += line("noise of fixed work", format_percent(check.worst_noise),
               check.worst_noise > kNoisyMachine
                   ? "p95 over fastest, worst rank: noisy, use measure.epochs of 6 or more"
                   : "p95 over fastest, worst rank: quiet");
  for (const DType dtype : {DType::f32, DType::f64}) {
    if (!check.worst) continue;
    const CoreRate rate = *check.worst->of(dtype);
    text +=
        line(fmt::format("product in {}", name_of(dtype)),
             fmt::format("{:.3g} GFLOP/s ({})", rate.gemm_gflops, format_percent(rate.share())),
             fmt::format("of multiply-adds in registers on one core, worst rank; kernels of {}", check.core));
  }
  text += "A case is safe from these costs when its step is a hundred times the empty step and the skew.\n";
  for (const std::string& problem : check.problems) text += fmt::format("  - {}\n", problem);
  return text;
}

}  // namespace tpbench
