#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "advisor/fit.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kMostPiecesOfCurve = 4;

// Several times of one size are one point, their median.
using Times = std::map<std::int64_t, std::vector<double>>;

std::vector<TimedSize> medians_of(const Times& times) {
  std::vector<TimedSize> points;
  for (const auto& [bytes, seconds] : times) {
    std::vector<double> sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    points.push_back({bytes, quantile_of_sorted(sorted, 0.5)});
  }
  return points;
}

std::vector<CostPiece> pieces_of(const Times& times) {
  return fit_by_search(medians_of(times), kMostPiecesOfCurve);
}

// Where the ranks of a collective of a group of a record were: `ranks` that follow each other, as those that
// hold one key/value head do.
Group group_of(const Record& record, std::int64_t ranks) {
  const auto count = static_cast<std::ptrdiff_t>(
      std::min<std::size_t>(record.ranks.hosts.size(), static_cast<std::size_t>(ranks)));
  const std::set<std::string> hosts(record.ranks.hosts.begin(), record.ranks.hosts.begin() + count);
  return {ranks, std::max<std::int64_t>(1, static_cast<std::int64_t>(hosts.size()))};
}

Reach reach_of(std::int64_t hosts) { return hosts > 1 ? Reach::between_hosts : Reach::inside_host; }

}  // namespace

std::vector<CollectiveRate> fit_collectives(std::span<const MeasuredCase* const> cases,
                                            std::span<const ProbedCurve> curves) {
  using Key = std::tuple<CollectiveOp, std::string, std::int64_t, std::int64_t>;  // ..., ranks, hosts
  std::map<Key, Times> of_records, of_probes;
  for (const MeasuredCase* measured : cases) {
    const Record& record = measured->record;
    if (!measured->tells_communication || record.point.layout.pp > 1) continue;
    for (const CollectiveResult& collective : record.collectives) {
      if (!collective.algbw_gb_per_s || collective.calls_per_step == 0 || collective.bytes <= 0) continue;
      const double seconds = static_cast<double>(collective.bytes) / (*collective.algbw_gb_per_s * 1e9);
      const Group group = group_of(record, collective.ranks);
      of_records[{collective.op, record.point.algorithm.value_or("mpi"), group.ranks, group.hosts}]
                [collective.bytes]
                    .push_back(seconds);
    }
  }
  for (const ProbedCurve& curve : curves) {
    if (curve.operation != ProbeOperation::all_reduce) continue;
    for (const TimedSize& point : curve.points)
      of_probes[{CollectiveOp::all_reduce, "mpi", curve.ranks, curve.hosts}][point.bytes].push_back(
          point.seconds);
  }
  std::vector<CollectiveRate> rates;
  const auto put = [&](const std::map<Key, Times>& found, RateSource source) {
    for (const auto& [key, times] : found) {
      const auto& [op, algorithm, ranks, hosts] = key;
      rates.push_back({op, algorithm, reach_of(hosts), ranks, hosts, source, pieces_of(times)});
    }
  };
  put(of_records, RateSource::records);
  put(of_probes, RateSource::probe);
  return rates;
}

std::vector<BoundaryRate> fit_boundaries(std::span<const MeasuredCase* const> cases,
                                         std::span<const ProbedCurve> curves) {
  std::map<Reach, Times> of_records, of_probes;
  for (const MeasuredCase* measured : cases) {
    const Record& record = measured->record;
    if (!measured->tells_communication || !record.pipeline || record.pipeline->message_bytes <= 0) continue;
    const auto t = static_cast<std::size_t>(record.point.layout.tp);
    const auto p = static_cast<std::size_t>(record.point.layout.pp);
    if (record.ranks.hosts.size() != t * p || record.pipeline->ranks.size() != p) continue;
    for (std::size_t stage = 0; stage < p; ++stage) {
      const auto reach_to = [&](std::size_t other) {
        for (std::size_t rank = 0; rank < t; ++rank) {
          if (record.ranks.hosts[stage * t + rank] != record.ranks.hosts[other * t + rank])
            return Reach::between_hosts;
        }
        return Reach::inside_host;
      };
      const PipelineRankResult& rank = record.pipeline->ranks[stage];
      const std::int64_t bytes = record.pipeline->message_bytes;
      if (rank.input_transfer_s.value_or(0) > 0)
        of_records[reach_to((stage + p - 1) % p)][bytes].push_back(*rank.input_transfer_s);
      if (rank.gradient_transfer_s.value_or(0) > 0)
        of_records[reach_to((stage + 1) % p)][bytes].push_back(*rank.gradient_transfer_s);
    }
  }
  for (const ProbedCurve& curve : curves) {
    if (curve.operation != ProbeOperation::ping_pong) continue;
    for (const TimedSize& point : curve.points)
      of_probes[reach_of(curve.hosts)][point.bytes].push_back(point.seconds);
  }
  std::vector<BoundaryRate> rates;
  for (const auto& [reach, times] : of_records)
    rates.push_back({reach, RateSource::records, pieces_of(times)});
  for (const auto& [reach, times] : of_probes) rates.push_back({reach, RateSource::probe, pieces_of(times)});
  return rates;
}

}  // namespace tpbench
