#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace tpbench {

struct StopSettings {
  std::size_t min_samples = 10;
  std::size_t max_samples = 200;
  double max_seconds = 5;
  double target_ci = 0.02;
};

/// Decides how many samples are enough: sampling goes on until the half-width of the median's 95 % interval
/// is under `target_ci` of the median, or a cap is met. The cap on seconds comes before `min_samples`: a
/// person who allows five seconds does not want to wait ten minutes. One sample is always taken.
/// The interval counts samples that follow each other as the independent ones they are worth.
class StopRule {
 public:
  explicit StopRule(const StopSettings& settings) : settings_(settings) {}

  /// Adds samples of the step time, in seconds, oldest first.
  void add(std::span<const double> step_s);

  /// How many steps to run before asking again; 0 when it is enough. `elapsed_s` counts from the first
  /// sample, with all that belongs to one: flushed caches, the other ways of a step that overlaps.
  /// `expected_sample_s` is a guess of one sample's share of it for the first batch, when nothing has been
  /// sampled.
  [[nodiscard]] std::size_t next_batch(double elapsed_s, double expected_sample_s);

  /// Whether the interval has the width asked for. With fewer than 16 samples the interval is taken wider
  /// than that of the summary, as they can hardly tell whether they are independent.
  [[nodiscard]] bool converged() const;

 private:
  // Half of the interval's width over `target_ci` of the median; empty where there is no interval.
  [[nodiscard]] std::optional<double> width_over_target() const;
  // Samples that seem to be missing, when the interval is not narrow enough.
  [[nodiscard]] std::size_t missing_samples(std::optional<double> width) const;

  StopSettings settings_;
  std::vector<double> step_s_, sorted_s_;
  std::size_t next_look_ = 0;  // the interval is looked at again when so many samples are there
};

}  // namespace tpbench
