#include "measure/stop_rule.hpp"

#include <algorithm>

#include "measure/statistics.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kLargestBatch = 256;  // bounds the memory of a batch and how late a cap is noticed

}  // namespace

void StopRule::add(std::span<const double> step_s) {
  const auto middle = static_cast<std::ptrdiff_t>(sorted_s_.size());
  sorted_s_.insert(sorted_s_.end(), step_s.begin(), step_s.end());
  std::sort(sorted_s_.begin() + middle, sorted_s_.end());
  std::inplace_merge(sorted_s_.begin(), sorted_s_.begin() + middle, sorted_s_.end());
}

std::size_t StopRule::next_batch(double elapsed_s, double expected_sample_s) const {
  const std::size_t taken = sorted_s_.size();
  if (taken > 0 && (taken >= settings_.max_samples || elapsed_s >= settings_.max_seconds)) return 0;
  if (taken >= settings_.min_samples && converged()) return 0;

  // A quarter more each time keeps the samples beyond need few and the questions rare.
  const std::size_t wanted =
      taken < settings_.min_samples ? settings_.min_samples - taken : std::max<std::size_t>(1, taken / 4);
  const double sample_s = taken > 0 ? elapsed_s / static_cast<double>(taken) : expected_sample_s;
  const double affordable =
      sample_s > 0 ? (settings_.max_seconds - elapsed_s) / sample_s : static_cast<double>(wanted);
  const auto in_time =
      static_cast<std::size_t>(std::clamp(affordable, 1.0, static_cast<double>(kLargestBatch)));
  return std::min({wanted, in_time, kLargestBatch, settings_.max_samples - taken});
}

bool StopRule::converged() const {
  const auto ranks = median_interval_ranks(sorted_s_.size());
  if (!ranks) return false;
  const double half_width = (sorted_s_[ranks->second - 1] - sorted_s_[ranks->first - 1]) / 2;
  return half_width <= settings_.target_ci * quantile_of_sorted(sorted_s_, 0.5);
}

}  // namespace tpbench
