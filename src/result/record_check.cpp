#include "result/record_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "measure/correlation.hpp"
#include "result/record_tables.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

// Every sample is one of a step.
void check_same_samples(const Quantity& step, const Quantity& quantity, const char* name) {
  if (quantity.samples_s.size() != step.samples_s.size()) {
    throw std::runtime_error(fmt::format("samples_s.{} has {} samples and samples_s.step has {}", name,
                                         quantity.samples_s.size(), step.samples_s.size()));
  }
  // What is left of a step may be below 0 by the resolution of the clocks; a step may not.
  if (std::any_of(step.samples_s.begin(), step.samples_s.end(), [](double sample) { return sample < 0; }))
    throw std::runtime_error("samples_s.step has a sample below 0");
}

// One median for each epoch; of one epoch, that of all samples.
void check_epochs(const Quantity& quantity, std::int64_t epochs, const char* name) {
  const std::vector<double>& medians = quantity.epoch_medians_s;
  if (std::cmp_not_equal(medians.size(), epochs)) {
    throw std::runtime_error(fmt::format("time_s.{}.epoch_medians has {} and epochs.done is {}", name,
                                         counted(medians.size(), "value"), epochs));
  }
  if (medians.size() != 1) return;
  const Summary samples = summarise(quantity.samples_s);
  const double tolerance = 1e-9 * std::max(std::abs(samples.min), std::abs(samples.max));
  if (std::abs(medians.front() - samples.median) > tolerance) {
    throw std::runtime_error(fmt::format("time_s.{}.epoch_medians[0] is {} and its samples say {}", name,
                                         medians.front(), samples.median));
  }
}

// How many samples the interval counts; one more or less may come from processors that round differently.
std::size_t check_effective_samples(const Summary& said, std::span<const double> judged, const char* name) {
  if (!said.effective_samples) return judged.size();  // records of before took all to be independent
  const std::size_t expected = effective_samples(judged);
  const std::size_t least = std::min(expected, *said.effective_samples),
                    most = std::max(expected, *said.effective_samples);
  if (most - least > 1 || most > judged.size()) {
    throw std::runtime_error(fmt::format("time_s.{}.effective_samples is {} and its samples say {}", name,
                                         *said.effective_samples, expected));
  }
  return *said.effective_samples;
}

// What time_s says of a quantity must be what its samples say. A program that wrote shorter numbers did no
// harm.
void check_summary(const Quantity& quantity, const char* name) {
  const Summary &said = quantity.summary, samples = summarise(quantity.samples_s, quantity.samples_s.size());
  if (said.samples != samples.samples) {
    throw std::runtime_error(
        fmt::format("time_s.{}.samples is {} and there are {}", name, said.samples, samples.samples));
  }
  // A sample at the very limit may be counted or not by processors that round differently; more than half
  // never are.
  if (said.outliers > said.samples / 2) {
    throw std::runtime_error(
        fmt::format("time_s.{}.outliers is {} of {} samples", name, said.outliers, said.samples));
  }
  // Several epochs are judged by their medians (docs/record.md, "Times").
  const bool by_epochs = quantity.epoch_medians_s.size() > 1;
  const std::vector<double>& judged = by_epochs ? quantity.epoch_medians_s : quantity.samples_s;
  const std::size_t effective = check_effective_samples(said, judged, name);
  const Summary middle = summarise(judged, effective);
  // Of the largest sample: what is left of a step (`other`) may have a mean near 0 that is all rounding.
  const double tolerance = 1e-9 * std::max(std::abs(samples.min), std::abs(samples.max));
  const auto check = [&](const char* key, double value, double expected) {
    if (std::abs(value - expected) <= tolerance) return;
    throw std::runtime_error(
        fmt::format("time_s.{}.{} is {} and its samples say {}", name, key, value, expected));
  };
  check("median", said.median, middle.median);
  check("mean", said.mean, samples.mean);
  check("min", said.min, samples.min);
  check("max", said.max, samples.max);
  check("p95", said.p95, samples.p95);
  check("p99", said.p99, samples.p99);
  if (said.ci95.has_value() != middle.ci95.has_value()) {
    throw std::runtime_error(fmt::format("time_s.{}.ci95 is {} and its samples say otherwise", name,
                                         said.ci95 ? "an interval" : "null"));
  }
  for (std::size_t end = 0; said.ci95 && end < 2; ++end)
    check(end == 0 ? "ci95[0]" : "ci95[1]", (*said.ci95)[end], (*middle.ci95)[end]);
}

}  // namespace

void check_consistent(const Record& record, const std::string& name) {
  if (record.id != name) throw std::runtime_error("it holds the id " + record.id);
  if (case_id(asked_case(record)) != record.id) throw std::runtime_error("its case is not that of its id");
  if (!record.time) return;
  if (!record.verification.passed.value_or(true))
    throw std::runtime_error("status is \"ok\" and verification.passed is false");
  if (record.time->step.samples_s.empty()) throw std::runtime_error("samples_s.step is null");
  for (const QuantityRow& row : kQuantities) {
    const Quantity& quantity = (*record.time).*row.member;
    if (quantity.samples_s.empty()) continue;
    check_same_samples(record.time->step, quantity, row.name);
    check_epochs(quantity, record.epochs_done, row.name);
    check_summary(quantity, row.name);
  }
}

}  // namespace tpbench
