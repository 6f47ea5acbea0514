// A prediction as sentences: what somebody reads who reads one line.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/prediction.hpp"

namespace tpbench {
namespace {

std::string share(double value) { return fmt::format("{:.{}f} %", value * 100, value < 0.1 ? 1 : 0); }

std::string range_words(const PredictedTime& time) {
  return fmt::format("{} ({} to {})", format_seconds(time.median_s), format_seconds(time.low_s),
                     format_seconds(time.high_s));
}

double step_of_row(const AnswerRow& row) {
  return row.predicted ? row.predicted->step.median_s : row.measured->step_s;
}

// "row_linear, batch 16"
std::string shape_words(const Case& point, std::span<const CaseField* const> axes) {
  std::string text = point.workload;
  for (const CaseField* axis : axes) {
    if (axis->key != "workload" && axis->key != "tp_degree" && !axis->get(point).is_null())
      text += fmt::format(", {} {}", axis->title, field_text(*axis, point));
  }
  return text;
}

using RowSeries = std::vector<const AnswerRow*>;

// One layer at all of its degrees: the largest that was foretold, and the fastest of all where it is another.
std::string series_sentence(const std::string& shape, const RowSeries& series) {
  const AnswerRow* most = nullptr;
  const AnswerRow* fastest = nullptr;
  for (const AnswerRow* row : series) {
    if (row->predicted && (most == nullptr || most->point.layout.ranks() < row->point.layout.ranks()))
      most = row;
    if ((row->predicted || row->measured) &&
        (fastest == nullptr || step_of_row(*row) < step_of_row(*fastest)))
      fastest = row;
  }
  const PredictedCase& predicted = *most->predicted;
  std::string text = fmt::format("{}: {} takes {}, most of it in {}", shape, most->point.layout.title(),
                                 range_words(predicted.step), predicted.dominant);
  if (predicted.crosses_hosts) text += "; its collectives cross hosts";
  if (predicted.extrapolated) text += fmt::format("; extrapolated: {}", predicted.beyond.front().text());
  if (fastest != most)
    text += fmt::format("; {} is faster, {} {}", fastest->point.layout.title(),
                        format_seconds(step_of_row(*fastest)), fastest->predicted ? "predicted" : "measured");
  return text + '.';
}

void add_series(const Prediction& prediction, std::vector<std::string>& sentences) {
  constexpr std::size_t kMostSeries = 6;
  std::vector<Case> cases;
  for (const AnswerRow& row : prediction.rows) cases.push_back(row.point);
  const std::vector<const CaseField*> axes = varying_fields(cases);
  std::map<std::string, RowSeries> series;
  std::vector<std::string> order;
  for (const AnswerRow& row : prediction.rows) {
    const std::string shape = shape_words(row.point, axes);
    if (!series.contains(shape)) order.push_back(shape);
    series[shape].push_back(&row);
  }
  // Layers are what is asked for; probes of the fabric speak where there is nothing else.
  const bool has_layers =
      std::any_of(prediction.rows.begin(), prediction.rows.end(),
                  [](const AnswerRow& row) { return !probes_fabric(row.point.workload); });
  std::size_t said = 0, more = 0;
  for (const std::string& shape : order) {
    const RowSeries& of_shape = series[shape];
    if (has_layers && probes_fabric(of_shape.front()->point.workload)) continue;
    if (std::none_of(of_shape.begin(), of_shape.end(), [](const AnswerRow* row) { return row->predicted; }))
      continue;
    if (said++ < kMostSeries)
      sentences.push_back(series_sentence(shape, of_shape));
    else
      ++more;
  }
  if (more > 0) sentences.push_back(fmt::format("{} more in the table.", counted(more, "layer")));
  std::map<std::string, std::size_t> refused;
  for (const AnswerRow& row : prediction.rows) {
    if (!row.why_not.empty()) ++refused[row.why_not];
  }
  for (const auto& [why, count] : refused)
    sentences.push_back(fmt::format("Not predicted, {}: {}.", counted(count, "case"), why));
}

void add_check(const Prediction& prediction, std::vector<std::string>& sentences) {
  std::vector<double> errors;
  std::size_t within = 0;
  for (const CheckedCase& one : prediction.checked) {
    if (!one.predicted || one.predicted->compute.median_s + one.predicted->communication.median_s == 0)
      continue;
    const double measured_s = one.measured->record.time->step.summary.median;
    const PredictedTime& step = one.predicted->step;
    errors.push_back(std::abs(step.median_s / measured_s - 1));
    within += measured_s >= step.low_s && measured_s <= step.high_s ? 1 : 0;
  }
  if (errors.empty()) {
    sentences.push_back("Nothing could be checked: no case is predicted by the rest.");
    return;
  }
  std::sort(errors.begin(), errors.end());
  sentences.push_back(fmt::format(
      "{} by {}: the step is off by {} (median) and {} at most; {} of {} lie within their range ({}).",
      counted(errors.size(), "case"), prediction.checked_with, share(quantile_of_sorted(errors, 0.5)),
      share(errors.back()), within, errors.size(),
      share(static_cast<double>(within) / static_cast<double>(errors.size()))));
  if (errors.size() < prediction.checked.size())
    sentences.push_back(fmt::format("{} could not be predicted by the rest; the table says why.",
                                    counted(prediction.checked.size() - errors.size(), "case")));
}

// What a fit is worth, from what was left out of it.
void add_trust(const Calibration& calibration, std::vector<std::string>& sentences) {
  const auto error_of = [&](const std::string& left_out) -> const PredictionError* {
    for (const PredictionError& error : calibration.errors) {
      if (error.quantity == "step" && error.left_out == left_out) return &error;
    }
    return nullptr;
  };
  std::string text;
  if (const PredictionError* shapes = error_of("its shape"))
    text = fmt::format("Steps of shapes that the fit has not seen are off by {} (median) and {} at most",
                       share(shapes->median), share(shapes->largest));
  if (!calibration.degrees.empty()) {
    const std::int64_t last = calibration.degrees.back();
    if (const PredictionError* degree = error_of(fmt::format("degree {}", last)))
      text += fmt::format("{} {} that it has not seen by {} and {}", text.empty() ? "Steps on" : ", those on",
                          counted(static_cast<std::size_t>(last), "rank"), share(degree->median),
                          share(degree->largest));
  }
  if (!text.empty()) sentences.push_back(text + '.');
  const Spread& spread = calibration.spread;
  sentences.push_back(fmt::format(
      "Ranges are to hold 9 of 10 launches: launches differ by {}, {}.", share(spread.launches),
      spread.launches_measured ? "as the folders show"
                               : "an assumption, as each case was launched once: give several folders"));
}

// What the numbers rest on that nobody typed.
void add_assumptions(const Prediction& prediction, std::vector<std::string>& sentences) {
  std::int64_t ranks = 0, cores = 0;
  for (const AnswerRow& row : prediction.rows) {
    if (row.predicted) ranks = std::max(ranks, row.point.layout.ranks());
  }
  for (const CalibrationSource& source : prediction.calibration.sources)
    cores = std::max(cores, source.cores_per_host);
  const std::int64_t per_host = prediction.machine.ranks_per_host;
  const std::int64_t on_host = per_host == 0 ? ranks : std::min(ranks, per_host);
  if (per_host == 0 && ranks > 1)
    sentences.push_back(fmt::format(
        "All ranks are taken to be on one host{}.",
        cores > 0 && on_host > cores
            ? fmt::format(" with a core for each; the measured one has {}: --ranks-per-host {} spreads them",
                          cores, cores)
            : "; --ranks-per-host K spreads them"));
  std::set<std::int64_t> crowds;
  for (const ComputeFit& fit : prediction.calibration.compute) {
    for (const Crowding& crowding : fit.crowding) crowds.insert(crowding.ranks_per_host);
  }
  if (!crowds.empty() && on_host > *crowds.rbegin())
    sentences.push_back(fmt::format(
        "Nothing was measured with more than {} computing on a host: that {} slow each other no more is an "
        "assumption.",
        counted(static_cast<std::size_t>(*crowds.rbegin()), "rank"), on_host));
}

// The one measurement that would tell most: of what lies furthest beyond, else another launch.
void add_next(const Prediction& prediction, std::vector<std::string>& sentences) {
  const Beyond* furthest = nullptr;
  const AnswerRow* of_row = nullptr;
  bool asks_degree = false;
  const std::vector<std::int64_t>& degrees = prediction.calibration.degrees;
  for (const AnswerRow& row : prediction.rows) {
    if (!row.predicted) continue;
    const std::int64_t ranks = row.point.layout.ranks();
    if (of_row == nullptr || of_row->point.layout.ranks() < ranks) of_row = &row;
    asks_degree = asks_degree || std::find(degrees.begin(), degrees.end(), ranks) == degrees.end();
    for (const Beyond& beyond : row.predicted->beyond) {
      if (furthest == nullptr ||
          furthest->measured.beyond(furthest->value) < beyond.measured.beyond(beyond.value))
        furthest = &beyond;
    }
  }
  if (of_row == nullptr) return;
  const Case& point = of_row->point;
  std::string what;
  if (furthest != nullptr && furthest->what == BeyondWhat::bytes)
    what = fmt::format("tpbench probe --max-bytes {}", static_cast<std::int64_t>(furthest->value));
  else if (furthest != nullptr && furthest->what == BeyondWhat::tokens)
    what = fmt::format("a case of {:.0f} tokens, at TP 1 and 2", furthest->value);
  else if (furthest != nullptr && furthest->what == BeyondWhat::width)
    what = fmt::format("a case whose weights are {:.0f} wide on a rank, at TP 1 and 2", furthest->value);
  else if (furthest != nullptr && furthest->what == BeyondWhat::operation)
    what = "the collectives of these cases themselves, at one degree";
  else if (asks_degree)
    what = fmt::format("workload all_reduce at as many ranks as there are, {} or nearest to it",
                       point.layout.tp);
  else if (!prediction.calibration.spread.launches_measured)
    what = "the same sweep once more, into another folder";
  if (!what.empty()) sentences.push_back(fmt::format("Measure next: {}.", what));
}

}  // namespace

std::vector<std::string> prediction_sentences(const Prediction& prediction) {
  std::vector<std::string> sentences;
  if (!prediction.checked.empty()) add_check(prediction, sentences);
  add_series(prediction, sentences);
  add_trust(prediction.calibration, sentences);
  add_assumptions(prediction, sentences);
  add_next(prediction, sentences);
  return sentences;
}

std::vector<std::string> trust_sentences(const Calibration& calibration) {
  std::vector<std::string> sentences;
  add_trust(calibration, sentences);
  return sentences;
}

std::vector<std::string> left_out_sentences(const Calibration& calibration) {
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> files;  // by key and reason
  for (const LeftOut& left_out : calibration.left_out)
    files[{left_out.key, left_out.why}].push_back(left_out.file);
  std::vector<std::string> sentences;
  for (const auto& [why, of_reason] : files) {
    const std::string where = why.first.empty() ? "" : " " + why.first;
    sentences.push_back(fmt::format(
        "{}{}{}: {}", of_reason.front(), where,
        of_reason.size() > 1 ? fmt::format(" and {} more", of_reason.size() - 1) : "", why.second));
  }
  return sentences;
}

}  // namespace tpbench
