#include "report/prediction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"

namespace tpbench {
namespace {

// What a row of the table is of, whatever was asked.
struct ShownCase {
  std::string id;
  const Case* point = nullptr;
  std::optional<MeasuredTimes> measured;
  const PredictedCase* predicted = nullptr;
  std::string why_not;
};

std::vector<ShownCase> shown_cases(const Prediction& prediction) {
  std::vector<ShownCase> shown;
  for (const AnswerRow& row : prediction.rows)
    shown.push_back(
        {row.id, &row.point, row.measured, row.predicted ? &*row.predicted : nullptr, row.why_not});
  for (const CheckedCase& one : prediction.checked) {
    shown.push_back({one.measured->record.id, &one.measured->record.point,
                     measured_times(std::span(&one.measured, 1)), one.predicted ? &*one.predicted : nullptr,
                     one.why_not});
  }
  std::stable_sort(shown.begin(), shown.end(),
                   [](const ShownCase& a, const ShownCase& b) { return comes_before(*a.point, *b.point); });
  return shown;
}

using GetTime = Value (*)(const ShownCase&);

std::optional<double> of_predicted(const ShownCase& shown, double PredictedTime::*value,
                                   PredictedTime PredictedCase::*part) {
  if (shown.predicted == nullptr) return std::nullopt;
  return (shown.predicted->*part).*value;
}

Value number_of(const std::optional<double>& number, Kind kind) { return {number, kind}; }

template <auto part, auto value>
Value predicted(const ShownCase& shown) {
  return number_of(of_predicted(shown, value, part), Kind::seconds);
}

template <auto part>
Value range(const ShownCase& shown) {
  if (shown.predicted == nullptr) return {};
  const PredictedTime& time = shown.predicted->*part;
  return fmt::format("{} to {}", format_seconds(time.low_s), format_seconds(time.high_s));
}

std::string status_of(const ShownCase& shown) {
  if (shown.predicted != nullptr) return shown.predicted->extrapolated ? "extrapolated" : "predicted";
  return shown.why_not.empty() ? "measured" : "refused";
}

std::optional<double> error_of(const ShownCase& shown) {
  if (shown.predicted == nullptr || !shown.measured) return std::nullopt;
  return shown.predicted->step.median_s / shown.measured->step_s - 1;
}

std::string beyond_text(const ShownCase& shown) {
  std::vector<std::string> texts;
  for (const Beyond& beyond : shown.predicted->beyond) texts.push_back(beyond.text());
  return join_words(texts, ", ");
}

bool always_shown(const ShownCase&) { return true; }
bool is_predicted(const ShownCase& shown) { return shown.predicted != nullptr; }
bool is_piped(const ShownCase& shown) { return shown.point->layout.pp > 1; }
bool is_both(const ShownCase& shown) { return error_of(shown).has_value(); }
bool never_shown(const ShownCase&) { return false; }

// Adding a column is a row here.
struct PredictionColumn {
  const char* heading;
  const char* key;
  Align align;
  Value (*get)(const ShownCase&);
  bool (*concerns)(const ShownCase&);  ///< people see it where it concerns one of the cases
};

// People see one step, that of the row's own kind; programs see all.
Value step_of(const ShownCase& shown) {
  if (shown.predicted != nullptr) return {shown.predicted->step.median_s, Kind::seconds};
  return shown.measured ? Value(shown.measured->step_s, Kind::seconds) : Value();
}
Value compute_of(const ShownCase& shown) {
  if (shown.predicted != nullptr) return {shown.predicted->compute.median_s, Kind::seconds};
  return shown.measured ? Value(shown.measured->compute_s, Kind::seconds) : Value();
}
Value communication_of(const ShownCase& shown) {
  if (shown.predicted != nullptr) return {shown.predicted->communication.median_s, Kind::seconds};
  return shown.measured ? Value(shown.measured->communication_s, Kind::seconds) : Value();
}

template <auto part, auto measured>
Value of_pipeline(const ShownCase& shown) {
  if (shown.predicted != nullptr) return {(shown.predicted->*part).median_s, Kind::seconds};
  return shown.measured ? number_of((*shown.measured).*measured, Kind::seconds) : Value();
}
Value predicted_bubble(const ShownCase& shown) {
  return shown.predicted == nullptr || !is_piped(shown) ? Value()
                                                        : Value(shown.predicted->bubble, Kind::share);
}
Value measured_bubble(const ShownCase& shown) {
  return shown.measured ? number_of(shown.measured->bubble, Kind::share) : Value();
}
Value bubble_of(const ShownCase& shown) {
  return shown.predicted != nullptr ? predicted_bubble(shown) : measured_bubble(shown);
}
template <auto part>
Value measured_part(const ShownCase& shown) {
  return shown.measured ? number_of((*shown.measured).*part, Kind::seconds) : Value();
}

using P = PredictedCase;
using M = MeasuredTimes;
using T = PredictedTime;
constexpr PredictionColumn kPredictionColumns[] = {
    {"", "status", Align::left, [](const ShownCase& s) { return Value(status_of(s)); }, always_shown},
    {"step", "", Align::right, step_of, always_shown},
    {"9 of 10 within", "", Align::left, range<&P::step>, is_predicted},
    {"compute", "", Align::right, compute_of, always_shown},
    {"comm", "", Align::right, communication_of, always_shown},
    {"", "step_s", Align::right, predicted<&P::step, &T::median_s>, never_shown},
    {"", "step_low_s", Align::right, predicted<&P::step, &T::low_s>, never_shown},
    {"", "step_high_s", Align::right, predicted<&P::step, &T::high_s>, never_shown},
    {"", "compute_s", Align::right, predicted<&P::compute, &T::median_s>, never_shown},
    {"", "compute_low_s", Align::right, predicted<&P::compute, &T::low_s>, never_shown},
    {"", "compute_high_s", Align::right, predicted<&P::compute, &T::high_s>, never_shown},
    {"", "communication_s", Align::right, predicted<&P::communication, &T::median_s>, never_shown},
    {"", "communication_low_s", Align::right, predicted<&P::communication, &T::low_s>, never_shown},
    {"", "communication_high_s", Align::right, predicted<&P::communication, &T::high_s>, never_shown},
    {"boundary", "", Align::right, of_pipeline<&P::boundary, &M::boundary_s>, is_piped},
    {"waiting", "", Align::right, of_pipeline<&P::waiting, &M::waiting_s>, is_piped},
    {"bubble", "", Align::right, bubble_of, is_piped},
    {"", "boundary_s", Align::right, predicted<&P::boundary, &T::median_s>, never_shown},
    {"", "waiting_s", Align::right, predicted<&P::waiting, &T::median_s>, never_shown},
    {"", "bubble", Align::right, predicted_bubble, never_shown},
    {"most in", "dominant", Align::left,
     [](const ShownCase& s) { return s.predicted == nullptr ? Value() : Value(s.predicted->dominant); },
     is_predicted},
    {"", "crosses_hosts", Align::left,
     [](const ShownCase& s) { return s.predicted == nullptr ? Value() : Value(s.predicted->crosses_hosts); },
     never_shown},
    {"measured", "measured_step_s", Align::right,
     [](const ShownCase& s) { return s.measured ? Value(s.measured->step_s, Kind::seconds) : Value(); },
     is_both},
    {"", "measured_compute_s", Align::right,
     [](const ShownCase& s) { return s.measured ? Value(s.measured->compute_s, Kind::seconds) : Value(); },
     never_shown},
    {"", "measured_communication_s", Align::right, measured_part<&M::communication_s>, never_shown},
    {"", "measured_boundary_s", Align::right, measured_part<&M::boundary_s>, never_shown},
    {"", "measured_waiting_s", Align::right, measured_part<&M::waiting_s>, never_shown},
    {"", "measured_bubble", Align::right, measured_bubble, never_shown},
    {"error", "step_error", Align::right,
     [](const ShownCase& s) { return number_of(error_of(s), Kind::small_share); }, is_both},
    {"within", "within", Align::left,
     [](const ShownCase& s) {
       if (!is_both(s)) return Value();
       const double step_s = s.measured->step_s;
       const PredictedTime& time = s.predicted->step;
       return Value(step_s >= time.low_s && step_s <= time.high_s ? "yes" : "no");
     },
     is_both},
    {"beyond", "beyond", Align::left,
     [](const ShownCase& s) {
       return s.predicted == nullptr || s.predicted->beyond.empty() ? Value() : Value(beyond_text(s));
     },
     [](const ShownCase& s) { return s.predicted != nullptr && s.predicted->extrapolated; }},
    {"", "reason", Align::left,
     [](const ShownCase& s) { return s.why_not.empty() ? Value() : Value(s.why_not); }, never_shown},
};

Section prediction_table(const std::vector<ShownCase>& shown) {
  std::vector<Case> cases;
  for (const ShownCase& one : shown) cases.push_back(*one.point);
  Section table;
  table.columns = {{.heading = "", .key = "id", .is_shown = false}};
  const std::vector<const CaseField*> axes = varying_fields(cases);
  for (const CaseField* axis : axes) {
    table.columns.push_back(axis_column(*axis, cases.front()));
    table.columns.back().key = "";
  }
  for (const CaseField& field : case_fields())
    table.columns.push_back({.key = std::string(field.key), .group = "case", .is_shown = false});
  for (const PredictionColumn& column : kPredictionColumns) {
    const bool is_shown = std::any_of(shown.begin(), shown.end(), column.concerns);
    if (std::string_view(column.key) == "status") table.rest_from = table.columns.size() + 1;
    table.columns.push_back(
        {.heading = column.heading, .align = column.align, .key = column.key, .is_shown = is_shown});
  }
  for (const ShownCase& one : shown) {
    Section::Row row = {{one.id}, one.predicted == nullptr ? one.why_not : ""};
    for (const CaseField* axis : axes) row.cells.push_back(axis_value(*axis, *one.point));
    for (const CaseField& field : case_fields()) row.cells.push_back(axis_value(field, *one.point));
    for (const PredictionColumn& column : kPredictionColumns) row.cells.push_back(column.get(one));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Section error_table(const Calibration& calibration) {
  Section table = {.title = "Predictions of what was measured, |predicted - measured| / measured",
                   .columns = {{.heading = "of", .key = "quantity"},
                               {.heading = "by a fit without", .key = "left_out"},
                               {.heading = "cases", .align = Align::right, .key = "cases"},
                               {.heading = "median", .align = Align::right, .key = "median"},
                               {.heading = "largest", .align = Align::right, .key = "largest"}}};
  for (const PredictionError& error : calibration.errors)
    table.rows.push_back({{error.quantity, error.left_out, error.cases,
                           Value(error.median, Kind::small_share), Value(error.largest, Kind::small_share)}});
  return table;
}

std::vector<Section> prediction_sections(const Prediction& prediction) {
  const std::vector<ShownCase> shown = shown_cases(prediction);
  std::vector<Case> cases;
  for (const ShownCase& one : shown) cases.push_back(*one.point);
  std::vector<Section> sections = {{.sentences = prediction_sentences(prediction)}};
  if (!shown.empty()) {
    sections.push_back({.sentences = {shared_fields(cases)}});
    sections.push_back(prediction_table(shown));
  }
  if (!prediction.calibration.errors.empty()) sections.push_back(error_table(prediction.calibration));
  if (const auto sentences = left_out_sentences(prediction.calibration); !sentences.empty())
    sections.push_back({.title = "Left out", .sentences = sentences});
  return sections;
}

Json prediction_json(const Prediction& prediction) {
  const Json calibration = calibration_to_json(prediction.calibration);
  const std::vector<ShownCase> shown = shown_cases(prediction);
  return {
      {"schema", "tpbench.prediction/1"},
      {"summary", prediction_sentences(prediction)},
      {"ranks_per_host",
       prediction.machine.ranks_per_host == 0 ? Json(nullptr) : Json(prediction.machine.ranks_per_host)},
      {"fabric",
       {{"inside", prediction.machine.fabric.inside ? Json(prediction.machine.fabric.inside->name) : Json()},
        {"between",
         prediction.machine.fabric.between ? Json(prediction.machine.fabric.between->name) : Json()}}},
      {"checked_with", prediction.checked.empty() ? Json() : Json(prediction.checked_with)},
      {"cases", shown.empty() ? Json::array() : to_json(prediction_table(shown))},
      {"sources", calibration.at("sources")},
      {"spread", calibration.at("spread")},
      {"errors", calibration.at("errors")},
      {"left_out", calibration.at("left_out")}};
}

}  // namespace

std::string render_prediction(CompareFormat format, const Prediction& prediction) {
  switch (format) {
    case CompareFormat::table:
      return to_text(prediction_sections(prediction));
    case CompareFormat::markdown:
      return to_markdown(prediction_sections(prediction));
    case CompareFormat::json:
      return prediction_json(prediction).dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
    case CompareFormat::csv: {
      const std::vector<ShownCase> shown = shown_cases(prediction);
      return shown.empty() ? "" : to_csv(prediction_table(shown));
    }
    case CompareFormat::none:
      return "";
  }
  throw std::logic_error("render_prediction: unknown format");
}

}  // namespace tpbench
