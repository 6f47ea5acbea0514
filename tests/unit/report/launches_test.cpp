// Several launches on each side, and the machine's own change.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <deque>

#include "base/error.hpp"
#include "base/json.hpp"
#include "report/compare_render.hpp"
#include "report/comparison.hpp"
#include "sample_sets.hpp"

namespace tpbench {
namespace {

// A machine whose launches differ as whole launches do on shared hosts, and whose reference work moves with
// them.
struct Shared {
  double together = 0.12;   ///< standard deviation that all cells of a launch share
  double alone = 0.03;      ///< of each cell in each launch
  double reference = 0.02;  ///< of a look at the machine
  bool has_reference = true;
  double cores = 0;       ///< standard deviation of the core latency of a launch, as a logarithm
  double with_cores = 0;  ///< power of it that times go with
};

using Sets = std::vector<const ResultSet*>;

struct Launches {
  std::deque<ResultSet> sets;
  Sets base, other;
  [[nodiscard]] Comparison compared() const { return compare(base, other); }
};

ResultSet launch(std::size_t cases, const Shared& machine, double level, double factor, int start,
                 std::mt19937& random) {
  std::normal_distribution<double> normal;
  ResultSet set = sample::simulate(cases, 1, 5, {.noise = 0.002}, static_cast<std::uint32_t>(random()), 0.01);
  set.path = "launch-" + std::to_string(start);
  set.environments["environment.json"]["started_at"] =
      "2026-11-22T" + std::to_string(10 + start / 60) + ":" + std::to_string(100 + start % 60).substr(1);
  for (Record& record : set.records) {
    const double slow = factor * std::exp(level + machine.alone * normal(random));
    for (double& sample : record.time->step.samples_s) sample *= slow;
    record.time->step = sample::of_epochs({record.time->step.samples_s});
    if (!machine.has_reference) continue;
    const double look = 1e-3 * std::exp(level + machine.reference * normal(random));
    const ReferenceTimes times = {look, look, 2 * look, 2 * look};
    record.reference = {{times, times}};
  }
  return set;
}

// The cores of a launch are some way apart, and its times go along with that.
void move_cores(ResultSet& set, const Shared& machine, double distance) {
  for (Record& record : set.records) {
    for (double& sample : record.time->step.samples_s) sample *= std::exp(machine.with_cores * distance);
    record.time->step = sample::of_epochs({record.time->step.samples_s});
    for (ReferenceResult& look : record.reference)
      look.before.core_latency_s = look.after.core_latency_s = 5e-8 * std::exp(distance);
  }
}

// A B B A B A A B ..., or all of A and then all of B.
Launches simulate(std::size_t cases, std::size_t rounds, const Shared& machine, double factor,
                  std::uint32_t seed, bool in_turn = true) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Launches launches;
  int start = 0;
  const auto add = [&](bool is_base) {
    const double level = machine.together * normal(random);
    ResultSet& set =
        launches.sets.emplace_back(launch(cases, machine, level, is_base ? 1 : factor, start++, random));
    if (machine.cores > 0) move_cores(set, machine, machine.cores * normal(random));
    (is_base ? launches.base : launches.other).push_back(&set);
  };
  for (std::size_t i = 0; i < 2 * rounds; ++i)
    add(in_turn ? (std::popcount(i / 2) + static_cast<int>(i)) % 2 == 0 : i < rounds);
  return launches;
}

double share_told_apart(const Comparison& comparison) {
  const QuantitySummary& steps = comparison.summaries[0];
  return static_cast<double>(steps.slower + steps.faster) / static_cast<double>(steps.ratios);
}

bool says(const std::vector<std::string>& remarks, const std::string& words) {
  return std::any_of(remarks.begin(), remarks.end(),
                     [&](const std::string& text) { return text.find(words) != std::string::npos; });
}

// ---- the sides

TEST(SeveralLaunches, ArePairedWhereTheyTookTurns) {
  const Launches in_turn = simulate(3, 4, {}, 1, 1), apart = simulate(3, 4, {}, 1, 1, /*in_turn=*/false);
  EXPECT_EQ(in_turn.compared().design, Design::alternated);
  EXPECT_EQ(in_turn.compared().cases[0].cells[0].basis, Basis::launches);
  const Comparison comparison = apart.compared();
  EXPECT_EQ(comparison.design, Design::separate);
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::both);
  EXPECT_TRUE(says(comparison.remarks, "did not take turns"));
  Sets turned = in_turn.base;
  std::reverse(turned.begin(), turned.end());
  EXPECT_EQ(compare(turned, in_turn.other).cases[0].cells[0].ratio,
            in_turn.compared().cases[0].cells[0].ratio)
      << "the order on the command line does not matter";
}

TEST(SeveralLaunches, OnOtherCoresAreNamed) {
  Launches launches = simulate(2, 3, {}, 1, 1);
  const auto set_latency = [&](double base_s, double other_s) {
    std::size_t i = 0;
    for (ResultSet& set : launches.sets) {
      const bool is_base = std::find(launches.base.begin(), launches.base.end(), &set) != launches.base.end();
      // A launch of each side ran elsewhere.
      const double seconds = ++i <= 2 ? 240e-9 : is_base ? base_s : other_s;
      for (Record& record : set.records) {
        for (ReferenceResult& look : record.reference)
          look.before.core_latency_s = look.after.core_latency_s = seconds;
      }
    }
  };
  set_latency(50e-9, 250e-9);
  const Comparison apart = launches.compared();
  ASSERT_EQ(apart.alarms.size(), 1U);
  EXPECT_TRUE(apart.alarms[0].starts_with("Other cores ran the ranks: a cache line took 50 ns"))
      << apart.alarms[0];
  set_latency(50e-9, 50e-9);
  const Comparison scattered = launches.compared();
  EXPECT_TRUE(scattered.alarms.empty());
  EXPECT_TRUE(
      says(scattered.remarks, "the cores under the ranks changed: a cache line took 50 ns to 240 ns"));
  set_latency(240e-9, 240e-9);
  const Comparison alike = launches.compared();
  EXPECT_TRUE(alike.alarms.empty());
  EXPECT_FALSE(says(alike.remarks, "a cache line took"));
  // Ranks of one case lie farther apart than those of another: no core has moved.
  for (ResultSet& set : launches.sets) {
    for (std::size_t i = 0; i < set.records.size(); ++i) {
      set.records[i].point.layout.tp = i % 2 == 0 ? 2 : 8;
      for (ReferenceResult& look : set.records[i].reference)
        look.before.core_latency_s = look.after.core_latency_s = i % 2 == 0 ? 50e-9 : 250e-9;
    }
  }
  const Comparison far_apart = launches.compared();
  EXPECT_TRUE(far_apart.alarms.empty());
  EXPECT_FALSE(says(far_apart.remarks, "a cache line took"));
}

TEST(SeveralLaunches, RatioIsThatOfTheGeometricMeans) {
  const Launches launches = simulate(2, 3, {}, 1.3, 2);
  const Cell cell = launches.compared().cases[0].cells[0];
  double logarithms = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    logarithms += std::log(launches.other[i]->records[0].time->step.summary.median /
                           launches.base[i]->records[0].time->step.summary.median);
  }
  EXPECT_NEAR(*cell.ratio, std::exp(logarithms / 3), 1e-12);
  EXPECT_NEAR(cell.other_s / cell.base_s, *cell.ratio, 1e-12);
  EXPECT_NEAR(*cell.machine * *cell.rest, *cell.ratio, 1e-12);
}

TEST(SeveralLaunches, AreRefusedWhereNothingCanBeSaid) {
  const Launches launches = simulate(2, 3, {}, 1, 3);
  const auto refusal = [](const Sets& base, const Sets& other) {
    try {
      (void)compare(base, other);
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("compared");
  };
  EXPECT_NE(refusal({launches.base[0]}, launches.other).find("is a base of one launch against several"),
            std::string::npos);
  EXPECT_NE(refusal({launches.base[0], launches.base[0]}, launches.other).find("is named twice"),
            std::string::npos);
  EXPECT_EQ(refusal({launches.base[0], launches.base[1]}, launches.other), "compared");
}

TEST(SeveralLaunches, LeaveOutWhatIsNotOkInTwo) {
  Launches launches = simulate(4, 3, {}, 1, 4);
  Record& once = launches.sets[0].records[0];
  once = sample::make_not_ok(once.point, Status::failed, ReasonCode::error, "broke");
  once.id = launches.sets[1].records[0].id;
  Comparison comparison = launches.compared();
  EXPECT_EQ(comparison.cases.size(), 4U);
  EXPECT_TRUE(says(comparison.remarks, "1 of 4 cases are not ok in every launch"));
  for (std::size_t i : {1U, 2U}) launches.sets[i].records[0] = once;
  comparison = launches.compared();
  ASSERT_EQ(comparison.unmatched.size(), 1U);
  EXPECT_EQ(comparison.unmatched[0].other->reason, "broke");
}

TEST(Alarms, NameOtherKernelsFirstOfAll) {
  Launches launches = simulate(3, 2, {}, 1, 5);
  for (std::size_t i = 0; i < launches.sets.size(); ++i)
    launches.sets[i].environments["environment.json"]["blas"] = {{"core", i == 3 ? "Prescott" : "SkylakeX"}};
  const Comparison comparison = launches.compared();
  ASSERT_EQ(comparison.alarms.size(), 1U);
  const std::string table = render_comparisons(CompareFormat::table, {&comparison, 1});
  EXPECT_EQ(
      table.find("Comparison\nThe BLAS library multiplied with different kernels: Prescott in launch-3"), 0U)
      << table.substr(0, 200);
}

// ---- the machine's own change

TEST(MachineChange, IsTakenOutWhereThatVariesLess) {
  const Launches launches = simulate(200, 6, {}, 1, 6);
  const Comparison comparison = launches.compared();
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::rest);
  Launches blind = simulate(200, 6, {.has_reference = false}, 1, 6);
  EXPECT_EQ(blind.compared().summaries[0].rests_on, RestsOn::measured);
  EXPECT_LT(*comparison.summaries[0].detectable, *blind.compared().summaries[0].detectable / 2);
  // A reference that is noise of its own is not used.
  EXPECT_EQ(simulate(200, 6, {.together = 0.01, .reference = 0.2}, 1, 6).compared().summaries[0].rests_on,
            RestsOn::measured);
}

// What is compared may itself change the machine: other kernels, fewer cores. Then that is the difference.
TEST(MachineChange, IsNotTakenOutWhereTheSidesDifferInIt) {
  Launches launches = simulate(50, 6, {.together = 0.02}, 1.3, 7);
  for (const ResultSet* set : launches.other) {
    for (Record& record : const_cast<ResultSet*>(set)->records) {
      ReferenceTimes& before = record.reference[0].before;
      before = record.reference[0].after = {before.gemm_s * 1.3, before.gemm_s * 1.3, before.copy_s * 1.3,
                                            before.copy_s * 1.3};
    }
  }
  const Comparison comparison = launches.compared();
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::measured);
  EXPECT_GT(share_told_apart(comparison), 0.95);
  EXPECT_NEAR(comparison.machine->ratio, 1.3, 0.05);
}

// Two passes with looks at the machine that differ by a factor of e leave little certain without the
// machine's change; but no machine makes 55 times of it.
TEST(MachineChange, IsNotBlamedForWhatNoMachineDoes) {
  const auto of_two_passes = [](double factor, double second_look) {
    std::mt19937 random(13);
    ResultSet set = launch(20, {.together = 0, .alone = 0.005, .reference = 0.005}, 0, factor, 0, random);
    for (Record& record : set.records) {
      std::vector<double> first = record.time->step.samples_s, second = first;
      for (double& sample : second) sample *= 1.01;
      record.time->step = sample::of_epochs({first, second});
      ReferenceResult look = record.reference[0];
      for (ReferenceTimes* times : {&look.before, &look.after}) {
        for (double* time_s :
             {&times->gemm_s, &times->gemm_slowest_s, &times->copy_s, &times->copy_slowest_s})
          *time_s *= second_look;
      }
      record.reference.push_back(look);
    }
    return set;
  };
  const ResultSet fast = of_two_passes(1, std::exp(1)), slow = of_two_passes(55, 1);
  const Comparison comparison = compare(fast, slow);
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::both);
  EXPECT_EQ(comparison.summaries[0].slower, 20U);
  const ResultSet less = of_two_passes(2, 1);  // as much as the machine was seen to do
  EXPECT_EQ(compare(fast, less).summaries[0].slower, 0U);
}

// ---- the core latency

constexpr Shared kMovedCores = {.together = 0.01, .alone = 0.01, .cores = 0.7, .with_cores = 0.5};

TEST(CoreLatency, IsTakenOutWhereTimesGoAlongWithIt) {
  const Launches launches = simulate(100, 7, kMovedCores, 1.1, 9);
  const Comparison comparison = launches.compared();
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::cores);
  EXPECT_GT(share_told_apart(comparison), 0.9);
  EXPECT_LT(*comparison.summaries[0].detectable, 0.1);
  EXPECT_NEAR(*comparison.summaries[0].rest, 1.1, 0.02);
  Shared blind = kMovedCores;
  blind.cores = 0;
  blind.together = kMovedCores.cores * kMovedCores.with_cores;
  blind.has_reference = false;
  EXPECT_EQ(share_told_apart(simulate(100, 7, blind, 1.1, 9).compared()), 0);
  const std::string table = render_comparisons(CompareFormat::table, {&comparison, 1});
  EXPECT_NE(table.find("without the core latency"), std::string::npos);
}

TEST(CoreLatency, MarksNoLaunchesThatAreAlike) {
  std::size_t marked = 0, comparisons = 0;
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const Launches launches = simulate(10, 6, kMovedCores, 1, 100 + seed);
    const Comparison comparison = launches.compared();
    ++comparisons;
    marked += comparison.summaries[0].slower + comparison.summaries[0].faster > 0 ? 1 : 0;
  }
  EXPECT_LE(marked, comparisons / 10);
}

TEST(CoreLatency, IsLeftWhereNothingGoesAlongWithItOrTheSidesDiffer) {
  Shared independent = kMovedCores;
  independent.with_cores = 0;
  EXPECT_NE(simulate(100, 7, independent, 1, 10).compared().summaries[0].rests_on, RestsOn::cores);
  EXPECT_NE(simulate(100, 4, kMovedCores, 1, 11).compared().summaries[0].rests_on,
            RestsOn::cores);  // too few
  Launches launches = simulate(100, 7, kMovedCores, 1, 12);
  for (const ResultSet* set : launches.other) {
    for (Record& record : const_cast<ResultSet*>(set)->records) {
      ReferenceResult& look = record.reference[0];
      look.before.core_latency_s = look.after.core_latency_s = 20 * *look.before.core_latency_s;
    }
  }
  EXPECT_NE(launches.compared().summaries[0].rests_on, RestsOn::cores);
}

TEST(MachineChange, OfOneLaunchOnEachSideIsNoSlowDown) {
  std::mt19937 random(8);
  const Shared quiet = {.together = 0, .alone = 0.005, .reference = 0.005};
  const ResultSet fast = launch(100, quiet, 0, 1, 0, random), slow = launch(100, quiet, 0.25, 1, 1, random);
  const Comparison comparison = compare(fast, slow);
  EXPECT_EQ(comparison.summaries[0].rests_on, RestsOn::both);
  EXPECT_EQ(comparison.summaries[0].slower, 0U);
  const ResultSet worse = launch(100, quiet, 0, 1.28, 2, random);
  EXPECT_EQ(compare(fast, worse).summaries[0].by_machine, 0U);
}

// ---- over many cells

TEST(SeveralLaunches, OfOneThingHaveAtMostFivePercentOfTheirCellsMarked) {
  for (const std::size_t rounds : {3, 8}) {
    for (const bool has_reference : {true, false}) {
      double marked = 0;
      constexpr int kExperiments = 8;
      for (std::uint32_t seed = 1; seed <= kExperiments; ++seed)
        marked +=
            share_told_apart(simulate(200, rounds, {.has_reference = has_reference}, 1, seed).compared()) /
            kExperiments;
      EXPECT_LE(marked, 0.05) << rounds << " rounds, reference " << has_reference;
    }
  }
}

// As many rounds as four of them ask for, and then 10 % are found in nine of ten cells.
TEST(SeveralLaunches, AskForEnoughRounds) {
  for (const bool has_reference : {true, false}) {
    const Shared machine = {.together = 0.05, .has_reference = has_reference};
    double share = 0;
    constexpr int kExperiments = 6;
    for (std::uint32_t seed = 1; seed <= kExperiments; ++seed) {
      const auto asked = simulate(200, 4, machine, 1.1, seed).compared().summaries[0].rounds_for_10;
      ASSERT_TRUE(asked);
      const std::size_t rounds = std::max<std::size_t>(4, *asked);
      share += share_told_apart(simulate(200, rounds, machine, 1.1, seed + 100).compared()) / kExperiments;
    }
    EXPECT_GE(share, 0.9) << has_reference;
  }
}

// ---- what can be seen, in words

TEST(Visibility, StandsFirstWhereTenPercentCannotBeSeen) {
  const Launches few = simulate(30, 3, {.together = 0.2, .has_reference = false}, 1, 9);
  const Comparison blind = few.compared();
  ASSERT_GT(*blind.summaries[0].detectable, 0.10);
  const std::string sentence = visibility_sentence(blind);
  EXPECT_EQ(sentence.find("These data cannot show a difference of 10 %: a step has to change by "), 0U)
      << sentence;
  EXPECT_NE(sentence.find("in 9 of 10 cases (at 95 %, 3 rounds). To show 10 % takes about "),
            std::string::npos)
      << sentence;
  const std::string table = render_comparisons(CompareFormat::table, {&blind, 1});
  EXPECT_EQ(table.find("Comparison\nThese data cannot show"), 0U) << table.substr(0, 100);
  const std::string page = render_comparisons(CompareFormat::markdown, {&blind, 1});
  EXPECT_EQ(page.find("## Comparison\n\n- These data cannot show"), 0U) << page.substr(0, 100);

  const Launches many = simulate(30, 8, {.together = 0.001, .alone = 0.01, .has_reference = false}, 1, 9);
  const Comparison sharp = many.compared();
  EXPECT_EQ(visibility_sentence(sharp).find("A step that changes by "), 0U) << visibility_sentence(sharp);
  EXPECT_EQ(render_comparisons(CompareFormat::table, {&sharp, 1})
                .find("Comparison\nB: no difference from A beyond chance and noise; its "
                      "steps take "),
            0U);
}

TEST(Visibility, IsInEveryFormat) {
  const Launches launches = simulate(5, 4, {}, 1, 10);
  const Comparison comparison = launches.compared();
  const Json json =
      Json::parse(render_comparisons(CompareFormat::json, {&comparison, 1})).at("comparisons").at(0);
  EXPECT_EQ(json.at("what_can_be_seen"), visibility_sentence(comparison));
  EXPECT_EQ(json.at("rounds"), 4);
  EXPECT_EQ(json.at("design"), "alternated");
  EXPECT_EQ(json.at("base").at("launches").size(), 4U);
  EXPECT_NEAR(json.at("machine").at("ratio").get<double>(), comparison.machine->ratio, 1e-12);
  const Json& step = json.at("cases").at(0).at("step");
  const Cell& cell = comparison.cases[0].cells[0];
  EXPECT_EQ(step.at("basis"), "launches");
  EXPECT_NEAR(step.at("detectable").get<double>(), *cell.detectable, 1e-12);
  EXPECT_GT(step.at("detectable_alone").get<double>(), *cell.detectable);
  EXPECT_EQ(step.at("rounds_for_10_percent").get<std::size_t>(), *cell.rounds_for_10);
  EXPECT_GE(*cell.rounds_for_5, *cell.rounds_for_10);
  EXPECT_NEAR(step.at("rest_ratio").get<double>(), *cell.rest, 1e-12);
  EXPECT_EQ(json.at("summary").at("step").at("rests_on"), name_of(comparison.summaries[0].rests_on));
  const std::string csv = render_comparisons(CompareFormat::csv, {&comparison, 1});
  for (const char* column :
       {"step_machine_ratio", "step_rest_ratio_ci95_low", "step_detectable", "step_rounds_for_5_percent"})
    EXPECT_NE(csv.find(column), std::string::npos) << column;
  EXPECT_NE(render_comparisons(CompareFormat::table, {&comparison, 1}).find("machine  rest"),
            std::string::npos);
}

TEST(WiderThan, CountsWhatNeedsMoreRounds) {
  const Launches launches = simulate(20, 4, {}, 1, 11);
  const Comparison comparison = launches.compared();
  EXPECT_EQ(wider_than(comparison, 1e-6), 20U);
  EXPECT_EQ(wider_than(comparison, 10), 0U);
}

}  // namespace
}  // namespace tpbench
