// Prints how the `all_reduce` workload (algorithm mpi, f32, in place) compares with the way the OSU
// micro-benchmarks time a collective: barrier, one call, maximum over ranks. Both take turns in one launch.
//   mpirun -n 2 all_reduce_overhead [rounds]
#include <fmt/format.h>
#include <mpi.h>

#include <cstdlib>
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

constexpr std::size_t kTurn = 25;

// Written with MPI alone: barrier, mark, call, mark; the maximum over ranks of each iteration.
std::vector<double> osu_way(std::vector<float>& data) {
  std::vector<double> seconds(kTurn);
  for (double& second : seconds) {
    MPI_Barrier(MPI_COMM_WORLD);
    const double start = MPI_Wtime();
    MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_FLOAT, MPI_SUM,
                  MPI_COMM_WORLD);
    second = MPI_Wtime() - start;
  }
  MPI_Allreduce(MPI_IN_PLACE, seconds.data(), static_cast<int>(seconds.size()), MPI_DOUBLE, MPI_MAX,
                MPI_COMM_WORLD);
  return seconds;
}

void compare(Session& session, std::int64_t bytes, int rounds) {
  const Team team = whole_world(session);
  const Parts parts = built_in_parts();
  Case point;
  point.workload = "all_reduce";
  point.hidden_size = bytes / 4;
  point.layout.tp = session.world().size();
  point.threads_per_rank = 1;
  normalise_case(point);
  CaseMachine machine(point, team, parts, session.heartbeat());
  machine.make_layer();
  machine.stop_asking();
  machine.layer().settle();
  const StepRunner runner{[&](Trace& trace) { machine.layer().run_step(trace); }, {}};
  Trace trace(session.heartbeat());
  const double sample_s = warm_up(runner, 20, 60, team, trace).sample_s;

  std::vector<float> data(static_cast<std::size_t>(bytes / 4));
  std::vector<double> osu_s, tool_s;
  osu_way(data);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<double> turn = osu_way(data);
    osu_s.insert(osu_s.end(), turn.begin(), turn.end());
    const Samples samples = sample(runner, {kTurn, kTurn, 3600, 0.02}, sample_s, team, trace);
    tool_s.insert(tool_s.end(), samples.step_s.begin(), samples.step_s.end());
  }
  if (session.world().rank() != 0) return;
  const double ours = summarise(tool_s).median, theirs = summarise(osu_s).median;
  fmt::print("  {:>9}   tpbench {:>10}   OSU's way {:>10}   ratio {:.4f}\n",
             format_bytes(static_cast<double>(bytes)), format_seconds(ours), format_seconds(theirs),
             ours / theirs);
  std::fflush(stdout);
}

}  // namespace
}  // namespace tpbench

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 16;
  tpbench::Session session(std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr);
  if (session.world().rank() == 0) {
    fmt::print(
        "all_reduce workload against barrier, one call, max over ranks; f32, in place, {} ranks (target: "
        "within 5 %)\n",
        session.world().size());
  }
  for (std::int64_t bytes = 64 << 10; bytes <= 64 << 20; bytes *= 4) tpbench::compare(session, bytes, rounds);
  return 0;
}
