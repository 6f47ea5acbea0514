#include "measure/stop_rule.hpp"

#include <algorithm>
#include <cmath>

#include "measure/correlation.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kLargestBatch = 256;  // bounds the memory of a batch and how late a cap is noticed
constexpr double kEnoughToTell = 16;        // samples that show whether they follow each other

// Few samples are not believed to be independent only because they look so.
std::size_t trusted_samples(std::span<const double> samples) {
  const auto n = static_cast<double>(samples.size());
  const double doubt = std::max(1.0, std::sqrt(kEnoughToTell / n));
  return std::min(effective_samples(samples), static_cast<std::size_t>(n / doubt));
}

}  // namespace

void StopRule::add(std::span<const double> step_s) {
  step_s_.insert(step_s_.end(), step_s.begin(), step_s.end());
  const auto middle = static_cast<std::ptrdiff_t>(sorted_s_.size());
  sorted_s_.insert(sorted_s_.end(), step_s.begin(), step_s.end());
  std::sort(sorted_s_.begin() + middle, sorted_s_.end());
  std::inplace_merge(sorted_s_.begin(), sorted_s_.begin() + middle, sorted_s_.end());
}

std::size_t StopRule::next_batch(double elapsed_s, double expected_sample_s) {
  const std::size_t taken = step_s_.size();
  if (taken > 0 && (taken >= settings_.max_samples || elapsed_s >= settings_.max_seconds)) return 0;
  if (taken < settings_.min_samples) {
    next_look_ = settings_.min_samples;
  } else if (taken >= next_look_) {
    const auto width = width_over_target();
    if (width && *width <= 1) return 0;
    next_look_ = taken + missing_samples(width);
  }

  const std::size_t wanted = next_look_ - taken;
  const double sample_s = taken > 0 ? elapsed_s / static_cast<double>(taken) : expected_sample_s;
  const double affordable =
      sample_s > 0 ? (settings_.max_seconds - elapsed_s) / sample_s : static_cast<double>(wanted);
  const auto in_time =
      static_cast<std::size_t>(std::clamp(affordable, 1.0, static_cast<double>(kLargestBatch)));
  return std::min({wanted, in_time, kLargestBatch, settings_.max_samples - taken});
}

bool StopRule::converged() const {
  const auto width = width_over_target();
  return width && *width <= 1;
}

std::optional<double> StopRule::width_over_target() const {
  const std::size_t taken = sorted_s_.size();
  const double allowed = settings_.target_ci * quantile_of_sorted(sorted_s_, 0.5);
  const auto width_of = [&](std::size_t effective) -> std::optional<double> {
    const auto ranks = median_interval_ranks(taken, effective);
    if (!ranks) return std::nullopt;
    const double half_width = (sorted_s_[ranks->second - 1] - sorted_s_[ranks->first - 1]) / 2;
    return half_width <= allowed ? std::min(1.0, half_width / allowed) : half_width / allowed;
  };
  // What is too wide for independent samples is too wide: no need to ask how they follow each other.
  const auto at_least = width_of(taken);
  return !at_least || *at_least > 1 ? at_least : width_of(trusted_samples(step_s_));
}

// The width goes with the root of the samples. At most a quarter more at a time, as what is known now may be
// wrong, and a sixteenth at least, as each look is another chance to stop by luck.
std::size_t StopRule::missing_samples(std::optional<double> width) const {
  const std::size_t taken = step_s_.size();
  const std::size_t least = std::max<std::size_t>(1, taken / 16), most = std::max<std::size_t>(1, taken / 4);
  if (!width) return most;
  const double missing = std::ceil((*width * *width - 1) * static_cast<double>(taken));
  return missing >= static_cast<double>(most) ? most : std::max(least, static_cast<std::size_t>(missing));
}

}  // namespace tpbench
