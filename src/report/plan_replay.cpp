#include "report/plan_replay.hpp"

#include <cmath>
#include <utility>
#include <vector>

namespace tpbench {
namespace {

bool is_split(const Case& point) { return point.schedule == Schedule::zb_h1; }

bool has_times(const Record& record) {
  if (!is_timed(record) || !record.pipeline) return false;
  for (const PipelineRankResult& rank : record.pipeline->ranks) {
    if (!rank.forward_s || (record.point.pass == Pass::forward_backward && !rank.backward_s)) return false;
  }
  return true;
}

// But for the order of its microbatches, and how many there are.
bool is_same_work(const Case& point, const Case& other) {
  Case in_order = other;
  in_order.microbatches = point.microbatches;
  in_order.schedule = point.schedule;
  in_order.virtual_stages = point.virtual_stages;
  if (!point.threads_per_rank) in_order.threads_per_rank.reset();  // what the launch came to
  return case_id(in_order) == case_id(point);
}

// How far a case is from another: one with the same number of microbatches and stages needs no scaling.
double distance(const Case& point, const Case& other) {
  const auto apart = [](std::int64_t a, std::int64_t b) {
    return std::abs(std::log2(static_cast<double>(a) / static_cast<double>(b)));
  };
  const double other_schedule = point.schedule == other.schedule ? 0 : 0.01;
  return apart(point.microbatches, other.microbatches) +
         apart(point.virtual_stages.value_or(1), other.virtual_stages.value_or(1)) + other_schedule;
}

const Record* nearest_of(const Case& point, std::span<const Record> records) {
  const Record* nearest = nullptr;
  for (const Record& record : records) {
    if (!has_times(record) || !is_same_work(point, record.point)) continue;
    if (is_split(point) && !is_split(record.point)) continue;
    if (nearest == nullptr || distance(point, record.point) < distance(point, nearest->point))
      nearest = &record;
  }
  return nearest;
}

// What a microbatch takes on a stage of the record's, or on each of those that its rank holds on the mean.
StageTimes times_of(const auto& measured) {
  return {.forward_s = measured.forward_s.value_or(0),
          .input_gradient_s = measured.backward_s.value_or(0),
          .weight_gradient_s = measured.weight_gradient_s.value_or(0),
          .input_transfer_s = measured.input_transfer_s.value_or(0),
          .gradient_transfer_s = measured.gradient_transfer_s.value_or(0)};
}

std::vector<StageTimes> stage_times(const PipelineShape& shape, const Record& from) {
  const PipelineResult& measured = *from.pipeline;
  const double of_microbatch =
      static_cast<double>(from.point.microbatches) / static_cast<double>(shape.microbatches);
  const double of_stage = of_microbatch * static_cast<double>(from.point.virtual_stages.value_or(1)) /
                          static_cast<double>(shape.virtual_stages);
  const bool same_stages = std::cmp_equal(measured.stages.size(), shape.stages());
  std::vector<StageTimes> times;
  for (std::int64_t stage = 0; stage < shape.stages(); ++stage) {
    const auto rank = static_cast<std::size_t>(stage % shape.ranks);
    StageTimes own = same_stages ? times_of(measured.stages[static_cast<std::size_t>(stage)])
                                 : times_of(measured.ranks[rank]);
    for (const auto work :
         {&StageTimes::forward_s, &StageTimes::input_gradient_s, &StageTimes::weight_gradient_s})
      own.*work *= of_stage;
    for (const auto transfer : {&StageTimes::input_transfer_s, &StageTimes::gradient_transfer_s})
      own.*transfer *= of_microbatch;
    times.push_back(own);
  }
  return times;
}

}  // namespace

std::optional<PlannedReplay> replay_from(const Case& point, std::span<const Record> records) {
  const PipelineShape shape = point.shape().pipeline();
  if (shape.ranks == 1 || why_no_schedule(shape)) return std::nullopt;
  const Record* from = nearest_of(point, records);
  if (from == nullptr) return std::nullopt;
  const Replay replay = replay_pipeline(shape, stage_times(shape, *from), 0, from->pipeline->exchange_s);
  return PlannedReplay{replay.step_s, replay.bubble(), from->id};
}

}  // namespace tpbench
