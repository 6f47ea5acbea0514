#include "report/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "report/axes.hpp"
#include "report/common_text.hpp"
#include "report/text_table.hpp"
#include "report/useful_degree.hpp"
#include "result/summary_text.hpp"

namespace tpbench {
namespace {

using Align = TextTable::Align;

std::string fixed_or_dash(const std::optional<double>& value) {
  return value ? fmt::format("{:.2f}", *value) : "-";
}

std::string median_text(const Record& record, Quantity TimeResult::*quantity) {
  return format_seconds(((*record.time).*quantity).summary.median);
}

// "1.23 ms +-2.1%": half the interval over the median.
std::string step_text(const Record& record) { return median_text(record.time->step.summary); }

bool is_fabric_probe(const Record& record) { return probes_fabric(record.point.workload); }
// A probe of the fabric divides no work between ranks: it has no speed-up.
bool divides_work(const Record& record) { return !is_fabric_probe(record); }

// The collective of a step that has one kind of it, where it was timed by itself.
const CollectiveResult* only_measured_collective(const Record& record) {
  const bool is_one = record.collectives.size() == 1 && record.collectives.front().busbw_gb_per_s;
  return is_one ? &record.collectives.front() : nullptr;
}

std::string warnings_text(const Record& record) {
  std::string text;
  for (const Warning& warning : record.warnings) text += (text.empty() ? "" : ",") + warning.code;
  return text;
}

bool is_a_layer(const Record& record) { return !is_fabric_probe(record); }
bool is_any(const Record&) { return true; }

// The columns behind the axes, for a case that is ok: adding one is a row here.
struct ResultColumn {
  const char* heading;
  Align align;
  std::string (*text)(const Record&);
  bool (*concerns)(const Record&) = is_any;  ///< the column is there when it concerns one of the cases
};

constexpr ResultColumn kResultColumns[] = {
    {"bytes/call", Align::right,
     [](const Record& r) {
       const CollectiveResult* collective = only_measured_collective(r);
       return collective ? format_bytes(static_cast<double>(collective->bytes)) : std::string("-");
     },
     is_fabric_probe},
    {"busbw", Align::right,
     [](const Record& r) {
       const CollectiveResult* collective = only_measured_collective(r);
       return collective ? format_bytes(*collective->busbw_gb_per_s * 1e9) + "/s" : std::string("-");
     },
     is_fabric_probe},
    {"mem/rank", Align::right,
     [](const Record& r) {
       return r.memory && r.memory->peak ? format_bytes(static_cast<double>(*r.memory->peak))
                                         : std::string("-");
     }},
    {"compute", Align::right, [](const Record& r) { return median_text(r, &TimeResult::compute); },
     is_a_layer},
    {"comm", Align::right, [](const Record& r) { return median_text(r, &TimeResult::communication); }},
    {"step", Align::right, step_text},
    {"speed-up", Align::right,
     [](const Record& r) { return divides_work(r) ? fixed_or_dash(r.scaling.speedup) : std::string("-"); },
     is_a_layer},
    {"eff", Align::right,
     [](const Record& r) { return divides_work(r) ? fixed_or_dash(r.scaling.efficiency) : std::string("-"); },
     is_a_layer},
    {"comm share", Align::right,
     [](const Record& r) {
       const auto& share = r.scaling.communication_fraction;
       return share ? format_percent(*share) : std::string("-");
     }},
    {"warnings", Align::left, warnings_text},
};

std::vector<std::string> axis_cells(const Record& record, const std::vector<const CaseField*>& axes,
                                    bool with_id) {
  std::vector<std::string> cells;
  if (with_id) cells.push_back(record.id);
  for (const CaseField* axis : axes) cells.push_back(field_text(*axis, record.point));
  return cells;
}

bool rows_look_equal(std::span<const Record* const> records, const std::vector<const CaseField*>& axes) {
  std::set<std::vector<std::string>> seen;
  for (const Record* record : records) {
    if (!seen.insert(axis_cells(*record, axes, false)).second) return true;
  }
  return false;
}

std::vector<ResultColumn> columns_for(std::span<const Record* const> records) {
  std::vector<ResultColumn> columns;
  for (const ResultColumn& column : kResultColumns) {
    if (std::any_of(records.begin(), records.end(), [&](const Record* r) { return column.concerns(*r); }))
      columns.push_back(column);
  }
  return columns;
}

std::string rows_text(std::span<const Record* const> records, const std::vector<const CaseField*>& axes) {
  if (records.empty()) return "";
  const bool with_id = rows_look_equal(records, axes);
  const std::vector<ResultColumn> columns = columns_for(records);
  TextTable table;
  if (with_id) table.add_column("id", Align::left);
  for (const CaseField* axis : axes) {
    const bool is_number = axis->get(records.front()->point).is_number();
    table.add_column(std::string(axis->title), is_number ? Align::right : Align::left);
  }
  for (const ResultColumn& column : columns) table.add_column(column.heading, column.align);

  for (const Record* record : records) {
    std::vector<std::string> cells = axis_cells(*record, axes, with_id);
    if (record->status != Status::ok || !record->time) {
      table.add_row_with_text(std::move(cells), fmt::format("{}: {}", name_of(record->status),
                                                            record->reason.value_or("no reason recorded")));
      continue;
    }
    for (const ResultColumn& column : columns) cells.push_back(column.text(*record));
    table.add_row(std::move(cells));
  }
  return table.to_string();
}

// Cases that were skipped for one and the same reason are rows while they are few; more would hide the
// others.
struct FoldedRows {
  std::vector<const Record*> rows;
  std::string skipped;  ///< a line for each reason of the others
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
      folded.skipped += wrapped_lines(fmt::format("{} cases skipped: {}", count, reason), "  ");
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

constexpr WarningOrder kWarningOrders[] = {
    {"busy_neighbour", unsteadiness},
    {"imbalance", [](const Record& r) { return r.time->wait.summary.median / r.time->step.summary.median; }},
    {"machine_drift", unsteadiness},
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
    return fmt::format("{} ({} of {}{}): {}", code, cases, counted(all, "case"), whose, message);
  }
};

// Each code once. What cases say in different words is said as the worst of them does, where that can be
// told.
std::string legend_text(std::span<const Record* const> records) {
  std::vector<LegendEntry> legend;
  for (const Record* record : records) {
    for (const Warning& warning : record->warnings) {
      auto found = std::find_if(legend.begin(), legend.end(),
                                [&](const LegendEntry& entry) { return entry.code == warning.code; });
      if (found == legend.end()) found = legend.insert(legend.end(), LegendEntry(warning.code));
      found->add(*record, warning.message);
    }
  }
  std::string text;
  for (const LegendEntry& entry : legend) text += wrapped_lines(entry.to_string(records.size()), "  ");
  return text.empty() ? text : "\nWarnings\n" + text;
}

std::string useful_text(std::span<const Record> records, double efficiency_floor) {
  std::string text;
  for (const UsefulDegree& useful : useful_degrees(records, efficiency_floor))
    text += wrapped_lines(useful.sentence, "  ");
  return text.empty()
             ? text
             : fmt::format("\nUseful degree (efficiency at least {:.2f})\n", efficiency_floor) + text;
}

}  // namespace

std::string render_table(std::span<const Record> records, double efficiency_floor) {
  if (records.empty()) return "no cases\n";
  const std::vector<const Record*> sorted = in_order(records);
  const std::vector<const CaseField*> axes = varying_fields(cases_of(sorted));
  const FoldedRows folded = fold_skipped(sorted);
  return common_text(sorted) + '\n' + rows_text(folded.rows, axes) + folded.skipped + legend_text(sorted) +
         useful_text(records, efficiency_floor);
}

}  // namespace tpbench
