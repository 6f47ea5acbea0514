#include "advisor/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "base/field.hpp"
#include "base/text.hpp"
#include "result/read_text.hpp"

namespace tpbench {
namespace {

using Cases = std::vector<const MeasuredCase*>;

Cases all_cases(const Evidence& evidence) {
  Cases cases;
  for (const MeasuredCase& measured : evidence.cases) cases.push_back(&measured);
  return cases;
}

Cases without(const Cases& cases, const std::function<bool(const MeasuredCase&)>& is_out, Cases& out) {
  Cases kept;
  for (const MeasuredCase* measured : cases) (is_out(*measured) ? out : kept).push_back(measured);
  return kept;
}

// One layer at all its degrees and ways to carry collectives.
std::string shape_key(const MeasuredCase& measured) {
  Case point = measured.record.point;
  point.layout = {};
  point.algorithm.reset();
  point.placement = Placement::packed;
  point.sequence_parallel = false;
  return case_id(point);
}

double deviation(double predicted, double measured) { return std::abs(predicted - measured) / measured; }

// Of one quantity of checked cases.
struct Deviations {
  std::vector<double> relative;  // |predicted - measured| / measured
  std::vector<double> apart;     // the larger over the smaller, less 1
  void add(double predicted, double measured) {
    if (!(predicted > 0) || !(measured > 0)) return;
    relative.push_back(deviation(predicted, measured));
    apart.push_back(std::max(predicted / measured, measured / predicted) - 1);
  }
  [[nodiscard]] PredictionError error(const char* quantity, const std::string& left_out) const {
    std::vector<double> sorted = relative;
    std::sort(sorted.begin(), sorted.end());
    return {quantity, left_out, sorted.size(), sorted.empty() ? 0 : quantile_of_sorted(sorted, 0.5),
            sorted.empty() ? 0 : sorted.back()};
  }
};

struct QuantityErrors {
  Deviations compute, communication, small_messages, step;

  explicit QuantityErrors(std::span<const CheckedCase> checked) {
    for (const CheckedCase& one : checked) {
      if (!one.predicted) continue;
      const TimeResult& time = *one.measured->record.time;
      const PredictedCase& predicted = *one.predicted;
      // On one rank a probe of the fabric does nothing, and takes what is not modelled.
      if (predicted.compute.median_s + predicted.communication.median_s == 0) continue;
      if (is_known(time.compute)) compute.add(predicted.compute.median_s, time.compute.summary.median);
      if (is_known(time.communication) && one.measured->tells_communication)
        (predicted.small_messages_s > predicted.communication.median_s / 2 ? small_messages : communication)
            .add(predicted.communication.median_s, time.communication.summary.median);
      step.add(predicted.step.median_s, time.step.summary.median);
    }
  }
  void put(std::vector<PredictionError>& errors, const std::string& left_out) const {
    for (const auto& [quantity, of_quantity] :
         {std::pair("compute", &compute), std::pair("communication", &communication),
          std::pair("small messages", &small_messages), std::pair("step", &step)}) {
      if (!of_quantity->relative.empty()) errors.push_back(of_quantity->error(quantity, left_out));
    }
  }
};

// Within which nine of ten lie; of few, more than the largest that was seen.
double nine_of_ten(std::vector<double> apart, double assumed) {
  constexpr std::size_t kFew = 10;
  if (apart.size() < 2) return assumed;
  std::sort(apart.begin(), apart.end());
  const double seen = quantile_of_sorted(apart, 0.9);
  const auto n = static_cast<double>(apart.size());
  return apart.size() < kFew ? apart.back() * (1 + 2 / n) : seen * (1 + 1 / n);
}

// How far the launches of one case lie apart, over all cases that several folders hold: nine of ten.
std::optional<double> spread_of_launches(const Cases& cases) {
  std::map<std::string, std::map<std::size_t, double>> steps;  // case on a fabric, folder: log of the median
  for (const MeasuredCase* measured : cases)
    steps[measured->record.id + measured->record.label][measured->source] =
        std::log(measured->record.time->step.summary.median);
  double squares = 0, freedoms = 0;
  for (const auto& [id, of_case] : steps) {
    double mean = 0;
    for (const auto& [source, log] : of_case) mean += log / static_cast<double>(of_case.size());
    for (const auto& [source, log] : of_case) squares += (log - mean) * (log - mean);
    freedoms += static_cast<double>(of_case.size() - 1);
  }
  if (freedoms < 3) return std::nullopt;
  constexpr double kNineOfTen = 1.645;
  return std::expm1(kNineOfTen * std::sqrt(squares / freedoms));
}

std::vector<std::int64_t> degrees_of(const Cases& cases) {
  std::set<std::int64_t> degrees;
  for (const MeasuredCase* measured : cases) degrees.insert(measured->record.point.layout.ranks());
  return {degrees.begin(), degrees.end()};
}

double median_other(const Cases& cases) {
  std::vector<double> others;
  for (const MeasuredCase* measured : cases) {
    const TimeResult& time = *measured->record.time;
    if (measured->record.point.layout.pp == 1 && is_known(time.other))
      others.push_back(time.other.summary.median);
  }
  std::sort(others.begin(), others.end());
  return others.empty() ? 0 : std::max(0.0, quantile_of_sorted(others, 0.5));
}

// The reason for which most was left out, and one file of it.
std::string most_left_out(const Evidence& evidence) {
  std::map<std::string, std::size_t> reasons;
  for (const LeftOut& left_out : evidence.left_out) ++reasons[left_out.why];
  const auto most = std::max_element(reasons.begin(), reasons.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == reasons.end()) return "";
  const auto one = std::find_if(evidence.left_out.begin(), evidence.left_out.end(),
                                [&](const LeftOut& left_out) { return left_out.why == most->first; });
  return fmt::format("; {} left out, most as {}: {}", evidence.left_out.size(), one->file, most->first);
}

std::vector<CheckedCase> check_degree(const Evidence& evidence, const Cases& cases, std::int64_t degree) {
  Cases out;
  const Cases kept = without(
      cases, [&](const MeasuredCase& measured) { return measured.record.point.layout.ranks() == degree; },
      out);
  if (kept.empty() || out.empty()) return {};
  return check_cases(fit_cases(evidence, kept), out);
}

}  // namespace

std::vector<CheckedCase> check_cases(const Calibration& calibration,
                                     std::span<const MeasuredCase* const> cases) {
  std::vector<CheckedCase> checked;
  for (const MeasuredCase* measured : cases) {
    CheckedCase one = {measured, std::nullopt, ""};
    try {
      const PredictedMachine machine = {measured->ranks_per_host(), {}};
      one.predicted = predict_case(calibration, measured->record.point, machine);
    } catch (const AdvisorError& error) {
      one.why_not = error.what();
    }
    checked.push_back(std::move(one));
  }
  return checked;
}

std::vector<CheckedCase> check_shapes(const Evidence& evidence, const Spread& spread) {
  constexpr std::size_t kMostParts = 10;
  const Cases cases = all_cases(evidence);
  std::map<std::string, std::size_t> shapes;
  for (const MeasuredCase* measured : cases) shapes.emplace(shape_key(*measured), 0);
  std::size_t number = 0;
  for (auto& [shape, part] : shapes) part = number++ % kMostParts;
  std::vector<CheckedCase> checked;
  for (std::size_t part = 0; part < std::min(kMostParts, shapes.size()); ++part) {
    Cases out;
    const Cases kept = without(
        cases, [&](const MeasuredCase& measured) { return shapes.at(shape_key(measured)) == part; }, out);
    if (kept.empty()) continue;
    Calibration of_kept = fit_cases(evidence, kept);
    of_kept.spread = spread;
    for (CheckedCase& one : check_cases(of_kept, out)) checked.push_back(std::move(one));
  }
  return checked;
}

Calibration fit_cases(const Evidence& evidence, std::span<const MeasuredCase* const> cases) {
  Calibration calibration;
  calibration.sources = evidence.sources;
  calibration.left_out = evidence.left_out;
  calibration.compute = fit_compute(work_points(cases), calibration.left_out);
  calibration.collectives = fit_collectives(cases, evidence.curves);
  calibration.boundaries = fit_boundaries(cases, evidence.curves);
  const Cases used(cases.begin(), cases.end());
  calibration.degrees = degrees_of(used);
  calibration.other_s_per_step = median_other(used);
  return calibration;
}

bool is_calibration(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  const Json document = Json::parse(read_text(path), nullptr, /*allow_exceptions=*/false);
  if (!document.is_object() || !document.contains("schema") || !document.at("schema").is_string())
    return false;
  return document.at("schema").get_ref<const std::string&>().starts_with("tpbench.calibration/");
}

Calibration read_calibration(const std::string& file) {
  const Json document = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) throw UsageError({Fault{file, "", "", "is not valid JSON"}});
  try {
    return calibration_from_json(document);
  } catch (const FieldFault& fault) {
    throw UsageError({Fault{file, fault.pointer, "", fault.rule}});
  }
}

Calibration calibrate(std::span<const std::string> paths) {
  const auto found = std::find_if(paths.begin(), paths.end(), is_calibration);
  if (found == paths.end()) return fit_calibration(read_evidence(paths));
  if (paths.size() > 1)
    throw UsageError({Fault{*found, "", "", "is a calibration, which stands for itself: give it alone"}});
  return read_calibration(*found);
}

Calibration fit_calibration(const Evidence& evidence) {
  const Cases cases = all_cases(evidence);
  Calibration calibration = fit_cases(evidence, cases);
  if (calibration.compute.empty() && calibration.collectives.empty() && calibration.boundaries.empty())
    throw AdvisorError(fmt::format(
        "too few measurements to fit anything: {} can be used{}. Measure at least two sizes at two degrees: "
        "mpirun -n 2 tpbench --config SWEEP.json --set batch_size=1,16 --set tp_degree=1,2",
        counted(evidence.cases.size(), "case"), most_left_out(evidence)));
  QuantityErrors(check_cases(calibration, cases)).put(calibration.errors, "nothing");
  const QuantityErrors of_shapes(check_shapes(evidence));
  of_shapes.put(calibration.errors, "its shape");
  Spread& spread = calibration.spread;
  constexpr double kAssumed = 0.25;
  spread.compute = nine_of_ten(of_shapes.compute.apart, kAssumed);
  spread.communication = nine_of_ten(of_shapes.communication.apart, kAssumed);
  spread.small_messages =
      nine_of_ten(of_shapes.small_messages.apart, std::max(kAssumed, spread.communication));
  const std::optional<double> launches = spread_of_launches(cases);
  spread.launches_measured = launches.has_value();
  spread.launches = launches.value_or(0.1);
  for (const std::int64_t degree : calibration.degrees) {
    const QuantityErrors of_degree(check_degree(evidence, cases, degree));
    of_degree.put(calibration.errors, fmt::format("degree {}", degree));
    if (degree == calibration.degrees.back() && calibration.degrees.size() > 1)
      spread.other_degrees = nine_of_ten(of_degree.step.apart, spread.other_degrees);
  }
  return calibration;
}

}  // namespace tpbench
