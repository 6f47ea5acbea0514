#include "bench/selfcheck.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/json.hpp"
#include "base/units.hpp"
#include "bench/sampling.hpp"
#include "comm/clock_offset.hpp"
#include "environment/noise.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kRepetitions = 2000;

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
  for (std::size_t i = 0; i < 100 * kRepetitions; ++i) sum += now_s();
  check.timer_call_s = sum > 0 ? stopwatch.elapsed_s() / (100.0 * kRepetitions) : 0;
}

void check_barrier(const Session& session, const Team& team, SelfCheck& check) {
  // Processes of one host share one clock.
  const ClockOffset offset = session.host_count() > 1 ? measure_clock_offset(*team.active) : ClockOffset{};
  std::vector<double> left(kRepetitions), took(kRepetitions);
  for (std::size_t i = 0; i < kRepetitions; ++i) {
    const double entered = now_s();
    team.active->barrier();
    const double now = now_s();
    left[i] = now - offset.offset_s;
    took[i] = now - entered;
  }
  std::vector<double> first = left, last = left;
  team.active->reduce_min(first);
  team.active->reduce_max(last);
  for (std::size_t i = 0; i < kRepetitions; ++i) last[i] -= first[i];
  check.barrier = summarise(took);
  check.barrier_exit_skew = summarise(last);
  check.clock_error_s = team.active->max(offset.error_s);
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
  warm_up(empty, kRepetitions, 60, team, trace);
  // Alternating rounds, as the machine may change its speed in between.
  std::vector<double> beside;
  for (int round = 0; round < 15; ++round) {
    Stopwatch stopwatch;
    for (std::size_t i = 0; i < kRepetitions; ++i) team.active->barrier();
    const double barriers_s = stopwatch.restart();
    warm_up(empty, kRepetitions, 60, team, trace);
    beside.push_back((stopwatch.elapsed_s() - barriers_s) / static_cast<double>(kRepetitions));
  }
  check.beside_barrier_s = summarise(beside).median;
  const Samples samples = sample(empty, {kRepetitions, kRepetitions, 60, 0.02}, 1e-7, team, trace);
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

SelfCheck run_selfcheck(Session& session, const LaunchFacts& facts, Backend& backend) {
  const Team team = whole_world(session);
  SelfCheck check;
  check_compute(facts, check);
  check.worst_noise = facts.worst_noise;
  check.noise = facts.noise;
  check_timer(check);
  check_barrier(session, team, check);
  check_empty_step(session, team, backend, check);
  return check;
}

Json selfcheck_to_json(const SelfCheck& check, std::int64_t ranks) {
  return {{"schema", "tpbench.selfcheck/1"},
          {"ranks", ranks},
          {"timer_resolution_s", check.timer_resolution_s},
          {"timer_call_s", check.timer_call_s},
          {"barrier_s", summary_json(check.barrier)},
          {"barrier_exit_skew_s", summary_json(check.barrier_exit_skew)},
          {"clock_error_s", check.clock_error_s},
          {"empty_step_s", summary_json(check.empty_step)},
          {"empty_host_step_s", check.empty_host_step ? summary_json(*check.empty_host_step) : Json(nullptr)},
          {"empty_step_beside_barrier_s", check.beside_barrier_s},
          {"blas_core", check.core},
          {"worst_core_rates", check.worst ? core_rates_to_json(*check.worst) : Json(nullptr)},
          {"problems", check.problems},
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
  text += line("barrier", spread(check.barrier), "stands before each sample, outside of it");
  text += line("barrier exit skew", spread(check.barrier_exit_skew),
               check.clock_error_s > 0 ? fmt::format("last rank out - first; clocks of hosts known to +- {}",
                                                     format_seconds(check.clock_error_s))
                                       : "last rank out - first: how unequally a sample starts");
  text += line("empty step", spread(check.empty_step), "what a case with nothing in it reports");
  if (check.empty_host_step)
    text +=
        line("the same on the host", spread(*check.empty_host_step), "until the device was seen at its end");
  text += line("beside the barrier", format_seconds(check.beside_barrier_s),
               "wall time of an empty sample less its barrier");
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
