#include "bench/verification.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "bench/error_of_sums.hpp"
#include "bench/row_reader.hpp"

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

std::vector<std::int64_t> shifted(std::span<const std::int64_t> rows, std::int64_t by) {
  std::vector<std::int64_t> result(rows.begin(), rows.end());
  for (std::int64_t& row : result) row += by;
  return result;
}

std::vector<std::int64_t> first_rows(std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  return rows;
}

// What is verified, and how.
struct Scene {
  CaseMachine& machine;
  VerificationMethod method;
  std::uint64_t seed;
  const Team& team;
  Heartbeat& heartbeat;

  [[nodiscard]] bool is_full() const { return method == VerificationMethod::full; }
};

bool is_output(Direction direction, std::size_t index) {
  return direction == Direction::forward && index == 0;
}

constexpr std::int64_t kSampledRows = 8;

// Compares results with the reference, and keeps the largest error.
class Comparison {
 public:
  explicit Comparison(const Scene& scene) : scene_(scene) {}

  // `rows`: local ones, of each output. Of the whole these are `rows_of_whole`.
  void make_reference(const Layer& layer, std::vector<std::int64_t> rows,
                      std::vector<std::int64_t> rows_of_whole) {
    const Shape& shape = scene_.machine.shape();
    output_rows_ = std::move(rows);
    ReferenceExtent extent{std::move(rows_of_whole), scene_.is_full() && shape.trains()};
    // A gradient of a weight is a sum over all tokens.
    if (extent.gradients) extent.output_rows = first_rows(shape.tokens);
    reference_ = layer.make_reference(extent, scene_.heartbeat);
  }
  // Null until it is made.
  [[nodiscard]] Reference* reference() const { return reference_.get(); }

  // Which rows of a result are compared.
  [[nodiscard]] std::vector<std::int64_t> rows_of(Direction direction, std::size_t index,
                                                  const Result& result) const {
    if (is_output(direction, index)) return output_rows_;
    return scene_.is_full() ? first_rows(result.local.rows) : result.sampled_rows;
  }

  void compare(std::int64_t layer, Direction direction, std::size_t index, const Result& result) {
    const auto rows = rows_of(direction, index, result);
    if (rows.empty()) return;
    compare_rows({layer, direction, index}, result, rows);
    rows_checked_ += static_cast<std::int64_t>(rows.size());
  }

  [[nodiscard]] double error() const { return error_; }
  [[nodiscard]] std::int64_t rows_checked() const { return rows_checked_; }

 private:
  struct Which {
    std::int64_t layer;
    Direction direction;
    std::size_t index;
  };

  // Entry by entry, in tiles that bound the memory of what is compared.
  void compare_rows(const Which& which, const Result& result, std::span<const std::int64_t> local_rows) {
    constexpr std::int64_t kTileEntries = 1 << 19;
    const std::int64_t tile_columns = std::max<std::int64_t>(1, std::min(result.local.columns, kTileEntries));
    const auto tile_rows = static_cast<std::size_t>(std::max<std::int64_t>(1, kTileEntries / tile_columns));
    Difference difference;
    for (std::size_t at = 0; at < local_rows.size(); at += tile_rows) {
      const auto rows = local_rows.subspan(at, std::min(local_rows.size() - at, tile_rows));
      for (std::int64_t first = 0; first < result.local.columns; first += tile_columns) {
        const Range columns = {first, std::min(first + tile_columns, result.local.columns)};
        compare_tile(which, result, rows, columns, difference);
        scene_.heartbeat.beat(Activity::compute);
      }
    }
    error_ = std::max(error_, difference.relative());
  }

  void compare_tile(const Which& which, const Result& result, std::span<const std::int64_t> local_rows,
                    Range local_columns, Difference& difference) {
    const ReferenceTile tile = reference_->tile(
        which.layer, which.direction, which.index, shifted(local_rows, result.first_row),
        {result.first_column + local_columns.begin, result.first_column + local_columns.end});
    RowReader rows(result.local.column_slice(local_columns.begin, local_columns.size()),
                   scene_.machine.backend());
    dispatch(result.local.dtype, [&](auto zero) {
      auto reference = tile.values.begin();
      for (const std::int64_t row : local_rows) {
        const auto* values = static_cast<const decltype(zero)*>(rows.row(row));
        for (std::int64_t c = 0; c < tile.columns; ++c, ++reference) difference.add(values[c], *reference);
      }
    });
  }

  const Scene& scene_;
  std::vector<std::int64_t> output_rows_;  // local
  std::unique_ptr<Reference> reference_;
  std::int64_t rows_checked_ = 0;
  double error_ = 0;
};

// Half of a weight set by itself, as sets share places.
void verify_half(SetLayer& layer, std::int64_t set, Direction direction, const Scene& scene,
                 Comparison& comparison) {
  // Of its own: a step of the case runs all weight sets.
  Trace trace(scene.heartbeat, scene.machine.backend().device_clock());
  scene.team.together([&] {
    layer.poison(set, direction);
    trace.begin_step();
    trace.turn(direction);
    if (direction == Direction::forward)
      layer.forward(set, trace);
    else
      layer.backward(set, trace);
    trace.end_step();
  });
  if (scene.method == VerificationMethod::none) return;
  scene.team.together([&] {
    const std::vector<Result> results = layer.results(set, direction);
    for (std::size_t index = 0; index < results.size(); ++index)
      comparison.compare(set, direction, index, results[index]);
  });
}

void verify_sets(SetLayer& layer, const Scene& scene, Comparison& comparison) {
  const Shape& shape = scene.machine.shape();
  scene.team.together([&] {
    if (scene.method == VerificationMethod::none) return;
    const Result output = layer.results(0, Direction::forward).front();
    const auto rows =
        scene.is_full() ? first_rows(output.local.rows) : layer.cheap_rows(kSampledRows, scene.seed);
    comparison.make_reference(layer, rows, shifted(rows, output.first_row));
  });
  for (std::int64_t set = 0; set < shape.num_layers; ++set)
    verify_half(layer, set, Direction::forward, scene, comparison);
  for (std::int64_t set = shape.num_layers; shape.trains() && set-- > 0;)
    verify_half(layer, set, Direction::backward, scene, comparison);
}

// Of every microbatch some rows, so that two that are swapped show. Returns what is compared on this rank.
std::vector<StepResult> prepare_stages(const StagedLayer& layer, const Scene& scene, Comparison& comparison) {
  if (scene.method == VerificationMethod::none) return {};
  const std::int64_t of_each = std::max<std::int64_t>(2, kSampledRows / scene.machine.shape().microbatches);
  std::vector<StepResult> compared;
  std::vector<std::int64_t> rows, rows_of_whole;
  for (const StepResult& step : layer.results()) {
    if (is_output(step.direction, step.index)) {
      rows = scene.is_full() ? first_rows(step.result.local.rows) : layer.cheap_rows(of_each, scene.seed);
      const std::vector<std::int64_t> added = shifted(rows, step.result.first_row);
      rows_of_whole.insert(rows_of_whole.end(), added.begin(), added.end());
    } else if (comparison.rows_of(step.direction, step.index, step.result).empty()) {
      continue;
    }
    compared.push_back(step);
  }
  if (!compared.empty()) comparison.make_reference(layer, std::move(rows), std::move(rows_of_whole));
  return compared;
}

// Ranks of other stages do something else, so that a problem on one cannot be agreed on until all have come
// through: it ends the job.
void verify_stages(StagedLayer& layer, const Scene& scene, Comparison& comparison) {
  const Shape& shape = scene.machine.shape();
  std::vector<StepResult> compared;
  scene.team.together([&] { compared = prepare_stages(layer, scene, comparison); });
  const auto run = [&] {
    Trace trace(scene.heartbeat, scene.machine.backend().device_clock());
    layer.poison();
    trace.begin_step();
    layer.run_step(trace);
    trace.end_step();
  };
  if (shape.layout.pp > 1)
    run();
  else
    scene.team.together(run);
  scene.team.together([&] {
    // The forward pass of the reference is behind it before others are asked for.
    if (Reference* reference = comparison.reference())
      reference->tile(shape.num_layers - 1, Direction::forward, 0, {}, {0, 0});
    for (const StepResult& step : compared)
      comparison.compare(step.layer, step.direction, step.index, step.result);
  });
}

}  // namespace

// long double has no vector instructions: its reference is about ten times as slow.
double verification_budget(DType dtype) { return dtype == DType::f64 ? 4e7 : 4e8; }

bool checks_operations(VerificationMethod method, DType dtype) {
  if (method == VerificationMethod::full) return is_narrow(dtype);
  return method == VerificationMethod::sampled;
}

double case_tolerance(const Shape& shape, const Cost& cost) {
  const auto layers = static_cast<double>(cost.chained_layers);
  const double one_sign = shape.dtype == DType::tf32 ? 2 : 1;
  // Simulated sums over up to 1024 ranks: their largest error is 0.17 of 8 epsilon at 16, and grows from
  // there.
  const double rounded_sums =
      size_of(shape.dtype) == 2 ? std::sqrt(std::max(1.0, static_cast<double>(shape.layout.tp) / 16)) : 1;
  const double growth = rounded_sums * (shape.trains() ? one_sign * layers : std::sqrt(layers));
  return rounding_tolerance(shape.dtype, cost.reduction_length, growth);
}

VerificationMethod choose_method(VerifyMode mode, const Layer& layer, const Shape& shape, const Team& team) {
  switch (mode) {
    case VerifyMode::off:
      return VerificationMethod::none;
    case VerifyMode::full:
      return VerificationMethod::full;
    case VerifyMode::sampled:
      return VerificationMethod::sampled;
    case VerifyMode::automatic:
      break;
  }
  // The ranks of one node compute their references at the same time; each on its own cores.
  const bool cheap = team.active->max(layer.reference_cost()) <= verification_budget(shape.dtype);
  return cheap ? VerificationMethod::full : VerificationMethod::sampled;
}

VerificationResult verify_layer(CaseMachine& machine, VerificationMethod method, std::uint64_t seed,
                                const Cost& cost, const Team& team, Heartbeat& heartbeat) {
  const Scene scene = {machine, method, seed, team, heartbeat};
  Comparison comparison(scene);
  if (auto* sets = dynamic_cast<SetLayer*>(&machine.layer()))
    verify_sets(*sets, scene, comparison);
  else
    verify_stages(dynamic_cast<StagedLayer&>(machine.layer()), scene, comparison);
  const double error = team.active->max(comparison.error());
  OperationErrors& operations = machine.operations();
  operations.on = false;
  VerificationResult result;
  if (method == VerificationMethod::none) return result;
  result.method = name_of(method);
  result.rows_checked = comparison.rows_checked();
  if (machine.shape().layout.pp > 1) result.rows_checked = team.active->max(result.rows_checked);
  if (std::isfinite(error)) result.max_relative_error = error;
  result.tolerance = case_tolerance(machine.shape(), cost);
  result.passed = error <= *result.tolerance;
  if (!checks_operations(method, machine.shape().dtype)) return result;
  // Right operations that are not all there are wrong too.
  const bool complete = operations.flop() == cost.flop() && operations.bytes() == cost.bytes_per_step();
  const double worst = team.active->max(complete ? operations.worst() : kNotANumber);
  result.operations_checked = operations.operations();
  if (std::isfinite(worst)) result.worst_operation = worst;
  result.passed = *result.passed && worst <= 1;
  return result;
}

}  // namespace tpbench
