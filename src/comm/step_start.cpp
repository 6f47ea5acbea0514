#include "comm/step_start.hpp"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"
#include "measure/clock.hpp"

namespace tpbench {

bool StepStart::agree() {
  if (!names_a_moment()) {
    start_ns_ = 0;
    named_ = false;
    if (ranks_.size() > 1) ranks_.barrier();
    return true;
  }
  if (hearings_ns_.empty()) rehearse();
  const Hearing before = meet(std::llround(widened_ * margin_ns_));
  if (named_) learn(before);
  return !std::exchange(named_, true) || before.in_time;
}

bool StepStart::conclude() {
  const bool in_time = agree();
  start_ns_ = 0;
  named_ = false;
  return in_time;
}

// The last rank to come names the moment, and all say how they heard of the one before.
StepStart::Hearing StepStart::meet(std::int64_t margin_ns) {
  enum Word { moment, late, hearing, words };
  std::array<std::int64_t, words> said = {clock_.common_ns(now_ns()) + margin_ns, late_ ? 1 : 0, hearing_ns_};
  TPBENCH_MPI(MPI_Allreduce(MPI_IN_PLACE, said.data(), words, MPI_INT64_T, MPI_MAX, ranks_.handle()->comm));
  const std::int64_t now = now_ns();
  if (named_) {
    constexpr double kWeight = 1.0 / 8, kUnusual = 4;
    const auto took_ns = static_cast<double>(said[moment] - margin_ns - moment_ns_);
    step_ns_ =
        step_ns_ == 0 ? took_ns : step_ns_ + kWeight * (std::min(took_ns, kUnusual * step_ns_) - step_ns_);
  }
  moment_ns_ = said[moment];
  start_ns_ = clock_.own_ns(moment_ns_);
  hearing_ns_ = now - (start_ns_ - margin_ns);
  late_ = now >= start_ns_;
  return {said[late] == 0, static_cast<double>(said[hearing])};
}

// How long hearing takes, before a step depends on it.
void StepStart::rehearse() {
  constexpr int kRehearsals = 12, kCold = 4;  // the first open connections, and each tells of the one before
  for (int i = 0; i < kRehearsals; ++i) {
    const Hearing heard = meet(0);
    if (i >= kCold) hearings_ns_.push_back(heard.longest_ns);
  }
  choose_margin();
}

void StepStart::learn(const Hearing& heard) {
  constexpr std::int64_t kSeldom = 16;
  if (hearings_ns_.size() < kRemembered)
    hearings_ns_.push_back(heard.longest_ns);
  else
    hearings_ns_[static_cast<std::size_t>(starts_) % kRemembered] = heard.longest_ns;
  ++starts_;
  if (!heard.in_time) ++late_starts_;
  widened_ = heard.in_time ? 1 : 2 * widened_;
  // One that was heard of too late says more than sixteen that were not.
  if (!heard.in_time || starts_ % kSeldom == 0) choose_margin();
}

// The margin with which a sample costs least time, by what the last hearings would have cost with it: each
// sample waits for the margin, and a late start wastes margin and step; it counts so many times as it is to
// be rare. A machine that now and then takes a rank's core away for milliseconds does not have every sample
// wait for milliseconds.
void StepStart::choose_margin() {
  constexpr double kRare = 20, kLeeway = 1.25, kLeast_ns = 500;
  std::vector<double> sorted = hearings_ns_;
  std::sort(sorted.begin(), sorted.end());
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double margin_ns = kLeast_ns + kLeeway * std::max(0.0, sorted[i]);
    const double late = static_cast<double>(sorted.size() - 1 - i) / static_cast<double>(sorted.size());
    const double cost = (margin_ns + step_ns_) * (1 + kRare * late);
    if (cost >= least) continue;
    least = cost;
    margin_ns_ = margin_ns;
  }
}

// Looks at the clock all the time when the moment is near: one who gives up the core may get it back a slice
// later.
void StepStart::wait() {
  constexpr std::int64_t kNear_ns = 100'000;
  for (std::int64_t now = now_ns(); now < start_ns_; now = now_ns()) {
    if (start_ns_ - now > kNear_ns) sched_yield();
  }
}

}  // namespace tpbench
