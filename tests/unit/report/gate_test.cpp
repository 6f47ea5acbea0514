// The gate, on stored records with one fault each: docs/compare.md, "The gate".
#include "report/gate.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/json.hpp"
#include "base/text.hpp"
#include "report/compare_render.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

using sample::make_case;

// Every case measured in `epochs` epochs that scatter by `noise`.
Record measured(std::int64_t degree, double step_s, std::size_t epochs = 8, double noise = 1e-4,
                std::size_t samples = 6) {
  Record record = sample::make_ok(make_case("mlp", degree), {});
  std::vector<std::vector<double>> passes;
  for (std::size_t i = 0; i < epochs; ++i) {
    std::vector<double> pass;
    for (std::size_t k = 0; k < samples; ++k)
      pass.push_back(step_s *
                     (1 + noise * static_cast<double>(i * 3 % 8) + noise / 10 * static_cast<double>(k)));
    passes.push_back(pass);
  }
  record.time->step = record.time->compute = sample::of_epochs(passes);
  record.time->communication = sample::make_quantity(0);
  record.epochs_done = record.epochs_planned = static_cast<std::int64_t>(epochs);
  return record;
}

ResultSet folder(const std::string& path) {
  ResultSet set;
  set.path = path;
  set.label = "eth-1g";
  set.records = {measured(1, 8e-3), measured(2, 4e-3), measured(4, 2e-3), measured(8, 1e-3)};
  set.environments["environment.json"] = {
      {"started_at", path}, {"blas", {{"core", "SkylakeX"}}}, {"noise", {{"worst_rank_relative", 0.005}}}};
  return set;
}

void replace(ResultSet& set, std::size_t i, const Record& record) {
  const std::string id = set.records[i].id;
  set.records[i] = record;
  set.records[i].id = id;
}

struct Fault {
  const char* what;
  GateOutcome outcome;
  const char* said;
  std::function<void(ResultSet& base, ResultSet& other)> make;
};

Record not_ok(std::int64_t degree, Status status) {
  return sample::make_not_ok(make_case("mlp", degree), status,
                             status == Status::failed ? ReasonCode::error : ReasonCode::ranks, "why");
}

const std::vector<Fault>& faults() {
  using enum GateOutcome;
  static const std::vector<Fault> kFaults = {
      {"alike", pass, "PASS: none of 4 cases is slower by more than 5 %", [](ResultSet&, ResultSet&) {}},
      {"faster", pass, "PASS", [](ResultSet&, ResultSet& b) { replace(b, 1, measured(2, 2e-3)); }},
      {"slower by 1 %", pass, "PASS", [](ResultSet&, ResultSet& b) { replace(b, 1, measured(2, 4.04e-3)); }},
      {"slower by 10 %", fail, "1 of 4 cases is slower by more than 5 %",
       [](ResultSet&, ResultSet& b) { replace(b, 1, measured(2, 4.4e-3)); }},
      {"slower by 90 %", fail, "1 of 4 cases is slower",
       [](ResultSet&, ResultSet& b) { replace(b, 3, measured(8, 1.9e-3)); }},
      {"two slower", fail, "2 of 4 cases are slower",
       [](ResultSet&, ResultSet& b) {
         replace(b, 0, measured(1, 10e-3));
         replace(b, 1, measured(2, 5e-3));
       }},
      {"all slower", fail, "4 of 4 cases are slower",
       [](ResultSet&, ResultSet& b) {
         for (std::size_t i = 0; i < 4; ++i) replace(b, i, measured(1 << i, 10e-3 / (1 << i)));
       }},
      {"failed", fail, "1 case that was ok failed",
       [](ResultSet&, ResultSet& b) { replace(b, 2, not_ok(4, Status::failed)); }},
      {"all failed", fail, "4 cases that were ok failed",
       [](ResultSet&, ResultSet& b) {
         for (std::size_t i = 0; i < 4; ++i) replace(b, i, not_ok(1 << i, Status::failed));
       }},
      {"failed before as well", pass, "PASS: none of 3 cases",
       [](ResultSet& a, ResultSet& b) {
         replace(a, 2, not_ok(4, Status::failed));
         replace(b, 2, not_ok(4, Status::failed));
       }},
      {"failed before, ok now", pass, "PASS: none of 3 cases",
       [](ResultSet& a, ResultSet&) { replace(a, 2, not_ok(4, Status::failed)); }},
      {"failed and slower", fail, "1 case that was ok failed; 1 of 3 cases is slower",
       [](ResultSet&, ResultSet& b) {
         replace(b, 2, not_ok(4, Status::failed));
         replace(b, 1, measured(2, 5e-3));
       }},
      {"skipped", inconclusive, "1 case that was ok is skipped or absent",
       [](ResultSet&, ResultSet& b) { replace(b, 2, not_ok(4, Status::skipped)); }},
      {"missing", inconclusive, "1 case that was ok is skipped or absent",
       [](ResultSet&, ResultSet& b) { b.records.erase(b.records.begin()); }},
      {"three missing", inconclusive, "3 cases that were ok are skipped or absent",
       [](ResultSet&, ResultSet& b) { b.records.resize(1); }},
      {"missing and slower", fail, "1 of 3 cases is slower",
       [](ResultSet&, ResultSet& b) {
         replace(b, 1, measured(2, 5e-3));
         b.records.erase(b.records.begin());
       }},
      {"noisy", inconclusive, "1 of 4 cases cannot be judged at 5 %",
       [](ResultSet&, ResultSet& b) { replace(b, 1, measured(2, 4e-3, 8, 0.05)); }},
      {"noisy, 1.9 times slower and hidden", inconclusive, "1 of 4 cases cannot be judged at 5 %",
       [](ResultSet& a, ResultSet& b) {
         replace(a, 1, measured(2, 4e-3, 8, 0.25));
         replace(b, 1, measured(2, 5e-3, 8, 0.25));
       }},
      {"a noisy machine", inconclusive, "4 of 4 cases cannot be judged",
       [](ResultSet&, ResultSet& b) {
         b.environments["environment.json"]["noise"]["worst_rank_relative"] = 2.0;
       }},
      {"one epoch of few samples", inconclusive, "4 of 4 cases cannot be judged",
       [](ResultSet& a, ResultSet& b) {
         for (ResultSet* set : {&a, &b}) {
           for (std::size_t i = 0; i < 4; ++i)
             replace(*set, i, measured(1 << i, 8e-3 / (1 << i), 1, 1e-4, 2));
         }
       }},
      {"one epoch on a machine that is not quiet", inconclusive, "4 of 4 cases cannot be judged",
       [](ResultSet&, ResultSet& b) {
         b.environments["environment.json"]["noise"]["worst_rank_relative"] = 0.1;
         for (std::size_t i = 0; i < 4; ++i) replace(b, i, measured(1 << i, 8e-3 / (1 << i), 1, 1e-4, 30));
       }},
      {"other kernels", inconclusive, "the sides are not alike",
       [](ResultSet&, ResultSet& b) { b.environments["environment.json"]["blas"]["core"] = "Prescott"; }},
      {"other kernels and slower", inconclusive, "the sides are not alike",
       [](ResultSet&, ResultSet& b) {
         b.environments["environment.json"]["blas"]["core"] = "Prescott";
         replace(b, 1, measured(2, 9e-3));
       }},
      {"another fabric, and compute changed", inconclusive, "the sides are not alike",
       [](ResultSet&, ResultSet& b) {
         b.label = "eth-10g";
         for (std::size_t i = 0; i < 4; ++i) replace(b, i, measured(1 << i, 17.6e-3 / (1 << i)));
       }},
  };
  return kFaults;
}

TEST(Gate, JudgesEachFaultAsTheDocumentSays) {
  for (const Fault& fault : faults()) {
    ResultSet base = folder("results/a"), other = folder("results/b");
    fault.make(base, other);
    const Comparison comparison = compare(base, other);
    const Gate gate = judge_gate({&comparison, 1}, 0.05);
    EXPECT_EQ(name_of(gate.outcome), name_of(fault.outcome)) << fault.what << ": " << gate.line();
    EXPECT_NE(gate.line().find(fault.said), std::string::npos) << fault.what << ": " << gate.line();
    EXPECT_EQ(gate.line().find('\n'), std::string::npos);
  }
}

TEST(Gate, IsTheLastLineOfATableAndAKeyOfJson) {
  ResultSet base = folder("results/a"), other = folder("results/b");
  replace(other, 1, measured(2, 5e-3));
  const Comparison comparison = compare(base, other);
  const Gate gate = judge_gate({&comparison, 1}, 0.05);
  for (const CompareFormat format : {CompareFormat::table, CompareFormat::markdown}) {
    const auto lines = split(render_comparisons(format, {&comparison, 1}, &gate), '\n');
    EXPECT_EQ(lines.at(lines.size() - 2), "FAIL: 1 of 4 cases is slower by more than 5 %");
  }
  const Json document = Json::parse(render_comparisons(CompareFormat::json, {&comparison, 1}, &gate));
  EXPECT_EQ(document.at("gate").at("outcome"), "fail");
  EXPECT_EQ(document.at("gate").at("limit"), 0.05);
  EXPECT_TRUE(Json::parse(render_comparisons(CompareFormat::json, {&comparison, 1})).at("gate").is_null());
}

TEST(Gate, OneOfSeveralFoldersIsEnough) {
  ResultSet base = folder("results/a"), alike = folder("results/b"), slow = folder("results/c");
  replace(slow, 1, measured(2, 5e-3));
  const std::vector<Comparison> comparisons = {compare(base, alike), compare(base, slow)};
  const Gate gate = judge_gate(comparisons, 0.05);
  EXPECT_EQ(gate.line(), "FAIL: results/c: 1 of 4 cases is slower by more than 5 %");
}

TEST(Gate, SaysWhatItCountsAs) {
  ResultSet base = folder("results/a"), other = folder("results/b");
  other.records.resize(3);
  const Comparison comparison = compare(base, other);
  Gate gate = judge_gate({&comparison, 1}, 0.05);
  gate.counted_as = GateOutcome::pass;
  EXPECT_EQ(gate.line(), "INCONCLUSIVE: 1 case that was ok is skipped or absent (counts as pass)");
}

TEST(Alarms, NoNetworkChangesCompute) {
  ResultSet base = folder("results/a"), other = folder("results/b");
  for (std::size_t i = 0; i < 4; ++i) replace(other, i, measured(1 << i, 17.6e-3 / (1 << i)));
  EXPECT_TRUE(compare(base, other).alarms.empty()) << "of one label the program may have changed";
  other.label = "eth-10g";
  const auto alarms = compare(base, other).alarms;
  ASSERT_EQ(alarms.size(), 1U);
  EXPECT_TRUE(
      alarms[0].starts_with("Compute changed 2.20 times (eth-10g takes longer), and no network does that"))
      << alarms[0];
}

// ---- a rolling baseline

TEST(RollingBaseline, HoldsOneNewLaunchAgainstTheScatterOfTheOthers) {
  std::vector<ResultSet> launches;
  for (int i = 0; i < 6; ++i) {
    launches.push_back(folder("results/" + std::to_string(i)));
    for (std::size_t k = 0; k < 4; ++k)
      replace(launches.back(), k, measured(1 << k, 8e-3 / (1 << k) * (1 + 0.004 * ((i * 5) % 7 - 3))));
  }
  std::vector<const ResultSet*> base;
  for (const ResultSet& launch : launches) base.push_back(&launch);
  for (const auto& [factor, outcome] :
       {std::pair(1.005, GateOutcome::pass), std::pair(1.2, GateOutcome::fail)}) {
    ResultSet now = folder("results/now");
    for (std::size_t k = 0; k < 4; ++k) replace(now, k, measured(1 << k, 8e-3 / (1 << k) * factor));
    const ResultSet* one = &now;
    const Comparison comparison = compare(base, {&one, 1});
    EXPECT_EQ(comparison.design, Design::rolling);
    EXPECT_EQ(comparison.rounds, 6U);
    EXPECT_NEAR(*comparison.cases[0].cells[0].ratio, factor, 0.01);
    const Gate gate = judge_gate({&comparison, 1}, 0.05);
    EXPECT_EQ(name_of(gate.outcome), name_of(outcome)) << gate.line();
    EXPECT_NE(render_comparisons(CompareFormat::table, {&comparison, 1})
                  .find("from the 6 launches of the baseline"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace tpbench
