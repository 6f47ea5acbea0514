#include "advisor/predict_case.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <map>
#include <set>

#include "workload/pipeline_plan.hpp"

namespace tpbench {
namespace {

// Which host each rank of a case is on.
class PlacedRanks {
 public:
  PlacedRanks(const Case& point, std::int64_t ranks_per_host) : point_(point), per_host_(ranks_per_host) {}

  [[nodiscard]] std::int64_t host_of(std::int64_t tp_rank, std::int64_t stage) const {
    const std::int64_t t = point_.layout.tp, p = point_.layout.pp;
    const std::int64_t rank =
        point_.placement == Placement::pp_inside ? tp_rank * p + stage : stage * t + tp_rank;
    if (per_host_ == 0) return 0;
    return point_.placement == Placement::spread ? rank : rank / per_host_;
  }
  /// The first `ranks` of those that share the layers of a stage.
  [[nodiscard]] Group group(std::int64_t ranks, std::int64_t stage) const {
    std::set<std::int64_t> hosts;
    for (std::int64_t rank = 0; rank < ranks; ++rank) hosts.insert(host_of(rank, stage));
    return {ranks, static_cast<std::int64_t>(hosts.size())};
  }
  /// Ranks that compute on one host, the most.
  [[nodiscard]] std::int64_t busy_ranks() const {
    std::map<std::int64_t, std::int64_t> ranks;
    std::int64_t most = 1;
    for (std::int64_t stage = 0; stage < point_.layout.pp; ++stage) {
      for (std::int64_t rank = 0; rank < point_.layout.tp; ++rank)
        most = std::max(most, ++ranks[host_of(rank, stage)]);
    }
    return most;
  }
  /// Of the messages that come to a stage from the one before: between hosts where one of them is.
  [[nodiscard]] Reach reach_into(std::int64_t stage) const {
    const std::int64_t before = (stage + point_.layout.pp - 1) % point_.layout.pp;
    for (std::int64_t rank = 0; rank < point_.layout.tp; ++rank) {
      if (host_of(rank, before) != host_of(rank, stage)) return Reach::between_hosts;
    }
    return Reach::inside_host;
  }

 private:
  const Case& point_;
  std::int64_t per_host_;
};

// What one rank's share of a step takes, by halves; gradients of weights for themselves.
struct RankTime {
  PieceTime forward_compute, backward_compute, weight_gradients;
  PieceTime forward_communication, backward_communication;
  double small_messages_s = 0;  // of communication

  [[nodiscard]] PieceTime compute() const {
    PieceTime sum = forward_compute;
    return sum.add(backward_compute).add(weight_gradients);
  }
  [[nodiscard]] PieceTime communication() const {
    PieceTime sum = forward_communication;
    return sum.add(backward_communication);
  }
};

class CasePredictor {
 public:
  CasePredictor(const Calibration& calibration, const Case& point, const PredictedMachine& machine)
      : calibration_(calibration), point_(point), machine_(machine), placed_(point, machine.ranks_per_host) {}

  [[nodiscard]] PredictedCase predict() const { return point_.layout.pp > 1 ? pipeline() : single_stage(); }

 private:
  [[nodiscard]] RankTime rank_time(const Cost& cost, std::int64_t stage) const {
    RankTime time;
    if (!cost.work.empty()) {
      const ComputeFit& fit = compute_fit_of(calibration_, point_);
      // Microbatches go through the same weights one after the other.
      const double step_bytes = bytes_of(cost.work) / static_cast<double>(point_.microbatches);
      for (const Work& work : cost.work) {
        PieceTime& part = work.kind == WorkKind::product_weight_gradient ? time.weight_gradients
                          : work.direction == Direction::forward         ? time.forward_compute
                                                                         : time.backward_compute;
        part.add(work_seconds(fit, {&work, 1}, placed_.busy_ranks(), step_bytes));
      }
    }
    for (const CollectiveCost& collective : cost.collectives) {
      if (collective.calls_per_step == 0) continue;
      const PieceTime one =
          collective_seconds(calibration_, machine_, collective.op, point_.algorithm.value_or("mpi"),
                             collective.bytes, placed_.group(collective.ranks, stage));
      (collective.direction == Direction::forward ? time.forward_communication : time.backward_communication)
          .add(one, static_cast<double>(collective.calls_per_step));
      if (collective.bytes < kSmallMessage)
        time.small_messages_s += one.seconds * static_cast<double>(collective.calls_per_step);
    }
    return time;
  }

  [[nodiscard]] double spread_of_messages(const RankTime& work) const {
    const Spread& spread = calibration_.spread;
    const double all_s = work.communication().seconds;
    if (all_s <= 0) return spread.communication;
    const double small = work.small_messages_s / all_s;
    return std::hypot(small * spread.small_messages, (1 - small) * spread.communication);
  }

  // Puts the parts together; `work` is that of the rank whose parts they are.
  [[nodiscard]] PredictedCase put_together(const RankTime& work, double step_s, const PieceTime& boundary,
                                           double boundary_s, double waiting_s) const {
    const Spread& spread = calibration_.spread;
    const PieceTime compute = work.compute(), communication = work.communication();
    const auto widened = [](double relative, const PieceTime& piece) {
      return relative * (1 + std::log(piece.far) / std::log(kFarBeyond));
    };
    const double of_compute = widened(spread.compute, compute);
    const double of_communication = widened(spread_of_messages(work), communication);
    const double of_boundary = widened(spread.communication, boundary);
    const double other_s = calibration_.other_s_per_step;
    PredictedCase result;
    result.other_s = other_s;
    result.small_messages_s = work.small_messages_s;
    result.compute = with_range(compute.seconds, std::hypot(of_compute, spread.launches));
    result.communication = with_range(communication.seconds, std::hypot(of_communication, spread.launches));
    result.boundary = with_range(boundary_s, std::hypot(of_boundary, spread.launches));
    result.waiting = with_range(waiting_s, std::hypot(of_compute, spread.launches));
    const double whole_s = step_s + other_s;
    const double uncertain_s = std::hypot(of_compute * (compute.seconds + waiting_s),
                                          of_communication * communication.seconds, of_boundary * boundary_s);
    const std::vector<std::int64_t>& degrees = calibration_.degrees;
    const bool is_measured_degree =
        degrees.empty() || std::find(degrees.begin(), degrees.end(), point_.layout.ranks()) != degrees.end();
    const double of_all = std::hypot(spread.launches, is_measured_degree ? 0 : spread.other_degrees);
    result.step = with_range(whole_s, whole_s > 0 ? std::hypot(uncertain_s / whole_s, of_all) : 0);
    PieceTime all = compute;
    all.add(communication).add(boundary);
    result.beyond = all.beyond;
    result.extrapolated = !all.beyond.empty();
    const std::array<std::pair<double, const char*>, 4> parts = {{{compute.seconds, "compute"},
                                                                  {communication.seconds, "communication"},
                                                                  {boundary_s, "boundary"},
                                                                  {waiting_s, "waiting"}}};
    result.dominant = std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
                        return a.first < b.first;
                      })->second;
    result.crosses_hosts = placed_.group(point_.layout.tp, 0).hosts > 1;
    return result;
  }

  [[nodiscard]] PredictedCase single_stage() const {
    Shape shape = point_.whole_shape();
    const RankTime time = rank_time(point_.workload_row().cost(shape), 0);
    return put_together(time, time.compute().seconds + time.communication().seconds, {}, 0, 0);
  }

  // The schedule is replayed with what its stages and messages are to take.
  [[nodiscard]] PredictedCase pipeline() const {
    Shape shape = point_.whole_shape();
    const PipelineShape pipe = shape.pipeline();
    const double turns = static_cast<double>(pipe.microbatches * pipe.virtual_stages);
    const std::int64_t bytes = shape.boundary_elements() * shape.element_size();
    std::vector<RankTime> ranks;
    std::vector<PieceTime> messages;  // into the stages of each rank
    for (std::int64_t rank = 0; rank < pipe.ranks; ++rank) {
      shape.pp_rank = rank;
      ranks.push_back(rank_time(point_.workload_row().cost(shape), rank));
      messages.push_back(boundary_seconds(calibration_, machine_, bytes, placed_.reach_into(rank)));
    }
    std::vector<StageTimes> stages;
    for (std::int64_t stage = 0; stage < pipe.stages(); ++stage) {
      const auto on = static_cast<std::size_t>(stage % pipe.ranks);
      const auto after = static_cast<std::size_t>((stage + 1) % pipe.ranks);
      const RankTime& rank = ranks[on];
      stages.push_back(
          {.forward_s = (rank.forward_compute.seconds + rank.forward_communication.seconds) / turns,
           .input_gradient_s = (rank.backward_compute.seconds + rank.backward_communication.seconds) / turns,
           .weight_gradient_s = rank.weight_gradients.seconds / turns,
           .input_transfer_s = messages[on].seconds,
           .gradient_transfer_s = messages[after].seconds});
    }
    std::optional<double> exchange_s;
    if (shape.exchanges_tied_gradient())
      exchange_s =
          boundary_seconds(calibration_, machine_, shape.exchanged_bytes(), placed_.reach_into(0)).seconds;
    const Replay replay = replay_pipeline(pipe, stages, 0, exchange_s);
    std::size_t busiest = 0;
    const auto work_s = [&](std::size_t rank) {
      return ranks[rank].compute().seconds + ranks[rank].communication().seconds;
    };
    for (std::size_t rank = 1; rank < ranks.size(); ++rank) {
      if (work_s(rank) > work_s(busiest)) busiest = rank;
    }
    const double idle_s = std::max(0.0, replay.step_s - work_s(busiest));
    PieceTime boundary;
    for (const PieceTime& message : messages) boundary.add(message, 0);
    const double sent_s = messages[busiest].seconds *
                          static_cast<double>(messages_to(pipe, static_cast<std::int64_t>(busiest)));
    const double boundary_s = std::min(idle_s, sent_s);
    PredictedCase result =
        put_together(ranks[busiest], replay.step_s, boundary, boundary_s, idle_s - boundary_s);
    result.bubble = replay.bubble();
    return result;
  }

  const Calibration& calibration_;
  const Case& point_;
  const PredictedMachine& machine_;
  PlacedRanks placed_;
};

void check_predictable(const Case& point, std::int64_t hosts) {
  const Workload& workload = point.workload_row();
  const Shape shape = point.whole_shape();
  if (auto reason = why_impossible(workload, shape)) throw AdvisorError(*reason);
  if (auto reason = why_not_divisible(workload, shape)) throw AdvisorError(*reason);
  if (point.overlap_chunks > 1)
    throw AdvisorError(fmt::format(
        "overlap_chunks {}: how much of a sum hides behind compute is not predicted; --shape "
        "overlap_chunks=1 is, and overlap can save the shorter of its compute and communication at most",
        point.overlap_chunks));
  if (point.algorithm == "shm" && hosts > 1)
    throw AdvisorError(fmt::format(
        "algorithm shm is for ranks on one host, and these are on {}: --shape algorithm=mpi is predicted",
        hosts));
  if (point.groups == Groups::all)
    throw AdvisorError("groups all: what groups cost each other is not predicted; --shape groups=one is");
}

}  // namespace

PredictedTime with_range(double median_s, double relative) {
  return {median_s, median_s / (1 + relative), median_s * (1 + relative)};
}

bool uses_reach(const Case& point, const PredictedMachine& machine, Reach reach) {
  const PlacedRanks placed(point, machine.ranks_per_host);
  for (std::int64_t stage = 0; stage < point.layout.pp; ++stage) {
    if (point.layout.pp > 1 && placed.reach_into(stage) == reach) return true;
    const bool crosses = placed.group(point.layout.tp, stage).hosts > 1;
    if (point.layout.tp > 1 && crosses == (reach == Reach::between_hosts)) return true;
  }
  return false;
}

PredictedCase predict_case(const Calibration& calibration, const Case& point,
                           const PredictedMachine& machine) {
  const PlacedRanks placed(point, machine.ranks_per_host);
  check_predictable(point, placed.group(point.layout.tp, 0).hosts);
  return CasePredictor(calibration, point, machine).predict();
}

}  // namespace tpbench
