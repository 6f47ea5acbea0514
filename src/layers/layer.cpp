#include "layers/layer.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

namespace tpbench {

void SetLayer::run_step(Trace& trace) {
  for (std::int64_t l = 0; l < num_layers_; ++l) forward(l, trace);
  if (!trains_) return;
  trace.turn(Direction::backward);
  for (std::int64_t l = num_layers_; l-- > 0;) backward(l, trace);
}

void SetLayer::backward(std::int64_t, Trace&) { throw std::logic_error("this layer has no backward"); }

std::vector<std::int64_t> SetLayer::cheap_rows(std::int64_t limit, std::uint64_t seed) const {
  return choose_rows(results(0, Direction::forward).front().local.rows, limit, seed);
}

std::vector<std::int64_t> choose_rows(std::int64_t rows, std::int64_t limit, std::uint64_t seed) {
  std::vector<std::int64_t> chosen;
  if (limit >= rows) {
    chosen.resize(static_cast<std::size_t>(rows));
    std::iota(chosen.begin(), chosen.end(), std::int64_t{0});
    return chosen;
  }
  chosen = {0, rows - 1};
  std::mt19937_64 random(seed);
  while (static_cast<std::int64_t>(chosen.size()) < limit) {
    chosen.push_back(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows)));
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

}  // namespace tpbench
