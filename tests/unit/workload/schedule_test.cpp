#include "workload/schedule.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace tpbench {
namespace {

constexpr Schedule kWhole[] = {Schedule::gpipe, Schedule::one_f_one_b, Schedule::zb_h1};

std::string in_letters(const PipelineShape& shape, std::int64_t rank, bool with_stage) {
  constexpr std::string_view kLetters = "FBIW";
  std::string text;
  for (const PipelineStep& step : steps_of_rank(shape, rank)) {
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", with_stage ? std::to_string(step.stage) : "",
                        kLetters[static_cast<std::size_t>(step.work)], step.microbatch);
  }
  return text;
}

TEST(Schedules, HaveTheOrdersOfTheirPapers) {
  const PipelineShape turn = {.ranks = 4, .microbatches = 6, .schedule = Schedule::one_f_one_b};
  EXPECT_EQ(in_letters(turn, 0, false), "F0 F1 F2 F3 B0 F4 B1 F5 B2 B3 B4 B5");
  EXPECT_EQ(in_letters(turn, 3, false), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5");
  const PipelineShape interleaved = {
      .ranks = 2, .virtual_stages = 2, .microbatches = 4, .schedule = Schedule::interleaved};
  EXPECT_EQ(in_letters(interleaved, 0, true),
            "0F0 0F1 2F0 2F1 0F2 2B0 0F3 2B1 2F2 0B0 2F3 0B1 2B2 2B3 0B2 0B3");
  const PipelineShape gpipe = {.ranks = 2, .microbatches = 3, .schedule = Schedule::gpipe};
  EXPECT_EQ(in_letters(gpipe, 1, false), "F0 F1 F2 B0 B1 B2");
  const PipelineShape split = {.ranks = 3, .microbatches = 3, .schedule = Schedule::zb_h1};
  EXPECT_EQ(in_letters(split, 0, false), "F0 F1 F2 I0 W0 I1 W1 I2 W2");
  EXPECT_EQ(in_letters(split, 2, false), "F0 I0 F1 I1 F2 I2 W0 W1 W2");
}

// Each microbatch once, forward before backward, never more gradients than there were forwards.
void check_rank(const PipelineShape& shape, std::int64_t rank) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::set<StageWork>> seen;
  std::int64_t in_flight = 0;
  for (const PipelineStep& step : steps_of_rank(shape, rank)) {
    EXPECT_EQ(step.stage % shape.ranks, rank);
    auto& works = seen[{step.stage, step.microbatch}];
    EXPECT_TRUE(works.insert(step.work).second) << "twice";
    if (step.work != StageWork::forward) {
      EXPECT_TRUE(works.contains(StageWork::forward));
    }
    if (step.work == StageWork::weight_gradient) {
      EXPECT_TRUE(works.contains(StageWork::input_gradient));
    }
    if (step.work == StageWork::forward) ++in_flight;
    if (step.work == StageWork::backward || step.work == StageWork::input_gradient) --in_flight;
    EXPECT_GE(in_flight, 0);
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(shape.microbatches * shape.virtual_stages));
  const std::size_t works = !shape.trains ? 1 : shape.schedule == Schedule::zb_h1 ? 3 : 2;
  for (const auto& [what, done] : seen) EXPECT_EQ(done.size(), works);
  EXPECT_EQ(in_flight, shape.trains ? 0 : shape.microbatches * shape.virtual_stages);
}

void check(const PipelineShape& shape) {
  SCOPED_TRACE(fmt::format("{} v={} m={} p={} trains={}", name_of(shape.schedule), shape.virtual_stages,
                           shape.microbatches, shape.ranks, shape.trains));
  ASSERT_EQ(why_no_schedule(shape), std::nullopt);
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) check_rank(shape, rank);
  const std::vector<StageTimes> times(static_cast<std::size_t>(shape.stages()), {1, 1, 1});
  const Replay replay = replay_pipeline(shape, times, 0.25);  // throws where the ranks wait in a circle
  // A stage runs a microbatch after the stage before it has sent it.
  std::map<std::pair<std::int64_t, std::int64_t>, double> ends;
  for (const auto& rank : replay.ranks) {
    for (const ReplayedStep& step : rank) {
      if (step.step.work == StageWork::forward) ends[{step.step.stage, step.step.microbatch}] = step.end_s;
    }
  }
  for (const auto& [key, end_s] : ends) {
    if (key.first > 0) {
      EXPECT_GE(end_s, ends.at({key.first - 1, key.second}) + 1);
    }
  }
}

TEST(Schedules, KeepTheirRules) {
  for (const bool trains : {true, false}) {
    for (const std::int64_t p : {1, 2, 3, 4, 5, 8}) {
      for (const std::int64_t m : {1, 2, 3, 7, 8, 13}) {
        for (const Schedule schedule : kWhole)
          check({.ranks = p, .microbatches = m, .schedule = schedule, .trains = trains});
      }
    }
    constexpr std::int64_t kCombinations[][3] = {{3, 12, 4}, {4, 10, 5}, {2, 16, 4}, {2, 2, 2}, {2, 4, 2},
                                                 {2, 8, 2},  {3, 6, 3},  {4, 4, 4},  {2, 4, 4}, {2, 8, 8},
                                                 {5, 4, 2},  {2, 3, 1},  {3, 15, 5}, {2, 64, 8}};
    for (const auto& [v, m, p] : kCombinations)
      check({.ranks = p,
             .virtual_stages = v,
             .microbatches = m,
             .schedule = Schedule::interleaved,
             .trains = trains});
  }
}

TEST(Schedules, ThatCannotBeSayWhy) {
  PipelineShape shape = {
      .ranks = 4, .virtual_stages = 2, .microbatches = 6, .schedule = Schedule::interleaved};
  EXPECT_NE(why_no_schedule(shape)->find("microbatches 6 is not divisible by pp_degree 4"),
            std::string::npos);
  shape.schedule = Schedule::gpipe;
  EXPECT_NE(why_no_schedule(shape)->find("interleaved"), std::string::npos);
  shape = {.ranks = 4, .microbatches = 8, .schedule = Schedule::interleaved};
  EXPECT_NE(why_no_schedule(shape)->find("1f1b"), std::string::npos);
}

Replay replayed(Schedule schedule, std::int64_t p, std::int64_t m, const StageTimes& of_rank,
                double boundary_s) {
  const std::int64_t v = schedule == Schedule::interleaved ? 2 : 1;
  const auto parts = static_cast<double>(v);
  const StageTimes of_stage = {of_rank.forward_s / parts, of_rank.input_gradient_s / parts,
                               of_rank.weight_gradient_s / parts};
  const PipelineShape shape = {.ranks = p, .virtual_stages = v, .microbatches = m, .schedule = schedule};
  return replay_pipeline(shape, std::vector<StageTimes>(static_cast<std::size_t>(p * v), of_stage),
                         boundary_s);
}

TEST(Replays, OfEvenStages) {
  struct Row {
    std::int64_t p, m;
    double whole_s, interleaved_s;
  };
  for (const Row& row :
       {Row{2, 2, 9, 7.5}, Row{4, 4, 21, 16.5}, Row{4, 8, 33, 28.5}, Row{8, 32, 117, 106.5}}) {
    const StageTimes times = {1, 1, 1};
    EXPECT_DOUBLE_EQ(replayed(Schedule::gpipe, row.p, row.m, times, 0).step_s, row.whole_s);
    EXPECT_DOUBLE_EQ(replayed(Schedule::one_f_one_b, row.p, row.m, times, 0).step_s, row.whole_s);
    EXPECT_DOUBLE_EQ(replayed(Schedule::interleaved, row.p, row.m, times, 0).step_s, row.interleaved_s);
  }
}

// On slow links gpipe is ahead of 1f1b, whose steady state crosses ranks twice for each microbatch.
TEST(Replays, WithSlowBoundaries) {
  const std::map<Schedule, std::pair<double, double>> expected = {{Schedule::gpipe, {33, 34.5}},
                                                                  {Schedule::one_f_one_b, {33, 37}},
                                                                  {Schedule::interleaved, {28.5, 32}},
                                                                  {Schedule::zb_h1, {27, 30}}};
  for (const auto& [schedule, step_s] : expected) {
    EXPECT_DOUBLE_EQ(replayed(schedule, 4, 8, {1, 1, 1}, 0).step_s, step_s.first) << name_of(schedule);
    EXPECT_DOUBLE_EQ(replayed(schedule, 4, 8, {1, 1, 1}, 0.25).step_s, step_s.second) << name_of(schedule);
  }
}

// arXiv 2401.10241: the times of table 9 give the bubbles of table 5.
TEST(Replays, OfPublishedTimesGiveThePublishedBubbles) {
  struct Row {
    std::int64_t p, m;
    StageTimes times_ms;
    double boundary_ms, turn, split;
  };
  for (const Row& row : {Row{8, 24, {18.522, 18.086, 9.337}, 0.601, 0.2431, 0.1585},
                         Row{8, 64, {18.546, 18.097, 9.321}, 0.762, 0.1240, 0.0674},
                         Row{32, 256, {10.402, 10.248, 7.698}, 0.460, 0.1352, 0.0594}}) {
    EXPECT_NEAR(replayed(Schedule::one_f_one_b, row.p, row.m, row.times_ms, row.boundary_ms).bubble(),
                row.turn, 5e-5);
    EXPECT_NEAR(replayed(Schedule::zb_h1, row.p, row.m, row.times_ms, row.boundary_ms).bubble(), row.split,
                5e-5);
  }
}

TEST(Schedules, KeepAsManyMicrobatchesAsTheirPapersSay) {
  for (const std::int64_t p : {2, 4, 8}) {
    for (const std::int64_t m : {p, 2 * p, 4 * p}) {
      for (std::int64_t r = 0; r < p; ++r) {
        const auto most = [&](Schedule schedule, std::int64_t v) {
          return most_in_flight({.ranks = p, .virtual_stages = v, .microbatches = m, .schedule = schedule},
                                r);
        };
        EXPECT_EQ(most(Schedule::gpipe, 1), m);
        EXPECT_EQ(most(Schedule::one_f_one_b, 1), std::min(p - r, m));
        EXPECT_EQ(most(Schedule::zb_h1, 1), std::min(p - r, m));
        for (const std::int64_t v : {2, 3})
          EXPECT_EQ(most(Schedule::interleaved, v), std::min(v * m, 2 * (p - r - 1) + (v - 1) * p + 1));
      }
    }
  }
}

// Every schedule, few and many microbatches, uneven ends, with and without transfers.
TEST(Replays, OfManyMicrobatchesFollowFromFew) {
  for (const Schedule schedule :
       {Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved, Schedule::zb_h1}) {
    for (const std::int64_t p : {1, 2, 3, 8}) {
      for (const std::int64_t rounds : {1, 2, 3, 4, 9, 30}) {
        for (const bool trains : {true, false}) {
          const bool interleaved = schedule == Schedule::interleaved;
          const std::int64_t extra = interleaved ? 0 : rounds % p;
          const PipelineShape shape = {p, interleaved && p > 1 ? 2 : 1, p * rounds + extra, schedule, trains};
          std::vector<StageTimes> times(static_cast<std::size_t>(shape.stages()), {1.0, 1.1, 0.7, 0.05, 0.1});
          times.front().forward_s += 0.1;
          times.back().forward_s += 0.4;
          times.back().input_gradient_s += 0.3;
          times.back().weight_gradient_s += 0.5;
          for (const double boundary_s : {0.0, 0.2}) {
            for (const std::optional<double> exchange_s : {std::optional<double>(), std::optional(7.5)}) {
              if (exchange_s && !trains) continue;
              const double whole_s = replay_pipeline(shape, times, boundary_s, exchange_s).step_s;
              EXPECT_NEAR(pipeline_step_s(shape, times, boundary_s, exchange_s), whole_s, 0.01 * whole_s)
                  << name_of(schedule) << " p=" << p << " m=" << shape.microbatches << " trains=" << trains;
            }
          }
        }
      }
    }
  }
}

// Behind the last steps of both ends: of three stages the second ends before the first.
TEST(Replays, HaveWhatTheEndsExchange) {
  const std::vector<StageTimes> times(3, {1.0, 1.0, 1.0});
  const PipelineShape shape = {.ranks = 3, .microbatches = 4, .schedule = Schedule::one_f_one_b};
  const Replay without = replay_pipeline(shape, times, 0), with = replay_pipeline(shape, times, 0, 5);
  EXPECT_EQ(with.step_s, without.step_s + 5);
  EXPECT_EQ(with.busiest_s, without.busiest_s);
  const PipelineShape one = {.ranks = 1, .microbatches = 4};
  EXPECT_EQ(replay_pipeline(one, {times.data(), 1}, 0, 5).step_s,
            replay_pipeline(one, {times.data(), 1}, 0).step_s);
}

}  // namespace
}  // namespace tpbench
