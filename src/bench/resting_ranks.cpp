#include "bench/resting_ranks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/units.hpp"
#include "bench/team.hpp"
#include "compute/cpu_backend.hpp"
#include "compute/products.hpp"
#include "measure/clock.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

// Products of square matrices, some milliseconds each.
class Multiplier {
 public:
  Multiplier(const char* library, int threads)
      : backend_(make_cpu_backend({.library = library, .threads = threads})) {
    for (std::uint32_t i = 0; i < kMatrices; ++i) {
      matrices_[i] = backend_->make_matrix(Category::activations, DType::f32, kSize, kSize);
      backend_->fill(matrices_[i].view(), {.seed = 1, .tensor = i, .scale = 1}, 0, 0);
    }
    multiply();
  }
  void multiply() { backend_->gemm(matrices_[0].view(), matrices_[1].view(), matrices_[2].view()); }
  double median_s() {
    constexpr std::size_t kProducts = 25;
    std::vector<double> seconds(kProducts);
    for (double& product_s : seconds) {
      const Stopwatch stopwatch;
      multiply();
      product_s = stopwatch.elapsed_s();
    }
    return summarise(seconds).median;
  }

 private:
  static constexpr std::int64_t kSize = 768;
  static constexpr std::uint32_t kMatrices = 3;
  std::unique_ptr<Backend> backend_;
  Matrix matrices_[kMatrices];
};

}  // namespace

std::optional<RestingRanks> measure_resting_ranks(const Control& world, int threads) {
  const std::vector<int> host_of = find_hosts(world).host_of;
  const auto own = host_of.begin() + world.rank();
  const bool computes = std::find(host_of.begin(), host_of.end(), *own) == own;
  const bool has_neighbours = std::count(host_of.begin(), host_of.end(), *own) > 1;
  if (world.max(std::int64_t{has_neighbours}) == 0) return std::nullopt;
  if (world.agree(find_library("onednn")->why_not(DType::f32))) return std::nullopt;

  RestingRanks resting{.threads = threads};
  std::optional<Multiplier> openblas;
  if (computes) {
    openblas.emplace("openblas", threads);
    resting.alone_s = openblas->median_s();
  }
  world.sleeping_barrier([] {});
  std::optional<std::string> why_not;
  try {
    if (!computes) Multiplier("onednn", threads).multiply();
  } catch (const CaseError& error) {
    why_not = error.what();
  }
  world.sleeping_barrier([] {});
  if (const auto agreed = world.agree(why_not)) throw AgreedError(*agreed);
  // A moment of a noisy machine passes, and spinning workers do not.
  constexpr int kMostTries = 4;
  for (int i = 0; computes && has_neighbours && i < kMostTries; ++i) {
    const double beside_s = openblas->median_s();
    resting.beside_s = i == 0 ? beside_s : std::min(resting.beside_s, beside_s);
    if (resting.is_free()) break;
  }
  world.sleeping_barrier([] {});
  // Of several hosts the one with the highest cost speaks.
  const double own_cost = computes && has_neighbours ? resting.cost() : -1;
  const bool speaks = own_cost == world.max(own_cost);
  resting.alone_s = world.max(speaks ? resting.alone_s : 0.0);
  resting.beside_s = world.max(speaks ? resting.beside_s : 0.0);
  return resting;
}

std::optional<std::string> resting_problem(const RestingRanks& resting) {
  if (resting.is_free()) return std::nullopt;
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  const char* spins = std::getenv("GOMP_SPINCOUNT");
  return fmt::format(
      "a product takes {} longer beside ranks at rest, once these have used library onednn (up to {} is "
      "called free): workers of OpenMP spin where OMP_WAIT_POLICY is not passive or GOMP_SPINCOUNT is above "
      "0, "
      "and these are {} and {}; leave both unset; elsewhere other programs take the cores",
      format_percent(resting.cost()), format_percent(RestingRanks::kBound),
      policy == nullptr ? "unset" : policy, spins == nullptr ? "unset" : spins);
}

}  // namespace tpbench
