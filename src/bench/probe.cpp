#include "bench/probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "bench/guard.hpp"
#include "bench/probe_exercise.hpp"
#include "bench/sampling.hpp"
#include "bench/sweep_runner.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "environment/transport.hpp"

namespace tpbench {
namespace {

// Round trips that follow each other are timed together until they take this long, so that neither the clock
// nor one interrupt makes the sample. Of collectives, each of which begins on all ranks at one moment, so
// many samples are taken instead.
constexpr double kSampleS = 50e-6;
constexpr std::int64_t kMostRounds = 100;
constexpr std::uint64_t kSeed = 1;

// What is known of one size on all ranks of the path.
struct SizeState {
  std::int64_t bytes = 0;
  std::int64_t rounds = 0;   // of a sample; 0: not yet decided
  std::int64_t samples = 0;  // of a pass
  Trace trace;               // of all passes
  std::vector<double> call_s;
};

Team team_of(const Control& ranks) {
  Team team;
  team.groups.resize(1);
  team.group = team.active = ranks;
  team.share_a_clock();
  team.clock->restart();
  return team;
}

class PathProbe {
 public:
  PathProbe(const ProbeSettings& settings, const ProbePath& path, const Control& group, const Parts& parts,
            Heartbeat& heartbeat)
      : settings_(settings),
        is_ping_pong_(path.operation == ProbeOperation::ping_pong),
        team_(team_of(group)),
        clocks_(team_),
        heartbeat_(heartbeat),
        exercise_(make_exercise(path.operation, group, settings.max_bytes, parts)) {
    for (const std::int64_t bytes : probe_sizes(settings))
      sizes_.push_back({bytes, 0, 0, Trace(heartbeat), {}});
  }

  // On all ranks of the path; returns what is wrong with what arrived, or with the clocks, the same on each.
  std::optional<std::string> run() {
    for (std::size_t pass = 0; pass < ProbeSettings::kPasses; ++pass) {
      for (const std::size_t i :
           run_order(sizes_.size(), Order::random, kSeed, static_cast<std::int64_t>(pass))) {
        stamp_ += 2;
        if (const auto problem = visit(sizes_[i])) return problem;
        clocks_.look();
      }
    }
    clocks_.measure();
    for (SizeState& size : sizes_) take(size);
    return team_.group->agree(why_no_times());
  }

  // Without the sizes whose times the clocks cannot tell.
  [[nodiscard]] Json points() const {
    Json points = Json::array();
    for (const SizeState& size : sizes_) {
      if (size.call_s.empty()) continue;
      points.push_back({{"bytes", size.bytes},
                        {"calls_per_sample", size.rounds * exercise_->calls_per_round()},
                        {"samples", size.call_s}});
    }
    return points;
  }
  /// Of the times of collectives between hosts; null where all ranks read one clock.
  [[nodiscard]] Json clock_error_s() const {
    return clock_.domains > 1 ? Json(clock_.error_s) : Json(nullptr);
  }

 private:
  std::optional<std::string> visit(SizeState& size) {
    heartbeat_.enter(Phase::warm_up);
    exercise_->prepare(size.bytes, stamp_, false);
    double round_s = timed(1);
    std::optional<std::string> fault = exercise_->find_fault();
    exercise_->prepare(size.bytes, stamp_ + 1, true);
    if (size.rounds == 0) {
      // The first round opens connections and touches memory; where it tells little, a few more tell better.
      constexpr double kShortS = 1e-3;
      constexpr std::int64_t kFewRounds = 5;
      if (team_.group->broadcast(round_s < kShortS ? std::int64_t{1} : std::int64_t{0}) == 1)
        round_s = timed(kFewRounds) / static_cast<double>(kFewRounds);
      decide(size, round_s);
    }
    heartbeat_.enter(Phase::sampling);
    run_batch(runner(size.bytes, size.rounds), static_cast<std::size_t>(size.samples), team_, size.trace);
    if (!fault) fault = exercise_->find_fault();
    if (fault) fault = fmt::format("rank {} of the path: {}", team_.group->rank(), *fault);
    return team_.group->agree(fault);
  }

  [[nodiscard]] StepRunner runner(std::int64_t bytes, std::int64_t rounds) const {
    return {[this, bytes, rounds](Trace& trace) {
              trace.begin(is_ping_pong_ ? Activity::ping_pong : Activity::all_reduce, bytes);
              exercise_->run(rounds);
              trace.end();
            },
            {}};
  }

  // No sample, and run once whatever happens: what it leaves is looked at.
  double timed(std::int64_t rounds) {
    heartbeat_.beat(Activity::synchronise);
    team_.group->barrier();
    heartbeat_.beat(is_ping_pong_ ? Activity::ping_pong : Activity::all_reduce);
    const Stopwatch stopwatch;
    exercise_->run(rounds);
    return stopwatch.elapsed_s();
  }

  // One rank decides, as clocks differ.
  void decide(SizeState& size, double round_s) const {
    const double round = std::max(round_s, 1e-9);
    const double pass_s = settings_.seconds_of_path() / (2 * static_cast<double>(ProbeSettings::kPasses));
    const double rounds = std::clamp(std::ceil(kSampleS / round), 1.0, static_cast<double>(kMostRounds));
    const double together = is_ping_pong_ ? rounds : 1, apart = is_ping_pong_ ? 1 : rounds;
    const double sample_s = together * round + (is_ping_pong_ ? 0 : team_.start->margin_s());
    const double samples = std::clamp(
        pass_s / sample_s, 1.0, std::max(1.0, apart * static_cast<double>(settings_.samples_per_pass())));
    size.rounds = team_.group->broadcast(static_cast<std::int64_t>(together));
    size.samples = team_.group->broadcast(static_cast<std::int64_t>(samples));
  }

  // A message is back when rank 0 has it, whose clock times the whole way; a collective is timed as in a
  // sweep.
  void take(SizeState& size) {
    const auto calls = static_cast<double>(size.rounds * exercise_->calls_per_round());
    if (is_ping_pong_) {
      for (std::size_t k = 0; k < size.trace.held().steps.size(); ++k) {
        const EventSpan& span = size.trace.held().spans_of(k).front();
        size.call_s.push_back(static_cast<double>(span.end_ns - span.start_ns) * 1e-9 / calls);
      }
      return;
    }
    Samples samples;
    reduce_steps(size.trace.held(), team_, samples);
    clock_ = team_.clock->quality();
    if (!samples.communication_known) return;
    const bool tells = is_above_error(samples.communication_s, samples.differences, clock_.error_s);
    if (tells) size.call_s = std::move(samples.communication_s);
  }

  [[nodiscard]] std::optional<std::string> why_no_times() const {
    const bool none =
        std::all_of(sizes_.begin(), sizes_.end(), [](const auto& size) { return size.call_s.empty(); });
    if (!none) return std::nullopt;
    return fmt::format("its hosts' clocks agree only to {}: no transfer takes three times that",
                       format_seconds(clock_.error_s));
  }

  const ProbeSettings& settings_;
  bool is_ping_pong_;
  Team team_;
  ClockCare clocks_;
  Heartbeat& heartbeat_;
  std::unique_ptr<ProbeExercise> exercise_;
  std::vector<SizeState> sizes_;
  ClockQuality clock_;
  std::uint64_t stamp_ = 0;
};

std::string name_of_path(const ProbePath& path) {
  return fmt::format("{} of rank{} {}", name_of(path.operation), path.ranks.size() == 1 ? "" : "s",
                     path.ranks.size() > 8 ? fmt::format("{} to {}", path.ranks.front(), path.ranks.back())
                                           : fmt::format("{}", fmt::join(path.ranks, ", ")));
}

// What the first rank of a path tells world rank 0.
Json measure(const ProbeSettings& settings, const ProbePath& path, const Control& group, const Parts& parts,
             Heartbeat& heartbeat) {
  PathProbe probe(settings, path, group, parts, heartbeat);
  const auto problem = probe.run();
  return {{"problem", json_or_null(problem)},
          {"clock_error_s", probe.clock_error_s()},
          {"points", problem ? Json::array() : probe.points()}};
}

// A rank that failed between two barriers: the others wait where nothing can reach them.
Json measure_or_end(const ProbeSettings& settings, const ProbePath& path, int index, const Parts& parts,
                    Session& session, Guard& guard) {
  try {
    const Control group = session.make_group(path.ranks, 100 + index);
    return measure(settings, path, group, parts, session.heartbeat());
  } catch (const std::exception& error) {
    guard.fail(error.what());
  }
}

bool contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// No call between two signs of life takes longer than its bytes explain on a slow network. On a host none of
// whose ranks is on the path nothing moves by right.
double limit_s(const ProbeSettings& settings, const ProbePath& path, const Session& session) {
  constexpr double kBytesPerSecond = 1e7;
  const double limit = settings.watchdog_s + 4 * static_cast<double>(settings.max_bytes) / kBytesPerSecond;
  const int host = session.host_of()[static_cast<std::size_t>(session.world().rank())];
  return contains(path.hosts, host) ? limit : 20 * limit;
}

ProbedPath describe_path(const ProbePath& path, const EnvironmentInputs& inputs, const Json& said) {
  ProbedPath probed;
  probed.kind = path.kind;
  probed.operation = path.operation;
  probed.ranks = path.ranks;
  for (const int host : path.hosts)
    probed.hosts.push_back(inputs.hosts.at(static_cast<std::size_t>(host)).value("name", "unknown"));
  if (path.hosts.size() <= 2) {
    const Transport transport = find_transport(inputs, static_cast<std::size_t>(path.hosts.front()),
                                               static_cast<std::size_t>(path.hosts.back()));
    probed.transport = transport_to_json(transport);
    probed.eager_limit_bytes = transport.eager_limit_bytes;
  }
  probed.problem = optional_from<std::string>(said, "problem");
  probed.clock_error_s = optional_from<double>(said, "clock_error_s");
  for (const Json& point : said.at("points")) {
    probed.points.push_back({point.at("bytes").get<std::int64_t>(),
                             point.at("calls_per_sample").get<std::int64_t>(),
                             summarise(point.at("samples").get<std::vector<double>>())});
  }
  fit_path(probed);
  return probed;
}

}  // namespace

std::vector<std::int64_t> probe_sizes(const ProbeSettings& settings) {
  const std::int64_t largest = settings.max_bytes / 8 * 8;
  std::vector<std::int64_t> sizes;
  for (std::int64_t bytes = 8; bytes < largest; bytes *= settings.quick ? 4 : 2) sizes.push_back(bytes);
  sizes.push_back(largest);
  return sizes;
}

std::vector<ProbedPath> run_probe(const ProbeSettings& settings, const ProbePlan& plan,
                                  const EnvironmentInputs& inputs, const Parts& parts, Session& session) {
  const Control& world = session.world();
  std::vector<ProbedPath> probed;
  Guard guard(guard_options(session));
  int index = 0;
  for (const ProbePath& path : plan.paths) {
    if (world.rank() == 0)
      log::info(fmt::format("path {} of {}: {}", index + 1, plan.paths.size(), name_of_path(path)));
    guard.watch("the probe of " + name_of_path(path), limit_s(settings, path, session));
    std::string said;
    if (contains(path.ranks, world.rank())) {
      const Json mine = measure_or_end(settings, path, index, parts, session, guard);
      if (world.rank() == path.ranks.front()) said = mine.dump();
    }
    session.heartbeat().enter(Phase::idle);
    session.heartbeat().beat(Activity::waiting);
    world.sleeping_barrier({});
    guard.watch("the end of the probe of " + name_of_path(path), settings.watchdog_s);
    for (const std::string& text : world.gather(said)) {
      if (!text.empty()) probed.push_back(describe_path(path, inputs, Json::parse(text)));
    }
    ++index;
  }
  return probed;
}

Json probe_settings_to_json(const ProbeSettings& settings) {
  return {{"max_bytes", settings.max_bytes},
          {"quick", settings.quick},
          {"passes", ProbeSettings::kPasses},
          {"samples_per_pass", settings.samples_per_pass()},
          {"seconds_of_path", settings.seconds_of_path()},
          {"most_hosts_and_pairs", settings.most}};
}

}  // namespace tpbench
