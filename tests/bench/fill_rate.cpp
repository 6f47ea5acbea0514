// Prints how fast weights are filled on one core: into memory that is already there, and into fresh pages.
#include <fmt/format.h>

#include <vector>

#include "bench/parts.hpp"
#include "measure/clock.hpp"
#include "measure/statistics.hpp"

namespace tpbench {
namespace {

double rate_gb_per_s(Backend& backend, DType dtype, bool fresh) {
  constexpr std::int64_t kRows = 4096, kColumns = 8192;
  Matrix matrix = backend.make_matrix(Category::weights, dtype, kRows, kColumns);
  backend.fill(matrix.view(), {.seed = 1, .tensor = 1}, 0, 0);
  std::vector<double> seconds;
  for (int i = 0; i < 9; ++i) {
    if (fresh) matrix = backend.make_matrix(Category::weights, dtype, kRows, kColumns);
    const Stopwatch stopwatch;
    backend.fill(matrix.view(), {.seed = 1, .tensor = 1}, 0, 0);
    seconds.push_back(stopwatch.elapsed_s());
  }
  return static_cast<double>(kRows * kColumns * size_of(dtype)) / summarise(seconds).median / 1e9;
}

}  // namespace
}  // namespace tpbench

int main() {
  using namespace tpbench;
  const auto backend = built_in_parts().make_backend({});
  fmt::print("filling weights on one core (target: more than 1 GB/s)\n");
  for (const DType dtype : {DType::f32, DType::f64}) {
    fmt::print("  {}   fresh pages {:.2f} GB/s   memory at hand {:.2f} GB/s\n", name_of(dtype),
               rate_gb_per_s(*backend, dtype, true), rate_gb_per_s(*backend, dtype, false));
  }
  return 0;
}
