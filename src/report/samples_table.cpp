#include "report/samples_table.hpp"

#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/axes.hpp"
#include "report/csv.hpp"
#include "result/record_tables.hpp"

namespace tpbench {
namespace {

std::string hosts_of(const Record& record) {
  const std::set<std::string> hosts(record.ranks.hosts.begin(), record.ranks.hosts.end());
  std::string text;
  for (const std::string& host : hosts) text += (text.empty() ? "" : ";") + host;
  return text;
}

Json fact_of(const ResultSet& set, const Record& record, const char* pointer) {
  const auto found = set.environments.find(record.environment);
  const Json::json_pointer place(pointer);
  return found != set.environments.end() && found->second.contains(place) ? found->second.at(place)
                                                                          : Json(nullptr);
}

// Of a sample, which epoch it belongs to: known where epochs brought one each or there was one.
Json epoch_of(const Quantity& quantity, std::size_t sample) {
  const std::size_t epochs = quantity.epoch_medians_s.size(), samples = quantity.samples_s.size();
  if (epochs == 1) return 0;
  if (epochs > 0 && samples == epochs) return sample;
  return nullptr;
}

}  // namespace

std::string render_samples(const ResultSet& set) {
  std::vector<Json> head = {"id", "label", "started_at", "hosts", "world", "git_revision", "noise"};
  for (const CaseField& field : case_fields()) head.emplace_back(field.key);
  for (const char* name : {"quantity", "sample", "epoch", "seconds"}) head.emplace_back(name);
  std::string text = csv_line(head);
  for (const Record* record : in_order(set.records)) {
    if (!is_timed(*record)) continue;
    std::vector<Json> cells = {record->id,
                               record->label,
                               record->started_at,
                               hosts_of(*record),
                               record->ranks.world,
                               fact_of(set, *record, "/tool/git_revision"),
                               fact_of(set, *record, "/noise/worst_rank_relative")};
    for (const CaseField& field : case_fields()) cells.push_back(field.get(record->point));
    const std::size_t fixed = cells.size();
    for (const QuantityRow& row : kQuantities) {
      const Quantity& quantity = (*record->time).*row.member;
      for (std::size_t i = 0; i < quantity.samples_s.size(); ++i) {
        cells.resize(fixed);
        cells.insert(cells.end(), {row.name, i, epoch_of(quantity, i), quantity.samples_s[i]});
        text += csv_line(cells);
      }
    }
  }
  return text;
}

}  // namespace tpbench
