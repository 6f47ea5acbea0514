// Collectives by their size, samples over time, and folders side by side.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "advisor/alpha_beta.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/compare_render.hpp"
#include "report/comparison.hpp"
#include "report/page_series.hpp"

namespace tpbench {
namespace {

// ---- collectives

struct CollectiveCurve {
  std::string name;
  std::map<std::int64_t, std::vector<double>> seconds;  // of one call, by bytes
};

// By operation; curves in the order in which their cases stand.
std::map<std::string, std::vector<CollectiveCurve>> collective_curves(std::span<const NamedSet> sets) {
  std::map<std::string, std::vector<CollectiveCurve>> by_op;
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) {
      if (!is_timed(record)) continue;
      for (const CollectiveResult& collective : record.collectives) {
        if (!collective.algbw_gb_per_s || *collective.algbw_gb_per_s <= 0 || collective.bytes <= 0) continue;
        std::vector<CollectiveCurve>& curves = by_op[std::string(name_of(collective.op))];
        std::string name =
            fmt::format("{} ranks, {}", collective.ranks, record.point.algorithm.value_or("-"));
        if (sets.size() > 1) name = named.name + ", " + name;
        auto curve =
            std::find_if(curves.begin(), curves.end(), [&](const auto& c) { return c.name == name; });
        if (curve == curves.end()) curve = curves.insert(curves.end(), CollectiveCurve{name, {}});
        curve->seconds[collective.bytes].push_back(static_cast<double>(collective.bytes) /
                                                   (*collective.algbw_gb_per_s * 1e9));
      }
    }
  }
  return by_op;
}

double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : std::sqrt(values[half - 1] * values[half]);
}

std::string rate_text(const AlphaBeta& model) {
  const std::string alpha = format_seconds(model.alpha_s);
  if (model.beta_s_per_byte <= 0) return alpha;
  return fmt::format("{} + bytes / ({}/s)", alpha, format_bytes(1 / model.beta_s_per_byte));
}

std::string fit_words(const CollectiveCurve& curve, std::span<const CostPiece> pieces) {
  std::vector<std::string> parts;
  for (const CostPiece& piece : pieces)
    parts.push_back(fmt::format("{} to {}: {} (median deviation {})",
                                text_of({piece.from_bytes, Kind::bytes}),
                                text_of({piece.to_bytes, Kind::bytes}), rate_text(piece.model),
                                format_percent(piece.model.median_deviation)));
  return curve.name + ": " + join_words(parts, "; ") + ".";
}

Figure collective_figure(const std::string& op, const std::vector<CollectiveCurve>& curves,
                         Section& section) {
  constexpr std::size_t kMostCurves = 10, kMostPieces = 3;
  LineChart chart = {.x = {"message, whole array", Kind::bytes, true},
                     .y = {"time of one call", Kind::seconds, true}};
  std::size_t shown = 0;
  for (const CollectiveCurve& curve : curves) {
    if (curve.seconds.size() < 2 || shown == kMostCurves) continue;
    Curve measured = {curve.name, shown, Curve::Line::none, true, {}};
    std::vector<TimedSize> points;
    for (const auto& [bytes, seconds] : curve.seconds) {
      points.push_back({bytes, middle_of(seconds)});
      measured.marks.push_back({static_cast<double>(bytes), points.back().seconds, {}});
      section.rows.push_back(
          {{op, curve.name, Value(bytes, Kind::bytes), Value(points.back().seconds, Kind::seconds)}});
    }
    if (points.size() >= kFewestPoints) {
      const std::vector<CostPiece> pieces = fit_by_search(points, kMostPieces);
      section.notes.push_back(op + ", " + fit_words(curve, pieces));
      Curve fit = {"fit", shown, Curve::Line::dashed, false, {}};
      for (const TimedSize& point : points)
        fit.marks.push_back({static_cast<double>(point.bytes), cost_s(pieces, point.bytes), {}});
      fit.name = curve.name + ": fit";
      chart.curves.push_back(std::move(fit));
    }
    chart.curves.push_back(std::move(measured));
    ++shown;
  }
  return {op,
          "Median time from the last rank's start to the last one's end, by size; dashed: start-up time plus "
          "bytes over bandwidth, piece by piece.",
          std::move(chart)};
}

bool has_sizes(const std::vector<CollectiveCurve>& curves) {
  return std::any_of(curves.begin(), curves.end(),
                     [](const auto& curve) { return curve.seconds.size() > 1; });
}

// ---- samples

// How wide the interval of the step is against its median; without one infinitely so.
double relative_width(const Record& record) {
  const Summary& step = record.time->step.summary;
  return step.ci95 && step.median > 0 ? ((*step.ci95)[1] - (*step.ci95)[0]) / step.median : HUGE_VAL;
}

constexpr const char* kAskForALook[] = {"not_converged",  "machine_drift", "moved_cores",
                                        "busy_neighbour", "throttled_cpu", "slow_rank",
                                        "imbalance",      "unexplained",   "late_starts"};

std::string flags_of(const Record& record) {
  std::vector<std::string> codes;
  for (const Warning& warning : record.warnings) {
    if (std::find(std::begin(kAskForALook), std::end(kAskForALook), warning.code) != std::end(kAskForALook))
      codes.push_back(warning.code);
  }
  return join_words(codes);
}

Figure samples_figure(const NamedSet& named, const Record& record, bool several) {
  constexpr std::size_t kMostDots = 500;
  const std::vector<double>& samples = record.time->step.samples_s;
  const std::size_t every = (samples.size() + kMostDots - 1) / kMostDots;
  Curve dots = {"sample", 0, Curve::Line::none, true, {}};
  for (std::size_t i = 0; i < samples.size(); i += std::max<std::size_t>(1, every))
    dots.marks.push_back({static_cast<double>(i + 1), samples[i], {}});
  const double median = record.time->step.summary.median;
  Curve line = {
      "median",
      {},
      Curve::Line::dashed,
      false,
      {{1, median, {}}, {static_cast<double>(std::max<std::size_t>(2, samples.size())), median, {}}}};
  const Summary& step = record.time->step.summary;
  return {(several ? named.name + ": " : "") + record.id,
          fmt::format("{}. {} samples of {} epochs{}: median {}, {} to {}.", flags_of(record), samples.size(),
                      record.epochs_done, every > 1 ? fmt::format(", every {}th drawn", every) : "",
                      format_seconds(median), format_seconds(step.min), format_seconds(step.max)),
          LineChart{.x = {"sample", Kind::plain},
                    .y = {"step", Kind::seconds},
                    .curves = {std::move(line), std::move(dots)}}};
}

// ---- folders

// What the first folder's cases are against another's; empty where no case is in common.
std::optional<Comparison> compared_with_first(std::span<const NamedSet> sets, std::size_t i) {
  try {
    return compare(*sets[0].set, *sets[i].set);
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

}  // namespace

Section collectives_section(std::span<const NamedSet> sets) {
  Section section;
  section.columns = {{"collective", Align::left},
                     {"ranks, algorithm", Align::left},
                     {"bytes", Align::right},
                     {"time", Align::right}};
  for (const auto& [op, curves] : collective_curves(sets)) {
    if (has_sizes(curves)) section.figures.push_back(collective_figure(op, curves, section));
  }
  if (section.figures.empty()) return {};
  section.title = "Collectives";
  section.is_folded = true;
  return section;
}

Section samples_section(std::span<const NamedSet> sets) {
  constexpr std::size_t kMost = 6;
  std::vector<std::pair<const NamedSet*, const Record*>> flagged;
  for (const NamedSet& named : sets) {
    for (const Record& record : named.set->records) {
      if (is_timed(record) && !flags_of(record).empty() && record.time->step.samples_s.size() > 1)
        flagged.emplace_back(&named, &record);
    }
  }
  if (flagged.empty()) return {};
  std::stable_sort(flagged.begin(), flagged.end(), [](const auto& a, const auto& b) {
    return relative_width(*a.second) > relative_width(*b.second);
  });
  Section section;
  section.title = "Samples over time";
  section.sentences = {fmt::format(
      "{} {} warnings that ask for a look{}.", counted(flagged.size(), "case"),
      flagged.size() == 1 ? "has" : "have",
      flagged.size() > kMost ? fmt::format("; the {} with the widest intervals are drawn", kMost) : "")};
  section.columns = {{"case", Align::left}, {"median", Align::right}, {"min", Align::right},
                     {"p95", Align::right}, {"max", Align::right},    {"samples", Align::right}};
  for (std::size_t i = 0; i < flagged.size() && i < kMost; ++i) {
    const auto& [named, record] = flagged[i];
    section.figures.push_back(samples_figure(*named, *record, sets.size() > 1));
    const Summary& step = record->time->step.summary;
    section.rows.push_back({{record->id, Value(step.median, Kind::seconds), Value(step.min, Kind::seconds),
                             Value(step.p95, Kind::seconds), Value(step.max, Kind::seconds), step.samples}});
  }
  section.is_folded = true;
  return section;
}

std::vector<std::string> fabric_sentences(std::span<const NamedSet> sets) {
  std::vector<std::string> sentences;
  for (std::size_t i = 1; i < sets.size(); ++i) {
    const auto comparison = compared_with_first(sets, i);
    sentences.push_back(comparison
                            ? outcome_sentence(*comparison, sets[0].name, sets[i].name)
                            : fmt::format("{} has no case in common with {}.", sets[i].name, sets[0].name));
  }
  return sentences;
}

std::vector<Section> fabrics_sections(std::span<const NamedSet> sets, std::span<const PageSeries> series) {
  Section useful;
  useful.title = "Folders side by side";
  useful.columns = {{"workload and shape", Align::left}};
  for (const NamedSet& named : sets) {
    useful.columns.push_back({named.name + ": fastest", Align::left});
    useful.columns.push_back({"step", Align::right});
    useful.columns.push_back({"useful up to", Align::left});
  }
  for (const PageSeries& one : series) {
    Section::Row row = {{Value(one.name)}};
    for (const PageSeries::InSet& in : one.in) {
      const UsefulDegree* verdict = in.verdict;
      const bool has_one = verdict != nullptr && verdict->fastest.has_value();
      row.cells.push_back(has_one ? Value(verdict->fastest_name) : Value());
      row.cells.push_back(has_one ? Value(verdict->fastest_step_s, Kind::seconds) : Value());
      row.cells.push_back(has_one && verdict->degree
                              ? Value(fmt::format("{} ({:.2f})", verdict->degree_name, *verdict->efficiency))
                              : Value());
    }
    useful.rows.push_back(std::move(row));
  }
  Section means;
  means.title = "Against " + sets[0].name;
  means.is_below = true;
  means.columns = {{"folder", Align::left},           {"quantity", Align::left},
                   {"geometric mean", Align::right},  {"cases", Align::right},
                   {"slower", Align::right},          {"faster", Align::right},
                   {"shows in 9 of 10", Align::right}};
  for (std::size_t i = 1; i < sets.size(); ++i) {
    const auto comparison = compared_with_first(sets, i);
    if (!comparison) continue;
    for (std::size_t q = 0; q < kComparedQuantities.size(); ++q) {
      const QuantitySummary& summary = comparison->summaries[q];
      means.rows.push_back({{sets[i].name,
                             kComparedQuantities[q].name,
                             {summary.geometric_mean, Kind::ratio},
                             summary.ratios,
                             summary.slower,
                             summary.faster,
                             {summary.detectable, Kind::small_share}}});
    }
    means.notes.push_back(sets[i].name + ": " + visibility_sentence(*comparison));
    for (const std::string& alarm : comparison->alarms) means.notes.push_back(alarm);
  }
  if (means.rows.empty()) return {std::move(useful)};
  return {std::move(useful), std::move(means)};
}

}  // namespace tpbench
