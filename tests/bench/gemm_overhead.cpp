// Prints how the `gemm` workload's median compares with a plain loop around cblas_sgemm of the same shape, in
// one launch on one rank. The two take turns, a few samples each, so that a machine that changes its speed
// changes both.
//   gemm_overhead [rounds]
#include <cblas.h>
#include <fmt/format.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "base/units.hpp"
#include "bench/case_machine.hpp"
#include "bench/parts.hpp"
#include "bench/sampling.hpp"
#include "bench/team.hpp"
#include "layers/layer.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

// What a person would write first.
class PlainLoop {
 public:
  PlainLoop(std::int64_t tokens, std::int64_t h) : m_(static_cast<int>(tokens)), h_(static_cast<int>(h)) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (std::vector<float>* values : {&x_, &w_}) {
      values->resize(static_cast<std::size_t>(values == &x_ ? tokens * h : h * h));
      for (float& value : *values) value = uniform(random);
    }
    y_.resize(static_cast<std::size_t>(tokens * h));
  }
  void run(int steps, std::vector<double>& seconds) {
    for (int i = 0; i < steps; ++i) {
      const double start = now_s();
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m_, h_, h_, 1.0F, x_.data(), h_, w_.data(), h_,
                  0.0F, y_.data(), h_);
      seconds.push_back(now_s() - start);
    }
  }

 private:
  int m_, h_;
  std::vector<float> x_, w_, y_;
};

void compare(Session& session, std::int64_t tokens, std::int64_t h, int rounds) {
  const Team team = whole_world(session);
  const Parts parts = built_in_parts();
  Case point;
  point.workload = "gemm";
  point.hidden_size = h;
  point.batch_size = tokens;
  point.threads_per_rank = 1;
  normalise_case(point);
  CaseMachine machine(point, team, parts, session.heartbeat());
  machine.make_layer();
  machine.stop_asking();
  machine.layer().fill(session.heartbeat());
  const StepRunner runner{[&](Trace& trace) { machine.layer().run_step(trace); }, {}};
  Trace trace(session.heartbeat());
  const double sample_s = warm_up(runner, 3, 60, team, trace).sample_s;

  constexpr std::size_t kTurn = 5;
  PlainLoop plain(tokens, h);
  std::vector<double> plain_s, discarded, tool_s;
  plain.run(3, discarded);
  for (int round = 0; round < rounds; ++round) {
    plain.run(kTurn, plain_s);
    const Samples samples = sample(runner, {kTurn, kTurn, 3600, 0.02}, sample_s, team, trace);
    tool_s.insert(tool_s.end(), samples.compute_s.begin(), samples.compute_s.end());
  }
  const double ours = summarise(tool_s).median, theirs = summarise(plain_s).median;
  fmt::print("  h {:>5}  T {:>5}   tpbench {:>10}   plain loop {:>10}   ratio {:.4f}\n", h, tokens,
             format_seconds(ours), format_seconds(theirs), ours / theirs);
  std::fflush(stdout);
}

}  // namespace
}  // namespace tpbench

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 12;
  tpbench::Session session(std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr);
  fmt::print(
      "gemm workload against a plain cblas_sgemm loop, f32, one rank, one thread, kernels of {} (target: "
      "within 2 %)\n",
      openblas_get_corename());
  for (const std::int64_t h : {2048, 4096}) {
    for (const std::int64_t tokens : {256, 2048}) tpbench::compare(session, tokens, h, rounds);
  }
  return 0;
}
