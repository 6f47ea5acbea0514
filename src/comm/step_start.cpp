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
  if (usual_hearing_ns_ == 0) rehearse();
  const Hearing before = meet(std::llround(margin_ns()));
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
  TPBENCH_MPI(
      MPI_Allreduce(MPI_IN_PLACE, said.data(), words, MPI_INT64_T, MPI_MAX, ranks_.handle()->comm));
  const std::int64_t now = now_ns();
  start_ns_ = clock_.own_ns(said[moment]);
  hearing_ns_ = now - (start_ns_ - margin_ns);
  late_ = now >= start_ns_;
  return {said[late] == 0, static_cast<double>(said[hearing])};
}

// How long hearing takes, by the quickest of a few, before a step depends on it.
void StepStart::rehearse() {
  constexpr int kRehearsals = 8, kCold = 3;  // the first open connections, and each tells of the one before
  constexpr double kLeast_ns = 100;
  double quickest_ns = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRehearsals; ++i) {
    const Hearing heard = meet(0);
    if (i >= kCold) quickest_ns = std::min(quickest_ns, heard.longest_ns);
  }
  usual_hearing_ns_ = std::max(quickest_ns, kLeast_ns);
}

// Looks at the clock all the time when the moment is near: one who gives up the core may get it back a slice later.
void StepStart::wait() {
  constexpr std::int64_t kNear_ns = 100'000;
  for (std::int64_t now = now_ns(); now < start_ns_; now = now_ns()) {
    if (start_ns_ - now > kNear_ns) sched_yield();
  }
}

double StepStart::margin_ns() const {
  constexpr double kLeast_ns = 500;
  return kLeast_ns + widened_ * allowance_ * usual_hearing_ns_;
}

// One late start in about a hundred and fifty: each widens the allowance by half, and each other start takes a little
// of it back. What a rank that lost its core takes once does not count as usual.
void StepStart::learn(const Hearing& heard) {
  constexpr double kWiden = 1.5, kNarrow = 0.9975, kLeast = 1.5, kMost = 16, kWeight = 1.0 / 8, kUnusual = 4;
  ++starts_;
  const double counted = std::min(std::max(heard.longest_ns, 0.0), kUnusual * usual_hearing_ns_);
  usual_hearing_ns_ += kWeight * (counted - usual_hearing_ns_);
  if (heard.in_time) {
    widened_ = 1;
    allowance_ = std::max(kLeast, kNarrow * allowance_);
  } else {
    ++late_starts_;
    widened_ *= 2;
    allowance_ = std::min(kMost, kWiden * allowance_);
  }
}

}  // namespace tpbench
