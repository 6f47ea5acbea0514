#include "result/rank_results.hpp"

#include <algorithm>

#include "measure/statistics.hpp"

namespace tpbench {
namespace {

RankSpread spread_of(const char* quantity, const std::vector<RankResult>& all,
                     double (*value)(const RankResult&)) {
  std::vector<double> values;
  for (const RankResult& rank : all) values.push_back(value(rank));
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double share) { return quantile_of_sorted(values, share); };
  return {quantity, values.front(), quantile(0.25), quantile(0.5), quantile(0.75), values.back()};
}

}  // namespace

std::int64_t RankResult::all_last_arrivals() const {
  std::int64_t sum = 0;
  for (const auto& [collective, count] : last_arrivals) sum += count;
  return sum;
}

RankResults bounded_ranks(std::vector<RankResult> all, std::int64_t samples) {
  RankResults results;
  results.count = static_cast<std::int64_t>(all.size());
  results.samples = samples;
  if (all.empty()) return results;
  results.spread = {
      spread_of("compute_s", all, [](const RankResult& r) { return r.compute_s; }),
      spread_of("wait_s", all, [](const RankResult& r) { return r.wait_s.value_or(0); }),
      spread_of("last_arrivals", all,
                [](const RankResult& r) { return static_cast<double>(r.all_last_arrivals()); }),
      spread_of("preemptions", all, [](const RankResult& r) { return static_cast<double>(r.preemptions); })};
  if (all.size() > kMostRanks) {
    std::stable_sort(all.begin(), all.end(),
                     [](const RankResult& a, const RankResult& b) { return a.compute_s > b.compute_s; });
    all.erase(all.begin() + kMostRanks / 2, all.end() - kMostRanks / 2);
  }
  results.listed = std::move(all);
  return results;
}

}  // namespace tpbench
