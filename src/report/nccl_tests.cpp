#include "report/nccl_tests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "base/json.hpp"
#include "report/axes.hpp"

namespace tpbench {
namespace {

constexpr int kFileVersion = 3;

// Beside each collective: whether a rank's count is of the whole array or of its shard (nccl-tests' "count"),
// the operation's word, and whether this program runs it in place.
struct ProbeRow {
  CollectiveOp op;
  bool counts_shards;
  const char* redop;
  const char* buffers;
};

constexpr ProbeRow kProbes[] = {{CollectiveOp::all_reduce, false, "sum", "in_place"},
                                {CollectiveOp::all_gather, true, "none", "separate"},
                                {CollectiveOp::reduce_scatter, true, "sum", "separate"}};

const char* nccl_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "double";
    case DType::f16:
      return "half";
    case DType::bf16:
      return "bfloat16";
    default:
      return "float";
  }
}

// A time that the clocks of the hosts cannot tell is no result there.
bool is_told(const Record& record) { return is_known(record.time->communication); }

// Words in place of booleans are how nccl-tests writes them.
const char* word(bool value) { return value ? "true" : "false"; }

bool is_probe(const Record& record) { return is_timed(record) && probes_fabric(record.point.workload); }

const ProbeRow& probe_of(const Record& record) {
  return *std::find_if(std::begin(kProbes), std::end(kProbes),
                       [&](const ProbeRow& row) { return row.op == record.collectives.front().op; });
}

double microseconds(double seconds, const CollectiveResult& collective) {
  return seconds * 1e6 / static_cast<double>(collective.calls_per_step);
}

// Full verification looks at every entry before the case is timed; what looked at a part cannot say "none".
Json wrong_entries(const Record& record) {
  const bool all_right = record.verification.method == "full" && record.verification.passed.value_or(false);
  return all_right ? Json(0.0) : Json(nullptr);
}

Json timing(const Record& record) {
  const CollectiveResult& collective = record.collectives.front();
  return {{"time", microseconds(record.time->communication.summary.median, collective)},
          {"alg_bw", json_or_null(collective.algbw_gb_per_s)},
          {"bus_bw", json_or_null(collective.busbw_gb_per_s)},
          {"nwrong", wrong_entries(record)}};
}

// Over all samples: with several epochs the record's own median is over theirs.
double median_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return quantile_of_sorted(samples, 0.5);
}

Json every_iteration(const Record& record) {
  const CollectiveResult& collective = record.collectives.front();
  const Quantity& time = record.time->communication;
  const double mean = time.summary.mean;
  double squares = 0;
  Json times = Json::array();
  for (const double sample : time.samples_s) {
    squares += (sample - mean) * (sample - mean);
    times.push_back(microseconds(sample, collective));
  }
  const double deviation = std::sqrt(squares / static_cast<double>(time.samples_s.size()));
  return {{"skipped_iterations", 0},
          {"min_us", microseconds(time.summary.min, collective)},
          {"max_us", microseconds(time.summary.max, collective)},
          {"avg_us", microseconds(mean, collective)},
          {"p50_us", microseconds(median_of(time.samples_s), collective)},
          {"p95_us", microseconds(time.summary.p95, collective)},
          {"p99_us", microseconds(time.summary.p99, collective)},
          {"stdev_us", microseconds(deviation, collective)},
          {"cv_pct", mean > 0 ? deviation / mean * 100 : 0.0},
          {"times_us", std::move(times)}};
}

// What nccl-tests has no key for: one of its files is one collective on one number of ranks, and ours is a
// sweep.
Json beside(const Record& record) {
  return {{"id", record.id},
          {"collective", name_of(record.collectives.front().op)},
          {"ranks", record.point.layout.tp},
          {"algorithm", json_or_null(record.point.algorithm)},
          {"buffers", probe_of(record).buffers},
          {"label", record.label}};
}

Json result_of(const Record& record) {
  const CollectiveResult& collective = record.collectives.front();
  const ProbeRow& probe = probe_of(record);
  const std::int64_t whole = collective.bytes / size_of(record.point.dtype);
  Json result;
  result["size"] = collective.bytes;
  result["count"] = probe.counts_shards ? whole / record.point.layout.tp : whole;
  result["type"] = nccl_type(record.point.dtype);
  result["redop"] = probe.redop;
  result["root"] = "-1";
  result["out_of_place"] = nullptr;
  result["in_place"] = timing(record);
  result["in_place_per_iter"] = every_iteration(record);
  result["actual_iterations"] = record.time->communication.samples_s.size();
  result["experiment_name"] = fmt::format("{} on {} ranks, {}", name_of(collective.op),
                                          record.point.layout.tp, record.point.algorithm.value_or("-"));
  result["tpbench"] = beside(record);
  return result;
}

// ---- around the results

// "2026-11-22T12:00:00Z" as nccl-tests writes a time.
std::string plain_time(std::string text) {
  std::replace(text.begin(), text.end(), 'T', ' ');
  text.erase(std::remove(text.begin(), text.end(), 'Z'), text.end());
  return text;
}

const Json* environment_of(const ResultSet& set, const std::vector<const Record*>& records) {
  if (records.empty()) return nullptr;
  const auto found = set.environments.find(records.front()->environment);
  return found == set.environments.end() ? nullptr : &found->second;
}

Json devices_of(const Json* environment) {
  Json devices = Json::array();
  if (environment == nullptr || !environment->contains("ranks")) return devices;
  for (const Json& rank : environment->at("ranks")) {
    devices.push_back({{"rank", rank.value("rank", Json(nullptr))},
                       {"group", 0},
                       {"pid", rank.value("pid", Json(nullptr))},
                       {"hostname", rank.value("host", Json(nullptr))},
                       {"device", nullptr},
                       {"device_hex", nullptr},
                       {"device_info", nullptr}});
  }
  return devices;
}

Json variables_of(const Json* environment) {
  Json variables = Json::array();
  if (environment == nullptr || !environment->contains("variables")) return variables;
  for (const auto& [name, value] : environment->at("variables").items()) {
    if (value.is_string()) variables.push_back(name + '=' + value.get<std::string>());
  }
  return variables;
}

Json config_of(const std::vector<const Record*>& records, const Json* environment) {
  std::vector<std::int64_t> sizes;
  bool verified = !records.empty();
  for (const Record* record : records) {
    sizes.push_back(record->collectives.front().bytes);
    verified = verified && record->verification.passed.value_or(false);
  }
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  const bool any = !sizes.empty();
  return {{"nthreads", 1},
          {"ngpus", 0},
          {"minimum_bytes", any ? Json(*least) : Json(nullptr)},
          {"maximum_bytes", any ? Json(*most) : Json(nullptr)},
          {"step_bytes", nullptr},
          {"warmup_iters", nullptr},
          {"iterations", nullptr},
          {"aggregated_iterations", 1},
          {"validation", verified ? 1 : 0},
          {"graph", 0},
          {"blocking_collectives", word(true)},
          {"per_iter_timing", word(true)},
          {"per_iter_skip", 0},
          {"parallel_init", word(false)},
          {"devices", devices_of(environment)}};
}

Json mean_bandwidth(const std::vector<const Record*>& records) {
  double sum = 0;
  for (const Record* record : records) sum += record->collectives.front().busbw_gb_per_s.value_or(0);
  return records.empty() ? Json(nullptr) : Json(sum / static_cast<double>(records.size()));
}

Json document_of(const ResultSet& set, const std::vector<const Record*>& records) {
  const Json* environment = environment_of(set, records);
  std::vector<std::string> started;
  for (const Record* record : records) started.push_back(record->started_at);
  Json results = Json::array();
  for (const Record* record : records) results.push_back(result_of(*record));
  Json document;
  document["version"] = kFileVersion;
  document["start_time"] =
      started.empty() ? Json(nullptr) : Json(plain_time(*std::min_element(started.begin(), started.end())));
  document["args"] = {"tpbench"};
  document["env"] = variables_of(environment);
  document["nccl_version"] = nullptr;
  document["config"] = config_of(records, environment);
  document["results"] = std::move(results);
  const bool validated = document["config"]["validation"] == 1;
  document["out_of_bounds"] = {{"count", validated ? Json(0) : Json(nullptr)}, {"okay", word(true)}};
  document["average_bus_bandwidth"] = {{"bandwidth", mean_bandwidth(records)}, {"okay", "unchecked"}};
  document["errors"] = Json::array();
  document["end_time"] = nullptr;
  return document;
}

// nccl-tests lists one series by rising size.
void sort_by_series(std::vector<const Record*>& records) {
  const auto key = [](const Record* record) {
    return std::tuple(record->collectives.front().op, record->point.layout.tp,
                      record->point.algorithm.value_or(""), record->point.dtype,
                      record->collectives.front().bytes);
  };
  std::stable_sort(records.begin(), records.end(),
                   [&](const Record* a, const Record* b) { return key(a) < key(b); });
}

}  // namespace

NcclTestsExport export_nccl_tests(const ResultSet& set) {
  NcclTestsExport exported;
  std::vector<const Record*> records;
  for (const Record* record : in_order(set.records)) {
    if (!is_probe(*record)) continue;
    if (record->point.layout.tp == 1)
      ++exported.on_one_rank;
    else if (is_told(*record))
      records.push_back(record);
    else
      ++exported.untold;
  }
  sort_by_series(records);
  exported.cases = records.size();
  exported.text = document_of(set, records).dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
  return exported;
}

}  // namespace tpbench
