#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "advisor/plan_model.hpp"
#include "base/json.hpp"

// Training times that others have published, from descriptions of their machines (docs/calibrations/): peaks,
// bandwidths and one set of efficiencies each. docs/plan.md says which rows the efficiencies were chosen by.
namespace tpbench {
namespace {

Calibration description(const std::string& name) {
  std::ifstream stream(TPBENCH_SOURCE_DIR "/docs/calibrations/" + name);
  return calibration_from_json(Json::parse(stream));
}

Model gpt(std::int64_t hidden_size, std::int64_t heads, std::int64_t layers) {
  Model model;
  model.name = "gpt";
  model.hidden_size = hidden_size;
  model.ffn_hidden_size = 4 * hidden_size;
  model.num_heads = model.num_kv_heads = heads;
  model.head_dim = hidden_size / heads;
  model.num_layers = layers;
  model.vocabulary = 51200;
  model.ties_embeddings = true;
  return model;
}

PlanQuestion training(const Model& model, std::int64_t ranks, std::int64_t batch, std::int64_t sequence) {
  PlanQuestion question;
  question.task.model = model;
  question.task.dtype = question.machine.dtype = DType::f16;
  question.task.trains = true;
  question.task.batch_size = batch;
  question.task.sequence_length = sequence;
  question.ranks = ranks;
  question.machine.backend = "cuda";
  question.machine.algorithm = "nccl";
  question.machine.machine.ranks_per_host = 8;
  return question;
}

// Of the split that was published.
double step_s(const Calibration& machine, const PlanQuestion& question, const ModelSplit& split) {
  for (const SplitPlan& plan : plan_model(machine, question).fitting) {
    const ModelSplit& how = plan.split;
    if (how.layout == split.layout && how.microbatches == split.microbatches &&
        how.virtual_stages == split.virtual_stages && how.schedule == split.schedule &&
        plan.placement != Placement::pp_inside)
      return plan.step.median_s;
  }
  return std::nan("");
}

struct Row {
  Model model;
  std::int64_t pp, v, batch, microbatch;
  double full_s, selective_s;
};

// arXiv 2205.05198, table 5; layouts of table 3. Sequences of 2048, 8 ranks a layer.
TEST(PublishedTimes, OfTrainingWithLessRecomputation) {
  const Calibration machine = description("a100-80gb-selene.json");
  double sum = 0;
  int count = 0;
  for (const Row& row :
       {Row{gpt(6144, 64, 48), 1, 1, 4, 4, 1.42, 1.10}, Row{gpt(12288, 96, 96), 8, 3, 64, 1, 18.13, 13.75},
        Row{gpt(20480, 128, 105), 35, 3, 280, 1, 49.05, 37.83},
        Row{gpt(25600, 160, 128), 64, 1, 512, 1, 94.42, 71.49}}) {
    ModelSplit split;
    split.layout = {8, row.pp, 1};
    split.microbatches = row.batch / row.microbatch;
    split.virtual_stages = row.v;
    split.schedule = row.v > 1 ? Schedule::interleaved : Schedule::one_f_one_b;
    PlanQuestion question = training(row.model, 8 * row.pp, row.batch, 2048);
    question.recompute = Recompute::full;
    const double full = step_s(machine, question, split) / row.full_s - 1;
    question.recompute = Recompute::selective;
    question.sequence_parallel = true;
    const double selective = step_s(machine, question, split) / row.selective_s - 1;
    for (const double error : {full, selective}) {
      EXPECT_LE(std::abs(error), 0.10) << "h=" << row.model.hidden_size;
      sum += std::abs(error);
      ++count;
    }
    RecordProperty("h" + std::to_string(row.model.hidden_size) + "_full", std::to_string(full));
    RecordProperty("h" + std::to_string(row.model.hidden_size) + "_selective", std::to_string(selective));
    std::printf("h=%ld full %+.1f %%, selective and sequence parallel %+.1f %%\n", row.model.hidden_size,
                100 * full, 100 * selective);
  }
  EXPECT_LE(sum / count, 0.05);
}

// The same paper, section 6.3: the 530B row on 8 times the ranks, as 8 copies that sum their gradients.
TEST(PublishedTimes, OfCopiesOfAModel) {
  PlanQuestion question = training(gpt(20480, 128, 105), 2240, 2240, 2048);
  question.sequence_parallel = true;
  ModelSplit split;
  split.layout = {8, 35, 8};
  split.microbatches = 280;
  split.virtual_stages = 3;
  split.schedule = Schedule::interleaved;
  const double error = step_s(description("a100-80gb-selene.json"), question, split) / 39.15 - 1;
  EXPECT_LE(std::abs(error), 0.05);
  std::printf("530B on 2240 ranks %+.1f %%\n", 100 * error);
}

// Megatron-LM, tensor parallelism alone, sequences of 1024, full recomputation: degree 1 gave the
// efficiencies, the others are foretold.
TEST(PublishedTimes, OfTensorParallelTraining) {
  struct Machine {
    const char* file;
    std::int64_t batch;
    double step_s[4];
  };
  const Model models[] = {gpt(1920, 15, 24), gpt(2304, 18, 30), gpt(3072, 24, 36), gpt(4096, 32, 42)};
  for (const Machine& machine : {Machine{"v100-dgx2.json", 8, {1.121, 1.093, 1.238, 1.407}},
                                 Machine{"a100-40gb.json", 16, {1.076, 1.026, 1.162, 1.343}}}) {
    const Calibration calibration = description(machine.file);
    for (int i = 0; i < 4; ++i) {
      ModelSplit split;
      split.layout.tp = std::int64_t{1} << i;
      PlanQuestion question = training(models[i], split.layout.tp, machine.batch, 1024);
      question.recompute = Recompute::full;
      const double error = step_s(calibration, question, split) / machine.step_s[i] - 1;
      EXPECT_LE(std::abs(error), i == 0 ? 0.005 : 0.06) << machine.file << " TP " << split.layout.tp;
      std::printf("%s TP %ld %+.1f %%\n", machine.file, split.layout.tp, 100 * error);
    }
  }
}

}  // namespace
}  // namespace tpbench
