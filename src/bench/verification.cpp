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
    // NaN compares as false: an output that was never written must not slip through std::max.
    const long double distance = std::abs(value - reference);
    error = std::isnan(distance) ? kInfinity : std::max(error, distance);
    scale = std::max(scale, std::abs(reference));
  }
  [[nodiscard]] double relative() const { return error == 0 ? 0 : static_cast<double>(error / scale); }
};

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
  Verifier(Layer& layer, const Shape& shape, const Team& team, Backend& backend, std::uint64_t seed)
      : layer_(layer), shape_(shape), team_(team), backend_(backend), seed_(seed) {}

  // Entry by entry, in tiles that bound the memory of the reference.
  double compare_rows(std::int64_t layer, std::span<const std::int64_t> local_rows) {
    constexpr std::int64_t kTileEntries = 1 << 19;
    const OutputShard shard = layer_.output();
    const std::int64_t tile_columns = std::min(shard.local.columns, kTileEntries);
    const std::int64_t tile_rows =
        std::max<std::int64_t>(1, kTileEntries / std::max<std::int64_t>(1, tile_columns));
    Difference difference;
    for (std::size_t at = 0; at < local_rows.size(); at += static_cast<std::size_t>(tile_rows)) {
      const auto rows =
          local_rows.subspan(at, std::min(local_rows.size() - at, static_cast<std::size_t>(tile_rows)));
      for (std::int64_t first = 0; first < shard.local.columns; first += tile_columns) {
        compare_tile(layer, rows, {first, std::min(first + tile_columns, shard.local.columns)}, shard,
                     difference);
      }
    }
    return difference.relative();
  }

  // All rows at once, by sums with random signs. Collective over the group when the expected sums are
  // partial.
  double compare_row_sums(std::int64_t layer) {
    std::optional<SignedRowSums> expected;
    std::vector<double> found;
    team_.together([&] {
      expected = layer_.expected_row_sums(layer);
      if (expected) found = signed_row_sums(layer_.output());
    });
    if (!expected) return 0;
    if (expected->partial) team_.group->reduce_sum(expected->values);
    Difference difference;
    for (std::size_t r = 0; r < found.size(); ++r) difference.add(found[r], expected->values[r]);
    // A sum of n entries with random signs is sqrt(n) times as large as one entry, and so is its error; the
    // largest sum stands in for that.
    return difference.relative();
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

  std::vector<double> signed_row_sums(const OutputShard& shard) {
    const auto signs = random_signs(seed_, shard.first_column + shard.local.columns);
    const auto local_signs = std::span(signs).subspan(static_cast<std::size_t>(shard.first_column));
    std::vector<double> sums;
    LocalRows rows(backend_, shard.local);
    for (std::int64_t r = 0; r < shard.local.rows; ++r) {
      sums.push_back(dot_row(rows.row(r), shape_.dtype, local_signs));
    }
    return sums;
  }

  Layer& layer_;
  const Shape& shape_;
  const Team& team_;
  Backend& backend_;
  std::uint64_t seed_;
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
  const auto rows = rows_to_check(local_rows, all_rows ? local_rows : kSampledRows, seed);
  const bool full = static_cast<std::int64_t>(rows.size()) == local_rows;

  Verifier verifier(layer, shape, team, backend, seed);
  double error = 0;
  for (std::int64_t l = 0; l < shape.num_layers; ++l) {
    Trace trace(heartbeat);  // of its own: a step of the case runs all weight sets, this one runs one
    team.together([&] {
      layer.poison();
      trace.begin_step();
      layer.forward(l, trace);
      trace.end_step();
    });
    if (mode == VerifyMode::off) continue;
    team.together([&] { error = std::max(error, verifier.compare_rows(l, rows)); });
    if (!full) error = std::max(error, verifier.compare_row_sums(l));
  }
  VerificationResult result;
  if (mode == VerifyMode::off) return result;
  error = team.active->max(error);
  result.method = full ? "full" : "sampled";
  result.rows_checked = static_cast<std::int64_t>(rows.size()) * shape.num_layers;
  if (std::isfinite(error)) result.max_relative_error = error;
  result.tolerance = verification_tolerance(shape.dtype, reduction_length);
  result.passed = error <= *result.tolerance;
  return result;
}

}  // namespace tpbench
