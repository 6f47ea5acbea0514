#include "layers/pipelined_layer.hpp"

#include <algorithm>
#include <array>

#include "layers/block_sets.hpp"
#include "layers/pipeline_ends.hpp"
#include "layers/reference_part.hpp"
#include "layers/stage_messages.hpp"

namespace tpbench {
namespace {

LayerContext stage_context(const LayerContext& whole, const RankPlan& plan, const StageRun& run) {
  LayerContext context = whole;
  context.shape = whole.shape.of_stage();
  context.shape.kept = kept_sets_of(whole.shape, plan);
  context.stage = &run;
  return context;
}

// Gradients of weights are sums over the microbatches in the order of these, whatever the schedule: results
// are those of one rank to the bit.
class PipelinedLayer final : public StagedLayer {
 public:
  PipelinedLayer(const LayerContext& whole, MakeEnds make_ends)
      : whole_(whole),
        plan_(plan_rank(whole.shape.pipeline(), whole.pp_rank)),
        run_{whole.shape.layout.pp, whole.pp_rank, whole.shape.stage_layers()},
        context_(stage_context(whole, plan_, run_)),
        rows_(local_rows(context_)),
        sets_(context_),
        messages_(
            context_, whole, plan_, [this](const PlannedStep& planned) { return landing_of(planned); },
            std::array{StageMessages::Landings{plan_.received + plan_.gradient, rows_.size()},
                       StageMessages::Landings{holds_first() ? 1 : 0, whole.shape.local_tokens()},
                       StageMessages::Landings{exchanges() ? 1 : 0, whole.shape.vocabulary_rows()}}),
        ends_(make_ends(whole_, context_)) {
    const std::int64_t batch = whole.shape.local_tokens();
    if (holds_first()) input_ = make_rows(Category::activations, batch);
    if (holds_last()) output_ = make_rows(Category::activations, batch);
    for (std::int64_t i = 0; i < plan_.received; ++i)
      received_.push_back(messages_.make_landing(Category::communication, rows_.size()));
    if (!shape().trains()) return;
    if (exchanges())
      exchanged_ = messages_.make_landing(Category::communication, whole.shape.vocabulary_rows());
    if (holds_first()) input_gradient_ = messages_.make_landing(Category::gradients, batch);
    for (std::int64_t i = 0; i < plan_.gradient; ++i)
      gradient_.push_back(messages_.make_landing(Category::gradients, rows_.size()));
  }

  void fill(Heartbeat& heartbeat) override {
    ends_->fill(input_.view(), heartbeat);
    sets_.fill(heartbeat);
  }

  void run_step(Trace& trace) override {
    messages_.start(exchanged_.view());
    for (const PlannedStep& planned : plan_.steps) run(planned, trace);
    if (whole_.shape.parts_tied_gradient()) ends_->join_gradients(exchanged_.view(), messages_, trace);
    messages_.finish();
  }

  void poison() override {
    for (const Matrix* whole : {&output_, &input_gradient_, &exchanged_}) backend().poison(whole->view());
    for (const auto* places : {&received_, &gradient_}) {
      for (const Matrix& place : *places) backend().poison(place.view());
    }
    messages_.poison();
    ends_->poison();
    const std::int64_t most = std::max({plan_.activations, plan_.inputs, plan_.gradients});
    for (std::int64_t i = 0; i < most; ++i) {
      run_.activations = std::min(i, plan_.activations - 1);
      run_.inputs = std::max<std::int64_t>(0, std::min(i, plan_.inputs - 1));
      run_.gradients = std::max<std::int64_t>(0, std::min(i, plan_.gradients - 1));
      for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
        sets_.poison(layer, Direction::forward);
        if (shape().trains()) sets_.poison(layer, Direction::backward);
      }
    }
  }

  std::vector<StepResult> results() const override {
    std::vector<StepResult> results;
    for (std::int64_t m = 0; m < whole_.shape.microbatches && holds_last(); ++m) {
      results.push_back(
          {last_layer(), Direction::forward, 0, {"output", rows_of(output_, m), first_row(m), 0}});
      std::size_t index = 0;
      for (const Result& output : ends_->outputs(m))
        results.push_back({last_layer(), Direction::forward, ++index, output});
    }
    if (!shape().trains()) return results;
    for (std::int64_t layer = shape().num_layers; layer-- > 0;) {
      const std::int64_t of_whole = run_.whole_layer(layer);
      for (std::int64_t m = 0; m < whole_.shape.microbatches && of_whole == 0; ++m)
        results.push_back(
            {0, Direction::backward, 0, {"input_gradient", rows_of(input_gradient_, m), first_row(m), 0}});
      std::size_t index = 0;
      const auto add = [&](const std::vector<Result>& gradients) {
        for (const Result& gradient : gradients)
          results.push_back({of_whole, Direction::backward, ++index, gradient});
      };
      add(sets_.gradients(layer));
      if (of_whole == last_layer()) add(ends_->last_gradients());
      if (of_whole == 0) add(ends_->first_gradients());
    }
    if (holds_last() && !holds_first()) {
      for (const Result& gradient : ends_->joined_gradients())
        results.push_back({0, Direction::backward, sets_.gradients(0).size() + 1, gradient});
    }
    return results;
  }

  std::unique_ptr<Reference> make_reference(const ReferenceExtent& extent,
                                            Heartbeat& heartbeat) const override {
    return ends_->make_reference(extent, heartbeat);
  }
  double reference_cost() const override { return ends_->reference_cost(); }
  // Of one microbatch.
  std::vector<std::int64_t> cheap_rows(std::int64_t limit, std::uint64_t seed) const override {
    return first_tokens(shape(), rows_, limit, seed);
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] bool holds_first() const { return run_.rank == 0; }
  [[nodiscard]] bool exchanges() const {
    return whole_.shape.exchanges_tied_gradient() && (holds_first() || holds_last());
  }
  [[nodiscard]] bool holds_last() const { return run_.rank + 1 == run_.ranks; }
  [[nodiscard]] std::int64_t last_layer() const { return whole_.shape.num_layers - 1; }
  [[nodiscard]] bool is_last(const PipelineStep& step) const {
    return step.stage + 1 == whole_.shape.pipeline().stages();
  }
  [[nodiscard]] Matrix make_rows(Category category, std::int64_t rows) const {
    return context_.make_matrix(category, rows, shape().hidden_size);
  }
  // Of a tensor of the whole batch, this rank's rows of one microbatch; and which rows of the whole these
  // are.
  [[nodiscard]] MatrixView rows_of(const Matrix& batch, std::int64_t microbatch) const {
    return batch.view().row_slice(microbatch * rows_.size(), rows_.size());
  }
  [[nodiscard]] std::int64_t first_row(std::int64_t microbatch) const {
    return microbatch * shape().tokens + rows_.begin;
  }

  [[nodiscard]] MatrixView landing_of(const PlannedStep& planned) const {
    if (planned.step.work == StageWork::forward) return received_[index(planned.received)].view();
    return gradient_of(planned);
  }
  // Worked on in place, from the gradient of a stage's output to that of its input.
  [[nodiscard]] MatrixView gradient_of(const PlannedStep& planned) const {
    return planned.step.stage == 0 ? rows_of(input_gradient_, planned.step.microbatch)
                                   : gradient_[index(planned.gradient)].view();
  }
  [[nodiscard]] MatrixView input_of(const PlannedStep& planned) const {
    return planned.step.stage == 0 ? rows_of(input_, planned.step.microbatch)
                                   : received_[index(planned.received)].view();
  }
  static std::size_t index(std::int64_t place) { return static_cast<std::size_t>(place); }

  // The rank's weight sets of a stage.
  [[nodiscard]] Range layers_of(const PipelineStep& step) const {
    const std::int64_t first = step.stage / run_.ranks * run_.layers;
    return {first, first + run_.layers};
  }

  void turn(Direction direction, const PipelineStep& step, Trace& trace) const {
    trace.heartbeat().stage.store(step.stage, std::memory_order_relaxed);
    // On one rank there is nothing to tell apart.
    if (run_.ranks == 1) return trace.turn(direction);
    trace.turn(direction, step.stage, step.microbatch, step.work == StageWork::weight_gradient);
  }

  void run(const PlannedStep& planned, Trace& trace) {
    run_.microbatch = planned.step.microbatch;
    run_.activations = planned.activations;
    run_.inputs = planned.inputs;
    run_.gradients = planned.gradients;
    run_.adds = planned.step.microbatch > 0;
    switch (planned.step.work) {
      case StageWork::forward:
        return run_forward(planned, trace);
      case StageWork::backward:
      case StageWork::input_gradient:
        return run_backward(planned, trace);
      case StageWork::weight_gradient:
        return run_weight_gradients(planned, trace);
    }
  }

  void run_forward(const PlannedStep& planned, Trace& trace) {
    const PipelineStep& step = planned.step;
    turn(Direction::forward, step, trace);
    if (step.stage > 0) messages_.receive(Direction::forward, trace);
    if (!shape().trains() && !is_last(step)) {
      trace.begin(Activity::send);  // the place that is computed into: waiting for the stage behind
      messages_.wait_sent(Direction::forward, planned);
      trace.end();
    }
    const Range layers = layers_of(step);
    MatrixView x = input_of(planned);
    if (step.stage == 0) ends_->make_input(x, trace);
    for (std::int64_t layer = layers.begin; layer < layers.end; ++layer) {
      const bool ends = layer + 1 == layers.end && is_last(step);
      const MatrixView output = ends ? rows_of(output_, step.microbatch) : sets_.kept_output(layer);
      sets_.forward(layer, x, output, trace);
      messages_.progress();
      x = output;
    }
    if (is_last(step))
      ends_->take_output(x, trace);
    else
      messages_.send(Direction::forward, planned, x, trace);
  }

  void run_backward(const PlannedStep& planned, Trace& trace) {
    const PipelineStep& step = planned.step;
    const MatrixView gradient = gradient_of(planned);
    turn(Direction::backward, step, trace);
    if (is_last(step)) {
      if (step.stage > 0) messages_.wait_sent(Direction::backward, planned);
      ends_->make_gradient(rows_of(output_, step.microbatch), gradient, trace);
    } else {
      messages_.receive(Direction::backward, trace);
    }
    const Range layers = layers_of(step);
    for (std::int64_t layer = layers.end; layer-- > layers.begin;) {
      const MatrixView x = layer == layers.begin ? input_of(planned) : sets_.kept_output(layer - 1);
      if (step.work == StageWork::backward)
        sets_.backward(layer, x, gradient, trace);
      else
        sets_.input_gradient(layer, x, gradient, trace);
      messages_.progress();
    }
    if (step.stage == 0)
      ends_->take_gradient(gradient, trace);
    else
      messages_.send(Direction::backward, planned, gradient, trace);
    if (step.work == StageWork::backward) sum_gradients(step, trace);
  }

  void run_weight_gradients(const PlannedStep& planned, Trace& trace) {
    turn(Direction::backward, planned.step, trace);
    const Range layers = layers_of(planned.step);
    for (std::int64_t layer = layers.end; layer-- > layers.begin;) {
      sets_.weight_gradients(layer, trace);
      messages_.progress();
    }
    sum_gradients(planned.step, trace);
  }

  // Over the ranks that share a layer, behind its last microbatch.
  void sum_gradients(const PipelineStep& step, Trace& trace) {
    if (step.microbatch + 1 < whole_.shape.microbatches) return;
    turn(Direction::backward, step, trace);
    if (is_last(step)) ends_->sum_gradients(trace);
    const Range layers = layers_of(step);
    for (std::int64_t layer = layers.end; layer-- > layers.begin;) sets_.sum_gradients(layer, trace);
  }

  LayerContext whole_;
  RankPlan plan_;
  StageRun run_;
  LayerContext context_;  // of a stage and one microbatch
  Range rows_;            // of a microbatch, that this rank holds outside of sharded layers
  BlockSets sets_;
  StageMessages messages_;
  std::unique_ptr<PipelineEnds> ends_;
  Matrix input_, output_;  // of the whole batch
  Matrix input_gradient_;
  Matrix exchanged_;  // of a tied gradient: the other end's part, then the sum
  std::vector<Matrix> received_, gradient_;
};

}  // namespace

std::unique_ptr<Layer> make_piped_block(const LayerContext& context) {
  return std::make_unique<PipelinedLayer>(context, make_generated_ends);
}

std::unique_ptr<Layer> make_piped_model(const LayerContext& context) {
  return std::make_unique<PipelinedLayer>(context, make_model_ends);
}

}  // namespace tpbench
