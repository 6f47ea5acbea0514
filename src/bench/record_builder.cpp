#include "bench/record_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bench/case_cost.hpp"
#include "bench/pipeline_result.hpp"

namespace tpbench {
namespace {

void append(Quantity& quantity, const std::vector<double>& samples_s) {
  if (samples_s.empty()) return;
  quantity.samples_s.insert(quantity.samples_s.end(), samples_s.begin(), samples_s.end());
  quantity.epoch_medians_s.push_back(summarise(samples_s).median);
  quantity.summary = summarise(quantity.samples_s);
  if (quantity.epoch_medians_s.size() < 2) return;
  // Two launches differ more than one launch's interval says, and so do two epochs: the headline is over
  // epochs.
  const Summary over_epochs = summarise(quantity.epoch_medians_s);
  quantity.summary.median = over_epochs.median;
  quantity.summary.ci95 = over_epochs.ci95;
  quantity.summary.effective_samples = over_epochs.effective_samples;
}

// The word for a collective in a trace.
Activity activity_of(CollectiveOp op) { return enum_from_name<Activity>(name_of(op)).value(); }

// The median time of all collectives of this kind in a step, over all epochs; 0 when it is not known of each.
// Where there is one kind only, its time is the communication time of the record; only several kinds need
// telling apart.
double median_of(CollectiveResult& collective, const Record& record, const Samples& samples,
                 double clock_error_s) {
  if (record.collectives.size() == 1) return record.time->communication.summary.median;
  // A trace names the ranks only where they are not all of the group.
  const std::int64_t part = collective.ranks == record.point.layout.tp ? 0 : collective.ranks;
  const EventKey kind = {activity_of(collective.op), collective.direction, collective.bytes, part};
  for (const Samples::OfCollective& measured : samples.collectives) {
    const bool tells = !measured.communication_s.empty() &&
                       is_above_error(measured.communication_s, measured.differences, clock_error_s);
    if (measured.kind == kind && tells)
      collective.epoch_medians_s.push_back(summarise(measured.communication_s).median);
  }
  // Records of an older schema did not keep those of their epochs.
  const bool of_each = collective.epoch_medians_s.size() == record.time->step.epoch_medians_s.size();
  if (!of_each) collective.epoch_medians_s.clear();
  return of_each ? summarise(collective.epoch_medians_s).median : 0;
}

void add_bandwidths(Record& record, const Samples& samples, double clock_error_s) {
  // What shows of a collective that overlaps is not its time.
  if (record.point.shape().overlaps()) return;
  for (CollectiveResult& collective : record.collectives) {
    if (collective.ranks == 1 || collective.calls_per_step == 0) continue;
    const double median_s = median_of(collective, record, samples, clock_error_s);
    collective.algbw_gb_per_s.reset();
    collective.busbw_gb_per_s.reset();
    if (median_s <= 0) continue;
    const double bytes =
        static_cast<double>(collective.bytes) * static_cast<double>(collective.calls_per_step);
    collective.algbw_gb_per_s = bytes / median_s / 1e9;
    collective.busbw_gb_per_s = *collective.algbw_gb_per_s * bus_factor(collective.op, collective.ranks);
  }
}

// A quantity that is a sum of so many differences between clocks.
struct MeasuredPart {
  const char* name;
  Quantity TimeResult::*member;
  const std::vector<double>& samples_s;
  std::int64_t differences;
};

// Null for good, once the clocks could not tell it in one epoch.
void append_told(Record& record, const MeasuredPart& part, double error_s) {
  std::vector<std::string>& untold = record.clock->untold;
  if (std::find(untold.begin(), untold.end(), part.name) != untold.end()) return;
  Quantity& quantity = (*record.time).*part.member;
  if (!part.samples_s.empty() && is_above_error(part.samples_s, part.differences, error_s))
    return append(quantity, part.samples_s);
  quantity = {};
  untold.emplace_back(part.name);
}

void append_doubtful(Record& record, const MeasuredPart& part, double error_s) {
  if (part.samples_s.empty()) return append_told(record, part, error_s);
  append((*record.time).*part.member, part.samples_s);
  std::vector<std::string>& doubtful = record.clock->doubtful;
  if (is_above_error(part.samples_s, part.differences, error_s)) return;
  if (std::find(doubtful.begin(), doubtful.end(), part.name) == doubtful.end())
    doubtful.emplace_back(part.name);
}

// With several epochs the worst of them.
void add_clock(Record& record, const CaseOutcome& outcome) {
  const bool is_first = !record.clock.has_value();
  if (is_first) record.clock.emplace();
  ClockResult& clock = *record.clock;
  const ClockQuality& now = outcome.clock;
  const Samples& samples = outcome.samples;
  clock.clocks = std::max(clock.clocks, now.domains);
  clock.aligned = clock.aligned && now.aligned;
  if (!now.aligned) clock.start = StartMethod::barrier;
  clock.error_s = std::max(clock.error_s, now.error_s);
  clock.worst_case_s = std::max(clock.worst_case_s, now.worst_case_s);
  if (std::abs(now.drift_ppm) > std::abs(clock.drift_ppm)) clock.drift_ppm = now.drift_ppm;
  clock.offsets_s = now.offset_s;
  clock.differences_per_step = samples.differences;
  clock.start_margin_s = outcome.start_margin_s;
  clock.starts += samples.starts;
  clock.late_starts += samples.late_starts;
  if (!samples.device_error_s.empty())
    clock.device_error_s =
        std::max(clock.device_error_s.value_or(0), summarise(samples.device_error_s).median);
}

// What passed between stages, on the busiest of them.
void append_messages(Record& record, const Samples& samples, double clock_error_s) {
  if (!samples.pipeline.is_there()) return;
  const StageSamples& busiest = samples.pipeline.ranks[samples.pipeline.busiest];
  const std::int64_t differences = samples.message_differences;
  append_told(record, {"boundary", &TimeResult::boundary, busiest.boundary_s, differences}, clock_error_s);
  append_doubtful(record, {"input_wait", &TimeResult::input_wait, busiest.input_wait_s, differences},
                  clock_error_s);
  append_doubtful(record, {"end_wait", &TimeResult::end_wait, busiest.end_wait_s, 1}, clock_error_s);
}

void add_times(Record& record, const Samples& samples, double clock_error_s) {
  if (!record.time) record.time.emplace();
  append(record.time->step, samples.step_s);
  append(record.time->compute, samples.compute_s);
  const std::int64_t all = samples.differences;
  append_told(record, {"communication", &TimeResult::communication, samples.communication_s, all},
              clock_error_s);
  append_doubtful(record, {"wait", &TimeResult::wait, samples.wait_s, all}, clock_error_s);
  append_doubtful(record, {"wait_mean", &TimeResult::wait_mean, samples.wait_mean_s, all}, clock_error_s);
  append_doubtful(record, {"imbalance", &TimeResult::imbalance, samples.imbalance_s, all}, clock_error_s);
  append_messages(record, samples, clock_error_s);
  append_doubtful(record, {"other", &TimeResult::other, samples.other_s, all}, clock_error_s);
  if (record.point.pass == Pass::forward_backward) {
    append(record.time->forward_compute, samples.compute_by_half_s[0]);
    append(record.time->backward_compute, samples.compute_by_half_s[1]);
    append_told(record,
                {"forward_communication", &TimeResult::forward_communication,
                 samples.communication_by_half_s[0], samples.differences_by_half[0]},
                clock_error_s);
    append_told(record,
                {"backward_communication", &TimeResult::backward_communication,
                 samples.communication_by_half_s[1], samples.differences_by_half[1]},
                clock_error_s);
  }
  append(record.time->host_step, samples.host_step_s);
  record.converged = record.converged.value_or(true) && samples.converged;
  const double compute_s = record.time->compute.summary.median;
  if (record.flop_per_rank.value_or(0) > 0 && compute_s > 0)
    record.gflops_per_rank = *record.flop_per_rank / compute_s / 1e9;
  add_bandwidths(record, samples, clock_error_s);
}

// The mean over the epochs so far.
void add_overlap(Record& record, const OverlapResult& overlap) {
  if (!record.overlap) {
    record.overlap = overlap;
    return;
  }
  const auto epochs = static_cast<double>(record.epochs_done + 1);
  OverlapResult& mean = *record.overlap;
  for (const auto part :
       {&OverlapResult::compute_s, &OverlapResult::chunked_compute_s, &OverlapResult::serial_s,
        &OverlapResult::overlapped_s, &OverlapResult::overlapped_compute_s})
    mean.*part += (overlap.*part - mean.*part) / epochs;
  for (const auto part : {&OverlapResult::communication_s, &OverlapResult::exposed_s}) {
    if (mean.*part && overlap.*part)
      *(mean.*part) += (*(overlap.*part) - *(mean.*part)) / epochs;
    else
      (mean.*part).reset();
  }
}

// Names as NVML has them, nvmlClocksEventReason...
constexpr std::pair<std::uint64_t, const char*> kThrottleReasons[] = {
    {0x1, "gpu_idle"},
    {0x2, "applications_clocks_setting"},
    {0x4, "sw_power_cap"},
    {0x8, "hw_slowdown"},
    {0x10, "sync_boost"},
    {0x20, "sw_thermal_slowdown"},
    {0x40, "hw_thermal_slowdown"},
    {0x80, "hw_power_brake_slowdown"},
    {0x100, "display_clock_setting"},
};

DeviceMoment moment_of(const DeviceState& state) {
  DeviceMoment moment = {state.sm_clock_mhz, state.memory_clock_mhz, state.temperature_c, {}};
  for (const auto& [bit, name] : kThrottleReasons) {
    if ((state.throttle_reasons & bit) != 0) moment.throttle_reasons.emplace_back(name);
  }
  return moment;
}

void add_throttling(Record& record, const std::optional<Throttling>& throttling) {
  if (!throttling) return;
  if (!record.throttling) record.throttling.emplace();
  record.throttling->periods += throttling->periods;
  record.throttling->seconds += throttling->seconds;
}

// Of layers that a model is scaled by, by formula: the counted bytes of those that ran are what it says.
std::array<std::int64_t, kCategoryCount> not_run_bytes(const Case& point) {
  std::array<std::int64_t, kCategoryCount> bytes = whole_cost_of(point, point.layout).memory.bytes;
  const MemoryByCategory of_run = cost_of(point).memory;
  for (std::size_t i = 0; i < kCategoryCount; ++i) bytes[i] -= of_run.bytes[i];
  return bytes;
}

void put_work(Record& record, const Cost& cost) {
  record.flop_per_rank = cost.flop();
  record.bytes_per_step = cost.bytes_per_step();
  record.collectives.clear();
  for (const CollectiveCost& collective : cost.collectives) {
    record.collectives.push_back({collective.op,
                                  collective.bytes,
                                  collective.calls_per_step,
                                  collective.direction,
                                  collective.ranks,
                                  {},
                                  {}});
  }
}

// Times are those of the stage that proved to be the busiest, and so is what it did in them.
void put_work_of_busiest(Record& record, const PipelineSamples& pipeline) {
  if (!pipeline.is_there() || record.pipeline) return;
  const Layout& layout = record.point.layout;
  put_work(record, cost_of_stage(record.point, layout, static_cast<std::int64_t>(pipeline.busiest)));
}

void add_ranks(Record& record, const CaseOutcome& outcome, const LaunchFacts& facts) {
  if (outcome.ranks.empty()) return;
  std::vector<RankResult> ranks = outcome.ranks;
  for (RankResult& rank : ranks) {
    const RankPlace& place = facts.ranks[static_cast<std::size_t>(rank.rank)];
    rank.host = place.host;
    rank.cpus = place.cpus;
  }
  record.rank_results =
      bounded_ranks(std::move(ranks), static_cast<std::int64_t>(outcome.samples.step_s.size()));
}

void add_products(Record& record, const CaseOutcome& outcome) {
  const ProductFacts& products = outcome.products;
  record.kernels.clear();
  double flop = 0;
  for (const KernelUse& use : products.kernels) flop += use.flop;
  for (const KernelUse& use : products.kernels)
    record.kernels.push_back({use.name, use.flop / flop, use.emulates});
  std::sort(record.kernels.begin(), record.kernels.end(),
            [](const KernelResult& a, const KernelResult& b) { return a.share > b.share; });
  if (record.point.weight_layout == WeightLayout::packed)
    record.packing = PackingResult{products.packing_s, products.packed_bytes, outcome.added_bytes};
}

void drop_times(Record& record) {
  record.kernels.clear();
  record.packing.reset();
  record.pipeline.reset();
  record.throttling.reset();
  record.rank_results.reset();
  record.device.reset();
  record.clock.reset();
  record.overlap.reset();
  record.composed.reset();
  record.reference.clear();
  record.time.reset();
  record.gflops_per_rank.reset();
  record.converged.reset();
  for (CollectiveResult& collective : record.collectives) {
    collective.algbw_gb_per_s.reset();
    collective.busbw_gb_per_s.reset();
  }
}

}  // namespace

Record start_record(const std::string& id, const Case& point, const Model* model) {
  Record record;
  record.id = id;
  record.point = point;
  if (model != nullptr)
    record.model =
        ModelInfo{model->title, model->source, {}, count_parameters(*model).total(), model->not_run};
  const Workload& workload = point.workload_row();
  const Shape shape = point.whole_shape();
  if (why_impossible(workload, shape)) return record;
  record.memory.emplace();
  if (!why_not_divisible(workload, shape)) {
    const Cost cost = whole_cost_of(point, point.layout);
    record.memory->predicted_peak = cost.memory.total();
    put_work(record, cost);
  }
  record.model_memory = model_memory_of_case(workload, shape, model);
  record.memory->unsharded_peak = whole_cost_of(point, Layout{}).memory.total();
  return record;
}

RankInfo rank_info(const Team& team, const LaunchFacts& facts) {
  RankInfo info;
  info.world = static_cast<std::int64_t>(facts.ranks.size());
  info.replicas = static_cast<std::int64_t>(team.groups.size());
  for (const int rank : team.groups.front()) {
    const RankPlace& place = facts.ranks[static_cast<std::size_t>(rank)];
    info.group.push_back(rank);
    info.hosts.push_back(place.host);
    info.cpus.push_back(place.cpus);
  }
  return info;
}

void leave_unfinished(Record& record, const std::string& reason) {
  constexpr const char* kCode = "epochs_missing";
  std::erase_if(record.warnings, [&](const Warning& warning) { return warning.code == kCode; });
  record.warnings.push_back(
      {kCode, fmt::format("{} of {} epochs were measured, and the next could not run: {}", record.epochs_done,
                          record.epochs_planned, reason)});
}

void skip_record(Record& record, ReasonCode code, const std::string& reason) {
  if (is_timed(record)) return leave_unfinished(record, reason);
  record.status = Status::skipped;
  record.reason_code = code;
  record.reason = reason;
}

void fail_record(Record& record, ReasonCode code, const std::string& reason) {
  record.status = Status::failed;
  record.reason_code = code;
  record.reason = reason;
  record.scaling = {};
  drop_times(record);
}

void add_outcome(Record& record, const CaseOutcome& outcome, const Team& team, const LaunchFacts& facts) {
  record.status = outcome.status;
  record.reason_code = outcome.reason_code;
  record.reason = outcome.reason;
  record.verification = outcome.verification;
  record.ranks = rank_info(team, facts);
  for (const auto& [phase, seconds] : outcome.phases_s) record.phases_s[phase] += seconds;
  if (outcome.memory) {
    MemoryByCategory whole = *outcome.memory;
    for (std::size_t i = 0; i < kCategoryCount; ++i) whole.bytes[i] += not_run_bytes(record.point)[i];
    record.memory->by_category = whole;
    record.memory->peak = whole.total();
    record.memory->process_base_rss = outcome.process_base_rss;
    record.memory->process_peak_rss = outcome.process_peak_rss;
    if (outcome.huge_pages) record.memory->huge_pages = outcome.huge_pages->bytes;
    record.memory->device_base = outcome.device_base;
    record.memory->device_in_use = outcome.device_in_use;
  }
  if (outcome.status == Status::ok) {
    add_clock(record, outcome);
    put_work_of_busiest(record, outcome.samples.pipeline);
    add_times(record, outcome.samples, outcome.clock.error_s);
    add_throttling(record, outcome.throttling);
    if (record.point.scaled_from_layers) {
      record.composed =
          ComposedResult{*record.point.scaled_from_layers, summarise(outcome.samples.measured_step_s).median,
                         outcome.memory->total()};
    }
    add_ranks(record, outcome, facts);
    add_products(record, outcome);
    if (outcome.overlap) add_overlap(record, *outcome.overlap);
    add_pipeline(record, outcome);
    if (outcome.reference) record.reference.push_back(*outcome.reference);
    if (outcome.device_before && outcome.device_after)
      record.device = {moment_of(*outcome.device_before), moment_of(*outcome.device_after)};
    if (!record.collectives.empty()) record.data_path = name_of(outcome.data_path);
    ++record.epochs_done;
  } else {
    drop_times(record);
  }
}

}  // namespace tpbench
