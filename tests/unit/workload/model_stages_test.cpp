#include "workload/model_stages.hpp"

#include <gtest/gtest.h>

#include "workload/model_memory.hpp"
#include "workload/pipeline_plan.hpp"

namespace tpbench {
namespace {

ModelTask task_of(const char* model, bool trains) {
  ModelTask task;
  task.model = *find_model(model);
  task.trains = trains;
  task.batch_size = 8;
  task.sequence_length = task.context_length = 2048;
  return task;
}

std::int64_t padded(std::int64_t vocabulary, std::int64_t tp) { return (vocabulary + tp - 1) / tp * tp; }

TEST(ModelStages, HoldAllParametersOnce) {
  for (const char* name : {"llama3-8b", "gpt3-175b", "llama3.2-1b"}) {
    const ModelTask task = task_of(name, true);
    const Model& model = task.model;
    for (const std::int64_t tp : {1, 4}) {
      for (const std::int64_t pp : {1, 2, 4}) {
        const ModelSplit split = {.layout = {.tp = tp, .pp = pp}};
        double parameters = 0;
        for (std::int64_t rank = 0; rank < pp; ++rank) parameters += stage_parameters(task, split, rank);
        const std::int64_t of_norm = (model.norm == Norm::layer_norm ? 2 : 1) * model.hidden_size;
        const std::int64_t tables = model.ties_embeddings && pp == 1 ? 1 : 2;  // apart, each has a copy
        const std::int64_t expected = model.num_layers * parameters_per_layer(transformer_of(model), tp) +
                                      (2 * model.num_layers + 1) * of_norm +  // whole on every rank
                                      tables * padded(model.vocabulary, tp) / tp * model.hidden_size;
        EXPECT_EQ(parameters, static_cast<double>(expected)) << name << ' ' << tp << ' ' << pp;
      }
    }
  }
}

TEST(ModelStages, TrainAt18BytesAParameter) {
  ModelTask task = task_of("llama3-8b", true);
  const ModelSplit split = {.layout = {.tp = 2, .pp = 2}, .microbatches = 8};
  const StageMemory first = stage_memory(task, split, 0);
  const auto parameters = static_cast<std::int64_t>(stage_parameters(task, split, 0));
  EXPECT_EQ(first.weights + first.gradients + first.optimizer, kTrainingBytesPerParameter * parameters);
  EXPECT_EQ(first.kv_cache, 0);
  task.dtype = DType::f32;
  const StageMemory wide = stage_memory(task, split, 0);
  EXPECT_EQ(wide.weights + wide.gradients + wide.optimizer, 16 * parameters);
}

// Against the published formula, which has dropout masks of one byte that these layers do not: 2 of 34 sbh/t
// with sequence parallelism.
TEST(ModelStages, KeepWhatTheirPaperSays) {
  ModelTask task = task_of("megatron-22b", true);
  task.batch_size = 4;
  const TransformerShape shape = transformer_of(task.model);
  const TrainingSetup setup = {.sequence_length = 2048, .microbatch = 4, .tp_degree = 8};
  ModelSplit split = {.layout = {.tp = 8}, .sequence_parallel = true};
  const auto kept = [&](Recompute recompute) {
    split.recompute = recompute;
    return static_cast<double>(stage_memory(task, split, 0).activations);
  };
  const double selective = 48 * activation_bytes_selective(shape, setup);
  EXPECT_NEAR(kept(Recompute::selective), selective * 32 / 34, 0.05 * selective);
  const double all = 48 * activation_bytes_sequence_parallel(shape, setup);
  EXPECT_NEAR(kept(Recompute::none), all, 0.05 * all);
  EXPECT_LT(kept(Recompute::full), 0.2 * selective);
  split.sequence_parallel = false;
  // 8 sbh of norms' inputs and outputs on every rank, beside the two masks, and 24 sbh/t.
  const double whole_rows = 48 * 2048.0 * 4 * 6144 * (8 + 24.0 / 8);
  EXPECT_NEAR(kept(Recompute::selective), whole_rows, 0.05 * whole_rows);
}

TEST(ModelStages, KeepAsManyMicrobatchesAsTheirPlanHasPlaces) {
  for (const Schedule schedule :
       {Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved, Schedule::zb_h1}) {
    for (const std::int64_t p : {2, 3, 5}) {
      for (const std::int64_t m : {p, 2 * p, 4 * p}) {
        const PipelineShape shape = {p, schedule == Schedule::interleaved ? 2 : 1, m, schedule, true};
        for (std::int64_t rank = 0; rank < p; ++rank) {
          const RankPlan plan = plan_rank(shape, rank);
          const KeptSets kept = microbatches_kept(shape, rank);
          EXPECT_EQ(kept.activations, plan.activations) << name_of(schedule) << p << m << rank;
          EXPECT_EQ(kept.inputs, plan.inputs) << name_of(schedule) << p << m << rank;
          EXPECT_EQ(kept.gradients, plan.gradients) << name_of(schedule) << p << m << rank;
        }
      }
    }
  }
}

TEST(ModelStages, HaveTheirPartOfTheKeysAndValues) {
  ModelTask task = task_of("llama3-70b", false);
  task.context_length = 4095;
  const std::int64_t whole = 2LL * 80 * 8 * 128 * 8 * 4096 * 2;  // K and V: L, g, d, batch, tokens, bytes
  for (const std::int64_t tp : {1, 8, 16}) {
    for (const std::int64_t pp : {1, 4}) {
      const ModelSplit split = {.layout = {.tp = tp, .pp = pp}, .microbatches = 2};
      EXPECT_EQ(stage_memory(task, split, 0).kv_cache, whole / std::min<std::int64_t>(tp, 8) / pp);
    }
  }
  const StageMemory copies = stage_memory(task, {.layout = {.tp = 8, .dp = 2}}, 0);
  EXPECT_EQ(copies.kv_cache, whole / 8 / 2) << "each copy has half of the sequences";
  EXPECT_EQ(copies.gradients + copies.optimizer, 0);
}

TEST(ModelStages, HaveTheEndsOnTheFirstAndTheLast) {
  const ModelTask task = task_of("llama3-8b", false);
  const ModelSplit split = {.layout = {.tp = 3, .pp = 4}};
  const std::int64_t layers = stage_memory(task, split, 1).weights;
  const std::int64_t table = padded(128256, 3) / 3 * 4096 * 2;
  EXPECT_EQ(stage_memory(task, split, 0).weights, layers + table);
  EXPECT_EQ(stage_memory(task, split, 0).end_weights, table);
  EXPECT_EQ(stage_memory(task, split, 1).end_weights, 0);
  EXPECT_EQ(stage_memory(task, split, 3).weights, layers + table + 4096 * 2);
}

TEST(ModelStages, ThatCannotBeNameTheRule) {
  const ModelTask task = task_of("llama3-8b", true);
  EXPECT_FALSE(why_no_split(task, {.layout = {.tp = 8, .pp = 4}, .microbatches = 4}));
  EXPECT_EQ(why_no_split(task, {.layout = {.dp = 3}}), "batch 8 is not divisible by 3 copies of the model");
  EXPECT_EQ(why_no_split(task, {.layout = {.pp = 5}}),
            "num_layers 32 is not divisible by pp_degree 5; pp_degree 4 and 8 would do");
  EXPECT_TRUE(why_no_split(task, {.layout = {.tp = 3}}));
  EXPECT_TRUE(why_no_split(task, {.layout = {.pp = 2}, .microbatches = 3}));
}

}  // namespace
}  // namespace tpbench
