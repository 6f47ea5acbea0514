#include "bench/verification.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "layers/reference.hpp"

namespace tpbench {
namespace {

constexpr long double kInfinity = std::numeric_limits<long double>::infinity();

// Largest difference and largest reference value seen. The difference is taken in long double: for f64 that
// is where it shows.
struct Difference {
  long double error = 0;
  long double scale = 0;

  void add(long double value, long double reference) {
    // NaN compares as false and infinity over infinity is NaN: what is not finite must not slip through
    // std::max.
    const long double distance = std::abs(value - reference);
    error = std::isfinite(distance) ? std::max(error, distance) : kInfinity;
    if (std::isfinite(reference)) scale = std::max(scale, std::abs(reference));
  }
  [[nodiscard]] double relative() const {
    if (error == 0) return 0;
    return scale == 0 ? static_cast<double>(kInfinity) : static_cast<double>(error / scale);
  }
};

// The largest difference over the typical size of what was expected. A sum of n entries with random signs is
// sqrt(n) times as large as one entry, and so is its error.
double relative_error_of_sums(const RowSums& sums) {
  long double error = 0, squares = 0;
  for (std::size_t r = 0; r < sums.found.size(); ++r) {
    const long double distance = std::abs(static_cast<long double>(sums.found[r]) - sums.expected[r]);
    error = std::isfinite(distance) ? std::max(error, distance) : kInfinity;
    squares += static_cast<long double>(sums.expected[r]) * sums.expected[r];
  }
  if (error == 0) return 0;
  const long double typical = std::sqrt(squares / static_cast<long double>(sums.found.size()));
  return static_cast<double>(typical > 0 && std::isfinite(typical) ? error / typical : kInfinity);
}

// The rows of the local output, read by the host one by one.
class LocalRows {
 public:
  LocalRows(Backend& backend, const MatrixView& view)
      : backend_(backend),
        view_(view),
        scratch_(static_cast<std::size_t>(view.columns * size_of(view.dtype))) {}
  const void* row(std::int64_t r) { return backend_.host_row(view_, r, scratch_); }

 private:
  Backend& backend_;
  MatrixView view_;
  std::vector<std::byte> scratch_;
};

class Verifier {
 public:
  Verifier(Layer& layer, const Shape& shape, const Team& team, Backend& backend, Heartbeat& heartbeat)
      : layer_(layer), shape_(shape), team_(team), backend_(backend), heartbeat_(heartbeat) {}

  // Entry by entry, in tiles that bound the memory of the reference.
  double compare_rows(std::int64_t layer, std::span<const std::int64_t> local_rows) {
    constexpr std::int64_t kTileEntries = 1 << 19;
    constexpr double kTileCost = 2e9;  // multiply-adds between two signs of life
    const OutputShard shard = layer_.output();
    const std::int64_t tile_columns = std::min(shard.local.columns, kTileEntries);
    // An inner dimension can be wider than the output; the reference holds rows of that too.
    const std::int64_t widest = std::max({tile_columns, shape_.ffn_hidden_size, std::int64_t{1}});
    const auto affordable =
        static_cast<std::int64_t>(kTileCost / std::max(1.0, layer_.reference_cost_per_row()));
    const std::int64_t tile_rows = std::max<std::int64_t>(1, std::min(kTileEntries / widest, affordable));
    Difference difference;
    for (std::size_t at = 0; at < local_rows.size(); at += static_cast<std::size_t>(tile_rows)) {
      const auto rows =
          local_rows.subspan(at, std::min(local_rows.size() - at, static_cast<std::size_t>(tile_rows)));
      for (std::int64_t first = 0; first < shard.local.columns; first += tile_columns) {
        compare_tile(layer, rows, {first, std::min(first + tile_columns, shard.local.columns)}, shard,
                     difference);
        heartbeat_.beat(Activity::compute);
      }
    }
    return difference.relative();
  }

  // All rows at once, by sums with random signs. Collective over the group.
  double compare_row_sums(std::int64_t layer) {
    std::vector<RowSums> checks;
    team_.together([&] { checks = layer_.row_sums(layer); });
    double error = 0;
    for (RowSums& sums : checks) {
      heartbeat_.beat(Activity::compute);
      if (sums.expected_is_partial) team_.group->reduce_sum(sums.expected);
      error = std::max(error, relative_error_of_sums(sums));
    }
    return error;
  }

 private:
  void compare_tile(std::int64_t layer, std::span<const std::int64_t> local_rows, Range local_columns,
                    const OutputShard& shard, Difference& difference) {
    std::vector<std::int64_t> whole_rows(local_rows.begin(), local_rows.end());
    for (std::int64_t& row : whole_rows) row += shard.first_row;
    const Range columns = {shard.first_column + local_columns.begin, shard.first_column + local_columns.end};
    const ReferenceTile tile = layer_.reference(layer, whole_rows, columns);
    LocalRows rows(backend_, shard.local);
    dispatch(shape_.dtype, [&](auto zero) {
      auto reference = tile.values.begin();
      for (const std::int64_t row : local_rows) {
        const auto* values = static_cast<const decltype(zero)*>(rows.row(row)) + local_columns.begin;
        for (std::int64_t c = 0; c < tile.columns; ++c, ++reference) difference.add(values[c], *reference);
      }
    });
  }

  Layer& layer_;
  const Shape& shape_;
  const Team& team_;
  Backend& backend_;
  Heartbeat& heartbeat_;
};

}  // namespace

double verification_tolerance(DType dtype, std::int64_t reduction_length) {
  return 8 * epsilon_of(dtype) * std::sqrt(static_cast<double>(std::max<std::int64_t>(1, reduction_length)));
}

std::vector<std::int64_t> rows_to_check(std::int64_t rows, std::int64_t limit, std::uint64_t seed) {
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

// long double has no vector instructions: its reference is about ten times as slow.
double verification_budget(DType dtype) { return dtype == DType::f32 ? 4e8 : 4e7; }

VerificationResult verify_layer(Layer& layer, const Shape& shape, VerifyMode mode, std::uint64_t seed,
                                std::int64_t reduction_length, const Team& team, Backend& backend,
                                Heartbeat& heartbeat) {
  constexpr std::int64_t kSampledRows = 8;
  const std::int64_t local_rows = layer.output().local.rows;
  // The ranks of one node compute their references at the same time; each on its own cores.
  const double full_cost =
      layer.reference_cost_per_row() * static_cast<double>(local_rows * shape.num_layers);
  const bool cheap = team.active->max(full_cost) <= verification_budget(shape.dtype);
  const bool all_rows = mode == VerifyMode::full || (mode == VerifyMode::automatic && cheap);
  const std::int64_t limit = all_rows ? local_rows : kSampledRows;
  const bool full = limit >= local_rows;

  Verifier verifier(layer, shape, team, backend, heartbeat);
  VerificationResult result;
  double error = 0;
  for (std::int64_t l = 0; l < shape.num_layers; ++l) {
    Trace trace(heartbeat);  // of its own: a step of the case runs all weight sets, this one runs one
    layer.observe(!full && mode != VerifyMode::off);
    team.together([&] {
      layer.poison();
      trace.begin_step();
      layer.forward(l, trace);
      trace.end_step();
    });
    layer.observe(false);
    if (mode == VerifyMode::off) continue;
    const auto rows = rows_to_check(local_rows, limit, seed + static_cast<std::uint64_t>(l));
    result.rows_checked += static_cast<std::int64_t>(rows.size());
    team.together([&] { error = std::max(error, verifier.compare_rows(l, rows)); });
    if (!full) error = std::max(error, verifier.compare_row_sums(l));
  }
  if (mode == VerifyMode::off) return result;
  error = team.active->max(error);
  result.method = full ? "full" : "sampled";
  if (std::isfinite(error)) result.max_relative_error = error;
  result.tolerance = verification_tolerance(shape.dtype, reduction_length);
  result.passed = error <= *result.tolerance;
  return result;
}

}  // namespace tpbench
