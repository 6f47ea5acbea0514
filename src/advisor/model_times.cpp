#include "advisor/model_times.hpp"

#include <algorithm>
#include <initializer_list>

namespace tpbench {
namespace {

Case of_rates(const PlanMachine& machine) {
  Case point;
  point.workload = "block";
  point.backend = machine.backend;
  set_library(point, machine.library);
  point.dtype = machine.dtype;
  point.threads_per_rank = machine.threads_per_rank;
  point.cache = machine.cache;
  point.pages = machine.pages;
  return point;
}

// Calls per step that come again with each microbatch, and those that do not.
struct Calls {
  double each = 0, once = 0;
};

Calls calls_of(const CollectiveCost& of_two, const Cost& of_one) {
  double one = 0;
  for (const CollectiveCost& other : of_one.collectives) {
    if (other.op == of_two.op && other.bytes == of_two.bytes && other.direction == of_two.direction &&
        other.ranks == of_two.ranks)
      one += static_cast<double>(other.calls_per_step);
  }
  const auto two = static_cast<double>(of_two.calls_per_step);
  return {two - one, 2 * one - two};
}

constexpr double kProductsOfScores = 5;  // in backward of these layers, one of which makes them again

}  // namespace

DirectionTime& DirectionTime::add(const DirectionTime& other, double times) {
  compute.add(other.compute, times);
  communication.add(other.communication, times);
  return *this;
}

PieceTimes& PieceTimes::add(const PieceTimes& other, double times) {
  forward.add(other.forward, times);
  input_gradient.add(other.input_gradient, times);
  weight_gradient.add(other.weight_gradient, times);
  once.add(other.once, times);
  return *this;
}

PieceTime PieceTimes::compute() const {
  PieceTime sum = forward.compute;
  return sum.add(input_gradient.compute).add(weight_gradient.compute);
}

PieceTime PieceTimes::communication() const {
  PieceTime sum = forward.communication;
  return sum.add(input_gradient.communication).add(weight_gradient.communication);
}

ModelTimer::ModelTimer(const Calibration& calibration, const PlanMachine& machine)
    : calibration_(calibration), machine_(machine), fit_(compute_fit_of(calibration, of_rates(machine))) {}

PieceTime ModelTimer::collective(CollectiveOp op, std::int64_t bytes, const Group& group) const {
  return collective_seconds(calibration_, machine_.machine, op, machine_.algorithm, bytes, group);
}

PieceTime ModelTimer::message(std::int64_t bytes, Reach reach) const {
  return boundary_seconds(calibration_, machine_.machine, bytes, reach);
}

PieceTimes ModelTimer::of_cost(const Cost& once, const Cost& twice, const SplitPlace& place,
                               Recompute recompute) const {
  PieceTimes times;
  PieceTime scores;  // forward
  for (const Work& work : once.work) {
    const PieceTime one = work_seconds(fit_, {&work, 1}, place.busy_ranks, place.step_bytes);
    const bool is_backward = work.direction == Direction::backward;
    if (work.kind == WorkKind::attention) scores.add(one);
    if (work.kind == WorkKind::product_weight_gradient)
      times.weight_gradient.compute.add(one);
    else if (is_backward)
      times.input_gradient.compute.add(
          one, work.kind == WorkKind::attention_backward ? (kProductsOfScores - 1) / kProductsOfScores : 1);
    else
      times.forward.compute.add(one);
  }
  for (const CollectiveCost& collective : twice.collectives) {
    if (collective.calls_per_step == 0) continue;
    const Calls calls = calls_of(collective, once);
    const PieceTime one =
        this->collective(collective.op, collective.bytes, {collective.ranks, place.tp_hosts});
    const bool is_forward = collective.direction == Direction::forward;
    (is_forward ? times.forward : times.input_gradient).communication.add(one, calls.each);
    times.once.communication.add(one, calls.once);
  }
  if (once.flop_backward > 0) {
    if (recompute == Recompute::selective) times.input_gradient.compute.add(scores);
    if (recompute == Recompute::full) times.input_gradient.add(times.forward);
  }
  return times;
}

const ModelTimes& ModelTimer::times(const ModelTask& task, const ModelSplit& split, ModelPhase phase,
                                    const SplitPlace& place) {
  Shape shape = model_shape(task, split, phase);
  const std::int64_t sequences = shape.batch_size() / shape.microbatches;
  // What a stage goes through before it begins anew is more or less of the model.
  const auto key =
      std::tuple(phase, split.layout.tp, split.layout.pp, sequences, place.tp_hosts, place.busy_ranks);
  if (const auto found = known_.find(key); found != known_.end()) return found->second;
  // One microbatch, and two of them: what both have is not for each.
  shape.layout.pp = shape.virtual_stages = 1;
  shape.tokens = sequences * shape.sequence_length;
  shape.microbatches = 1;
  Shape twice = shape;
  twice.tokens *= 2;
  twice.microbatches = 2;
  const Cost layer = one_layer_cost(shape), embedding = embedding_cost_of(shape), head = head_cost_of(shape);
  SplitPlace own = place;
  own.step_bytes = bytes_of(layer.work) * static_cast<double>(shape.num_layers / split.layout.pp);
  if (split.layout.pp == 1) own.step_bytes += bytes_of(embedding.work) + bytes_of(head.work);
  const ModelTimes times = {of_cost(layer, one_layer_cost(twice), own, split.recompute),
                            of_cost(embedding, embedding_cost_of(twice), own, Recompute::none),
                            of_cost(head, head_cost_of(twice), own, Recompute::none)};
  return known_.emplace(key, times).first->second;
}

PieceTime ModelTimer::optimizer(double parameters, std::int64_t busy_ranks) const {
  const auto size = static_cast<double>(size_of(machine_.dtype));
  const double bytes = size < 4 ? kOptimizerBytes16Bit : kOptimizerBytes32Bit * size / 4;
  const auto fitted_s_per_byte = [&](std::initializer_list<WorkKind> kinds) {
    for (const WorkKind kind : kinds) {
      for (const WorkRate& rate : fit_.rates) {
        const double s_per_byte = rate.s_per_byte + rate.s_per_byte_beyond;
        if (rate.kind == kind && s_per_byte > 0) return s_per_byte * crowding_factor(fit_, busy_ranks);
      }
    }
    return 0.0;
  };
  // Element-wise work goes through memory as an optimizer does. Small operands of it stay in caches, though,
  // and a fit may give their time to FLOP: then the copy tells, and other work where there was none. Several
  // threads may be faster than the copy, which has one.
  const double copy = copy_s_per_byte(fit_, busy_ranks);
  double s_per_byte = fitted_s_per_byte({WorkKind::elementwise});
  if (s_per_byte == 0 || fit_.threads == 1) s_per_byte = std::max(s_per_byte, copy);
  if (s_per_byte == 0) s_per_byte = fitted_s_per_byte({WorkKind::activation, WorkKind::product});
  if (s_per_byte == 0)
    throw AdvisorError(
        "what was measured does not tell how fast memory is, which an optimizer goes by: measure workload "
        "embedding with pass forward_backward, at two sizes or more");
  PieceTime time;
  time.seconds = parameters * bytes * s_per_byte;
  return time;
}

}  // namespace tpbench
