#include "bench/sweep_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>
#include <random>

#include "base/log.hpp"
#include "base/units.hpp"
#include "bench/case_runner.hpp"
#include "bench/guard.hpp"
#include "bench/host.hpp"
#include "bench/progress.hpp"
#include "bench/record_builder.hpp"
#include "bench/warnings.hpp"
#include "compute/backend.hpp"
#include "result/scaling.hpp"

namespace tpbench {
namespace {

struct Skip {
  ReasonCode code;
  std::string reason;
};

// What can be known without running, from what every rank knows.
std::optional<Skip> why_skipped(const Case& point, std::int64_t world) {
  if (const auto reason = why_not_divisible(point.workload_row().split(point.shape()), point.tp_degree)) {
    return Skip{ReasonCode::divisibility, *reason};
  }
  if (point.tp_degree > world) {
    return Skip{ReasonCode::ranks, fmt::format("tp_degree {} needs {} ranks and this launch has {}; start it with mpirun -n {}",
                                               point.tp_degree, point.tp_degree, world, point.tp_degree)};
  }
  return std::nullopt;
}

// Rank 0's side of a sweep: the records, their files, and what a person sees. On other ranks there is none.
class Ledger {
 public:
  Ledger(const SweepRun& run, const LaunchFacts& facts) : run_(run), facts_(facts) {
    if (run.resume) {
      for (Record& record : run.folder->read_records()) kept_.emplace(record.id, std::move(record));
    }
  }

  // Takes the record of an earlier run when nothing is left to do for it. A skipped case is looked at again.
  bool keep_finished(const std::string& id) {
    const auto found = kept_.find(id);
    if (found == kept_.end() || found->second.status != Status::ok || !is_finished(found->second)) return false;
    std::size_t& slot = index_[id] = records_.size();
    (void)slot;
    records_.push_back(found->second);
    return true;
  }

  void open(const std::string& id, const Case& point) {
    if (index_.contains(id)) return;
    index_[id] = records_.size();
    records_.push_back(start_record(id, point));
    Record& record = records_.back();
    record.label = run_.label;
    record.environment = run_.environment_file;
    record.started_at = utc_timestamp();
    record.epochs_planned = run_.sweep.measure.epochs;
    record.ranks.world = static_cast<std::int64_t>(facts_.ranks.size());
  }

  void skip(const std::string& id, const Skip& why) {
    Record& record = records_[index_.at(id)];
    skip_record(record, why.code, why.reason);
    const auto earlier = kept_.find(id);
    if (earlier != kept_.end() && earlier->second.status == Status::skipped && earlier->second.reason == why.reason) {
      record = earlier->second;  // nothing new: the file stays as it is
      return;
    }
    save(id);
  }

  void finish(const std::string& id, const CaseOutcome& outcome, const Team& team, double duration_s) {
    const std::lock_guard lock(mutex_);
    Record& record = records_[index_.at(id)];
    add_outcome(record, outcome, team, facts_);
    record.duration_s += duration_s;
    record.warnings = find_warnings({facts_, record.point, team, outcome, record});
    save(id);
  }

  // From the guard's thread, with the main thread stuck in the case.
  void give_up(const std::string& id, const std::string& reason) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return;
    const auto found = index_.find(id);
    if (found == index_.end()) return;
    CaseOutcome outcome;
    outcome.reason_code = ReasonCode::watchdog;
    outcome.reason = reason;
    Record record = records_[found->second];
    record.time.reset();
    record.status = Status::failed;
    record.reason_code = outcome.reason_code;
    record.reason = outcome.reason;
    record.scaling = {};
    record.converged.reset();
    run_.folder->write_record(record);
  }

  [[nodiscard]] const Record& record(const std::string& id) const { return records_[index_.at(id)]; }

  // In the order of the sweep, as people wrote it.
  [[nodiscard]] std::vector<Record> in_sweep_order() const {
    std::vector<Record> ordered;
    for (const Case& point : run_.cases) {
      const auto found = index_.find(case_id(point));
      if (found != index_.end()) ordered.push_back(records_[found->second]);
    }
    return ordered;
  }

  void write_summary() { run_.folder->write_summary(run_.summarise(in_sweep_order())); }

 private:
  // Writes the record, and those whose scaling it completes.
  void save(const std::string& id) {
    const std::size_t index = index_.at(id);
    run_.folder->write_record(records_[index]);
    for (const std::size_t changed : apply_scaling(records_)) run_.folder->write_record(records_[changed]);
  }

  const SweepRun& run_;
  const LaunchFacts& facts_;
  std::mutex mutex_;
  std::vector<Record> records_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, Record> kept_;
};

std::string in_a_few_words(const Record& record) {
  if (record.status != Status::ok) return fmt::format("{}: {}", name_of(record.status), record.reason.value_or(""));
  const Summary& step = record.time->step.summary;
  if (!step.ci95) return fmt::format("step {}", format_seconds(step.median));
  return fmt::format("step {} +- {:.1f} %", format_seconds(step.median),
                     100 * ((*step.ci95)[1] - (*step.ci95)[0]) / 2 / step.median);
}

class SweepLoop {
 public:
  SweepLoop(const SweepRun& run, Session& session, const LaunchFacts& facts, const Parts& parts)
      : run_(run), session_(session), facts_(facts), parts_(parts), teams_(session) {
    if (session.world().rank() == 0) ledger_.emplace(run, facts);
  }

  std::vector<Record> run() {
    std::vector<char> finished = find_finished();
    const auto remaining = static_cast<std::size_t>(std::count(finished.begin(), finished.end(), 0));
    const auto epochs = run_.sweep.measure.epochs;
    if (ledger_ && remaining < finished.size()) {
      log::info(fmt::format("{} of {} cases are finished already", finished.size() - remaining, finished.size()));
    }
    Progress progress(ledger_.has_value() && !run_.quiet, remaining * static_cast<std::size_t>(epochs));
    Guard guard(guard_options());
    warm_libraries();
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
      for (const std::size_t index : run_order(run_.cases.size(), run_.sweep.measure.order, run_.sweep.seed, epoch)) {
        if (finished[index] == 0) run_one(run_.cases[index], epoch, guard, progress);
      }
    }
    if (!ledger_) return {};
    ledger_->write_summary();
    return ledger_->in_sweep_order();
  }

 private:
  // Rank 0 knows what an earlier run left; all ranks must know what to leave out.
  std::vector<char> find_finished() {
    std::string marks(run_.cases.size(), '\0');
    if (ledger_) {
      for (std::size_t i = 0; i < run_.cases.size(); ++i) marks[i] = ledger_->keep_finished(case_id(run_.cases[i])) ? 1 : 0;
    }
    marks = session_.world().broadcast(marks);
    return {marks.begin(), marks.end()};
  }

  // The compute library makes its buffers and threads at the first call: they belong to no case.
  void warm_libraries() {
    constexpr std::int64_t kSize = 768;
    const auto backend = parts_.make_backend(run_.cases.front().backend, static_cast<int>(facts_.threads_per_rank));
    const Matrix a = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix b = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    const Matrix c = backend->make_matrix(Category::workspace, DType::f32, kSize, kSize);
    backend->set_zero(a.view());
    backend->set_zero(b.view());
    backend->gemm(a.view(), b.view(), c.view());
  }

  GuardOptions guard_options() {
    GuardOptions options;
    options.heartbeats = session_.host_heartbeats();
    options.world_rank = session_.world().rank();
    options.host = host_name();
    options.where_results_stay = [this] { return run_.how_to_resume; };
    if (ledger_) options.on_give_up = [this](const std::string& reason) { ledger_->give_up(current_id_, reason); };
    return options;
  }

  void run_one(const Case& asked, std::int64_t epoch, Guard& guard, Progress& progress) {
    current_id_ = case_id(asked);
    Case point = asked;
    if (!point.threads_per_rank) point.threads_per_rank = facts_.threads_per_rank;
    const auto skip = why_skipped(point, session_.world().size());
    std::optional<std::string> problem;
    if (ledger_) {
      problem = report([&] {
        ledger_->open(current_id_, point);
        if (skip && epoch == 0) ledger_->skip(current_id_, *skip);
        progress.start(current_id_);
      });
    }
    if (!skip) {
      const Team& team = teams_.team_for(point);
      const Stopwatch stopwatch;
      std::optional<CaseOutcome> outcome;
      guard.watch(current_id_, limit_s(point, team));
      if (team.member()) outcome = run_on_team(point, team);
      wait_for_all();
      guard.relax();
      if (ledger_ && !problem) problem = report([&] { ledger_->finish(current_id_, *outcome, team, stopwatch.elapsed_s()); });
    }
    if (ledger_) progress.finish(current_id_, in_a_few_words(ledger_->record(current_id_)));
    // A disk that is full, say: nobody should go on measuring what cannot be kept.
    if (const auto agreed = session_.world().agree(problem)) throw EnvironmentError(*agreed);
  }

  // Runs rank 0's book-keeping; its failure is told to the others instead of leaving them alone.
  template <typename Work>
  std::optional<std::string> report(Work&& work) {
    session_.heartbeat().enter(Phase::report);
    try {
      work();
      if (last_summary_.elapsed_s() > 1) {  // a large sweep of small cases must not be spent on writing summaries
        ledger_->write_summary();
        last_summary_.restart();
      }
    } catch (const std::exception& error) {
      return error.what();
    }
    return std::nullopt;
  }

  CaseOutcome run_on_team(const Case& point, const Team& team) {
    std::int64_t ranks_here = 0;
    const auto hosts = session_.host_of();
    const int host = hosts[static_cast<std::size_t>(session_.world().rank())];
    for (const std::vector<int>& group : team.groups) {
      ranks_here += std::count_if(group.begin(), group.end(), [&](int r) { return hosts[static_cast<std::size_t>(r)] == host; });
    }
    session_.heartbeat().case_index.fetch_add(1);
    try {
      return run_case(point, {run_.sweep.measure, run_.sweep.verify}, team, parts_, session_.heartbeat(), ranks_here);
    } catch (const std::exception& error) {
      // A rank that failed inside timed steps, or a communicator that failed: the others wait where nothing can reach
      // them, and their next call would go wrong.
      log::error(fmt::format("case {} cannot be ended in order on rank {}: {}", current_id_, session_.world().rank(), error.what()));
      if (ledger_) ledger_->give_up(current_id_, error.what());
      log::error(run_.how_to_resume);
      abort_job(static_cast<int>(ExitStatus::case_failed));
    }
  }

  void wait_for_all() {
    session_.heartbeat().enter(Phase::idle);
    session_.heartbeat().beat(Activity::waiting);
    session_.world().sleeping_barrier({});
  }

  // On a host none of whose ranks works, nothing moves by right; there the limit only keeps it from waiting for ever.
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
};

}  // namespace

std::vector<Record> run_sweep(const SweepRun& run, Session& session, const LaunchFacts& facts, const Parts& parts) {
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
  constexpr double kFlopPerSecond = 1e9, kBytesPerSecond = 1e7;
  Shape shape = point.shape();
  const Cost cost = point.workload_row().cost(shape);
  const double layers = static_cast<double>(shape.num_layers);
  double largest_call = 0;
  for (const CollectiveCost& collective : cost.collectives) {
    largest_call = std::max(largest_call, 2 * static_cast<double>(collective.bytes));
  }
  shape.tp_degree = 1;
  const Cost unsharded = point.workload_row().cost(shape);
  // Verification makes every weight anew and multiplies it with a few rows: 8 or, within its budget, all.
  const double checking = 16 * static_cast<double>(unsharded.memory[Category::weights]) / layers;
  return base_s + (cost.flop / layers + checking) / kFlopPerSecond + largest_call / kBytesPerSecond;
}

}  // namespace tpbench
