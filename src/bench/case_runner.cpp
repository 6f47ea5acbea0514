#include "bench/case_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "bench/case_cost.hpp"
#include "bench/case_machine.hpp"
#include "bench/huge_pages.hpp"
#include "bench/overlap.hpp"
#include "bench/process_memory.hpp"
#include "bench/rank_rows.hpp"
#include "bench/reference_look.hpp"
#include "bench/verification.hpp"
#include "comm/device_side.hpp"
#include "compute/backend.hpp"
#include "environment/host.hpp"
#include "layers/layer.hpp"
#include "tensor/memory_limit.hpp"

namespace tpbench {
namespace {

// The node has not the memory for this case: it is skipped before it is tried.
class MemoryShort : public CaseError {
 public:
  using CaseError::CaseError;
};

class CaseRun {
 public:
  CaseRun(const Case& point, const CaseSettings& settings, const Team& team, const Parts& parts,
          Heartbeat& heartbeat, const RanksBeside& beside)
      : point_(point),
        settings_(settings),
        team_(team),
        parts_(parts),
        heartbeat_(heartbeat),
        beside_(beside),
        shape_(shape_of(point)),
        cost_(cost_of_stage(point, point.layout, team.pp_rank())) {}

  CaseOutcome run() {
    try {
      phase(Phase::setup, "setup", [&] {
        team_.clock->restart();
        make_machine();
        method_ = choose_method(settings_.verify, machine_->layer(), shape_, team_);
        machine_->operations().on = checks_operations(method_, shape_.dtype);
      });
      phase(Phase::fill, "fill", [&] { team_.together([&] { machine_->layer().fill(heartbeat_); }); });
      phase(Phase::verification, "verification", [&] { verify(); });
      // Weights have been packed, each beside its rows; what stands while steps run is what counts.
      machine_->backend().memory().restart_peak();
      if (outcome_.status == Status::ok) {
        team_.together([&] { machine_->layer().settle(); });
        // Before the warm-up, which brings the case's own data back into the caches.
        const auto before = look();
        peak_is_reset_ = reset_peak_resident();
        Trace trace(heartbeat_, machine_->backend().device_clock());
        StepCost cost;
        const auto warm_up_steps = static_cast<std::size_t>(settings_.measure.warmup_steps);
        phase(Phase::warm_up, "warm_up",
              [&] { cost = warm_up(runner(), warm_up_steps, settings_.measure.max_seconds, team_, trace); });
        outcome_.device_before = device_state();
        const std::optional<Throttling> throttled_before = read_throttling();
        const RankCounters counted_before = read_rank_counters();
        phase(Phase::sampling, "sampling", [&] { sample_steps(cost.sample_s, trace); });
        const RankCounters counted_after = read_rank_counters();
        outcome_.throttling = worst_throttling(throttled_before, read_throttling());
        outcome_.slowest = slowest_rank();
        outcome_.ranks = gather_rank_rows(outcome_.samples, counted_before, counted_after, team_);
        outcome_.trace = gather_step(outcome_.samples, team_);
        outcome_.device_after = device_state();
        if (before) outcome_.reference = {*before, *look()};
      }
      note_products();
      count_memory();
    } catch (const MemoryShort& shortage) {
      fail(Status::skipped, ReasonCode::memory, shortage.what());
    } catch (const AgreedError& error) {
      fail(Status::failed, ReasonCode::error, error.what());
    }
    return std::move(outcome_);
  }

 private:
  template <typename Work>
  void phase(Phase phase, const char* name, Work&& work) {
    heartbeat_.enter(phase);
    const Stopwatch stopwatch;
    work();
    outcome_.phases_s[name] += stopwatch.elapsed_s();
  }

  // A host's work says nothing of a device, whose clocks are in the record.
  std::optional<ReferenceTimes> look() {
    if (settings_.reference == nullptr || machine_->backend().device() != nullptr) return std::nullopt;
    std::optional<ReferenceTimes> times;
    phase(Phase::reference, "reference", [&] { times = look_at_machine(*settings_.reference, team_); });
    return times;
  }

  void fail(Status status, ReasonCode code, const std::string& reason) {
    outcome_.status = status;
    outcome_.reason_code = code;
    outcome_.reason = reason;
    outcome_.samples = {};
  }

  // Tensors on the host: what the process takes beside them was measured, under 2 % and a few megabytes
  // (scripts/performance.sh). Tensors on a device: allocations there are whole pages of 2 MiB.
  void check_memory() {
    constexpr double kMargin = 1.05, kFixedBytes = 16e6;
    DeviceSide* device = machine_->backend().device();
    const std::int64_t ranks = device == nullptr ? beside_.on_host : beside_.on_device;
    // The workspace was taken when the backend was made.
    const std::int64_t to_come = cost_.memory.total() + most_packing_bytes(point_, cost_) -
                                 find_backend(point_.backend)->workspace_bytes;
    const double needed = static_cast<double>(ranks) * (static_cast<double>(to_come) * kMargin + kFixedBytes);
    const auto available =
        static_cast<double>(device == nullptr ? available_memory_bytes() : device->memory_now().free);
    const double let_go = kMargin * static_cast<double>(let_go_bytes(point_, cost_));
    if (device == nullptr) check_memory_limit(needed / static_cast<double>(ranks) + let_go);
    const double shortage = team_.active->max(needed - available);
    if (shortage <= 0) return;
    // The place that lacks most speaks.
    const bool speaks = needed - available == shortage;
    const std::string words = fmt::format(
        "{} rank{} on {} need{} {} and {} are free; a larger tp_degree, more hosts or smaller shapes would "
        "fit{}",
        ranks, ranks == 1 ? "" : "s", device == nullptr ? host_name() : "one GPU of " + host_name(),
        ranks == 1 ? "s" : "", format_bytes(needed), format_bytes(available),
        point_.workload_row().uses.whole_model && !shape_.has_microbatches()
            ? ", and scaled_from_layers runs a few layers and composes the whole"
            : "");
    throw MemoryShort(*team_.active->agree(speaks ? std::optional(words) : std::nullopt));
  }

  // A limit of the process binds where the host has plenty.
  void check_memory_limit(double needed) const {
    const std::optional<MemoryLimit> limit = tightest_memory_limit();
    std::optional<std::string> words;
    if (limit && needed > static_cast<double>(limit->left_bytes)) {
      words = fmt::format(
          "a rank on {} needs {} and {} leaves it {}; raise that limit, or take a larger tp_degree or "
          "smaller shapes",
          host_name(), format_bytes(needed), limit->name,
          format_bytes(static_cast<double>(limit->left_bytes)));
    }
    if (const auto agreed = team_.active->agree(words)) throw MemoryShort(*agreed);
  }

  void make_machine() {
    outcome_.library_rate = slowest_library_rate(point_, team_);
    team_.together([&] {
      machine_.emplace(point_, team_, parts_, heartbeat_);
      outcome_.backend_threads = machine_->backend().threads();
      reset_peak_resident();
      outcome_.process_base_rss = of_the_case(resident_bytes());
      huge_before_ = huge_page_bytes();
      outcome_.device_base = device_bytes_in_use();
    });
    check_memory();
    team_.together([&] {
      machine_->make_layer();
      outcome_.data_path = machine_->communicator().data_path(shape_.dtype);
    });
    outcome_.network_progress = slowest_progress(machine_->messages_path().network_progress);
    outcome_.messages_path = machine_->messages_path().data_path;
  }

  // A rank whose stages are all on its host has none.
  [[nodiscard]] std::optional<MessageProgress> slowest_progress(std::optional<MessageProgress> own) const {
    const std::int64_t none = -1;
    const std::int64_t worst = team_.active->max(own ? static_cast<std::int64_t>(*own) : none);
    return worst == none ? std::nullopt : std::optional(static_cast<MessageProgress>(worst));
  }

  [[nodiscard]] std::optional<std::int64_t> device_bytes_in_use() {
    DeviceSide* device = machine_->backend().device();
    if (device == nullptr) return std::nullopt;
    const DeviceSide::Memory memory = device->memory_now();
    return memory.total - memory.free;
  }

  // Weights are packed at the first product, which is in verification; that is setting up.
  void note_products() {
    outcome_.products = machine_->backend().product_facts();
    if (outcome_.products.packing_s <= 0) return;
    outcome_.phases_s["setup"] += outcome_.products.packing_s;
    outcome_.phases_s["verification"] -= outcome_.products.packing_s;
  }

  void verify() {
    outcome_.verification = verify_layer(*machine_, method_, point_.seed, cost_, team_, heartbeat_);
    machine_->stop_asking();
    outcome_.status = Status::ok;
    if (outcome_.verification.passed.value_or(true)) return;
    fail(Status::failed, ReasonCode::verification, what_differs(outcome_.verification));
  }

  void sample_steps(double sample_s, Trace& trace) {
    StepRunner stepping = runner();
    std::optional<OverlapVariants> variants;
    if (shape_.overlaps()) {
      variants.emplace(*machine_, stepping, team_, heartbeat_);
      sample_s += variants->sample_s();
      stepping.after_batch = [&](std::size_t steps) { variants->sample(steps); };
    }
    outcome_.samples = sample(stepping, stop_settings(), sample_s, team_, trace);
    if (variants) outcome_.overlap = variants->finish(outcome_.samples);
    outcome_.clock = team_.clock->quality();
    outcome_.start_margin_s = team_.start->margin_s();
  }

  // The slowest clocks of the active ranks' devices, and every reason that any of them gives.
  std::optional<DeviceState> device_state() {
    if (machine_->backend().device() == nullptr) return std::nullopt;
    const auto own = find_backend(point_.backend)->device_state();
    const Control& ranks = *team_.active;
    if (ranks.min(std::int64_t{own ? 1 : 0}) == 0) return std::nullopt;
    DeviceState worst = *own;
    worst.sm_clock_mhz = ranks.min(own->sm_clock_mhz);
    worst.memory_clock_mhz = ranks.min(own->memory_clock_mhz);
    worst.temperature_c = ranks.max(own->temperature_c);
    ranks.reduce_or({&worst.throttle_reasons, 1});
    return worst;
  }

  // Ranks of one host share its quota and its counters.
  [[nodiscard]] std::optional<Throttling> worst_throttling(const std::optional<Throttling>& before,
                                                           const std::optional<Throttling>& after) const {
    const bool known = before && after;
    const auto periods =
        team_.active->max(known ? std::optional(after->periods - before->periods) : std::nullopt);
    const double seconds = team_.active->max(known ? after->seconds - before->seconds : 0.0);
    return periods ? std::optional(Throttling{*periods, seconds}) : std::nullopt;
  }

  // The stages of a whole model do not do the same: each rank is held against those of its own.
  [[nodiscard]] std::optional<SlowestRank> slowest_rank() const {
    const Control& ranks = *team_.active;
    const double own = outcome_.samples.own_compute_s;
    const bool differ = point_.workload_row().uses.whole_model;
    const auto stages = static_cast<std::size_t>(team_.pp_ranks());
    const auto stage = static_cast<std::size_t>(differ ? team_.pp_rank() : 0);
    std::vector<double> sums(2 * stages, 0);  // of compute, of ranks
    sums[stage] = own;
    sums[stages + stage] = 1;
    ranks.reduce_sum(sums);
    const double beside = sums[stages + stage] - 1;
    const double others_s = beside > 0 ? (sums[stage] - own) / beside : 0;
    const double ratio = others_s > 0 ? own / others_s : 0;
    const double worst = ranks.max(ratio);
    if (worst <= 0) return std::nullopt;
    // Of ranks that are equally slow, the first.
    const std::int64_t nobody = ranks.size();
    const std::int64_t first = ranks.min(ratio == worst ? std::int64_t{ranks.rank()} : nobody);
    const bool speaks = first == ranks.rank();
    std::vector<int> world_ranks;  // in the order of the active ranks
    for (const std::vector<int>& group : team_.groups)
      world_ranks.insert(world_ranks.end(), group.begin(), group.end());
    SlowestRank slowest;
    slowest.world_rank = world_ranks[static_cast<std::size_t>(first)];
    slowest.compute_s = ranks.max(speaks ? own : 0);
    slowest.others_s = ranks.max(speaks ? others_s : 0);
    return slowest;
  }

  static std::string what_differs(const VerificationResult& found) {
    const auto& error = found.max_relative_error;
    if (!error || *error > *found.tolerance) {
      return fmt::format("outputs differ from the unsharded reference: relative error {}, tolerance {:.2e}",
                         error ? fmt::format("{:.2e}", *error) : "not a number", *found.tolerance);
    }
    return found.worst_operation
               ? fmt::format(
                     "an operation differs from its definition by {:.3g} times what rounding explains",
                     *found.worst_operation)
               : "an operation left something that is not a number, wrote beside its result, or was left out";
  }

  StepRunner runner() {
    StepRunner runner;
    runner.step = [this](Trace& trace) { machine_->layer().run_step(trace); };
    runner.layers_scale =
        static_cast<double>(point_.whole_shape().num_layers) / static_cast<double>(shape_.num_layers);
    if (point_.cache == CacheState::cold) {
      runner.before_step = [this] {
        outcome_.cache_flushed = machine_->backend().flush_caches() && outcome_.cache_flushed;
      };
    }
    return runner;
  }

  [[nodiscard]] StopSettings stop_settings() const {
    return {.min_samples = static_cast<std::size_t>(settings_.measure.min_samples),
            .max_samples = static_cast<std::size_t>(settings_.measure.max_samples),
            .max_seconds = settings_.measure.max_seconds,
            .target_ci = settings_.measure.target_ci};
  }

  // The largest over the ranks, as the rank with most decides whether a case fits.
  void count_memory() {
    const Control& ranks = *team_.active;
    RankMemory counted{machine_->backend().memory().at_peak(), outcome_.products.added_bytes};
    if (team_.stages) {
      count_stages(counted);
    } else {
      ranks.reduce_max(counted.held.bytes);
      counted.added_bytes = ranks.max(counted.added_bytes);
    }
    outcome_.memory = counted.held;
    outcome_.added_bytes = counted.added_bytes;
    outcome_.process_base_rss = ranks.max(outcome_.process_base_rss);
    outcome_.process_peak_rss = ranks.max(peak_is_reset_ ? of_the_case(peak_resident_bytes()) : std::nullopt);
    if (machine_->backend().device() == nullptr)
      outcome_.huge_pages = fewest_huge_pages(machine_->backend().memory(), huge_before_, ranks);
    outcome_.device_base = ranks.max(outcome_.device_base);
    outcome_.device_in_use = ranks.max(device_bytes_in_use());
  }
  struct RankMemory {
    MemoryByCategory held;
    std::int64_t added_bytes;  // of it, beyond the formulas
  };
  // Stages hold different things: of each its own, and `counted` becomes that of the one with most.
  void count_stages(RankMemory& counted) {
    std::vector<RankMemory> stages(static_cast<std::size_t>(team_.pp_ranks()), RankMemory{{}, 0});
    stages[static_cast<std::size_t>(team_.pp_rank())] = counted;
    for (RankMemory& stage : stages) {
      team_.active->reduce_max(stage.held.bytes);
      stage.added_bytes = team_.active->max(stage.added_bytes);
      outcome_.stage_memory.push_back(stage.held);
    }
    counted = *std::max_element(stages.begin(), stages.end(),
                                [](const auto& a, const auto& b) { return a.held.total() < b.held.total(); });
  }
  // The reference work keeps its memory for the whole launch.
  [[nodiscard]] std::optional<std::int64_t> of_the_case(std::optional<std::int64_t> resident) const {
    if (resident && settings_.reference != nullptr) *resident -= kReferenceBytes;
    return resident;
  }

  const Case& point_;
  const CaseSettings& settings_;
  const Team& team_;
  const Parts& parts_;
  Heartbeat& heartbeat_;
  RanksBeside beside_;
  Shape shape_;
  Cost cost_;
  std::optional<CaseMachine> machine_;
  VerificationMethod method_ = VerificationMethod::none;
  bool peak_is_reset_ = false;
  std::optional<std::int64_t> huge_before_;  // huge_page_bytes() when the case had no tensors yet
  CaseOutcome outcome_;
};

}  // namespace

CaseOutcome run_case(const Case& point, const CaseSettings& settings, const Team& team, const Parts& parts,
                     Heartbeat& heartbeat, const RanksBeside& beside) {
  const Stopwatch stopwatch;
  CaseOutcome outcome = CaseRun(point, settings, team, parts, heartbeat, beside).run();
  outcome.phases_s["total"] = stopwatch.elapsed_s();
  return outcome;
}

}  // namespace tpbench
