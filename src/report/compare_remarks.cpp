#include "report/compare_remarks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/value.hpp"
#include "result/environment_difference.hpp"

namespace tpbench {
namespace {

std::vector<std::string> listed(const std::set<std::string>& words) { return {words.begin(), words.end()}; }

// ---- one launch

void remark_on_set(const ResultSet& set, std::vector<std::string>& remarks) {
  if (!set.noise()) {
    remarks.push_back(fmt::format("{}: no environment.json says how noisy the machine was; {:.2f} is assumed",
                                  set.path, kUnknownNoise));
  }
  if (set.environments.size() > 1) {
    remarks.push_back(
        fmt::format("{}: {} launches wrote to this folder; the first one's environment is shown", set.path,
                    set.environments.size()));
  }
  std::set<std::string> labels;
  for (const Record& record : set.records) labels.insert("\"" + record.label + "\"");
  if (labels.size() > 1)
    remarks.push_back(
        fmt::format("{}: its records have several labels: {}", set.path, join_words(listed(labels))));
}

// ---- the launches of one side among themselves

void remark_on_side(const Side& side, std::vector<std::string>& remarks) {
  std::set<std::string> keys, labels;
  const Json* first = environment_of(side.first());
  for (const ResultSet* launch : side.launches) {
    labels.insert("\"" + launch->label + "\"");
    const Json* environment = environment_of(*launch);
    if (first == nullptr || environment == nullptr) continue;
    for (const JsonDifference& difference : environment_differences(*first, *environment))
      keys.insert(difference.pointer.substr(1));
  }
  if (labels.size() > 1)
    remarks.push_back(fmt::format("{}: the launches of this side have several labels: {}", side.path(),
                                  join_words(listed(labels))));
  if (keys.empty()) return;
  constexpr std::size_t kMostNamed = 5;
  std::vector<std::string> named = listed(keys);
  const std::string more =
      named.size() > kMostNamed ? fmt::format(" and {} more", named.size() - kMostNamed) : "";
  named.resize(std::min(named.size(), kMostNamed));
  remarks.push_back(fmt::format("{}: the launches of this side differ in their environments: {}{}",
                                side.path(), join_words(named), more));
}

std::size_t count(const std::vector<CaseLaunches>& cases, bool (*counts)(const CaseLaunches& launches)) {
  return static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), counts));
}

// With few latencies in a step how it begins, which is another way in schema 2, is a part of it that counts.
// The newer record knows what a latency is.
bool is_of_few_latencies(const Record& record) {
  constexpr double kMany = 50;
  if (!record.clock || record.clock->clocks == 1) return false;
  return record.time->step.summary.median < kMany * record.clock->worst_case_s;
}

void remark_on_definitions(const std::vector<CaseLaunches>& cases, std::vector<std::string>& remarks) {
  const std::size_t otherwise = count(cases, defines_otherwise);
  if (otherwise == 0) return;
  const std::size_t few = count(cases, [](const CaseLaunches& launches) {
    const auto has = [](const std::vector<const Record*>& records) {
      return std::any_of(records.begin(), records.end(),
                         [](const Record* r) { return is_of_few_latencies(*r); });
    };
    return defines_otherwise(launches) && (has(launches.base) || has(launches.other));
  });
  std::string remark = fmt::format(
      "{} of {} cases were measured by the definitions of schema 1 on one side and of schema 2 on the other: "
      "their "
      "communication is not judged, and wait, other and busbw are not to be compared (docs/methodology.md, "
      "\"Older "
      "records\")",
      otherwise, cases.size());
  if (few > 0)
    remark += fmt::format(
        "; the steps of {} take under 50 latencies of their network, and how they begin counts", few);
  remarks.push_back(remark);
}

// The kernels of rank 0 and of every host, as far as the environment says them.
std::set<std::string> cores_of(const ResultSet& set) {
  std::set<std::string> cores;
  const auto add = [&](const Json& described) {
    const Json::json_pointer place("/blas/core");
    if (described.contains(place) && described.at(place).is_string())
      cores.insert(described.at(place).get<std::string>());
  };
  const Json* environment = environment_of(set);
  if (environment == nullptr) return cores;
  add(*environment);
  if (environment->contains("hosts") && environment->at("hosts").is_array()) {
    for (const Json& host : environment->at("hosts")) add(host);
  }
  return cores;
}

// Of two fabrics one program computes alike.
std::optional<std::string> changed_compute(const Comparison& comparison) {
  constexpr double kByItself = 1.5;  // launches of one machine differ by less
  const std::string &base = comparison.base.first().label, &other = comparison.other.first().label;
  if (base.empty() || other.empty() || base == other) return std::nullopt;
  for (std::size_t i = 0; i < kComparedQuantities.size(); ++i) {
    const auto& mean = comparison.summaries[i].geometric_mean;
    if (kComparedQuantities[i].member != &TimeResult::compute || !mean) continue;
    const double times = std::max(*mean, 1 / *mean);
    if (times < kByItself) continue;
    return fmt::format(
        "Compute changed {} times ({} {}), and no network does that: something else differs between "
        "these launches; repeat, with the sides in turn (scripts/alternate.sh).",
        text_of({times, Kind::ratio}), other, *mean > 1 ? "takes longer" : "is faster");
  }
  return std::nullopt;
}

// ---- the cores under the ranks

// By how many ranks looked, and where: more of them lie farther apart.
using CoreLatencies = std::map<std::pair<std::int64_t, Placement>, std::vector<double>>;

// Core latencies beside the cases of one side's launches, in ascending order.
CoreLatencies core_latencies(const std::vector<CaseLaunches>& cases,
                             std::vector<const Record*> CaseLaunches::*side) {
  CoreLatencies latencies;
  for (const CaseLaunches& launches : cases) {
    for (const Record* record : launches.*side) {
      std::vector<double>& seconds =
          latencies[{record->point.layout.ranks() * record->ranks.replicas, record->point.placement}];
      for (const ReferenceResult& look : record->reference) {
        for (const auto& latency : {look.before.core_latency_s, look.after.core_latency_s}) {
          if (latency) seconds.push_back(*latency);
        }
      }
    }
  }
  std::erase_if(latencies, [](const auto& entry) { return entry.second.empty(); });
  for (auto& [who, seconds] : latencies) std::sort(seconds.begin(), seconds.end());
  return latencies;
}

constexpr double kOtherCores = 1.5;  // nothing but other cores changes their latency by that

std::string one_latency(double seconds) { return text_of({seconds, Kind::seconds}); }

// Of the two sides.
std::optional<std::string> other_cores(const Comparison& comparison, const std::vector<CaseLaunches>& cases) {
  const CoreLatencies other = core_latencies(cases, &CaseLaunches::other);
  for (const auto& [who, seconds] : core_latencies(cases, &CaseLaunches::base)) {
    const auto found = other.find(who);
    if (found == other.end()) continue;
    const double base_s = quantile_of_sorted(seconds, 0.5), other_s = quantile_of_sorted(found->second, 0.5);
    if (std::max(base_s / other_s, other_s / base_s) <= kOtherCores) continue;
    return fmt::format(
        "Other cores ran the ranks: a cache line took {} from one of {} ranks to the next in {} and {} in "
        "{}, "
        "and what ranks say to each other inside a host changes with it; pin the ranks, and the CPUs of a "
        "virtual machine{}.",
        one_latency(base_s), who.first, comparison.base.path(), one_latency(other_s), comparison.other.path(),
        comparison.design == Design::alternated && comparison.rounds > 1
            ? ""
            : ", or run the sides in turn (scripts/alternate.sh)");
  }
  return std::nullopt;
}

// In one side: its launches, or its cases, are then not alike.
void remark_on_cores(const std::string& path, const CoreLatencies& latencies,
                     std::vector<std::string>& remarks) {
  for (const auto& [who, seconds] : latencies) {
    const double low = quantile_of_sorted(seconds, 0.1), high = quantile_of_sorted(seconds, 0.9);
    if (high / low <= kOtherCores) continue;
    remarks.push_back(fmt::format(
        "{}: the cores under the ranks changed: a cache line took {} to {} from one of {} ranks to the next "
        "(10th and 90th percentile), and communication inside a host scatters with it",
        path, one_latency(low), one_latency(high), who.first));
    return;
  }
}

}  // namespace

const Json* environment_of(const ResultSet& set) {
  const auto first = set.environments.find("environment.json");
  if (first != set.environments.end()) return &first->second;
  return set.environments.empty() ? nullptr : &set.environments.begin()->second;
}

std::vector<std::string> alarms_of(const Comparison& comparison, const std::vector<CaseLaunches>& cases) {
  std::map<std::string, std::string> first_with;  // of a core
  for (const Side* side : {&comparison.base, &comparison.other}) {
    for (const ResultSet* launch : side->launches) {
      for (const std::string& core : cores_of(*launch)) first_with.try_emplace(core, launch->path);
    }
  }
  std::vector<std::string> alarms;
  if (const auto changed = changed_compute(comparison)) alarms.push_back(*changed);
  if (const auto cores = other_cores(comparison, cases)) alarms.push_back(*cores);
  if (first_with.size() < 2) return alarms;
  std::vector<std::string> places;
  for (const auto& [core, path] : first_with) places.push_back(fmt::format("{} in {}", core, path));
  alarms.insert(
      alarms.begin(),
      fmt::format("The BLAS library multiplied with different kernels: {}. That alone can change compute "
                  "several times over; set the same OPENBLAS_CORETYPE to compare anything else.",
                  join_words(places)));
  return alarms;
}

std::vector<std::string> remarks_on(const Comparison& comparison, const std::vector<CaseLaunches>& cases) {
  std::vector<std::string> remarks;
  const bool several = comparison.rounds > 1;
  for (const Side* side : {&comparison.base, &comparison.other}) {
    for (const ResultSet* launch : side->launches) remark_on_set(*launch, remarks);
    if (several) remark_on_side(*side, remarks);
  }
  if (comparison.design == Design::rolling) {
    remarks.push_back(
        "one new launch is held against the scatter of the baseline's: what the machine did since is in the "
        "ratios");
  }
  if (comparison.base.first().label.empty() && comparison.other.first().label.empty()) {
    remarks.push_back(
        "neither side has a label: name the fabric, or what else differs, with --label, and reports call it "
        "by that name");
  }
  if (several && comparison.design == Design::separate) {
    remarks.push_back(
        "the launches of the two sides did not take turns: what the machine did meanwhile is in the ratios; "
        "scripts/alternate.sh runs them in turn");
  }
  const std::size_t fewer = count(cases, [](const CaseLaunches& launches) {
    return std::any_of(launches.base.begin(), launches.base.end(), [&](const Record* record) {
      return record->point.threads_per_rank != launches.other.front()->point.threads_per_rank;
    });
  });
  if (fewer > 0) {
    remarks.push_back(fmt::format(
        "{} of {} cases ran with other threads per rank in the two folders, as the sweep left that to the "
        "machine; set threads_per_rank to compare like with like",
        fewer, cases.size()));
  }
  const std::size_t partly =
      static_cast<std::size_t>(std::count_if(cases.begin(), cases.end(), [&](const CaseLaunches& launches) {
        return launches.base.size() < comparison.base.launches.size() ||
               launches.other.size() < comparison.other.launches.size();
      }));
  if (partly > 0)
    remarks.push_back(fmt::format("{} of {} cases are not ok in every launch; the other launches count",
                                  partly, cases.size()));
  remark_on_definitions(cases, remarks);
  remark_on_cores(comparison.base.path(), core_latencies(cases, &CaseLaunches::base), remarks);
  remark_on_cores(comparison.other.path(), core_latencies(cases, &CaseLaunches::other), remarks);
  const std::size_t one_pass = count(cases, [](const CaseLaunches& launches) {
    return std::min(launches.base.front()->epochs_done, launches.other.front()->epochs_done) < 2;
  });
  if (!several && one_pass > 0) {
    remarks.push_back(fmt::format(
        "{} of {} cases have one epoch: one pass cannot see how launches differ, so only differences beyond "
        "the noise probe are marked; measure.epochs of 6 or more in both shows smaller ones",
        one_pass, cases.size()));
  }
  return remarks;
}

}  // namespace tpbench
