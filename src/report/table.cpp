#include "report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/axes.hpp"
#include "report/best_split.hpp"
#include "report/useful_degree.hpp"

namespace tpbench {
namespace {

Value median_value(const Quantity& quantity) {
  return is_known(quantity) ? Value(quantity.summary.median, Kind::seconds) : Value();
}

bool is_fabric_probe(const Record& record) { return probes_fabric(record.point.workload); }
// A probe of the fabric divides no work between ranks: it has no speed-up.
bool divides_work(const Record& record) { return !is_fabric_probe(record); }

// The collective of a step that has one kind of it, where it was timed by itself.
const CollectiveResult* only_measured_collective(const Record& record) {
  const bool is_one = record.collectives.size() == 1 && record.collectives.front().busbw_gb_per_s;
  return is_one ? &record.collectives.front() : nullptr;
}

// `but` those that every case has: they stand below the table once.
std::string warning_codes(const Record& record, const std::set<std::string>& but) {
  std::string text;
  for (const Warning& warning : record.warnings) {
    if (!but.contains(warning.code)) text += (text.empty() ? "" : ",") + warning.code;
  }
  return text;
}

// Codes that all of several cases that are ok have.
std::set<std::string> common_codes(std::span<const Record* const> records) {
  std::map<std::string, std::size_t> cases;
  std::size_t timed = 0;
  for (const Record* record : records) {
    if (!is_timed(*record)) continue;
    ++timed;
    for (const Warning& warning : record->warnings) ++cases[warning.code];
  }
  std::set<std::string> codes;
  for (const auto& [code, count] : cases) {
    if (count == timed && timed > 1) codes.insert(code);
  }
  return codes;
}

// What late ranks make others wait, where it is a part of the step that a reader must know of.
const Quantity& waiting_of(const Record& record) {
  return is_known(record.time->imbalance) ? record.time->imbalance : record.time->wait;
}
bool waits_long(const Record& record) {
  constexpr double kMatters = 0.1;
  return is_timed(record) && is_known(waiting_of(record)) &&
         waiting_of(record).summary.median > kMatters * record.time->step.summary.median;
}

bool is_a_layer(const Record& record) { return !is_fabric_probe(record); }
bool is_any(const Record&) { return true; }
bool has_stages(const Record& record) { return record.point.layout.pp > 1; }

// What the record has, and of a workload that may have stages the same on one stage in one microbatch: the
// verdict compares with it.
std::optional<double> tokens_per_s(const Record& record) {
  const Workload* workload = find_workload(record.point.workload);
  if (workload == nullptr || !workload->uses.stages) return record.tokens_per_s();
  return static_cast<double>(record.point.tokens()) / record.time->step.summary.median;
}

// The columns behind the axes, for a case that is ok: adding one is a row here.
struct ResultColumn {
  const char* heading;
  Value (*get)(const Record&);
  bool (*concerns)(const Record&) = is_any;  ///< the column is there when it concerns one of the cases
};

constexpr ResultColumn kResultColumns[] = {
    {"bytes/call",
     [](const Record& r) {
       const CollectiveResult* collective = only_measured_collective(r);
       return collective ? Value(collective->bytes, Kind::bytes) : Value();
     },
     is_fabric_probe},
    {"busbw",
     [](const Record& r) {
       const CollectiveResult* collective = only_measured_collective(r);
       return collective ? Value(*collective->busbw_gb_per_s * 1e9, Kind::bytes_per_s) : Value();
     },
     is_fabric_probe},
    {"mem/rank", [](const Record& r) { return r.memory ? Value(r.memory->peak, Kind::bytes) : Value(); }},
    {"compute", [](const Record& r) { return median_value(r.time->compute); }, is_a_layer},
    {"comm", [](const Record& r) { return median_value(r.time->communication); }},
    {"messages", [](const Record& r) { return median_value(r.time->boundary); }, has_stages},
    {"wait", [](const Record& r) { return median_value(waiting_of(r)); }, waits_long},
    {"step",
     [](const Record& r) {
       const Summary& step = r.time->step.summary;
       return Value(step.median, Kind::seconds, step.ci95);
     }},
    {"tokens/s",
     [](const Record& r) {
       const std::optional<double> rate = tokens_per_s(r);
       return Value(rate, Kind::ratio);
     },
     [](const Record& r) { return r.tokens_per_s().has_value(); }},
    {"bubble", [](const Record& r) { return r.pipeline ? Value(r.pipeline->bubble, Kind::share) : Value(); },
     has_stages},
    {"speed-up",
     [](const Record& r) { return divides_work(r) ? Value(r.scaling.speedup, Kind::hundredths) : Value(); },
     is_a_layer},
    {"eff",
     [](const Record& r) {
       return divides_work(r) ? Value(r.scaling.efficiency, Kind::hundredths) : Value();
     },
     is_a_layer},
    {"comm share", [](const Record& r) { return Value(r.scaling.communication_fraction, Kind::share); }},
};

bool rows_look_equal(std::span<const Record* const> records, const std::vector<const CaseField*>& axes) {
  std::set<std::vector<Json>> seen;
  for (const Record* record : records) {
    std::vector<Json> values;
    for (const CaseField* axis : axes) values.push_back(axis->get(record->point));
    if (!seen.insert(std::move(values)).second) return true;
  }
  return false;
}

Section rows_section(std::span<const Record* const> records, const std::vector<const CaseField*>& axes) {
  Section section;
  if (records.empty()) return section;
  const bool with_id = rows_look_equal(records, axes);
  if (with_id) section.columns.push_back({"id"});
  for (const CaseField* axis : axes) section.columns.push_back(axis_column(*axis, records.front()->point));
  section.rest_from = section.columns.size();
  std::vector<const ResultColumn*> shown;
  for (const ResultColumn& column : kResultColumns) {
    const auto concerns = [&](const Record* record) { return column.concerns(*record); };
    if (!std::any_of(records.begin(), records.end(), concerns)) continue;
    section.columns.push_back({column.heading, Align::right});
    shown.push_back(&column);
  }
  section.columns.push_back({"warnings", Align::left});
  const std::set<std::string> common = common_codes(records);
  for (const Record* record : records) {
    Section::Row row;
    if (with_id) row.cells.emplace_back(record->id);
    for (const CaseField* axis : axes) row.cells.push_back(axis_value(*axis, record->point));
    if (is_timed(*record)) {
      for (const ResultColumn* column : shown) row.cells.push_back(column->get(*record));
      row.cells.emplace_back(warning_codes(*record, common));
    } else {
      row.rest =
          fmt::format("{}: {}", name_of(record->status), record->reason.value_or("no reason recorded"));
    }
    section.rows.push_back(std::move(row));
  }
  return section;
}

// Cases that were skipped for one and the same reason are rows while they are few; more would hide the
// others.
struct FoldedRows {
  std::vector<const Record*> rows;
  std::vector<Section::Row> skipped;  ///< one for each reason of the others
};

FoldedRows fold_skipped(std::span<const Record* const> records) {
  constexpr std::size_t kFew = 4;
  std::map<std::string, std::size_t> cases;
  for (const Record* record : records) {
    if (record->status == Status::skipped) ++cases[record->reason.value_or("")];
  }
  FoldedRows folded;
  std::set<std::string> said;
  for (const Record* record : records) {
    const std::string reason = record->reason.value_or("");
    const std::size_t count = record->status == Status::skipped ? cases[reason] : 1;
    if (count <= kFew)
      folded.rows.push_back(record);
    else if (said.insert(reason).second)
      folded.skipped.push_back({{}, fmt::format("{} cases skipped: {}", count, reason)});
  }
  return folded;
}

// How bad a case has what a warning says; the larger the worse. Codes that are not here have no such order.
struct WarningOrder {
  std::string_view code;
  double (*badness)(const Record&);
};

double active_ranks(const Record& record) {
  return static_cast<double>(record.point.layout.ranks() * record.ranks.replicas);
}

// The largest factor by which the reference work differs between the looks of the case, or between its ranks.
double unsteadiness(const Record& record) {
  double largest = 0;
  for (const ReferenceResult& look : record.reference) {
    for (const double factor :
         {look.after.gemm_s / look.before.gemm_s, look.after.copy_s / look.before.copy_s,
          look.after.gemm_slowest_s / look.after.gemm_s})
      largest = std::max({largest, factor, 1 / factor});
  }
  return largest;
}

// The largest factor between two looks of the case at the cores' latency; beside those of other cases, which
// the record does not have, 0.
double core_change(const Record& record) {
  double largest = 0;
  for (const ReferenceResult& look : record.reference) {
    if (!look.before.core_latency_s || !look.after.core_latency_s) continue;
    const double factor = *look.after.core_latency_s / *look.before.core_latency_s;
    largest = std::max({largest, factor, 1 / factor});
  }
  return largest;
}

constexpr WarningOrder kWarningOrders[] = {
    {"busy_neighbour", unsteadiness},
    {"imbalance",
     [](const Record& r) {
       const Quantity& late = is_known(r.time->imbalance) ? r.time->imbalance : r.time->wait;
       return late.summary.median / r.time->step.summary.median;
     }},
    {"machine_drift", unsteadiness},
    {"moved_cores", core_change},
    {"not_converged",
     [](const Record& r) {
       const Summary& step = r.time->step.summary;
       return step.ci95 ? ((*step.ci95)[1] - (*step.ci95)[0]) / step.median
                        : std::numeric_limits<double>::infinity();
     }},
    {"overlap_loses",
     [](const Record& r) { return r.overlap ? r.overlap->overlapped_s / r.overlap->serial_s : 0.0; }},
    {"oversubscribed", active_ranks},
    {"shared_core", active_ranks},
    {"shared_gpu", active_ranks},
    {"throttled_cpu", [](const Record& r) { return r.throttling ? r.throttling->seconds : 0.0; }},
    {"unexplained",
     [](const Record& r) { return r.time->other.summary.median / r.time->step.summary.median; }},
};

const WarningOrder* order_of(std::string_view code) {
  const auto* const found = std::find_if(std::begin(kWarningOrders), std::end(kWarningOrders),
                                         [&](const WarningOrder& order) { return order.code == code; });
  return found == std::end(kWarningOrders) ? nullptr : found;
}

// A warning of some cases, with the words of one of them.
struct LegendEntry {
  explicit LegendEntry(std::string name) : code(std::move(name)) {}

  std::string code;
  std::size_t cases = 0;
  std::set<std::string> messages;
  std::string message;  ///< of the worst case, or of the first
  double badness = 0;

  void add(const Record& record, const std::string& words) {
    const WarningOrder* order = order_of(code);
    const double here = order != nullptr && is_timed(record) ? order->badness(record) : 0;
    if (cases++ == 0 || here > badness) {
      message = words;
      badness = here;
    }
    messages.insert(words);
  }

  [[nodiscard]] std::string to_string(std::size_t all) const {
    const char* whose = messages.size() == 1        ? ""
                        : order_of(code) != nullptr ? ", the worst of them"
                                                    : ", one of them";
    const std::string share = cases == all && all > 1 ? fmt::format("all {} cases", all)
                                                      : fmt::format("{} of {}", cases, counted(all, "case"));
    return fmt::format("{} ({}{}): {}", code, share, whose, message);
  }
};

// Each code once. What cases say in different words is said as the worst of them does, where that can be
// told.
Section legend_section(std::span<const Record* const> records) {
  std::vector<LegendEntry> legend;
  for (const Record* record : records) {
    for (const Warning& warning : record->warnings) {
      auto found = std::find_if(legend.begin(), legend.end(),
                                [&](const LegendEntry& entry) { return entry.code == warning.code; });
      if (found == legend.end()) found = legend.insert(legend.end(), LegendEntry(warning.code));
      found->add(*record, warning.message);
    }
  }
  Section section;
  if (!legend.empty()) section.title = "Warnings";
  for (const LegendEntry& entry : legend) section.sentences.push_back(entry.to_string(records.size()));
  return section;
}

Section verdict_section(std::span<const Record> records, double efficiency_floor) {
  Section section;
  section.sentences = verdict_sentences(useful_degrees(records, efficiency_floor));
  if (!section.sentences.empty()) section.title = "Verdict";
  return section;
}

Section split_section(std::span<const Record* const> records) {
  Section section = {.sentences = best_splits(records)};
  if (!section.sentences.empty()) section.title = "Best split";
  return section;
}

// What the columns of the table leave out.
std::string common_sentence(std::span<const Record* const> records) {
  std::string text = shared_fields(cases_of(records));
  std::set<std::string> labels;
  for (const Record* record : records) labels.insert(record->label);
  constexpr std::string_view kHead = "All cases:";
  if (labels.size() == 1 && !labels.begin()->empty()) text.insert(kHead.size(), " label=" + *labels.begin());
  return text;
}

}  // namespace

std::vector<std::string> warning_sentences(std::span<const Record> records) {
  return legend_section(in_order(records)).sentences;
}

std::vector<Section> result_sections(std::span<const Record> records, double efficiency_floor) {
  if (records.empty()) return {{.sentences = {"no cases"}}};
  const std::vector<const Record*> sorted = in_order(records);
  FoldedRows folded = fold_skipped(sorted);
  Section table = rows_section(folded.rows, varying_fields(cases_of(sorted)));
  std::move(folded.skipped.begin(), folded.skipped.end(), std::back_inserter(table.rows));
  return {verdict_section(records, efficiency_floor),
          split_section(sorted),
          {.sentences = {common_sentence(sorted)}},
          {.sentences = case_notes(cases_of(sorted))},
          std::move(table),
          legend_section(sorted)};
}

}  // namespace tpbench
