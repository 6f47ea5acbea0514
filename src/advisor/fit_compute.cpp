#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "advisor/fit.hpp"
#include "advisor/least_squares.hpp"

namespace tpbench {
namespace {

using ComputeKey = std::tuple<std::string, std::string, DType, std::int64_t, CacheState>;

ComputeKey key_of(const Case& point) {
  return {point.backend, library_of(point), point.dtype, point.threads_per_rank.value_or(1), point.cache};
}

double half_width_of(const Quantity& quantity) {
  const Summary& summary = quantity.summary;
  if (!summary.ci95 || !(summary.median > 0)) return 0;
  return ((*summary.ci95)[1] - (*summary.ci95)[0]) / 2 / summary.median;
}

std::vector<Work> half_of(const std::vector<Work>& work, Direction direction) {
  std::vector<Work> half;
  std::copy_if(work.begin(), work.end(), std::back_inserter(half),
               [&](const Work& part) { return part.direction == direction; });
  return half;
}

void add_point(std::vector<WorkPoint>& points, const MeasuredCase& measured, std::vector<Work> work,
               double seconds, double half_width) {
  if (work.empty() || !(seconds > 0)) return;
  points.push_back({&measured, std::move(work), seconds, half_width});
}

void add_pipeline_points(std::vector<WorkPoint>& points, const MeasuredCase& measured) {
  const Record& record = measured.record;
  Shape shape = record.point.shape();
  if (!record.pipeline || record.pipeline->ranks.size() != static_cast<std::size_t>(shape.layout.pp)) return;
  for (shape.pp_rank = 0; shape.pp_rank < shape.layout.pp; ++shape.pp_rank) {
    const double seconds = record.pipeline->ranks[static_cast<std::size_t>(shape.pp_rank)].compute_s;
    add_point(points, measured, record.point.workload_row().cost(shape).work, seconds,
              half_width_of(record.time->compute));
  }
}

// c, 1/R and 1/W of each kind, side by side.
constexpr std::size_t kUnknownsOfKind = 3;

class ComputeFitter {
 public:
  explicit ComputeFitter(std::vector<const WorkPoint*> points) : points_(std::move(points)) {
    choose_kinds();
    for (const WorkPoint* point : points_) busy_[point->measured->busy_ranks()] = 1;
  }

  ComputeFit fit(std::vector<LeftOut>& left_out) {
    ComputeFit result;
    std::tie(result.backend, result.library, result.dtype, result.threads, result.cache) =
        key_of(points_.front()->measured->record.point);
    for (const auto& [kind, why] : refused_)
      left_out.push_back({points_.front()->measured->file, std::string(name_of(kind)), why});
    std::erase_if(points_, [&](const WorkPoint* point) { return !is_known(*point); });
    if (points_.empty()) return result;
    // Rates and crowding in turn, each with the other as it is.
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; ++round) {
      solve();
      if (busy_.size() == 1) break;
      measure_crowding();
    }
    solve();
    put(result);
    return result;
  }

 private:
  // One time, or several of one size, fit any rate.
  void choose_kinds() {
    for (const auto& [kind, name] : EnumNames<WorkKind>::table) {
      std::set<std::pair<double, double>> sizes;
      for (const WorkPoint* point : points_) {
        double flop = 0, bytes = 0;
        for (const Work& work : point->work) {
          if (work.kind != kind) continue;
          flop += work.flop;
          bytes += work.bytes;
        }
        if (bytes > 0) sizes.insert({flop, bytes});
      }
      if (sizes.size() > 1)
        kinds_.push_back(kind);
      else if (sizes.size() == 1)
        refused_.emplace_back(kind, "was measured at one size alone, which does not tell its rates");
    }
  }

  [[nodiscard]] std::size_t place_of(WorkKind kind) const {
    return static_cast<std::size_t>(std::find(kinds_.begin(), kinds_.end(), kind) - kinds_.begin());
  }
  [[nodiscard]] bool is_known(const WorkPoint& point) const {
    return std::all_of(point.work.begin(), point.work.end(),
                       [&](const Work& work) { return place_of(work.kind) < kinds_.size(); });
  }

  [[nodiscard]] double modelled(const WorkPoint& point) const {
    double seconds = 0;
    for (const Work& work : point.work) {
      const std::size_t at = place_of(work.kind) * kUnknownsOfKind;
      seconds += work.calls * x_[at] + work.flop * x_[at + 1] + work.bytes * x_[at + 2];
    }
    return seconds;
  }

  // Relative deviations, less of those that are hardly known. What the times do not tell apart is given to
  // FLOP, or where there are none to bytes: each other part counts as much against the fit as a deviation of
  // kUntold of it.
  void solve() {
    constexpr double kUntold = 0.01, kUsualWidth = 0.02;
    const std::size_t unknowns = kinds_.size() * kUnknownsOfKind;
    std::vector<Equation> equations;
    std::vector<double> shares(unknowns, 0);
    for (const WorkPoint* point : points_) {
      const double weight = kUsualWidth / std::hypot(kUsualWidth, point->half_width);
      const double seconds = point->seconds / busy_.at(point->measured->busy_ranks());
      Equation equation = {std::vector<double>(unknowns, 0), weight};
      for (const Work& work : point->work) {
        const std::size_t at = place_of(work.kind) * kUnknownsOfKind;
        const double parts[] = {work.calls, work.flop, work.bytes};
        for (std::size_t i = 0; i < kUnknownsOfKind; ++i)
          equation.factors[at + i] += weight * parts[i] / seconds;
      }
      for (std::size_t i = 0; i < unknowns; ++i)
        shares[i] += equation.factors[i] / static_cast<double>(points_.size());
      equations.push_back(std::move(equation));
    }
    for (std::size_t i = 0; i < unknowns; ++i) {
      const std::size_t flop = i / kUnknownsOfKind * kUnknownsOfKind + 1;
      const bool is_preferred = shares[flop] > 0 ? i == flop : i == flop + 1;
      if (is_preferred || shares[i] == 0) continue;
      Equation prior = {std::vector<double>(unknowns, 0), 0};
      prior.factors[i] = kUntold * shares[i];
      equations.push_back(std::move(prior));
    }
    x_ = solve_non_negative(equations);
  }

  void measure_crowding() {
    std::map<std::int64_t, std::vector<double>> logs;
    for (const WorkPoint* point : points_)
      logs[point->measured->busy_ranks()].push_back(std::log(point->seconds / modelled(*point)));
    double first = 0;
    for (const auto& [busy, of_busy] : logs) {
      double mean = 0;
      for (const double log : of_busy) mean += log / static_cast<double>(of_busy.size());
      if (busy == logs.begin()->first) first = mean;
      busy_[busy] = std::exp(mean - first);
    }
  }

  void put(ComputeFit& result) const {
    std::vector<double> deviations;
    for (const WorkPoint* point : points_) {
      const double expected = modelled(*point) * busy_.at(point->measured->busy_ranks());
      deviations.push_back(std::abs(expected - point->seconds) / point->seconds);
    }
    std::sort(deviations.begin(), deviations.end());
    result.points = points_.size();
    result.median_deviation = quantile_of_sorted(deviations, 0.5);
    result.max_deviation = deviations.back();
    for (const auto& [busy, factor] : busy_) result.crowding.push_back({busy, factor});
    for (const WorkKind kind : kinds_) {
      const std::size_t at = place_of(kind) * kUnknownsOfKind;
      WorkRate rate = {kind, x_[at], x_[at + 1], x_[at + 2], {}, {}, 0};
      for (const WorkPoint* point : points_) {
        bool is_part = false;
        for (const Work& work : point->work) {
          if (work.kind != kind) continue;
          is_part = true;
          rate.tokens.include(static_cast<double>(work.tokens));
          rate.width.include(static_cast<double>(work.in));
          rate.width.include(static_cast<double>(work.out));
        }
        rate.points += is_part ? 1 : 0;
      }
      // Where everything else explains the times nothing is left for this kind: it is in the others, and 0.
      if (rate.points > 0) result.rates.push_back(rate);
    }
  }

  std::vector<const WorkPoint*> points_;
  std::vector<WorkKind> kinds_;
  std::vector<std::pair<WorkKind, std::string>> refused_;
  std::map<std::int64_t, double> busy_;  // ranks on a host: factor
  std::vector<double> x_;
};

}  // namespace

std::vector<WorkPoint> work_points(std::span<const MeasuredCase* const> cases) {
  std::vector<WorkPoint> points;
  for (const MeasuredCase* measured : cases) {
    const Record& record = measured->record;
    if (record.point.layout.pp > 1) {
      add_pipeline_points(points, *measured);
      continue;
    }
    const std::vector<Work> work = record.point.workload_row().cost(record.point.shape()).work;
    const TimeResult& time = *record.time;
    if (is_known(time.forward_compute) && is_known(time.backward_compute)) {
      add_point(points, *measured, half_of(work, Direction::forward), time.forward_compute.summary.median,
                half_width_of(time.forward_compute));
      add_point(points, *measured, half_of(work, Direction::backward), time.backward_compute.summary.median,
                half_width_of(time.backward_compute));
    } else if (is_known(time.compute)) {
      add_point(points, *measured, work, time.compute.summary.median, half_width_of(time.compute));
    }
  }
  return points;
}

std::vector<ComputeFit> fit_compute(std::span<const WorkPoint> points, std::vector<LeftOut>& left_out) {
  std::map<ComputeKey, std::vector<const WorkPoint*>> groups;
  for (const WorkPoint& point : points) groups[key_of(point.measured->record.point)].push_back(&point);
  std::vector<ComputeFit> fits;
  for (auto& [key, of_key] : groups) {
    ComputeFit fit = ComputeFitter(std::move(of_key)).fit(left_out);
    if (!fit.rates.empty()) fits.push_back(std::move(fit));
  }
  return fits;
}

}  // namespace tpbench
