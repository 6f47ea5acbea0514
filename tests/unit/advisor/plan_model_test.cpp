#include "advisor/plan_model.hpp"

#include <gtest/gtest.h>

#include <set>

#include "advisor/advisor_error.hpp"
#include "advisor/next_sweep.hpp"
#include "known_machine.hpp"
#include "sweep/sweep.hpp"

namespace tpbench {
namespace {

PlanQuestion question_of(const char* model, std::int64_t ranks) {
  PlanQuestion question;
  question.task.model = *find_model(model);
  question.task.dtype = question.machine.dtype = DType::f32;
  question.task.batch_size = 8;
  question.task.sequence_length = question.task.context_length = 256;
  question.ranks = ranks;
  return question;
}

PlanQuestion training_of(const char* model, std::int64_t ranks) {
  PlanQuestion question = question_of(model, ranks);
  question.task.trains = true;
  return question;
}

const SplitPlan* find_split(const ModelPlan& plan, const Layout& layout, std::int64_t microbatches,
                            Schedule schedule = Schedule::one_f_one_b) {
  for (const SplitPlan& split : plan.fitting) {
    if (split.split.layout == layout && split.split.microbatches == microbatches &&
        split.split.schedule == schedule)
      return &split;
  }
  return nullptr;
}

PredictedCase predicted(const PlanQuestion& question, std::int64_t tp, std::int64_t sequence,
                        std::int64_t context) {
  Case point;
  point.workload = "model";
  point.model = question.task.model.name;
  point.batch_size = question.task.batch_size;
  point.sequence_length = sequence;
  point.context_length = context;
  point.layout.tp = tp;
  normalise_case(point);
  return predict_case(known_machine(), point, question.machine.machine);
}

// Layers times a layer, embedding and head are what the workload of the whole model is predicted to take.
TEST(ModelPlans, PutTogetherWhatAWholeModelTakes) {
  const PlanQuestion question = question_of("llama3.2-1b", 4);
  const ModelPlan plan = plan_model(known_machine(), question);
  for (const std::int64_t tp : {1, 2, 4}) {
    const SplitPlan* split = find_split(plan, {tp, 1, 4 / tp}, 1);
    ASSERT_NE(split, nullptr) << tp;
    PlanQuestion one = question;
    one.task.batch_size = 8 / (4 / tp);  // of one copy
    EXPECT_NEAR(split->step.median_s / predicted(one, tp, 256, 0).step.median_s, 1, 1e-9) << tp;
    EXPECT_NEAR(split->token->median_s / predicted(one, tp, 1, 256).step.median_s, 1, 1e-9) << tp;
    EXPECT_NEAR(split->tokens_per_s.median, 8 / split->token->median_s, 1e-9);
    EXPECT_LT(split->token->low_s, split->token->median_s);
    EXPECT_LT(split->token->median_s, split->token->high_s);
  }
}

TEST(ModelPlans, TryEverySplit) {
  PlanQuestion question = question_of("llama3.2-1b", 8);
  question.task.batch_size = 1;
  const ModelPlan plan = plan_model(known_machine(), question);
  std::set<std::pair<std::int64_t, std::int64_t>> degrees;
  for (const SplitPlan& split : plan.fitting) degrees.insert({split.split.layout.tp, split.split.layout.pp});
  std::set<std::pair<std::int64_t, std::int64_t>> expected;  // 32 heads, 8 of keys, 16 layers
  for (const std::int64_t tp : {1, 2, 4, 8}) {
    for (const std::int64_t pp : {1, 2, 4, 8, 16}) {
      if (tp * pp <= 8) expected.insert({tp, pp});
    }
  }
  EXPECT_EQ(degrees, expected);
  EXPECT_EQ(plan.tried, plan.fitting.size());
}

TEST(ModelPlans, TryEveryScheduleOfTraining) {
  const ModelPlan plan = plan_model(known_machine(), training_of("llama3.2-1b", 4));
  std::set<std::pair<Schedule, std::int64_t>> schedules;
  for (const SplitPlan& split : plan.fitting) {
    if (split.split.layout.pp == 4) schedules.insert({split.split.schedule, split.split.virtual_stages});
  }
  EXPECT_EQ(schedules, (std::set<std::pair<Schedule, std::int64_t>>{{Schedule::gpipe, 1},
                                                                    {Schedule::one_f_one_b, 1},
                                                                    {Schedule::interleaved, 2},
                                                                    {Schedule::interleaved, 4},
                                                                    {Schedule::zb_h1, 1}}));
  for (std::size_t i = 1; i < plan.fitting.size(); ++i)
    EXPECT_GE(plan.fitting[i - 1].tokens_per_s.median, plan.fitting[i].tokens_per_s.median);
}

TEST(ModelPlans, UseCopiesWhereTheBatchAllowsThem) {
  PlanQuestion question = training_of("llama3.2-1b", 8);
  const ModelPlan plan = plan_model(known_machine(), question);
  EXPECT_NE(find_split(plan, {2, 1, 4}, 2), nullptr);
  question.task.batch_size = 6;  // of 4 places 3 have an equal part
  const ModelPlan uneven = plan_model(known_machine(), question);
  const SplitPlan* split = find_split(uneven, {2, 1, 3}, 2);
  ASSERT_NE(split, nullptr);
  EXPECT_EQ(split->ranks(), 6);
  EXPECT_GT(split->gradients_s, 0) << "copies sum their gradients";
  EXPECT_EQ(find_split(uneven, {8, 1, 1}, 1)->gradients_s, 0);
}

TEST(ModelPlans, LeaveOutWhatDoesNotFitAndSayByHowMuch) {
  PlanQuestion question = training_of("llama3-8b", 8);
  question.memory_per_rank = 24'000'000'000;
  const ModelPlan plan = plan_model(known_machine(), question);
  ASSERT_FALSE(plan.fitting.empty());
  ASSERT_FALSE(plan.too_large.empty());
  for (const SplitPlan& split : plan.fitting) EXPECT_LE(split.memory.total(), *question.memory_per_rank);
  for (const SplitPlan& split : plan.too_large) {
    EXPECT_EQ(split.over_bytes, split.memory.total() - *question.memory_per_rank);
    for (std::int64_t rank = 0; rank < split.split.layout.pp; ++rank)
      EXPECT_LE(stage_memory(question.task, split.split, rank).total(), split.memory.total());
  }
  question.memory_per_rank = 1'000'000'000;
  const ModelPlan none = plan_model(known_machine(), question);
  EXPECT_TRUE(none.fitting.empty());
  for (std::size_t i = 1; i < none.too_large.size(); ++i)
    EXPECT_LE(none.too_large[i - 1].over_bytes, none.too_large[i].over_bytes);
}

// The largest stage is looked for among four; of every schedule it is the largest of all.
TEST(ModelPlans, FindTheLargestStage) {
  PlanQuestion question = training_of("llama3.2-1b", 16);
  question.task.batch_size = 32;
  for (const SplitPlan& split : plan_model(known_machine(), question).fitting) {
    std::int64_t most = 0;
    for (std::int64_t rank = 0; rank < split.split.layout.pp; ++rank)
      most = std::max(most, stage_memory(question.task, split.split, rank).total());
    EXPECT_EQ(split.memory.total(), most) << name_of(split.split.schedule) << split.split.layout.title();
  }
}

TEST(ModelPlans, KeepEitherLayersOrStagesInsideHosts) {
  PlanQuestion question = training_of("llama3.2-1b", 8);
  question.machine.machine.ranks_per_host = 2;
  std::set<Placement> placements;
  for (const SplitPlan& split : plan_model(known_machine(), question).fitting) {
    if (split.split.layout != Layout{4, 2, 1}) continue;
    placements.insert(split.placement);
    const bool stages_inside = split.placement == Placement::pp_inside;
    EXPECT_EQ(split.tp_hosts, stages_inside ? 4 : 2);
    EXPECT_EQ(split.stage_reach, stages_inside ? Reach::inside_host : Reach::between_hosts);
  }
  EXPECT_EQ(placements, (std::set<Placement>{Placement::tp_inside, Placement::pp_inside}));
}

TEST(ModelPlans, RecomputeForLessMemory) {
  PlanQuestion question = training_of("llama3.2-1b", 1);
  std::vector<double> steps;
  std::vector<std::int64_t> memory;
  for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::full}) {
    question.recompute = recompute;
    const ModelPlan plan = plan_model(known_machine(), question);
    const SplitPlan* split = find_split(plan, {1, 1, 1}, 1);
    ASSERT_NE(split, nullptr);
    steps.push_back(split->step.median_s);
    memory.push_back(split->memory.total());
  }
  EXPECT_LT(steps[0], steps[1]);
  EXPECT_LT(steps[1], steps[2]);
  EXPECT_GT(memory[0], memory[1]);
  EXPECT_GT(memory[1], memory[2]);
}

// Without a word of a fabric between hosts, what stays inside one is planned all the same.
// What a fit of small operands gives to FLOP alone, and an optimizer that memory bounds.
TEST(ModelPlans, TakeTheRateOfMemoryFromTheReferenceCopyWhereTheFitDoesNotTell) {
  const auto optimizer_s = [](double s_per_byte, std::optional<double> copy_s_per_byte,
                              std::int64_t threads) {
    Calibration machine = known_machine();
    for (WorkRate& rate : machine.compute[0].rates) rate.s_per_byte = s_per_byte;
    if (copy_s_per_byte) machine.compute[0].copies = {{1, *copy_s_per_byte}};
    machine.compute[0].threads = threads;
    PlanQuestion question = training_of("llama3.2-1b", 1);
    question.machine.threads_per_rank = threads;
    return plan_model(machine, question).fitting.at(0).optimizer_s;
  };
  const double by_the_fit = optimizer_s(1 / 10e9, {}, 1);
  EXPECT_GT(by_the_fit, 0);
  EXPECT_THROW((void)optimizer_s(0, {}, 1), AdvisorError);
  for (const std::int64_t threads : {1, 2}) {
    EXPECT_DOUBLE_EQ(optimizer_s(0, 1 / 8e9, threads), by_the_fit * 10 / 8) << threads;
    EXPECT_DOUBLE_EQ(optimizer_s(1 / 10e9, 1 / 12e9, threads), by_the_fit) << threads;
  }
  EXPECT_DOUBLE_EQ(optimizer_s(1 / 10e9, 1 / 8e9, 1), by_the_fit * 10 / 8);
  EXPECT_DOUBLE_EQ(optimizer_s(1 / 10e9, 1 / 8e9, 2), by_the_fit);
}

TEST(ModelPlans, SayWhichSplitsCannotBeTold) {
  Calibration inside = known_machine();
  std::erase_if(inside.collectives, [](const auto& rate) { return rate.reach == Reach::between_hosts; });
  std::erase_if(inside.boundaries, [](const auto& rate) { return rate.reach == Reach::between_hosts; });
  PlanQuestion question = question_of("llama3.2-1b", 8);
  question.machine.machine.ranks_per_host = 4;
  const ModelPlan plan = plan_model(inside, question);
  ASSERT_FALSE(plan.fitting.empty());
  ASSERT_FALSE(plan.untold.empty());
  for (const SplitPlan& split : plan.fitting) {
    EXPECT_EQ(split.tp_hosts, 1);
    EXPECT_EQ(split.stage_reach, Reach::inside_host);
  }
  EXPECT_NE(plan.untold.front().why.find("between hosts"), std::string::npos);
  inside.compute.front().rates.clear();
  EXPECT_THROW((void)plan_model(inside, question), AdvisorError);
}

TEST(ModelPlans, HaveContendersThatReachIntoTheBest) {
  Calibration sure = known_machine();
  sure.spread = {0, 0, 0, 0, true, 0};
  const PlanQuestion question = question_of("llama3.2-1b", 4);
  EXPECT_EQ(plan_model(sure, question).contenders.size(), 1U) << "no range, no doubt";
  Calibration unsure = known_machine();
  unsure.spread = {3, 3, 3, 3, false, 3};
  const ModelPlan plan = plan_model(unsure, question);
  EXPECT_GT(plan.contenders.size(), 2U);
  EXPECT_EQ(plan.contenders.front(), 0U);
}

TEST(ModelPlans, WriteASweepThatIsOne) {
  Calibration unsure = known_machine();
  unsure.spread = {3, 3, 3, 3, false, 3};
  const Availability all = {{"block"}, {"cpu", "cuda"}, {"mpi", "shm", "nccl", "hierarchical"}};
  for (const bool trains : {false, true}) {
    PlanQuestion question = trains ? training_of("llama3.2-1b", 8) : question_of("llama3.2-1b", 8);
    question.machine.threads_per_rank = 1;
    unsure.compute.front().cache = question.machine.cache = trains ? CacheState::cold : CacheState::warm;
    const ModelPlan plan = plan_model(unsure, question);
    const Json sweep = next_sweep(plan, "llama3.2-1b");
    const Sweep read = parse_sweep(sweep.dump(), "next.json", {}, all);
    const std::size_t measured = std::min(plan.contenders.size(), kMostMeasured);
    EXPECT_EQ(read.cases.size(), measured * (trains ? 1 : 2)) << sweep.dump(1);
    std::int64_t ranks = 0;
    for (const Case& point : read.cases) {
      EXPECT_FALSE(why_impossible(point.workload_row(), point.shape()));
      EXPECT_FALSE(why_not_divisible(point.workload_row(), point.shape()));
      EXPECT_EQ(point.model, "llama3.2-1b");
      EXPECT_EQ(point.cache, question.machine.cache);
      ranks = std::max(ranks, point.layout.ranks());
    }
    EXPECT_EQ(ranks_to_measure(plan), ranks);
    const SplitPlan& best = plan.fitting.front();
    EXPECT_EQ(read.cases.front().layout.tp, best.split.layout.tp);
    EXPECT_EQ(read.cases.front().layout.pp, best.split.layout.pp);
  }
}

}  // namespace
}  // namespace tpbench
