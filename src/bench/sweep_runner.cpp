#include "bench/sweep_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/case_runner.hpp"
#include "bench/guard.hpp"
#include "bench/ledger.hpp"
#include "bench/progress.hpp"
#include "bench/why_skipped.hpp"
#include "comm/device_side.hpp"
#include "compute/backend.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "result/summary_text.hpp"

namespace tpbench {
namespace {

std::string in_a_few_words(const Record& record) {
  if (record.status != Status::ok)
    return fmt::format("{}: {}", name_of(record.status), record.reason.value_or(""));
  return "step " + median_text(record.time->step.summary);
}

class SweepLoop {
 public:
  SweepLoop(const SweepRun& run, Session& session, const LaunchFacts& facts, const Parts& parts)
      : run_(run), session_(session), facts_(facts), parts_(parts), teams_(session) {
    std::optional<std::string> problem;
    if (session.world().rank() == 0) {
      try {
        ledger_.emplace(run, facts);
      } catch (const std::exception& error) {
        problem = error.what();
      }
    }
    if (const auto agreed = session.world().agree(problem)) throw EnvironmentError(*agreed);
  }

  std::vector<Record> run() {
    const auto epochs = run_.sweep.measure.epochs;
    std::vector<std::int64_t> done = find_done();
    std::int64_t left = 0;
    for (const std::int64_t epochs_done : done) left += epochs - epochs_done;
    const auto finished = std::count(done.begin(), done.end(), epochs);
    if (ledger_ && finished > 0)
      log::info(fmt::format("{} of {} {} finished already", finished, counted(done.size(), "case"),
                            finished == 1 ? "is" : "are"));
    Progress progress(ledger_.has_value() && !run_.quiet, static_cast<std::size_t>(left));
    Guard guard(guard_options());
    guard.watch("the start of the sweep", run_.watchdog_s);
    warm_libraries();
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      for (const std::size_t index :
           run_order(run_.cases.size(), run_.sweep.measure.order, run_.sweep.seed, epoch)) {
        if (epoch < done[index]) continue;
        // What failed or was skipped once is not tried again in the next epoch.
        if (!run_one(run_.cases[index], guard, progress)) done[index] = epochs;
      }
    }
    std::optional<std::string> problem;
    if (ledger_) problem = report([&] { ledger_->close(); });
    if (const auto agreed = session_.world().agree(problem)) throw EnvironmentError(*agreed);
    return ledger_ ? ledger_->in_sweep_order() : std::vector<Record>();
  }

 private:
  // Rank 0 knows what an earlier run left; all ranks must know what to leave out.
  std::vector<std::int64_t> find_done() {
    std::vector<std::int64_t> done;
    for (const Case& point : run_.cases)
      done.push_back(ledger_ && run_.resume ? ledger_->keep(case_id(point)) : 0);
    if (run_.resume) {
      for (std::int64_t& epochs : done) epochs = session_.world().broadcast(epochs);
    }
    return done;
  }

  // The compute library makes its buffers and threads at the first call: they belong to no case.
  void warm_libraries() {
    std::set<std::string> names;
    for (const Case& point : run_.cases) names.insert(point.backend);
    for (const std::string& name : names) {
      if (!why_not_multiplied(name)) warm_library(name);
    }
  }

  // Products on the host are BLAS's, and without its buffers it would never return.
  [[nodiscard]] std::optional<Skip> why_not_multiplied(const std::string& backend) const {
    if (!facts_.blas_problem || find_backend(backend)->on_device) return std::nullopt;
    return Skip{ReasonCode::memory, *facts_.blas_problem};
  }

  void warm_library(const std::string& name) {
    constexpr std::int64_t kSize = 768;
    const auto backend = parts_.make_backend(name, static_cast<int>(facts_.threads_per_rank));
    const Matrix a = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix b = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix c = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    backend->set_zero(a.view());
    backend->set_zero(b.view());
    backend->gemm(a.view(), b.view(), c.view());
    if (DeviceSide* device = backend->device()) device->finish();
  }

  GuardOptions guard_options() {
    GuardOptions options;
    options.heartbeats = session_.host_heartbeats();
    options.own = &session_.heartbeat();
    options.world_rank = session_.world().rank();
    options.host = host_name();
    options.lifeline = &session_.lifeline();
    options.host_of = session_.host_of();
    options.interrupted = interrupted_status();
    options.where_results_stay = [this] { return run_.how_to_resume; };
    if (ledger_) {
      options.on_give_up = [this](GiveUp why, const std::string& reason) {
        ledger_->give_up(code_of(why), reason);
      };
      options.before_exit = [this] { ledger_->hold_files(); };
    } else {
      options.on_give_up = [this](GiveUp, const std::string& reason) {
        ResultFolder::settle(run_.folder_path, reason, run_.summarise);
      };
    }
    return options;
  }

  static ReasonCode code_of(GiveUp why) {
    switch (why) {
      case GiveUp::lost:
        return ReasonCode::lost;
      case GiveUp::stalled:
        return ReasonCode::watchdog;
      case GiveUp::error:
        break;
    }
    return ReasonCode::error;
  }

  // Returns, on every rank, whether the case is ok so far.
  bool run_one(const Case& asked, Guard& guard, Progress& progress) {
    current_id_ = case_id(asked);
    Case point = asked;
    if (!point.threads_per_rank) point.threads_per_rank = facts_.threads_per_rank;
    const std::vector<int> device_of = devices_of(run_.devices, point.backend);
    auto skip = why_skipped(point, {session_.host_of(), device_of});
    if (!skip) skip = why_not_multiplied(point.backend);
    std::optional<std::string> problem;
    if (ledger_) {
      problem = report([&] {
        ledger_->open(current_id_, point);
        if (skip) ledger_->skip(current_id_, *skip);
        progress.start(current_id_);
      });
    }
    if (!skip) {
      const Team& team = teams_.team_for(point);
      std::optional<CaseOutcome> outcome;
      guard.watch("case " + current_id_, limit_s(point, team));
      if (ledger_) ledger_->start(current_id_, team);
      if (team.member()) outcome = run_on_team(point, team, guard);
      wait_for_all();
      // Until the next case begins all wait for rank 0, which may stop as well as any other.
      guard.watch("the record of case " + current_id_, run_.watchdog_s);
      if (ledger_ && !problem) problem = report([&] { ledger_->finish(current_id_, *outcome, team); });
    }
    if (ledger_) progress.finish(current_id_, in_a_few_words(ledger_->record(current_id_)));
    // A disk that is full, say: nobody should go on measuring what cannot be kept.
    if (const auto agreed = session_.world().agree(problem)) throw EnvironmentError(*agreed);
    return session_.world().broadcast(ledger_ && ledger_->record(current_id_).status == Status::ok ? 1 : 0) ==
           1;
  }

  // Runs rank 0's book-keeping; its failure is told to the others instead of leaving them alone.
  template <typename Work>
  std::optional<std::string> report(Work&& work) {
    session_.heartbeat().enter(Phase::report);
    try {
      work();
      // A large sweep of small cases must not be spent on writing summaries: at most a twentieth of its time.
      if (last_summary_.elapsed_s() > std::max(1.0, 20 * summary_took_s_)) {
        const Stopwatch stopwatch;
        ledger_->write_summary();
        summary_took_s_ = stopwatch.elapsed_s();
        last_summary_.restart();
      }
    } catch (const std::exception& error) {
      return error.what();
    }
    return std::nullopt;
  }

  // How many ranks of the team's groups are where this one is.
  [[nodiscard]] std::int64_t ranks_at(const Team& team, std::span<const int> place_of) const {
    if (place_of.empty()) return 0;
    const int own = place_of[static_cast<std::size_t>(session_.world().rank())];
    std::int64_t ranks = 0;
    for (const std::vector<int>& group : team.groups) {
      ranks += std::count_if(group.begin(), group.end(),
                             [&](int r) { return place_of[static_cast<std::size_t>(r)] == own; });
    }
    return ranks;
  }

  CaseOutcome run_on_team(const Case& point, const Team& team, Guard& guard) {
    const std::vector<int> device_of = devices_of(run_.devices, point.backend);
    const RanksBeside beside = {ranks_at(team, session_.host_of()), ranks_at(team, device_of)};
    try {
      return run_case(point, {run_.sweep.measure, run_.sweep.verify}, team, parts_, session_.heartbeat(),
                      beside);
    } catch (const std::exception& error) {
      // A rank that failed inside timed steps, or a communicator that failed: the others wait where nothing
      // can reach them, and their next call would go wrong.
      guard.fail(error.what());
    }
  }

  void wait_for_all() {
    session_.heartbeat().enter(Phase::idle);
    session_.heartbeat().beat(Activity::waiting);
    session_.world().sleeping_barrier({});
  }

  // On a host none of whose ranks works, nothing moves by right; there the limit only keeps it from waiting
  // for ever.
  [[nodiscard]] double limit_s(const Case& point, const Team& team) const {
    const double limit = watchdog_limit_s(run_.watchdog_s, point);
    const auto hosts = session_.host_of();
    const int host = hosts[static_cast<std::size_t>(session_.world().rank())];
    for (const std::vector<int>& group : team.groups) {
      for (const int rank : group) {
        if (hosts[static_cast<std::size_t>(rank)] == host) return limit;
      }
    }
    return 20 * limit;
  }

  const SweepRun& run_;
  Session& session_;
  const LaunchFacts& facts_;
  const Parts& parts_;
  TeamCache teams_;
  std::optional<Ledger> ledger_;
  std::string current_id_;
  Stopwatch last_summary_;
  double summary_took_s_ = 0;
};

}  // namespace

std::vector<Record> run_sweep(const SweepRun& run, Session& session, const LaunchFacts& facts,
                              const Parts& parts) {
  return SweepLoop(run, session, facts, parts).run();
}

std::vector<std::size_t> run_order(std::size_t cases, Order order, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::size_t> indexes(cases);
  std::iota(indexes.begin(), indexes.end(), std::size_t{0});
  if (order == Order::given) return indexes;
  // Written out, as std::shuffle differs between libraries and all ranks must agree.
  std::mt19937_64 random(seed * 1000003 + static_cast<std::uint64_t>(epoch));
  for (std::size_t i = cases; i > 1; --i) std::swap(indexes[i - 1], indexes[random() % i]);
  return indexes;
}

double watchdog_limit_s(double base_s, const Case& point) {
  constexpr double kFlopPerSecond = 1e9, kBytesPerSecond = 1e7, kFillBytesPerSecond = 1e8;
  const Shape shape = point.shape();
  const Cost cost = point.cost();
  const double layers = static_cast<double>(shape.num_layers);
  double largest_call = 0;
  for (const CollectiveCost& collective : cost.collectives) {
    largest_call = std::max(largest_call, 2 * static_cast<double>(collective.bytes));
  }
  // One weight set, unsharded, is made anew between two signs of life of verification; so are the inputs.
  const double made_anew =
      static_cast<double>(cost.memory[Category::weights]) / layers * static_cast<double>(shape.tp_degree) +
      static_cast<double>(cost.memory.total() - cost.memory[Category::weights]);
  return base_s + cost.flop() / layers / kFlopPerSecond + largest_call / kBytesPerSecond +
         made_anew / kFillBytesPerSecond;
}

}  // namespace tpbench
