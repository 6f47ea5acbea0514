#include "workload/pipeline_plan.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace tpbench {
namespace {

using Microbatch = std::pair<std::int64_t, std::int64_t>;  // stage, microbatch

// Hands out places, the lowest free one first.
class Places {
 public:
  std::int64_t take(const Microbatch& whose) {
    leave(whose);
    if (free_.empty()) free_.insert(most_++);
    return held_[whose] = free_.extract(free_.begin()).value();
  }
  [[nodiscard]] std::int64_t of(const Microbatch& whose) const {
    const auto found = held_.find(whose);
    return found == held_.end() ? -1 : found->second;
  }
  void leave(const Microbatch& whose) {
    if (const auto held = held_.extract(whose)) free_.insert(held.mapped());
  }
  [[nodiscard]] std::int64_t most() const { return most_; }

 private:
  std::map<Microbatch, std::int64_t> held_;
  std::set<std::int64_t> free_;
  std::int64_t most_ = 0;
};

class Planner {
 public:
  Planner(const PipelineShape& shape, std::int64_t rank) : shape_(shape) {
    for (const PipelineStep& step : steps_of_rank(shape, rank)) plan_.steps.push_back({step});
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const PipelineStep& step = plan_.steps[i].step;
      if (shape.ranks == 1 || step.work == StageWork::weight_gradient) continue;
      const bool is_forward = step.work == StageWork::forward;
      if (is_forward && step.stage > 0) plan_.forward_receives.push_back(i);
      if (!is_forward && step.stage + 1 < shape.stages()) plan_.backward_receives.push_back(i);
    }
  }

  RankPlan run() {
    post_forward(0);
    post_backward(0);
    for (PlannedStep& planned : plan_.steps) {
      switch (planned.step.work) {
        case StageWork::forward:
          plan_forward(planned);
          break;
        case StageWork::backward:
        case StageWork::input_gradient:
          plan_backward(planned);
          break;
        case StageWork::weight_gradient:
          planned.inputs = inputs_.of(key(planned));
          planned.gradients = gradients_.of(key(planned));
          inputs_.leave(key(planned));
          gradients_.leave(key(planned));
          break;
      }
    }
    plan_.activations = activations_.most();
    plan_.inputs = inputs_.most();
    plan_.gradients = gradients_.most();
    plan_.received = received_.most();
    plan_.gradient = gradient_.most();
    return std::move(plan_);
  }

 private:
  static Microbatch key(const PlannedStep& planned) { return {planned.step.stage, planned.step.microbatch}; }

  void post_forward(std::size_t message) {
    if (message < plan_.forward_receives.size())
      received_.take(key(plan_.steps[plan_.forward_receives[message]]));
  }
  // Where the first stage's gradient goes is no place that is used again.
  void post_backward(std::size_t message) {
    if (message >= plan_.backward_receives.size()) return;
    const PlannedStep& planned = plan_.steps[plan_.backward_receives[message]];
    if (planned.step.stage > 0) gradient_.take(key(planned));
  }

  void plan_forward(PlannedStep& planned) {
    const Microbatch whose = key(planned);
    if (received_.of(whose) >= 0) post_forward(++posted_forward_);
    planned.received = received_.of(whose);
    if (!shape_.trains) {
      // A stage's output is computed while the one before it leaves.
      const bool sends = planned.step.stage + 1 < shape_.stages() && shape_.ranks > 1;
      planned.activations = activations_.take(whose);
      if (sends) {
        if (sending_) activations_.leave(*sending_);
        sending_ = whose;
      } else {
        activations_.leave(whose);
      }
      received_.leave(whose);
      return;
    }
    planned.activations = activations_.take(whose);
    planned.inputs = inputs_.take(whose);
  }

  void plan_backward(PlannedStep& planned) {
    const Microbatch whose = key(planned);
    planned.activations = activations_.of(whose);
    planned.inputs = inputs_.of(whose);
    planned.received = received_.of(whose);
    if (planned.step.work == StageWork::input_gradient)
      planned.gradients = gradients_.take(whose);
    else
      inputs_.leave(whose);
    activations_.leave(whose);
    received_.leave(whose);
    if (shape_.ranks > 1 && planned.step.stage + 1 < shape_.stages()) post_backward(++posted_backward_);
    if (planned.step.stage == 0) return;
    // One is received into, one is worked on, and one is sent.
    if (gradient_.of(whose) < 0) gradient_.take(whose);
    planned.gradient = gradient_.of(whose);
    if (passing_) gradient_.leave(*passing_);
    passing_ = whose;
  }

  PipelineShape shape_;
  RankPlan plan_;
  Places activations_, inputs_, gradients_, received_, gradient_;
  std::size_t posted_forward_ = 0, posted_backward_ = 0;
  std::optional<Microbatch> sending_, passing_;  // whose output, whose gradient leaves
};

}  // namespace

RankPlan plan_rank(const PipelineShape& shape, std::int64_t rank) { return Planner(shape, rank).run(); }

std::int64_t messages_per_step(const PipelineShape& shape) {
  if (shape.ranks == 1) return 0;
  return (shape.trains ? 2 : 1) * shape.microbatches * (shape.stages() - 1);
}

BoundaryTraffic boundary_traffic(const Shape& shape) {
  BoundaryTraffic traffic;
  traffic.messages = messages_per_step(shape.pipeline());
  traffic.bytes = traffic.messages * shape.boundary_elements() * shape.element_size();
  if (!shape.exchanges_tied_gradient()) return traffic;
  traffic.messages += 2;
  traffic.bytes += 2 * shape.exchanged_bytes();
  return traffic;
}

std::int64_t messages_to(const PipelineShape& shape, std::int64_t rank) {
  if (shape.ranks == 1) return 0;
  const std::int64_t forward = shape.virtual_stages - (rank == 0 ? 1 : 0);
  const std::int64_t backward = shape.trains ? shape.virtual_stages - (rank == shape.ranks - 1 ? 1 : 0) : 0;
  return shape.microbatches * (forward + backward);
}

std::int64_t messages_from(const PipelineShape& shape, std::int64_t rank) {
  if (shape.ranks == 1) return 0;
  const std::int64_t forward = shape.virtual_stages - (rank == shape.ranks - 1 ? 1 : 0);
  const std::int64_t backward = shape.trains ? shape.virtual_stages - (rank == 0 ? 1 : 0) : 0;
  return shape.microbatches * (forward + backward);
}

}  // namespace tpbench
