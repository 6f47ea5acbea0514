#include "bench/rank_rows.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "base/json.hpp"
#include "environment/host.hpp"
#include "environment/steal.hpp"
#include "environment/throttling.hpp"

namespace tpbench {
namespace {

std::vector<int> world_ranks_of(const Team& team) {
  std::vector<int> ranks;  // in the order of the active ranks
  for (const std::vector<int>& group : team.groups) ranks.insert(ranks.end(), group.begin(), group.end());
  return ranks;
}

constexpr double kUnknown = -1;  // of a time that the kernel does not tell

double grown(const std::optional<double>& before, const std::optional<double>& after) {
  return before && after ? std::max(0.0, *after - *before) : kUnknown;
}

std::optional<double> known(double value) { return value < 0 ? std::nullopt : std::optional(value); }

std::string word_of(const EventKey& key) { return std::string(name_of(key.kind)); }

// Events of one rank as text: what the first rank puts together.
Json own_events(const KeptStep& kept, const CommonClock& clock, bool is_aligned, std::int64_t begin_ns) {
  Json events = Json::array();
  const std::size_t count = std::min(kept.events.size(), kMostTracedEvents);
  const auto since = [&](std::int64_t own_ns) {
    return static_cast<double>(is_aligned ? clock.common_ns(own_ns) - begin_ns : own_ns - kept.start_ns) *
           1e-9;
  };
  for (std::size_t i = 0; i < count; ++i) {
    const EventKey& key = kept.events[i];
    events.push_back({word_of(key), name_of(key.direction), key.bytes, key.group, key.stage, key.microbatch,
                      since(kept.spans[i].start_ns), since(kept.spans[i].end_ns)});
  }
  return {{"events", std::move(events)}, {"is_whole", count == kept.events.size()}};
}

TraceRank rank_from(const Json& own, std::int64_t rank, std::int64_t group) {
  TraceRank traced;
  traced.rank = rank;
  traced.group = group;
  traced.is_whole = own.at("is_whole").get<bool>();
  for (const Json& event : own.at("events")) {
    traced.events.push_back(
        {event[0].get<std::string>(), *enum_from_name<Direction>(event[1].get<std::string>()),
         event[2].get<std::int64_t>(), event[3].get<std::int64_t>(), event[4].get<std::int64_t>(),
         event[5].get<std::int64_t>(), event[6].get<double>(), event[7].get<double>()});
  }
  return traced;
}

}  // namespace

RankCounters read_rank_counters() {
  RankCounters counters;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    counters.switches = usage.ru_nvcsw;
    counters.preemptions = usage.ru_nivcsw;
  }
  counters.steal_s = stolen_s(allowed_cpus());
  if (const auto throttling = read_throttling()) counters.throttled_s = throttling->seconds;
  return counters;
}

std::vector<RankResult> gather_rank_rows(const Samples& samples, const RankCounters& before,
                                         const RankCounters& after, const Team& team) {
  const Control& ranks = *team.active;
  enum { compute, wait, switches, preemptions, steal, throttled, fixed };
  const std::size_t kinds = samples.collectives.size(), width = fixed + kinds;
  std::vector<double> table(static_cast<std::size_t>(ranks.size()) * width, 0.0);
  double* own = table.data() + static_cast<std::size_t>(ranks.rank()) * width;
  const double count = std::max(1.0, static_cast<double>(samples.step_s.size()));
  own[compute] = samples.own_compute_s / count;
  own[wait] = samples.own_wait_s ? std::max(0.0, *samples.own_wait_s / count) : kUnknown;
  own[switches] = static_cast<double>(after.switches - before.switches);
  own[preemptions] = static_cast<double>(after.preemptions - before.preemptions);
  own[steal] = grown(before.steal_s, after.steal_s);
  own[throttled] = grown(before.throttled_s, after.throttled_s);
  for (std::size_t i = 0; i < samples.own_last.size() && i < kinds; ++i)
    own[fixed + i] = static_cast<double>(samples.own_last[i]);
  ranks.reduce_sum(table);
  const std::vector<int> world = world_ranks_of(team);
  std::vector<RankResult> rows;
  for (std::size_t r = 0; r < world.size(); ++r) {
    const double* row = table.data() + r * width;
    RankResult result;
    result.rank = world[r];
    result.compute_s = row[compute];
    result.wait_s = known(row[wait]);
    result.switches = static_cast<std::int64_t>(row[switches]);
    result.preemptions = static_cast<std::int64_t>(row[preemptions]);
    result.steal_s = known(row[steal]);
    result.throttled_s = known(row[throttled]);
    for (std::size_t i = 0; i < kinds && samples.own_wait_s; ++i)
      result.last_arrivals[word_of(samples.collectives[i].kind)] += static_cast<std::int64_t>(row[fixed + i]);
    rows.push_back(std::move(result));
  }
  return rows;
}

std::optional<StepTrace> gather_step(const Samples& samples, const Team& team) {
  const Control& ranks = *team.active;
  const KeptStep& kept = samples.kept;
  if (samples.step_s.empty()) return std::nullopt;  // the same on all ranks
  const bool is_aligned = team.clock->is_one_clock() || team.clock->is_aligned();
  const std::int64_t begin_ns = ranks.min(team.clock->common_ns(kept.start_ns));
  const bool is_shown = ranks.rank() < static_cast<int>(kMostTracedRanks);
  const auto texts = ranks.gather(is_shown ? own_events(kept, *team.clock, is_aligned, begin_ns).dump() : "");
  const double error_s = team.clock->quality().error_s;
  if (ranks.rank() != 0) return std::nullopt;
  StepTrace trace;
  trace.sample = static_cast<std::int64_t>(kept.sample);
  trace.step_s = kept.step_s;
  trace.is_aligned = is_aligned;
  trace.clock_error_s = error_s;
  const std::size_t shown = std::min(texts.size(), kMostTracedRanks);
  trace.ranks_left_out = static_cast<std::int64_t>(texts.size() - shown);
  std::size_t r = 0;
  for (std::size_t group = 0; group < team.groups.size(); ++group) {
    for (const int world_rank : team.groups[group]) {
      if (r < shown)
        trace.ranks.push_back(rank_from(Json::parse(texts[r]), world_rank, static_cast<std::int64_t>(group)));
      ++r;
    }
  }
  return trace;
}

}  // namespace tpbench
