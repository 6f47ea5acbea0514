#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>

#include "advisor/fit.hpp"
#include "advisor/least_squares.hpp"

namespace tpbench {
namespace {

using ComputeKey = std::tuple<std::string, std::string, DType, std::int64_t, CacheState, Pages>;

ComputeKey key_of(const Case& point) {
  return {point.backend, library_of(point),
          point.dtype,   point.threads_per_rank.value_or(1),
          point.cache,   point.pages.value_or(Pages::system)};
}

// Of a case that multiplies nothing: what it tells is true beside each library.
bool is_of_any_library(const WorkPoint& point) {
  const Case& of = point.measured->record.point;
  return of.backend == "cpu" && !of.library;
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
               double step_bytes, double seconds, double half_width) {
  if (work.empty() || !(seconds > 0)) return;
  // Microbatches go through the same weights one after the other.
  const double once = step_bytes / static_cast<double>(measured.record.point.microbatches);
  points.push_back({&measured, std::move(work), once, seconds, half_width});
}

void add_pipeline_points(std::vector<WorkPoint>& points, const MeasuredCase& measured) {
  const Record& record = measured.record;
  Shape shape = record.point.shape();
  if (!record.pipeline || record.pipeline->ranks.size() != static_cast<std::size_t>(shape.layout.pp)) return;
  for (shape.pp_rank = 0; shape.pp_rank < shape.layout.pp; ++shape.pp_rank) {
    const double seconds = record.pipeline->ranks[static_cast<std::size_t>(shape.pp_rank)].compute_s;
    const std::vector<Work> work = record.point.workload_row().cost(shape).work;
    add_point(points, measured, work, bytes_of(work), seconds, half_width_of(record.time->compute));
  }
}

// c, 1/R, 1/W in caches and what bytes beyond them take more: of each kind, side by side.
constexpr std::size_t kUnknownsOfKind = 4;
constexpr std::size_t kCallOfKind = 0, kFlopOfKind = 1;

// What a fit with one size of caches came to.
struct Solution {
  double cache_bytes = 0;
  std::vector<double> x;
  std::map<std::int64_t, double> busy;  // ranks on a host: factor
  double criterion = 0;
};

class ComputeFitter {
 public:
  explicit ComputeFitter(std::vector<const WorkPoint*> points) : points_(std::move(points)) {
    choose_kinds();
    for (const WorkPoint* point : points_) now_.busy[point->measured->busy_ranks()] = 1;
  }

  ComputeFit fit(std::vector<LeftOut>& left_out) {
    ComputeFit result;
    std::tie(result.backend, result.library, result.dtype, result.threads, result.cache, result.pages) =
        key_of(points_.front()->measured->record.point);
    for (const WorkKind kind : refused_)
      left_out.push_back({points_.front()->measured->file, std::string(name_of(kind)),
                          "was measured at one size alone, which does not tell its rates"});
    std::erase_if(points_, [&](const WorkPoint* point) { return !is_known(*point); });
    if (points_.empty()) return result;
    choose_caches();
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
      if (!sizes.empty()) (sizes.size() > 1 ? kinds_ : refused_).push_back(kind);
    }
  }

  [[nodiscard]] std::size_t place_of(WorkKind kind) const {
    return static_cast<std::size_t>(std::find(kinds_.begin(), kinds_.end(), kind) - kinds_.begin());
  }
  [[nodiscard]] bool is_known(const WorkPoint& point) const {
    return std::all_of(point.work.begin(), point.work.end(),
                       [&](const Work& work) { return place_of(work.kind) < kinds_.size(); });
  }
  [[nodiscard]] double crowding_of(const WorkPoint& point) const {
    return now_.busy.at(point.measured->busy_ranks());
  }

  // What multiplies each unknown in the time of a point.
  [[nodiscard]] std::vector<double> factors_of(const WorkPoint& point) const {
    ComputeFit caches;
    caches.cache_bytes = now_.cache_bytes;
    const double beyond = caches.beyond_caches(point.step_bytes);
    std::vector<double> factors(kinds_.size() * kUnknownsOfKind, 0);
    for (const Work& work : point.work) {
      const std::size_t at = place_of(work.kind) * kUnknownsOfKind;
      const double parts[] = {work.calls, work.flop, work.bytes, work.bytes * beyond};
      for (std::size_t i = 0; i < kUnknownsOfKind; ++i) factors[at + i] += parts[i];
    }
    return factors;
  }
  [[nodiscard]] double modelled(std::size_t i) const {
    return crowding_of(*points_[i]) *
           std::inner_product(factors_[i].begin(), factors_[i].end(), now_.x.begin(), 0.0);
  }
  // log(modelled / measured) of each point; 0 before anything is modelled.
  [[nodiscard]] std::vector<double> deviations() const {
    constexpr double kLeast = 1e-6;
    std::vector<double> logs(points_.size(), 0);
    for (std::size_t i = 0; i < points_.size() && !now_.x.empty(); ++i)
      logs[i] = std::log(std::max(kLeast, modelled(i) / points_[i]->seconds));
    return logs;
  }
  void take_caches(double cache_bytes) {
    now_.cache_bytes = cache_bytes;
    factors_.clear();
    for (const WorkPoint* point : points_) factors_.push_back(factors_of(*point));
  }

  // The caches with which the times are described best, where that is worth further unknowns (G. Schwarz,
  // 1978, as in alpha_beta.hpp).
  void choose_caches() {
    constexpr double kSmallest = 1 << 18, kLargest = 1 << 29, kScatter = 0.02;
    std::optional<Solution> best;
    for (double bytes = 0; bytes <= kLargest; bytes = bytes == 0 ? kSmallest : bytes * 2) {
      solve_with(bytes);
      double squared = 0;
      for (const double log : deviations()) squared += std::min(log * log, 1.0);
      const auto n = static_cast<double>(points_.size());
      const auto unknowns = static_cast<double>(
          std::count_if(now_.x.begin(), now_.x.end(), [](double x) { return x > 0; }) + (bytes > 0 ? 1 : 0));
      now_.criterion = n * std::log(squared / n + kScatter * kScatter) + unknowns * std::log(n);
      if (!best || now_.criterion < best->criterion) best = now_;
    }
    now_ = *best;
    take_caches(best->cache_bytes);
  }

  // Rates, crowding and weights in turn, each with the others as they are.
  void solve_with(double cache_bytes) {
    constexpr int kRounds = 8;
    take_caches(cache_bytes);
    for (auto& [ranks, factor] : now_.busy) factor = 1;
    now_.x.clear();
    for (int round = 0; round < kRounds; ++round) {
      solve();
      if (now_.busy.size() > 1) measure_crowding();
    }
    solve();
  }

  // Deviations relative to the geometric mean of both times, so that half as long counts as much as twice as
  // long. What is hardly known, or lies far from the others, counts less. What the times do not tell apart is
  // given to FLOP: each other part counts as much against the fit as a deviation of kUntold of it, and a call
  // of kUsualCall_s as all of the time would. A constant of milliseconds is noise.
  void solve() {
    constexpr double kUntold = 0.03, kUsualCall_s = 1e-4, kUsualWidth = 0.02, kFar = 3;
    const std::size_t unknowns = kinds_.size() * kUnknownsOfKind;
    const std::vector<double> logs = deviations();
    std::vector<double> sorted;
    for (const double log : logs) sorted.push_back(std::abs(log));
    std::sort(sorted.begin(), sorted.end());
    const double usual = std::max(kUsualWidth, quantile_of_sorted(sorted, 0.5));
    std::vector<Equation> equations;
    std::vector<double> shares(unknowns, 0);
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const WorkPoint& point = *points_[i];
      const double certain = kUsualWidth / std::hypot(kUsualWidth, point.half_width);
      const double near = std::sqrt(std::min(1.0, kFar * usual / std::max(std::abs(logs[i]), 1e-9)));
      const double mean_s = point.seconds * std::exp(std::clamp(logs[i], -2.0, 2.0) / 2);
      const double weight = certain * near / mean_s;
      Equation equation = {factors_[i], weight * point.seconds};
      for (std::size_t k = 0; k < unknowns; ++k) {
        equation.factors[k] *= weight * crowding_of(point);
        shares[k] += equation.factors[k] / static_cast<double>(points_.size());
      }
      equations.push_back(std::move(equation));
    }
    for (std::size_t i = 0; i < unknowns; ++i) {
      const std::size_t part = i % kUnknownsOfKind;
      if (part == kFlopOfKind || shares[i] == 0) continue;
      Equation prior = {std::vector<double>(unknowns, 0), 0};
      prior.factors[i] = kUntold * (part == kCallOfKind ? std::max(shares[i], 1 / kUsualCall_s) : shares[i]);
      equations.push_back(std::move(prior));
    }
    now_.x = solve_non_negative(equations);
  }

  void measure_crowding() {
    std::map<std::int64_t, std::vector<double>> logs;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const double alone = modelled(i) / crowding_of(*points_[i]);
      if (alone > 0)
        logs[points_[i]->measured->busy_ranks()].push_back(std::log(points_[i]->seconds / alone));
    }
    double first = 0;
    for (auto& [ranks, of_ranks] : logs) {
      std::sort(of_ranks.begin(), of_ranks.end());
      const double middle = quantile_of_sorted(of_ranks, 0.5);
      if (ranks == logs.begin()->first) first = middle;
      now_.busy[ranks] = std::exp(middle - first);
    }
  }

  void put(ComputeFit& result) const {
    std::vector<double> relative;
    for (std::size_t i = 0; i < points_.size(); ++i)
      relative.push_back(std::abs(modelled(i) - points_[i]->seconds) / points_[i]->seconds);
    std::sort(relative.begin(), relative.end());
    result.points = points_.size();
    result.median_deviation = quantile_of_sorted(relative, 0.5);
    result.max_deviation = relative.back();
    result.cache_bytes = now_.cache_bytes;
    for (const auto& [ranks, factor] : now_.busy) result.crowding.push_back({ranks, factor});
    for (const WorkKind kind : kinds_) {
      const double* x = &now_.x[place_of(kind) * kUnknownsOfKind];
      WorkRate rate = {kind, x[0], x[1], x[2], x[3], {}, {}, 0};
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

      if (rate.points > 0) result.rates.push_back(rate);
    }
    result.copies = copy_rates();
  }

  // Ranks on one host share its memory.
  [[nodiscard]] std::vector<CopyRate> copy_rates() const {
    std::map<std::int64_t, std::vector<double>> seconds;
    for (const WorkPoint* point : points_) {
      for (const ReferenceResult& reference : point->measured->record.reference) {
        for (const double copy_s : {reference.before.copy_s, reference.after.copy_s}) {
          if (copy_s > 0) seconds[point->measured->busy_ranks()].push_back(copy_s);
        }
      }
    }
    std::vector<CopyRate> rates;
    for (auto& [ranks, sorted] : seconds) {
      std::sort(sorted.begin(), sorted.end());
      rates.push_back({ranks, quantile_of_sorted(sorted, 0.5) / static_cast<double>(kReferenceCopyBytes)});
    }
    return rates;
  }

  std::vector<const WorkPoint*> points_;
  std::vector<WorkKind> kinds_, refused_;
  Solution now_;
  std::vector<std::vector<double>> factors_;  // of points_, with the caches of now_
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
    const double step_bytes = bytes_of(work);
    const TimeResult& time = *record.time;
    if (is_known(time.forward_compute) && is_known(time.backward_compute)) {
      add_point(points, *measured, half_of(work, Direction::forward), step_bytes,
                time.forward_compute.summary.median, half_width_of(time.forward_compute));
      add_point(points, *measured, half_of(work, Direction::backward), step_bytes,
                time.backward_compute.summary.median, half_width_of(time.backward_compute));
    } else if (is_known(time.compute)) {
      add_point(points, *measured, work, step_bytes, time.compute.summary.median,
                half_width_of(time.compute));
    }
  }
  return points;
}

std::vector<ComputeFit> fit_compute(std::span<const WorkPoint> points, std::vector<LeftOut>& left_out) {
  std::map<ComputeKey, std::vector<const WorkPoint*>> groups;
  for (const WorkPoint& point : points) {
    if (!is_of_any_library(point)) groups[key_of(point.measured->record.point)].push_back(&point);
  }
  for (const WorkPoint& point : points) {
    if (!is_of_any_library(point)) continue;
    const ComputeKey own = key_of(point.measured->record.point);
    bool is_taken = false;
    for (auto& [key, of_key] : groups) {
      ComputeKey same = own;
      std::get<1>(same) = std::get<1>(key);
      if (same != key) continue;
      of_key.push_back(&point);
      is_taken = true;
    }
    if (!is_taken) groups[own].push_back(&point);
  }
  std::vector<ComputeFit> fits;
  for (auto& [key, of_key] : groups) {
    ComputeFit fit = ComputeFitter(std::move(of_key)).fit(left_out);
    if (!fit.rates.empty()) fits.push_back(std::move(fit));
  }
  return fits;
}

}  // namespace tpbench
