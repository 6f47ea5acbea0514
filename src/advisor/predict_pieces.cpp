#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <set>

#include "advisor/predict_case.hpp"
#include "base/text.hpp"
#include "base/units.hpp"

// What one piece of a step takes: work, a collective, a message.
namespace tpbench {
namespace {

void note(PieceTime& piece, BeyondWhat what, double value, const MeasuredRange& measured) {
  const double far = measured.beyond(value);
  piece.far = std::max(piece.far, far);
  if (far > kFarBeyond) piece.add({0, far, {{what, value, measured}}});
}

std::string value_text(BeyondWhat what, double value) {
  return what == BeyondWhat::bytes ? format_bytes(value) : fmt::format("{:.0f}", value);
}

// Start-up grows with the rounds of a tree, the transfer with what each rank sends.
PieceTime scaled(const CollectiveRate& rate, double alpha_times, double beta_times, std::int64_t bytes) {
  const CostPiece* piece = &rate.pieces.front();
  for (const CostPiece& later : rate.pieces) {
    if (later.from_bytes <= bytes) piece = &later;
  }
  PieceTime time;
  time.seconds = alpha_times * piece->model.alpha_s +
                 beta_times * piece->model.beta_s_per_byte * static_cast<double>(bytes);
  note(time, BeyondWhat::bytes, static_cast<double>(bytes),
       {static_cast<double>(rate.pieces.front().from_bytes),
        static_cast<double>(rate.pieces.back().to_bytes)});
  return time;
}

double tree_rounds(std::int64_t ranks) { return std::log2(static_cast<double>(ranks)); }

PieceTime message_time(const std::vector<CostPiece>& pieces, std::int64_t bytes) {
  PieceTime time;
  time.seconds = cost_s(pieces, bytes);
  note(time, BeyondWhat::bytes, static_cast<double>(bytes),
       {static_cast<double>(pieces.front().from_bytes), static_cast<double>(pieces.back().to_bytes)});
  return time;
}

// A ring: n - 1 rounds (an all-reduce twice as many) in each of which a rank sends 1/n of the array
// (R. Thakur, R. Rabenseifner, W. Gropp, Optimization of Collective Communication Operations in MPICH, 2005).
PieceTime ring_time(const std::vector<CostPiece>& message, CollectiveOp op, std::int64_t bytes,
                    std::int64_t ranks) {
  const double rounds = static_cast<double>(ranks - 1) * (op == CollectiveOp::all_reduce ? 2 : 1);
  PieceTime time;
  time.add(message_time(message, std::max<std::int64_t>(1, bytes / ranks)), rounds);
  return time;
}

// The measured rate that is nearest in hosts, then in ranks.
const CollectiveRate* nearest_rate(const std::vector<CollectiveRate>& rates, CollectiveOp op,
                                   const std::string& algorithm, const Group& group) {
  const Reach reach = group.hosts > 1 ? Reach::between_hosts : Reach::inside_host;
  const CollectiveRate* best = nullptr;
  std::pair<double, double> least{};
  for (const CollectiveRate& rate : rates) {
    if (rate.op != op || rate.algorithm != algorithm || rate.reach != reach) continue;
    const auto apart = [](std::int64_t a, std::int64_t b) {
      return std::abs(std::log2(static_cast<double>(a) / static_cast<double>(b)));
    };
    const std::pair<double, double> distance = {apart(rate.ranks, group.ranks),
                                                apart(rate.hosts, group.hosts)};
    if (best == nullptr || distance < least) {
      best = &rate;
      least = distance;
    }
  }
  return best;
}

MeasuredRange measured_ranks(const std::vector<CollectiveRate>& rates, const CollectiveRate& like) {
  MeasuredRange range;
  for (const CollectiveRate& rate : rates) {
    if (rate.op == like.op && rate.algorithm == like.algorithm && rate.reach == like.reach)
      range.include(static_cast<double>(rate.ranks));
  }
  return range;
}

// By collectives that were measured as such. An all-reduce is a reduce-scatter and an all-gather, of which
// each takes half of its rounds and half of its transfer: where one kind was not measured, another tells.
std::optional<PieceTime> by_rates(const std::vector<CollectiveRate>& rates, CollectiveOp op,
                                  const std::string& algorithm, std::int64_t bytes, const Group& group) {
  for (const CollectiveOp like :
       {op, CollectiveOp::all_reduce, CollectiveOp::reduce_scatter, CollectiveOp::all_gather}) {
    const CollectiveRate* rate = nearest_rate(rates, like, algorithm, group);
    if (rate == nullptr) continue;
    const double rounds_of_kind = bus_factor(op, group.ranks) / bus_factor(like, group.ranks);  // 1/2, 1 or 2
    PieceTime time = scaled(*rate, rounds_of_kind * tree_rounds(group.ranks) / tree_rounds(rate->ranks),
                            bus_factor(op, group.ranks) / bus_factor(like, rate->ranks), bytes);
    note(time, BeyondWhat::ranks, static_cast<double>(group.ranks), measured_ranks(rates, *rate));
    if (like != op) time.add({0, kFarBeyond, {{BeyondWhat::operation, 0, {}}}});
    return time;
  }
  return std::nullopt;
}

const BoundaryRate* boundary_of(const Calibration& calibration, Reach reach) {
  const BoundaryRate* best = nullptr;
  for (const BoundaryRate& rate : calibration.boundaries) {
    if (rate.reach == reach && (best == nullptr || rate.source == RateSource::records)) best = &rate;
  }
  return best;
}

// Single messages as a probe or a description has them: what rings are made of.
const std::vector<CostPiece>* messages_of(const Calibration& calibration, Reach reach) {
  for (const BoundaryRate& rate : calibration.boundaries) {
    if (rate.reach == reach && rate.source != RateSource::records) return &rate.pieces;
  }
  return nullptr;
}

const std::optional<Network>& network_of(const Fabric& fabric, Reach reach) {
  return reach == Reach::inside_host ? fabric.inside : fabric.between;
}

// On another network: as that network's probe has it, or as a ring of its messages; by as much longer than
// the ring as it was on the measured network.
PieceTime on_network(const Calibration& calibration, const Network& network, CollectiveOp op,
                     const std::string& algorithm, std::int64_t bytes, const Group& group) {
  const CollectiveRate* known = nearest_rate(network.collectives, op, algorithm, group);
  if (known != nullptr && known->ranks == group.ranks)
    return *by_rates(network.collectives, op, algorithm, bytes, group);
  PieceTime time = ring_time(network.message, op, bytes, group.ranks);
  const Reach reach = group.hosts > 1 ? Reach::between_hosts : Reach::inside_host;
  const auto measured = by_rates(calibration.collectives, op, algorithm, bytes, group);
  const std::vector<CostPiece>* messages = messages_of(calibration, reach);
  if (!measured || messages == nullptr) return time.add({0, kFarBeyond, {{BeyondWhat::operation, 0, {}}}});
  const double ring_s = ring_time(*messages, op, bytes, group.ranks).seconds;
  if (ring_s > 0) time.seconds *= measured->seconds / ring_s;
  time.far = std::max(time.far, measured->far);
  return time;
}

std::string where_text(Reach reach) {
  return reach == Reach::inside_host ? "inside a host" : "between hosts";
}

std::string about_pages(Pages pages) { return pages == Pages::huge ? " and huge pages" : ""; }

std::vector<std::string> measured_of(const Calibration& calibration) {
  std::set<std::string> texts;
  for (const ComputeFit& fit : calibration.compute)
    texts.insert(fmt::format("{} {} {} with {}, {} caches{}", fit.backend, fit.library, name_of(fit.dtype),
                             counted(static_cast<std::size_t>(fit.threads), "thread"), name_of(fit.cache),
                             about_pages(fit.pages)));
  return {texts.begin(), texts.end()};
}

}  // namespace

std::string Beyond::text() const {
  if (what == BeyondWhat::operation)
    return "a collective that was not measured, from others or from messages";
  return fmt::format("{} {}, measured {} to {}", name_of(what), value_text(what, value),
                     value_text(what, measured.low), value_text(what, measured.high));
}

PieceTime& PieceTime::add(const PieceTime& other, double times) {
  seconds += times * other.seconds;
  far = std::max(far, other.far);
  for (const Beyond& added : other.beyond) {
    const auto known = std::find(beyond.begin(), beyond.end(), added);
    if (known == beyond.end())
      beyond.push_back(added);
    else if (known->measured.beyond(known->value) < added.measured.beyond(added.value))
      *known = added;
  }
  return *this;
}

const ComputeFit& compute_fit_of(const Calibration& calibration, const Case& point) {
  const std::string library = library_of(point);
  const bool multiplies = point.backend != "cpu" || point.library;
  const ComputeFit* found = nullptr;
  std::set<std::int64_t> threads;
  for (const ComputeFit& fit : calibration.compute) {
    if (fit.backend != point.backend || (multiplies && fit.library != library) || fit.dtype != point.dtype ||
        fit.cache != point.cache || fit.pages != point.pages.value_or(Pages::system))
      continue;
    threads.insert(fit.threads);
    if (point.threads_per_rank.value_or(fit.threads) != fit.threads) continue;
    if (found == nullptr || fit.library == library) found = &fit;
  }
  if (!point.threads_per_rank && threads.size() > 1)
    throw AdvisorError(
        fmt::format("threads_per_rank: measured with {}; --shape threads_per_rank=N says which is meant",
                    fmt::join(threads, ", ")));
  if (found != nullptr) return *found;
  const auto threads_text = [&] {
    return point.threads_per_rank
               ? " with " + counted(static_cast<std::size_t>(*point.threads_per_rank), "thread")
               : std::string();
  };
  const Pages pages = point.pages.value_or(Pages::system);
  const std::string wanted =
      fmt::format("{} {} {}{}, {} caches{}", point.backend, library, name_of(point.dtype), threads_text(),
                  name_of(point.cache), about_pages(pages));
  std::string settings = fmt::format("--set backend={} --set dtype={}", point.backend, name_of(point.dtype));
  if (point.library.value_or("openblas") != "openblas") settings += " --set library=" + *point.library;
  if (point.weight_layout == WeightLayout::packed) settings += " --set weight_layout=packed";
  if (pages == Pages::huge) settings += " --set pages=huge";
  if (point.threads_per_rank) settings += fmt::format(" --set threads_per_rank={}", *point.threads_per_rank);
  if (point.cache == CacheState::cold) settings += " --set cache=cold";
  throw AdvisorError(fmt::format(
      "nothing measured computes as {}: measured was {}. Measure: mpirun -n 2 tpbench --config SWEEP.json {}",
      wanted, calibration.compute.empty() ? "no compute" : join_words(measured_of(calibration)), settings));
}

namespace {

// Between two numbers of ranks along their logarithm, beyond the outermost as there; 0 ranks: as with most.
template <typename Point>
double at_ranks(const std::vector<Point>& points, double Point::*value, std::int64_t busy_ranks) {
  const Point* below = &points.front();
  if (busy_ranks != 0 && busy_ranks <= below->ranks_per_host) return below->*value;
  for (const Point& above : points) {
    if (busy_ranks != 0 && above.ranks_per_host >= busy_ranks) {
      const auto log_of = [](std::int64_t ranks) { return std::log2(static_cast<double>(ranks)); };
      const double share = (log_of(busy_ranks) - log_of(below->ranks_per_host)) /
                           (log_of(above.ranks_per_host) - log_of(below->ranks_per_host));
      return below->*value + share * (above.*value - below->*value);
    }
    below = &above;
  }
  return below->*value;
}

}  // namespace

double crowding_factor(const ComputeFit& fit, std::int64_t busy_ranks) {
  return fit.crowding.empty() ? 1 : at_ranks(fit.crowding, &Crowding::factor, busy_ranks);
}

double copy_s_per_byte(const ComputeFit& fit, std::int64_t busy_ranks) {
  return fit.copies.empty() ? 0 : at_ranks(fit.copies, &CopyRate::s_per_byte, busy_ranks);
}

PieceTime work_seconds(const ComputeFit& fit, std::span<const Work> work, std::int64_t busy_ranks,
                       double step_bytes) {
  const double beyond = fit.beyond_caches(step_bytes > 0 ? step_bytes : bytes_of(work));
  const double crowding = crowding_factor(fit, busy_ranks);
  PieceTime sum;
  for (const Work& part : work) {
    const auto rate = std::find_if(fit.rates.begin(), fit.rates.end(),
                                   [&](const WorkRate& other) { return other.kind == part.kind; });
    if (rate == fit.rates.end())
      throw AdvisorError(fmt::format(
          "no case that was measured has {} ({} {}): measure workload block{}, at two sizes or more",
          name_of(part.kind), fit.library, name_of(fit.dtype),
          part.direction == Direction::backward ? " with pass forward_backward" : ""));
    PieceTime time;
    time.seconds = crowding * rate->seconds(part, beyond);
    note(time, BeyondWhat::tokens, static_cast<double>(part.tokens), rate->tokens);
    note(time, BeyondWhat::width, static_cast<double>(part.in), rate->width);
    note(time, BeyondWhat::width, static_cast<double>(part.out), rate->width);
    sum.add(time);
  }
  return sum;
}

PieceTime collective_seconds(const Calibration& calibration, const PredictedMachine& machine, CollectiveOp op,
                             const std::string& algorithm, std::int64_t bytes, const Group& group) {
  if (group.ranks < 2 || bytes == 0) return {};
  const Reach reach = group.hosts > 1 ? Reach::between_hosts : Reach::inside_host;
  if (const auto& network = network_of(machine.fabric, reach))
    return on_network(calibration, *network, op, algorithm, bytes, group);
  if (const auto time = by_rates(calibration.collectives, op, algorithm, bytes, group)) return *time;
  if (const std::vector<CostPiece>* messages = messages_of(calibration, reach)) {
    PieceTime time = ring_time(*messages, op, bytes, group.ranks);
    time.add({0, kFarBeyond, {{BeyondWhat::operation, 0, {}}}});
    return time;
  }
  throw AdvisorError(fmt::format(
      "no collective of algorithm {} was measured {}: measure one there, mpirun -n {} {}tpbench --config "
      "SWEEP.json --set algorithm={}, or give that network: --fabric {}:alpha=A,bandwidth=B",
      algorithm, where_text(reach), group.hosts > 1 ? std::max<std::int64_t>(2, group.hosts) : 2,
      group.hosts > 1 ? "--map-by node " : "", algorithm,
      reach == Reach::inside_host ? "inside" : "between"));
}

PieceTime boundary_seconds(const Calibration& calibration, const PredictedMachine& machine,
                           std::int64_t bytes, Reach reach) {
  if (const auto& network = network_of(machine.fabric, reach)) return message_time(network->message, bytes);
  if (const BoundaryRate* rate = boundary_of(calibration, reach)) return message_time(rate->pieces, bytes);
  throw AdvisorError(fmt::format(
      "no message between stages was measured {}: measure one there, mpirun -n 2 {}tpbench probe --output "
      "probe.json, and give that file too",
      where_text(reach), reach == Reach::between_hosts ? "--map-by node " : ""));
}

}  // namespace tpbench
