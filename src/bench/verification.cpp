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

class Verifier {
 public:
  Verifier(CaseMachine& machine, VerificationMethod method, std::uint64_t seed, const Team& team,
           Heartbeat& heartbeat)
      : layer_(machine.layer()),
        shape_(machine.shape()),
        backend_(machine.backend()),
        team_(team),
        method_(method),
        heartbeat_(heartbeat) {
    constexpr std::int64_t kSampledRows = 8;
    if (method == VerificationMethod::none) return;
    if (layer_.runs_whole_steps()) {
      prepare_whole_step(kSampledRows, seed);
      return;
    }
    const Result output = layer_.results(0, Direction::forward).front();
    const bool full = method == VerificationMethod::full;
    output_rows_ = full ? first_rows(output.local.rows) : layer_.cheap_rows(kSampledRows, seed);
    ReferenceExtent extent{shifted(output_rows_, output.first_row), full && shape_.trains()};
    // A gradient of a weight is a sum over all tokens.
    if (extent.gradients) extent.output_rows = first_rows(shape_.tokens);
    reference_ = layer_.make_reference(extent, heartbeat);
  }

  /// Runs all weight sets; returns the largest error.
  double run() {
    if (layer_.runs_whole_steps()) return run_whole_step();
    for (std::int64_t l = 0; l < shape_.num_layers; ++l) run_half(l, Direction::forward);
    if (shape_.trains()) {
      for (std::int64_t l = shape_.num_layers; l-- > 0;) run_half(l, Direction::backward);
    }
    return error_;
  }
  [[nodiscard]] std::int64_t rows_checked() const { return rows_checked_; }

 private:
  // Of every microbatch some rows, so that two that are swapped show.
  void prepare_whole_step(std::int64_t sampled_rows, std::uint64_t seed) {
    const bool full = method_ == VerificationMethod::full;
    ReferenceExtent extent{{}, full && shape_.trains()};
    for (const StepResult& step : layer_.step_results()) {
      if (rows_of(step.direction, step.index, step.result).empty() && !is_output(step.direction, step.index))
        continue;
      results_.push_back(step);
      if (!is_output(step.direction, step.index)) continue;
      const std::int64_t of_each = std::max<std::int64_t>(2, sampled_rows / shape_.microbatches);
      output_rows_ = full ? first_rows(step.result.local.rows) : layer_.cheap_rows(of_each, seed);
      const std::vector<std::int64_t> rows = shifted(output_rows_, step.result.first_row);
      extent.output_rows.insert(extent.output_rows.end(), rows.begin(), rows.end());
    }
    if (extent.gradients) extent.output_rows = first_rows(shape_.tokens);
    if (!results_.empty()) reference_ = layer_.make_reference(extent, heartbeat_);
  }

  // Ranks of other stages do something else, so that a problem on one cannot be agreed on until all have come
  // through: it ends the job.
  double run_whole_step() {
    const auto run = [&] {
      Trace trace(heartbeat_, backend_.device_clock());
      layer_.poison_all();
      trace.begin_step();
      layer_.run_whole_step(trace);
      trace.end_step();
    };
    if (shape_.layout.pp > 1)
      run();
    else
      team_.together(run);
    team_.together([&] {
      if (reference_) reference_->tile(shape_.num_layers - 1, Direction::forward, 0, {}, {0, 0});
      for (const StepResult& step : results_) {
        const auto rows = rows_of(step.direction, step.index, step.result);
        compare_rows({step.layer, step.direction, step.index}, step.result, rows);
        rows_checked_ += static_cast<std::int64_t>(rows.size());
      }
    });
    return error_;
  }

  void run_half(std::int64_t layer, Direction direction) {
    Trace trace(heartbeat_, backend_.device_clock());  // of its own: a step of the case runs all weight sets,
                                                       // this one half of one
    team_.together([&] {
      layer_.poison(layer, direction);
      trace.begin_step();
      trace.turn(direction);
      if (direction == Direction::forward)
        layer_.forward(layer, trace);
      else
        layer_.backward(layer, trace);
      trace.end_step();
    });
    if (method_ == VerificationMethod::none) return;
    team_.together([&] { compare_results(layer, direction); });
  }

  void compare_results(std::int64_t layer, Direction direction) {
    const std::vector<Result> results = layer_.results(layer, direction);
    for (std::size_t index = 0; index < results.size(); ++index) {
      const auto rows = rows_of(direction, index, results[index]);
      if (rows.empty()) continue;
      compare_rows({layer, direction, index}, results[index], rows);
      rows_checked_ += static_cast<std::int64_t>(rows.size());
    }
  }

  static bool is_output(Direction direction, std::size_t index) {
    return direction == Direction::forward && index == 0;
  }
  // Which rows of a result are compared.
  [[nodiscard]] std::vector<std::int64_t> rows_of(Direction direction, std::size_t index,
                                                  const Result& result) const {
    if (is_output(direction, index)) return output_rows_;
    return method_ == VerificationMethod::sampled ? result.sampled_rows : first_rows(result.local.rows);
  }

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
        heartbeat_.beat(Activity::compute);
      }
    }
    error_ = std::max(error_, difference.relative());
  }

  void compare_tile(const Which& which, const Result& result, std::span<const std::int64_t> local_rows,
                    Range local_columns, Difference& difference) {
    const ReferenceTile tile = reference_->tile(
        which.layer, which.direction, which.index, shifted(local_rows, result.first_row),
        {result.first_column + local_columns.begin, result.first_column + local_columns.end});
    RowReader rows(result.local.column_slice(local_columns.begin, local_columns.size()), backend_);
    dispatch(result.local.dtype, [&](auto zero) {
      auto reference = tile.values.begin();
      for (const std::int64_t row : local_rows) {
        const auto* values = static_cast<const decltype(zero)*>(rows.row(row));
        for (std::int64_t c = 0; c < tile.columns; ++c, ++reference) difference.add(values[c], *reference);
      }
    });
  }

  Layer& layer_;
  const Shape& shape_;
  Backend& backend_;
  const Team& team_;
  VerificationMethod method_;
  Heartbeat& heartbeat_;
  std::vector<std::int64_t> output_rows_;  // local
  std::vector<StepResult> results_;        // of a layer that runs whole steps
  std::unique_ptr<Reference> reference_;
  std::int64_t rows_checked_ = 0;
  double error_ = 0;
};

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
  std::optional<Verifier> verifier;
  team.together([&] { verifier.emplace(machine, method, seed, team, heartbeat); });
  const double error = team.active->max(verifier->run());
  OperationErrors& operations = machine.operations();
  operations.on = false;
  VerificationResult result;
  if (method == VerificationMethod::none) return result;
  result.method = name_of(method);
  result.rows_checked = verifier->rows_checked();
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
