#include "bench/rank_warnings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

#include "base/text.hpp"
#include "base/units.hpp"

namespace tpbench {
namespace {

std::string cpus_text(const std::vector<std::int64_t>& cpus) {
  if (cpus.empty()) return "";
  if (cpus.size() == 1) return fmt::format(", CPU {}", cpus.front());
  return fmt::format(", CPUs {} to {}", cpus.front(), cpus.back());
}

// What the middle rank has of a quantity.
double usual(const std::vector<RankResult>& ranks, const std::function<double(const RankResult&)>& of) {
  std::vector<double> values;
  std::transform(ranks.begin(), ranks.end(), std::back_inserter(values), of);
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

// The rank that the others wait for most often, and what is different there; empty where none stands out.
std::string whom_others_wait_for(const WarningInputs& in) {
  constexpr double kMostOfThem = 0.5, kClearly = 1.05, kShows = 0.01;
  const std::vector<RankResult>& ranks = in.outcome.ranks;
  std::int64_t all = 0;
  const RankResult* last = nullptr;
  for (const RankResult& rank : ranks) {
    all += rank.all_last_arrivals();
    if (last == nullptr || rank.all_last_arrivals() > last->all_last_arrivals()) last = &rank;
  }
  if (last == nullptr || all == 0) return "";
  const double share = static_cast<double>(last->all_last_arrivals()) / static_cast<double>(all);
  if (share < std::max(kMostOfThem, 1.2 / static_cast<double>(ranks.size()))) return "";
  const RankPlace& place = in.facts.ranks[static_cast<std::size_t>(last->rank)];
  std::vector<std::string> different;
  const double sampled_s =
      in.record.time->step.summary.median * static_cast<double>(in.outcome.samples.step_s.size());
  const double compute_s = usual(ranks, [](const RankResult& r) { return r.compute_s; });
  if (compute_s > 0 && last->compute_s > kClearly * compute_s)
    different.push_back(fmt::format("it computed {} longer than the median rank",
                                    format_percent(last->compute_s / compute_s - 1)));
  const auto stands_out = [&](double value, double least,
                              const std::function<double(const RankResult&)>& of) {
    return value > least && value > 2 * usual(ranks, of);
  };
  const auto preemptions = [](const RankResult& r) { return static_cast<double>(r.preemptions); };
  if (stands_out(preemptions(*last), 0, preemptions))
    different.push_back(fmt::format("its core was taken from it {} times", last->preemptions));
  const auto steal_s = [](const RankResult& r) { return r.steal_s.value_or(0); };
  if (stands_out(steal_s(*last), kShows * sampled_s, steal_s))
    different.push_back(fmt::format("the hypervisor took {} of its CPUs", format_seconds(*last->steal_s)));
  const auto throttled_s = [](const RankResult& r) { return r.throttled_s.value_or(0); };
  if (stands_out(throttled_s(*last), 0, throttled_s))
    different.push_back(fmt::format("quotas stopped its host for {}", format_seconds(*last->throttled_s)));
  return fmt::format("; rank {} ({}{}) came last in {} of them{}", last->rank, place.host,
                     cpus_text(place.cpus), format_percent(share),
                     different.empty() ? "" : ": " + join_words(different));
}

}  // namespace

// By sums over all samples: a rank that is stopped now and then leaves the medians as they are.
std::optional<std::string> slow_rank(const WarningInputs& in) {
  constexpr double kClearly = 1.25;
  const auto& slowest = in.outcome.slowest;
  if (!slowest || slowest->compute_s < kClearly * slowest->others_s) return std::nullopt;
  return fmt::format(
      "rank {} ({}) computed {} longer than the other ranks did, over all samples: a slower core, another "
      "program "
      "there, or its binding",
      slowest->world_rank, in.facts.ranks[static_cast<std::size_t>(slowest->world_rank)].host,
      format_percent(slowest->compute_s / slowest->others_s - 1));
}

std::optional<std::string> imbalance(const WarningInputs& in) {
  if (in.record.status != Status::ok || !is_known(in.record.time->imbalance)) return std::nullopt;
  const double wait = in.record.time->imbalance.summary.median, step = in.record.time->step.summary.median;
  if (wait <= 0.1 * step) return std::nullopt;
  const std::string whom = whom_others_wait_for(in);
  return fmt::format(
      "a rank waits {} of the step at the collectives for ranks that come late{} unequal cores, binding or "
      "other programs",
      format_percent(wait / step), whom.empty() ? ":" : whom + "; look for");
}

}  // namespace tpbench
