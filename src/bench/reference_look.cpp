#include "bench/reference_look.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kLooks = 5;
constexpr std::size_t kCasesToKnow = 4;  // before a launch has a usual
constexpr double kDrift = 0.10;          // of the product: what a comparison would take for a change
constexpr double kNeighbour = 0.30;      // of the copy, which moves more by itself
constexpr double kMoved = 0.50;          // of the core latency: threads of a core, cores of a cache, others
constexpr double kOneRank = 0.30;        // of the slowest rank against the median one

double middle_value(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return quantile_of_sorted(values, 0.5);
}

// Every rank's value on every rank.
std::vector<double> everybodys(double own, const Control& ranks) {
  std::vector<double> values(static_cast<std::size_t>(ranks.size()), 0.0);
  values[static_cast<std::size_t>(ranks.rank())] = own;
  ranks.reduce_sum(values);
  return values;
}

double middle(double a, double b) { return std::sqrt(a * b); }

std::string more_or_less(double ratio) {
  return ratio >= 1 ? format_percent(ratio - 1) + " more" : format_percent(1 - ratio) + " less";
}

// In the middle of both looks; empty unless both have one.
std::optional<double> core_latency_of(const ReferenceResult& look) {
  if (!look.before.core_latency_s || !look.after.core_latency_s) return std::nullopt;
  return middle(*look.before.core_latency_s, *look.after.core_latency_s);
}

// The largest of the four ratios of the slowest rank's time to the median rank's.
double one_rank_ratio(const ReferenceResult& look) {
  double largest = 1;
  for (const ReferenceTimes& times : {look.before, look.after})
    largest = std::max({largest, times.gemm_slowest_s / times.gemm_s, times.copy_slowest_s / times.copy_s});
  return largest;
}

}  // namespace

ReferenceTimes look_at_machine(ReferenceWork& work, const Team& team) {
  const Control& ranks = *team.active;
  std::array<double, kLooks> products{}, copies{};
  ranks.barrier();
  work.time_products(products);
  ranks.barrier();
  work.time_copies(copies);
  const auto gemm_s = everybodys(middle_value({products.begin(), products.end()}), ranks);
  const auto copy_s = everybodys(middle_value({copies.begin(), copies.end()}), ranks);
  return {middle_value(gemm_s), *std::max_element(gemm_s.begin(), gemm_s.end()), middle_value(copy_s),
          *std::max_element(copy_s.begin(), copy_s.end()),
          team.cores ? team.cores->slowest_s() : std::nullopt};
}

void MachineHistory::add(const LookingRanks& ranks, const ReferenceResult& look) {
  looks_[ranks].push_back({middle(look.before.gemm_s, look.after.gemm_s),
                           middle(look.before.gemm_slowest_s, look.after.gemm_slowest_s),
                           std::min(look.before.copy_s, look.after.copy_s),
                           std::min(look.before.copy_slowest_s, look.after.copy_slowest_s),
                           core_latency_of(look)});
}

std::optional<double> MachineHistory::usual_gemm_s(const LookingRanks& ranks) const {
  const auto found = looks_.find(ranks);
  if (found == looks_.end() || found->second.size() < kCasesToKnow) return std::nullopt;
  std::vector<double> values;
  for (const ReferenceTimes& times : found->second) values.push_back(times.gemm_s);
  return middle_value(values);
}

std::optional<double> MachineHistory::best_copy_s(const LookingRanks& ranks) const {
  const auto found = looks_.find(ranks);
  if (found == looks_.end() || found->second.size() < kCasesToKnow) return std::nullopt;
  return std::min_element(found->second.begin(), found->second.end(),
                          [](const auto& a, const auto& b) { return a.copy_s < b.copy_s; })
      ->copy_s;
}

std::optional<double> MachineHistory::usual_core_latency_s(const LookingRanks& ranks) const {
  std::vector<double> values;
  const auto found = looks_.find(ranks);
  if (found == looks_.end()) return std::nullopt;
  for (const ReferenceTimes& times : found->second) {
    if (times.core_latency_s) values.push_back(*times.core_latency_s);
  }
  return values.size() < kCasesToKnow ? std::nullopt : std::optional(middle_value(values));
}

std::optional<std::string> drift(const ReferenceResult& look, const MachineHistory& earlier,
                                 const LookingRanks& ranks) {
  const double within = look.after.gemm_s / look.before.gemm_s;
  if (std::abs(std::log(within)) > std::log1p(kDrift)) {
    return fmt::format(
        "the machine changed while the case ran: a fixed product took {} before the samples and {} after "
        "({}); repeat "
        "with measure.epochs of 6 or more",
        format_seconds(look.before.gemm_s), format_seconds(look.after.gemm_s), more_or_less(within));
  }
  const auto usual_s = earlier.usual_gemm_s(ranks);
  if (!usual_s) return std::nullopt;
  const double here_s = middle(look.before.gemm_s, look.after.gemm_s), across = here_s / *usual_s;
  if (std::abs(std::log(across)) <= std::log1p(kDrift)) return std::nullopt;
  return fmt::format(
      "the machine changes during the sweep: a fixed product took {} beside this case and {} beside those "
      "before it "
      "({}); repeat with measure.epochs of 6 or more",
      format_seconds(here_s), format_seconds(*usual_s), more_or_less(across));
}

std::optional<std::string> moved_cores(const ReferenceResult& look, const MachineHistory& earlier,
                                       const LookingRanks& ranks) {
  constexpr const char* kRemedy =
      "other cores run the ranks, as where a virtual machine's CPUs are not pinned, and messages inside a "
      "host "
      "take as much more or less; pin them, or repeat with measure.epochs of 6 or more";
  const auto here_s = core_latency_of(look);
  if (!here_s) return std::nullopt;
  const double before_s = *look.before.core_latency_s, after_s = *look.after.core_latency_s;
  if (std::abs(std::log(after_s / before_s)) > std::log1p(kMoved)) {
    return fmt::format("a cache line took {} from one rank to the next before the samples and {} after: {}",
                       format_seconds(before_s), format_seconds(after_s), kRemedy);
  }
  const auto usual_s = earlier.usual_core_latency_s(ranks);
  if (!usual_s || std::abs(std::log(*here_s / *usual_s)) <= std::log1p(kMoved)) return std::nullopt;
  return fmt::format(
      "a cache line took {} from one rank to the next beside this case and {} beside those before it: {}",
      format_seconds(*here_s), format_seconds(*usual_s), kRemedy);
}

std::optional<std::string> neighbour(const ReferenceResult& look, const MachineHistory& earlier,
                                     const LookingRanks& ranks) {
  const double one_rank = one_rank_ratio(look);
  if (one_rank > 1 + kOneRank) {
    return fmt::format(
        "fixed work took {:.2f} times as long on the slowest rank as on the median one: another program runs "
        "on its "
        "core or beside it; stop it, or bind elsewhere",
        one_rank);
  }
  const auto best_s = earlier.best_copy_s(ranks);
  if (!best_s) return std::nullopt;
  const double worst_s = std::max(look.before.copy_s, look.after.copy_s);
  if (worst_s <= *best_s * (1 + kNeighbour)) return std::nullopt;
  return fmt::format(
      "a fixed copy took {} beside this case and {} at best in this launch ({}): another program uses the "
      "caches or "
      "the memory; stop it, or repeat with measure.epochs of 6 or more",
      format_seconds(worst_s), format_seconds(*best_s), more_or_less(worst_s / *best_s));
}

}  // namespace tpbench
