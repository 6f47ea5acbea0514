// Prints where the ways of algorithm `shm` cross: an all-reduce through the slots (one shot), in place in
// shared matrices (two shots), in private memory, and algorithm `mpi`, over sizes, in turns in one launch.
// Before each call every rank writes its whole array, as a GEMM would, so that half of what a rank reads lies
// in another core's cache.
//   mpirun -n 2 shm_crossover [rounds]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/units.hpp"
#include "bench/team.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/shm_communicator.hpp"
#include "measure/clock.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

constexpr std::int64_t kLargest = 16 << 20;
constexpr int kTurn = 50;

struct Way {
  const char* name;
  std::unique_ptr<Communicator> communicator;
  Matrix matrix;
  std::int64_t largest;
  std::vector<double> seconds;
};

std::vector<Way> make_ways(const Control& group, TrackedMemory& memory) {
  constexpr std::int64_t kLargestShot = 1 << 20;
  std::vector<Way> ways;
  const auto add = [&](const char* name, std::unique_ptr<Communicator> communicator, bool shared,
                       std::int64_t largest) {
    Matrix matrix =
        shared ? communicator->make_matrix(memory, Category::communication, DType::f32, 1, kLargest / 4)
               : Matrix(memory.allocate(Category::communication, kLargest), DType::f32, 1, kLargest / 4);
    ways.push_back({name, std::move(communicator), std::move(matrix), largest, {}});
  };
  add("mpi", make_mpi_communicator(group), true, kLargest);
  add("one shot", make_shm_communicator(group, {group.size() * kLargestShot, group.size() * kLargestShot}),
      true, kLargestShot);
  add("two shots", make_shm_communicator(group, {0}), true, kLargest);
  add("private", make_shm_communicator(group, {0}), false, kLargest);
  return ways;
}

// The transfer alone: what the rank that came last sees.
void take_turn(Way& way, std::int64_t bytes, const Control& group) {
  std::vector<double> seconds(kTurn);
  auto* values = static_cast<float*>(way.matrix.view().data);
  for (double& second : seconds) {
    std::fill_n(values, bytes / 4, 1.0F);
    group.barrier();
    const double start = now_s();
    way.communicator->all_reduce_sum(values, bytes / 4, DType::f32);
    second = now_s() - start;
  }
  group.reduce_min(seconds);
  way.seconds.insert(way.seconds.end(), seconds.begin(), seconds.end());
}

void compare(std::vector<Way>& ways, std::int64_t bytes, int rounds, const Control& group) {
  for (Way& way : ways) way.seconds.clear();
  for (int round = 0; round < rounds; ++round) {
    for (Way& way : ways) {
      if (bytes <= way.largest) take_turn(way, bytes, group);
    }
  }
  if (group.rank() != 0) return;
  fmt::print("  {:>9}", format_bytes(static_cast<double>(bytes)));
  for (const Way& way : ways) {
    fmt::print("   {} {:>10}", way.name,
               way.seconds.empty() ? "-" : format_seconds(summarise(way.seconds).median));
  }
  fmt::print("\n");
  std::fflush(stdout);
}

}  // namespace
}  // namespace tpbench

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 8;
  tpbench::Session session(std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr);
  const tpbench::Control& world = session.world();
  if (world.rank() == 0)
    fmt::print("all-reduce f32 of arrays that each rank has just written, {} ranks\n", world.size());
  tpbench::TrackedMemory memory;
  std::vector<tpbench::Way> ways = tpbench::make_ways(world, memory);
  for (std::int64_t bytes = 8; bytes <= tpbench::kLargest; bytes *= 2)
    tpbench::compare(ways, bytes, rounds, world);
  return 0;
}
