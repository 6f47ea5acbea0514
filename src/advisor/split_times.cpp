#include "advisor/split_times.hpp"

#include <algorithm>
#include <array>
#include <cmath>

// A step of a whole model: its stages from layers and ends, the schedule over them, and what comes once.
namespace tpbench {
namespace {

// What one phase of a split takes.
struct PhaseTime {
  double step_s = 0;
  PieceTime compute, communication;  ///< of the busiest rank
  PieceTime message;                 ///< of one, for its range
  double waiting_s = 0;
};

class SplitTimer {
 public:
  SplitTimer(SplitPlan& plan, const PlanQuestion& question, ModelTimer& timer)
      : plan_(plan), question_(question), split_(plan.split), timer_(timer) {}

  void run() {
    if (question_.task.trains)
      train();
    else
      infer();
  }

 private:
  [[nodiscard]] Shape shape(ModelPhase phase) const { return model_shape(question_.task, split_, phase); }

  // What stage `stage` of p v does for one microbatch.
  [[nodiscard]] PieceTimes stage_pieces(const ModelTimes& times, const Shape& model,
                                        std::int64_t stage) const {
    PieceTimes pieces;
    pieces.add(times.layer, static_cast<double>(model.stage_layers()));
    if (stage == 0) pieces.add(times.embedding);
    if (stage + 1 == model.pipeline().stages()) pieces.add(times.head);
    return pieces;
  }

  // Of what goes from stage to stage, whole or in parts that are gathered: whichever is faster.
  PieceTime boundary(const Shape& model) {
    if (model.layout.pp == 1) return {};
    const PieceTime as_whole =
        timer_.message(model.boundary_elements() * model.element_size(), plan_.stage_reach);
    Shape parts = model;
    parts.boundary = Boundary::scattered;
    const std::int64_t rows = model.tokens / model.microbatches;
    if (!parts.scatters_boundary() || rows % model.layout.tp != 0) return as_whole;
    PieceTime in_parts = timer_.message(parts.boundary_elements() * parts.element_size(), plan_.stage_reach);
    in_parts.add(timer_.collective(CollectiveOp::all_gather, rows * model.hidden_size * model.element_size(),
                                   {model.layout.tp, plan_.tp_hosts}));
    const bool scatters = in_parts.seconds < as_whole.seconds;
    plan_.boundary = scatters ? Boundary::scattered : Boundary::whole;
    return scatters ? in_parts : as_whole;
  }

  PhaseTime time_phase(ModelPhase phase) {
    const Shape model = shape(phase);
    const PipelineShape pipe = model.pipeline();
    const ModelTimes& times = timer_.times(question_.task, split_, phase, {plan_.tp_hosts, busy_ranks()});
    PhaseTime phase_time;
    phase_time.message = boundary(model);
    // All stages are alike but for the first and the last.
    const PieceTimes usual = stage_pieces(times, model, 1 < pipe.stages() - 1 ? 1 : 0);
    std::vector<StageTimes> stages(static_cast<std::size_t>(pipe.stages()));
    std::vector<double> busy_s(static_cast<std::size_t>(pipe.ranks), 0);
    for (std::int64_t stage = 0; stage < pipe.stages(); ++stage) {
      const bool is_end = stage == 0 || stage + 1 == pipe.stages();
      const PieceTimes pieces = is_end ? stage_pieces(times, model, stage) : usual;
      stages[static_cast<std::size_t>(stage)] = {.forward_s = pieces.forward.seconds(),
                                                 .input_gradient_s = pieces.input_gradient.seconds(),
                                                 .weight_gradient_s = pieces.weight_gradient.seconds()};
      busy_s[static_cast<std::size_t>(stage % pipe.ranks)] += pieces.seconds();
    }
    const auto busiest = std::max_element(busy_s.begin(), busy_s.end()) - busy_s.begin();
    const auto microbatches = static_cast<double>(pipe.microbatches);
    for (std::int64_t stage = busiest; stage < pipe.stages(); stage += pipe.ranks) {
      const PieceTimes pieces = stage_pieces(times, model, stage);
      phase_time.compute.add(pieces.compute(), microbatches);
      phase_time.communication.add(pieces.communication(), microbatches);
    }
    phase_time.step_s = phase == ModelPhase::decode
                            ? token_s(stages, pipe, phase_time.message.seconds)
                            : pipeline_step_s(pipe, stages, phase_time.message.seconds, exchange_s(model));
    phase_time.waiting_s =
        std::max(0.0, phase_time.step_s - microbatches * busy_s[static_cast<std::size_t>(busiest)]);
    return phase_time;
  }

  // Of a table that the first stage and the last have both.
  [[nodiscard]] std::optional<double> exchange_s(const Shape& model) {
    if (!model.exchanges_tied_gradient()) return std::nullopt;
    return timer_.message(model.exchanged_bytes(), plan_.stage_reach).seconds;
  }

  // One token after the other: a microbatch begins its next one when it has been through all stages and the
  // token is back at the first; a stage that is always busy is the other limit.
  static double token_s(const std::vector<StageTimes>& stages, const PipelineShape& pipe, double message_s) {
    double around_s = 0, slowest_s = 0;
    for (const StageTimes& stage : stages) {
      around_s += stage.forward_s + (pipe.ranks > 1 ? message_s : 0);
      slowest_s = std::max(slowest_s, stage.forward_s);
    }
    return std::max(around_s, static_cast<double>(pipe.microbatches) * slowest_s);
  }

  // Ranks that compute on one host, of all copies.
  [[nodiscard]] std::int64_t busy_ranks() const {
    const std::int64_t per_host = question_.machine.machine.ranks_per_host;
    return per_host == 0 ? plan_.ranks() : std::min(per_host, plan_.ranks());
  }

  [[nodiscard]] double relative(double known, const PieceTime& piece) const {
    return known * (1 + std::log(piece.far) / std::log(kFarBeyond));
  }

  // `extra` is what comes beside the phase.
  PredictedTime range(const PhaseTime& phase, const PieceTime& extra_compute,
                      const PieceTime& extra_communication) {
    const Spread& spread = timer_.calibration().spread;
    const double step_s = phase.step_s + extra_compute.seconds + extra_communication.seconds +
                          timer_.calibration().other_s_per_step;
    // Waiting for other stages is as uncertain as what they do.
    const double compute_s = relative(spread.compute, phase.compute) *
                             (phase.compute.seconds + phase.waiting_s + extra_compute.seconds);
    PieceTime communication = phase.communication;
    communication.add(extra_communication).add(phase.message, static_cast<double>(split_.microbatches));
    if (split_.layout.pp == 1)
      communication.seconds = phase.communication.seconds + extra_communication.seconds;
    const double communication_s =
        relative(std::max(spread.communication, spread.small_messages), communication) *
        communication.seconds;
    PieceTime all = phase.compute;
    all.add(communication, 0);
    for (const Beyond& beyond : all.beyond) {
      if (std::find(plan_.beyond.begin(), plan_.beyond.end(), beyond) == plan_.beyond.end())
        plan_.beyond.push_back(beyond);
    }
    const std::vector<std::int64_t>& degrees = timer_.calibration().degrees;
    const bool is_measured_degree =
        degrees.empty() || std::find(degrees.begin(), degrees.end(), plan_.ranks()) != degrees.end();
    const double of_all = std::hypot(spread.launches, is_measured_degree ? 0 : spread.other_degrees);
    return with_range(step_s, std::hypot(std::hypot(compute_s, communication_s) / step_s, of_all));
  }

  void take_parts(const PhaseTime& phase) {
    plan_.compute_s = phase.compute.seconds;
    plan_.communication_s = phase.communication.seconds;
    plan_.waiting_s = phase.waiting_s;
    const std::array<std::pair<double, Dominant>, 5> parts = {
        {{plan_.compute_s, Dominant::compute},
         {plan_.communication_s, Dominant::communication},
         {plan_.waiting_s, Dominant::waiting},
         {plan_.optimizer_s, Dominant::optimizer},
         {plan_.gradients_s, Dominant::gradients}}};
    plan_.dominant = std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
                       return a.first < b.first;
                     })->second;
  }

  // Of the rank that has most parameters.
  [[nodiscard]] double most_parameters() const {
    const std::int64_t last = split_.layout.pp - 1;
    double most = 0;
    for (const std::int64_t rank : {std::int64_t{0}, last})
      most = std::max(most, stage_parameters(question_.task, split_, rank));
    return most;
  }

  // Sums of gradients: over copies of the model, and of an embedding that two stages have; and those of a
  // layer's own ranks which come once.
  [[nodiscard]] PieceTime gradient_sums(double parameters) const {
    const Layout& layout = split_.layout;
    const std::int64_t size = std::max<std::int64_t>(4, size_of(question_.task.dtype));
    const std::int64_t per_host = question_.machine.machine.ranks_per_host;
    const std::int64_t apart = layout.tp * layout.pp;  // neighbours among those that sum
    PieceTime sums;
    if (layout.dp > 1) {
      const std::int64_t on_each = per_host == 0 ? layout.dp : std::max<std::int64_t>(1, per_host / apart);
      const Group copies = {layout.dp, (layout.dp + on_each - 1) / on_each};
      sums.add(
          timer_.collective(CollectiveOp::all_reduce, static_cast<std::int64_t>(parameters) * size, copies));
    }
    const Shape model = shape(ModelPhase::training);
    if (model.ties_embeddings && layout.pp > 1) {
      const Group ends = {2, plan_.stage_reach == Reach::between_hosts ? 2 : 1};
      sums.add(timer_.collective(CollectiveOp::all_reduce, model.vocabulary_rows() * model.hidden_size * size,
                                 ends));
    }
    return sums;
  }

  void train() {
    const PhaseTime phase = time_phase(ModelPhase::training);
    const double parameters = most_parameters();
    const PieceTime optimizer = timer_.optimizer(parameters, busy_ranks());
    PieceTime gradients = gradient_sums(parameters);
    const ModelTimes& times =
        timer_.times(question_.task, split_, ModelPhase::training, {plan_.tp_hosts, busy_ranks()});
    const Shape model = shape(ModelPhase::training);
    gradients.add(times.layer.once.communication, static_cast<double>(model.num_layers / model.layout.pp));
    plan_.optimizer_s = optimizer.seconds;
    plan_.gradients_s = gradients.seconds;
    plan_.step = range(phase, optimizer, gradients);
    const auto tokens = static_cast<double>(question_.task.batch_size * question_.task.sequence_length);
    set_rate(tokens, plan_.step);
    take_parts(phase);
  }

  void infer() {
    const PhaseTime prefill = time_phase(ModelPhase::prefill);
    plan_.step = range(prefill, {}, {});
    const PhaseTime decode = time_phase(ModelPhase::decode);
    plan_.token = range(decode, {}, {});
    set_rate(static_cast<double>(question_.task.batch_size), *plan_.token);
    take_parts(decode);
  }

  void set_rate(double tokens, const PredictedTime& time) {
    plan_.tokens_per_s = {tokens / time.median_s, tokens / time.high_s, tokens / time.low_s};
  }

  SplitPlan& plan_;
  const PlanQuestion& question_;
  const ModelSplit& split_;
  ModelTimer& timer_;
};

}  // namespace

void time_split(SplitPlan& plan, const PlanQuestion& question, ModelTimer& timer) {
  SplitTimer(plan, question, timer).run();
}

}  // namespace tpbench
