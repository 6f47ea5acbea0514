// Prints how long a plan takes: every split of a model of 405e9 parameters over 1024 ranks.
#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <iterator>

#include "advisor/plan_model.hpp"
#include "base/json.hpp"

int main() {
  using namespace tpbench;
  std::ifstream stream(TPBENCH_SOURCE_DIR "/docs/calibrations/a100-80gb-selene.json");
  const Calibration calibration = calibration_from_json(Json::parse(stream));
  for (const bool trains : {true, false}) {
    for (const bool bounded : {true, false}) {
      PlanQuestion question;
      question.task.model = *find_model("llama3-405b");
      question.task.dtype = question.machine.dtype = DType::f16;
      question.task.trains = trains;
      question.task.batch_size = 2048;
      question.task.sequence_length = question.task.context_length = 8192;
      question.ranks = 1024;
      question.machine.backend = "cuda";
      question.machine.algorithm = "nccl";
      question.machine.machine.ranks_per_host = 8;
      if (bounded) question.memory_per_rank = 80'000'000'000;
      const auto start = std::chrono::steady_clock::now();
      const ModelPlan plan = plan_model(calibration, question);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      fmt::print("plan of llama3-405b on 1024 ranks, {}, {}: {} splits, {} fit, {:.0f} ms\n",
                 trains ? "training" : "inference", bounded ? "80 GB each" : "all memory", plan.tried,
                 plan.fitting.size(), seconds * 1e3);
    }
  }
  return 0;
}
