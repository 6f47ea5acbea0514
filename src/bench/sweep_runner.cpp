#include "bench/sweep_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/case_cost.hpp"
#include "bench/case_runner.hpp"
#include "bench/guard.hpp"
#include "bench/ledger.hpp"
#include "bench/progress.hpp"
#include "bench/why_skipped.hpp"
#include "comm/agreement.hpp"
#include "comm/device_side.hpp"
#include "compute/backend.hpp"
#include "compute/products.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "result/summary_text.hpp"

namespace tpbench {
namespace {

std::string in_a_few_words(const CaseOutcome& outcome, const Record& record) {
  if (outcome.status != Status::ok)
    return fmt::format("{}: {}", name_of(outcome.status), outcome.reason.value_or(""));
  return "step " + median_text(record.time->step.summary);
}

class SweepLoop {
 public:
  SweepLoop(const SweepRun& run, Session& session, const LaunchFacts& facts, const Parts& parts)
      : run_(run), session_(session), facts_(facts), parts_(parts), teams_(session) {
    on_first_rank(session.world(), [&] { ledger_.emplace(run, facts); });
    const auto without_library = libraries_that_lack();
    for (const Case& point : run.cases) {
      skips_.push_back(why_skipped(point, {session.host_of(), devices_of(run.devices, point.backend),
                                           session.threads_may_communicate()}));
      const auto lacking = without_library.find({point.library.value_or(""), point.dtype});
      if (!skips_.back() && lacking != without_library.end())
        skips_.back() = Skip{ReasonCode::combination, lacking->second};
      if (!skips_.back()) skips_.back() = why_blas_cannot(point.backend);
    }
  }

  std::vector<Record> run() {
    const auto epochs = run_.sweep.measure.epochs;
    std::vector<std::int64_t> done = find_done();
    const auto finished = std::count(done.begin(), done.end(), epochs);
    if (ledger_ && finished > 0)
      log::info(fmt::format("{} of {} {} finished already", finished, counted(done.size(), "case"),
                            finished == 1 ? "is" : "are"));
    Progress progress(ledger_.has_value() && !run_.quiet, runs_left(done));
    Guard guard(options_of_guard());
    guard.watch("the start of the sweep", run_.watchdog_s);
    // What a run that was killed left behind is a record now.
    if (run_.resume) on_first_rank(session_.world(), [&] { ledger_->write_summary(); });
    warm_libraries();
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      progress.begin_epoch(epoch + 1, epochs, cases_in(epoch, done));
      for (const std::size_t index :
           run_order(run_.cases.size(), run_.sweep.measure.order, run_.sweep.seed, epoch)) {
        if (epoch < done[index]) continue;
        if (run_one(index, guard, progress)) continue;
        // What failed or was skipped once is not tried again in the next epoch.
        done[index] = epochs;
        if (!skips_[index]) progress.drop(static_cast<std::size_t>(epochs - epoch - 1));
      }
    }
    keep_books([](Ledger& books) { books.close(); });
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

  // What a rank's library does not multiply, no rank can: hosts may differ. Reasons by library and type.
  [[nodiscard]] std::map<std::pair<std::string, DType>, std::string> libraries_that_lack() const {
    std::map<std::pair<std::string, DType>, std::string> lacking;
    std::set<std::pair<std::string, DType>> asked;
    for (const Case& point : run_.cases) {
      const LibraryEntry* library = find_library(point.library.value_or(""));
      if (library == nullptr || !asked.insert({*point.library, point.dtype}).second) continue;
      if (const auto reason = session_.world().agree(library->why_not(point.dtype)))
        lacking[{*point.library, point.dtype}] = *reason;
    }
    return lacking;
  }

  // The compute library makes its buffers and threads at the first call: they belong to no case.
  void warm_libraries() {
    std::map<std::pair<std::string, std::string>, BackendNeeds> needs;
    for (std::size_t index = 0; index < run_.cases.size(); ++index) {
      const Case& point = run_.cases[index];
      if (!skips_[index])
        needs[{point.backend, point.library.value_or("")}] = backend_needs(point, facts_.threads_per_rank);
    }
    together<EnvironmentError>(session_.world(), [&] {
      for (const auto& [names, need] : needs) {
        try {
          warm_library(need);
        } catch (const CaseError&) {
          if (find_backend(need.backend)->on_device) throw;
          // Fewer threads or less memory may do for the cases; those that they do not do for say so.
        }
      }
    });
  }

  // Products on the host are BLAS's, and without its buffers it would never return.
  [[nodiscard]] std::optional<Skip> why_blas_cannot(const std::string& backend) const {
    if (!facts_.blas_problem || find_backend(backend)->on_device) return std::nullopt;
    return Skip{ReasonCode::memory, *facts_.blas_problem};
  }

  void warm_library(const BackendNeeds& needs) {
    constexpr std::int64_t kSize = 768;
    const auto backend = parts_.make_backend(needs);
    const Matrix a = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix b = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix c = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    backend->set_zero(a.view());
    backend->set_zero(b.view());
    backend->gemm(a.view(), b.view(), c.view());
    if (DeviceSide* device = backend->device()) device->finish();
  }

  GuardOptions options_of_guard() {
    GuardOptions options = guard_options(session_);
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

  // Cases that will be tried in this epoch.
  [[nodiscard]] std::size_t cases_in(std::int64_t epoch, const std::vector<std::int64_t>& done) const {
    std::size_t cases = 0;
    for (std::size_t index = 0; index < done.size(); ++index)
      cases += !skips_[index] && epoch >= done[index] ? 1 : 0;
    return cases;
  }

  // Of cases and epochs, those that will be tried.
  [[nodiscard]] std::size_t runs_left(const std::vector<std::int64_t>& done) const {
    std::size_t left = 0;
    for (std::size_t index = 0; index < done.size(); ++index) {
      if (!skips_[index]) left += static_cast<std::size_t>(run_.sweep.measure.epochs - done[index]);
    }
    return left;
  }

  // Returns, on every rank, whether the case is ok so far.
  bool run_one(std::size_t index, Guard& guard, Progress& progress) {
    Case point = run_.cases[index];
    current_id_ = case_id(point);
    if (!point.threads_per_rank) point.threads_per_rank = facts_.threads_per_rank;
    const std::optional<Skip>& skip = skips_[index];
    keep_books([&](Ledger& books) {
      books.open(current_id_, point);
      if (skip) books.skip(current_id_, *skip);
    });
    if (skip) {
      progress.skip(current_id_, skip->reason);
      return false;
    }
    progress.start(current_id_);
    const std::optional<CaseOutcome> outcome = measure(point, guard);
    if (ledger_) progress.finish(current_id_, in_a_few_words(*outcome, ledger_->record(current_id_)));
    return session_.world().broadcast(ledger_ && outcome->status == Status::ok ? 1 : 0) == 1;
  }

  // What it brought, on the ranks of its team: rank 0 is always one.
  std::optional<CaseOutcome> measure(const Case& point, Guard& guard) {
    const Team& team = teams_.team_for(point);
    std::optional<CaseOutcome> outcome;
    guard.watch("case " + current_id_, limit_s(point, team));
    if (ledger_) ledger_->start(current_id_, team);
    if (team.member()) outcome = run_on_team(point, team, guard);
    wait_for_all();
    // Until the next case begins all wait for rank 0, which may stop as well as any other.
    guard.watch("the record of case " + current_id_, run_.watchdog_s);
    keep_books([&](Ledger& books) { books.finish(current_id_, *outcome, team); });
    return outcome;
  }

  // Rank 0's book-keeping. When it fails all ranks end: nobody should go on measuring what cannot be kept.
  template <typename Work>
  void keep_books(Work&& work) {
    on_first_rank(session_.world(), [&] {
      session_.heartbeat().enter(Phase::report);
      work(*ledger_);
      refresh_summary();
    });
  }

  // A large sweep of small cases must not be spent on writing summaries: at most a twentieth of its time.
  void refresh_summary() {
    if (last_summary_.elapsed_s() <= std::max(1.0, 20 * summary_took_s_)) return;
    const Stopwatch stopwatch;
    ledger_->write_summary();
    summary_took_s_ = stopwatch.elapsed_s();
    last_summary_.restart();
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
      return run_case(point, {run_.sweep.measure, run_.sweep.verify, run_.reference}, team, parts_,
                      session_.heartbeat(), beside);
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
  std::optional<Ledger> ledger_;            // on rank 0
  std::vector<std::optional<Skip>> skips_;  // by case: why it is not tried; the same on all ranks
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
  const Cost cost = cost_of(point);
  const double layers = static_cast<double>(shape.num_layers);
  double largest_call = 0;
  for (const CollectiveCost& collective : cost.collectives) {
    largest_call = std::max(largest_call, 2 * static_cast<double>(collective.bytes));
  }
  // One weight set, unsharded, is made anew between two signs of life of verification; so are the inputs.
  const double made_anew =
      static_cast<double>(cost.memory[Category::weights]) / layers * static_cast<double>(shape.layout.tp) +
      static_cast<double>(cost.memory.total() - cost.memory[Category::weights]);
  // Stages of other hosts may work while all of this one wait.
  const double silent_flop =
      shape.layout.pp == 1 ? cost.flop() / layers : cost.flop() * static_cast<double>(shape.layout.pp);
  return base_s + silent_flop / kFlopPerSecond + largest_call / kBytesPerSecond +
         made_anew / kFillBytesPerSecond;
}

}  // namespace tpbench
