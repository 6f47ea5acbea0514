#include "bench/overlap.hpp"

namespace tpbench {
namespace {

double median_of(const std::vector<double>& samples_s) { return summarise(samples_s).median; }

// Empty where the clocks of the hosts cannot tell.
std::optional<double> told_median(const Samples& samples, double clock_error_s) {
  if (!samples.communication_known ||
      !is_above_error(samples.communication_s, samples.differences, clock_error_s))
    return std::nullopt;
  return median_of(samples.communication_s);
}

enum Which { serial, compute_alone, chunked_compute_alone };

}  // namespace

OverlapVariants::OverlapVariants(CaseMachine& machine, const StepRunner& runner, const Team& team,
                                 Heartbeat& heartbeat)
    : machine_(machine),
      runner_(runner),
      team_(team),
      variants_{
          Variant{OverlapForm::serial, Trace(heartbeat, machine.backend().device_clock()), {}},
          Variant{OverlapForm::compute_alone, Trace(heartbeat, machine.backend().device_clock()), {}},
          Variant{
              OverlapForm::chunked_compute_alone, Trace(heartbeat, machine.backend().device_clock()), {}}} {
  const Stopwatch stopwatch;
  for (Variant& variant : variants_) {
    machine_.set_form(variant.form);
    run_batch(runner_, 1, team_, variant.trace);
    variant.trace.forget();
  }
  sample_s_ = team_.active->max(stopwatch.elapsed_s());
  machine_.set_form(OverlapForm::overlapped);
}

void OverlapVariants::sample(std::size_t steps) {
  for (Variant& variant : variants_) {
    machine_.set_form(variant.form);
    run_batch(runner_, steps, team_, variant.trace);
    if (holds_many_events(variant.trace)) reduce(variant);
  }
  machine_.set_form(OverlapForm::overlapped);
}

void OverlapVariants::reduce(Variant& variant) {
  reduce_steps(variant.trace.held(), team_, variant.samples);
  variant.trace.forget();
}

OverlapResult OverlapVariants::finish(const Samples& overlapped) {
  for (Variant& variant : variants_) reduce(variant);
  OverlapResult result;
  result.overlapped_s = median_of(overlapped.step_s);
  result.serial_s = median_of(variants_[serial].samples.step_s);
  result.compute_s = median_of(variants_[compute_alone].samples.compute_s);
  result.chunked_compute_s = median_of(variants_[chunked_compute_alone].samples.compute_s);
  const double error_s = team_.clock->quality().error_s;
  result.communication_s = told_median(variants_[serial].samples, error_s);
  result.exposed_s = told_median(overlapped, error_s);
  result.overlapped_compute_s = median_of(overlapped.compute_s);
  return result;
}

}  // namespace tpbench
