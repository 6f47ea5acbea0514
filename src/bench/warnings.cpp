#include "bench/warnings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "bench/clock_warnings.hpp"
#include "bench/compute_warnings.hpp"
#include "bench/pipeline_warnings.hpp"
#include "bench/rank_warnings.hpp"
#include "comm/communicator.hpp"
#include "environment/core_findings.hpp"
#include "environment/host.hpp"
#include "environment/launch.hpp"
#include "environment/noise.hpp"

namespace tpbench {

std::map<std::string, std::vector<std::size_t>> active_by_machine(const WarningInputs& in) {
  std::map<std::string, std::vector<std::size_t>> ranks;
  for (const std::vector<int>& group : in.team.groups) {
    for (const int rank : group)
      ranks[in.facts.machine_of[static_cast<std::size_t>(rank)]].push_back(static_cast<std::size_t>(rank));
  }
  return ranks;
}

namespace {

using Message = std::optional<std::string>;

Message debug_build(const WarningInputs&) {
  if (build_info().optimised) return std::nullopt;
  return fmt::format("this is a {} build or one with sanitizers: build with the preset release",
                     build_info().build_type);
}

// What is wrong with how the active ranks share cores, of one code.
Message of_cores(const WarningInputs& in, std::string_view code) {
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    MachineLoad load;
    std::set<std::string> hosts;
    for (const std::size_t rank : ranks) {
      const RankPlace& place = in.facts.ranks[rank];
      hosts.insert(place.host);
      load.ranks.push_back(
          {place.world_rank, in.outcome.backend_threads, in.facts.bound_cores_of[rank], place.cpus});
    }
    load.hosts = fmt::format("{}", fmt::join(hosts, ", "));
    load.cores = in.facts.cores_of[ranks.front()];
    for (const Finding& finding : core_findings(load)) {
      if (finding.code == code) return finding.message;
    }
  }
  return std::nullopt;
}

Message oversubscribed(const WarningInputs& in) { return of_cores(in, "oversubscribed"); }
Message shared_core(const WarningInputs& in) { return of_cores(in, "shared_core"); }

Message thread_mismatch(const WarningInputs& in) {
  if (!in.device_of.empty()) return std::nullopt;  // threads of the host compute nothing there
  const std::int64_t asked = in.point.threads_per_rank.value_or(1), used = in.outcome.backend_threads;
  if (used != asked) {
    return fmt::format("{} BLAS threads run where {} were asked for: the BLAS library allows no more", used,
                       asked);
  }
  return of_cores(in, "thread_mismatch");
}

Message loopback(const WarningInputs& in) {
  std::map<std::string, std::set<std::string>> hosts;
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    for (const std::size_t rank : ranks) hosts[machine].insert(in.facts.ranks[rank].host);
  }
  for (const auto& [machine, names] : hosts) {
    if (names.size() > 1) {
      return fmt::format(
          "{} host names are one running machine: what was measured between them is not a network, "
          "unless you built one there",
          names.size());
    }
  }
  return std::nullopt;
}

Message placement_without_effect(const WarningInputs& in) {
  std::set<std::string> hosts;
  for (const RankPlace& place : in.facts.ranks) hosts.insert(place.host);
  if (in.point.placement != Placement::spread || hosts.size() > 1) return std::nullopt;
  return "all ranks are on one host: placement spread is the same as packed";
}

Message noisy_machine(const WarningInputs& in) {
  if (in.facts.worst_noise <= kNoisyMachine) return std::nullopt;
  return fmt::format(
      "the same work took up to {} longer (95th percentile against the fastest): other programs or a "
      "shared machine; repeat with measure.epochs of 6 or more",
      format_percent(in.facts.worst_noise));
}

LookingRanks looking_ranks(const WarningInputs& in) { return {active_ranks(in.team), in.point.placement}; }

Message machine_drift(const WarningInputs& in) {
  if (!in.outcome.reference) return std::nullopt;
  return drift(*in.outcome.reference, in.history, looking_ranks(in));
}

Message moved_cores(const WarningInputs& in) {
  if (!in.outcome.reference) return std::nullopt;
  return tpbench::moved_cores(*in.outcome.reference, in.history, looking_ranks(in));
}

Message busy_neighbour(const WarningInputs& in) {
  if (!in.outcome.reference) return std::nullopt;
  return neighbour(*in.outcome.reference, in.history, looking_ranks(in));
}

Message throttled_cpu(const WarningInputs& in) {
  const auto& throttling = in.record.throttling;
  if (!throttling || throttling->periods <= 0) return std::nullopt;
  return fmt::format(
      "the CPU quota of a cgroup stopped the ranks in {} while they were sampled, {} in all: means and "
      "medians are "
      "those of the quota; raise it (cpu.max, cpu.cfs_quota_us), or use fewer ranks and threads",
      counted(static_cast<std::size_t>(throttling->periods), "period"), format_seconds(throttling->seconds));
}

// What the machine is set to, of the hosts with active ranks.
Message of_hosts(const WarningInputs& in, std::optional<std::string> (*problem_of)(const Json&)) {
  std::set<std::string> names;
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    for (const std::size_t rank : ranks) names.insert(in.facts.ranks[rank].host);
  }
  for (const Json& host : in.facts.hosts) {
    const std::string name = host.value("name", "unknown");
    if (!names.contains(name)) continue;
    if (const auto problem = problem_of(host)) return fmt::format("{}: {}", name, *problem);
  }
  return std::nullopt;
}
Message cpu_governor(const WarningInputs& in) { return of_hosts(in, governor_problem); }
Message small_pages(const WarningInputs& in) {
  if (!in.device_of.empty()) return std::nullopt;
  if (auto problem = of_hosts(in, huge_pages_problem)) return problem;
  constexpr double kMost = 0.9;
  const std::optional<HugePages>& got = in.outcome.huge_pages;
  if (in.record.point.pages != Pages::huge || !got || got->share >= kMost) return std::nullopt;
  return fmt::format(
      "pages huge: the kernel gave {:.0f} % of the huge pages that it was asked for: free memory may be in "
      "pieces (as root: echo 1 > /proc/sys/vm/compact_memory), or this process may have none (THP_enabled in "
      "/proc/self/status)",
      100 * got->share);
}

Message not_converged(const WarningInputs& in) {
  if (in.record.status != Status::ok || in.record.converged.value_or(true)) return std::nullopt;
  const Summary& step = in.record.time->step.summary;
  const MeasureSettings& measure = in.measure;
  const auto most = static_cast<std::size_t>(measure.max_samples * measure.epochs);
  const std::string remedy = step.samples >= most ? "raise measure.max_samples" : "raise measure.max_seconds";
  if (measure.epochs > 1) {
    return fmt::format(
        "sampling met a cap in an epoch before its interval was narrow enough ({} samples in {} epochs): {}",
        step.samples, in.record.epochs_done, remedy);
  }
  constexpr std::size_t kFewestForInterval = 6;
  const bool early = std::cmp_less(step.samples, measure.min_samples);
  if (!step.ci95 && step.samples < kFewestForInterval)
    return fmt::format(
        "{} {} too few for an interval, as {}: {}", counted(step.samples, "sample"),
        step.samples == 1 ? "is" : "are",
        early ? fmt::format("measure.max_seconds ({:.3g} s) ended sampling before measure.min_samples ({})",
                            measure.max_seconds, measure.min_samples)
              : fmt::format("measure.max_samples ({}) ended sampling", measure.max_samples),
        remedy);
  if (!step.ci95)
    return fmt::format(
        "samples are correlated: {} are worth {} independent ones, too few for an interval: {}, or use a "
        "quieter machine",
        step.samples, step.effective_samples.value_or(0), remedy);
  const double half_width = ((*step.ci95)[1] - (*step.ci95)[0]) / 2 / step.median;
  if (half_width <= measure.target_ci)
    return fmt::format("{} samples cannot tell whether they are independent: {}", step.samples, remedy);
  return fmt::format(
      "the step's interval is +-{:.1f} % of its median after {} samples (measure.target_ci: +-{:.1f} %): {} "
      "or "
      "use a quieter machine",
      100 * half_width, step.samples, 100 * measure.target_ci, remedy);
}

Message short_step(const WarningInputs& in) {
  constexpr double kTimerCostsShow = 2e-6;
  if (in.record.status != Status::ok || in.record.time->step.summary.median >= kTimerCostsShow)
    return std::nullopt;
  return "a step is so short that the timer's own cost shows: use a larger shape (tpbench selfcheck tells "
         "the cost)";
}

Message unexplained(const WarningInputs& in) {
  if (in.record.status != Status::ok) return std::nullopt;
  if (!is_known(in.record.time->other)) return std::nullopt;
  const double other = in.record.time->other.summary.median, step = in.record.time->step.summary.median;
  // What a rank does around its segments takes a microsecond or two.
  constexpr double kAround_s = 5e-6;
  if (other <= std::max(0.1 * step, kAround_s)) return std::nullopt;
  return fmt::format(
      "{} of the step is neither compute nor communication (`other`): other programs, or ranks that share "
      "cores",
      format_percent(other / step));
}

Message mixed_launches(const WarningInputs& in) {
  if (in.record.earlier_environments.empty()) return std::nullopt;
  return fmt::format("its epochs ran in several launches ({}, {}): see how they differ, or measure it again",
                     fmt::join(in.record.earlier_environments, ", "), in.record.environment);
}

Message shared_gpu(const WarningInputs& in) {
  if (in.device_of.empty()) return std::nullopt;
  std::map<int, int> ranks;
  int active = 0, most = 0;
  for (const std::vector<int>& group : in.team.groups) {
    for (const int rank : group) {
      most = std::max(most, ++ranks[in.device_of[static_cast<std::size_t>(rank)]]);
      ++active;
    }
  }
  if (most == 1) return std::nullopt;
  return fmt::format("{} ranks share {} GPU{}: times are not those of {} devices; use as many ranks as GPUs",
                     active, ranks.size(), ranks.size() == 1 ? "" : "s", active);
}

Message staged(const WarningInputs& in) {
  if (in.record.status != Status::ok) return std::nullopt;
  const bool collectives = in.point.layout.tp > 1 && in.record.data_path == name_of(DataPath::staged);
  const bool messages = in.record.pipeline && in.record.pipeline->data_path == DataPath::staged;
  if (!collectives && !messages) return std::nullopt;
  std::vector<std::string> direct;
  for (const AlgorithmEntry& entry : all_algorithms()) {
    if (entry.operands == Operands::device) direct.emplace_back(entry.name);
  }
  if (!collectives)
    return fmt::format("messages between stages copy through host memory: use algorithm {}",
                       join_words(direct, " or "));
  return fmt::format(
      "collectives copy through host memory, as this MPI library does not take GPU memory: use algorithm {}, "
      "or "
      "an MPI library with CUDA support",
      join_words(direct, " or "));
}

Message throttled(const WarningInputs& in) {
  // An idle GPU and clocks that somebody has set are no surprise.
  static const std::set<std::string> kExpected = {"gpu_idle", "applications_clocks_setting", "sync_boost",
                                                  "display_clock_setting"};
  if (in.record.status != Status::ok || !in.record.device) return std::nullopt;
  const DeviceMoment& after = in.record.device->after;
  std::vector<std::string> reasons;
  std::remove_copy_if(after.throttle_reasons.begin(), after.throttle_reasons.end(),
                      std::back_inserter(reasons),
                      [](const auto& reason) { return kExpected.contains(reason); });
  if (reasons.empty()) return std::nullopt;
  return fmt::format(
      "a GPU lowered its clock ({}; {} MHz after the samples, {} MHz before): compare with care",
      fmt::join(reasons, ", "), after.sm_clock_mhz, in.record.device->before.sm_clock_mhz);
}

Message overlap_loses(const WarningInputs& in) {
  if (in.record.status != Status::ok || !in.record.overlap) return std::nullopt;
  const OverlapResult& overlap = *in.record.overlap;
  if (overlap.overlapped_s <= overlap.serial_s) return std::nullopt;
  return fmt::format(
      "overlap loses: {} in {} pieces against {} one after the other (pieces cost {}, contention {}); use "
      "fewer overlap_chunks, or none",
      format_seconds(overlap.overlapped_s), in.point.overlap_chunks, format_seconds(overlap.serial_s),
      format_seconds(std::max(0.0, overlap.split_loss_s())),
      format_seconds(std::max(0.0, overlap.contention_s())));
}

// The thread that communicates needs a core beside those that compute.
Message no_spare_core(const WarningInputs& in) {
  if (!in.point.shape().overlaps() || !in.device_of.empty()) return std::nullopt;
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    const std::int64_t share = in.facts.cores_of[ranks.front()] / static_cast<std::int64_t>(ranks.size());
    for (const std::size_t rank : ranks) {
      const std::int64_t cores = std::min(share, in.facts.bound_cores_of[rank]);
      if (cores > in.outcome.backend_threads) continue;
      return fmt::format(
          "rank {} computes on {} thread(s), communicates on one more and has {} core(s): lower "
          "threads_per_rank or bind wider ({})",
          rank, in.outcome.backend_threads, cores, unbound_to_type());
    }
  }
  return std::nullopt;
}

Message composed(const WarningInputs& in) {
  if (!in.record.composed) return std::nullopt;
  return fmt::format(
      "{} of {} layers ran: times, memory and FLOP are composed, the layers' parts taken {:.4g} times; a "
      "whole "
      "model is measured without scaled_from_layers",
      in.record.composed->layers, in.point.num_layers.value_or(1),
      static_cast<double>(in.point.num_layers.value_or(1)) / static_cast<double>(in.record.composed->layers));
}

Message not_verified(const WarningInputs& in) {
  if (in.record.status != Status::ok || in.record.verification.passed) return std::nullopt;
  return "the results were not checked: run without --no-verify";
}

Message cold_cache_impossible(const WarningInputs& in) {
  if (in.outcome.cache_flushed) return std::nullopt;
  return "this processor does not let a program flush its caches: the case ran with warm caches";
}

Message prediction_differs(const WarningInputs& in) {
  if (!in.outcome.memory) return std::nullopt;
  const bool composed = in.point.scaled_from_layers.has_value();
  const std::int64_t counted =
      (composed ? in.record.memory->peak.value_or(0) : in.outcome.memory->total()) - in.outcome.added_bytes;
  if (counted == in.record.memory->predicted_peak) return std::nullopt;
  return "counted memory differs from the formula: please report this";
}

Message peak_unknown(const WarningInputs& in) {
  if (in.record.status != Status::ok || in.outcome.process_peak_rss) return std::nullopt;
  return "the kernel does not let this process reset its peak resident set: process_peak_rss is null";
}

struct Row {
  const char* code;
  Message (*find)(const WarningInputs&);
  bool of_times = true;  // says how far times are to be believed: nothing to a case that has none
};

constexpr Row kWarnings[] = {
    {"debug_build", debug_build},
    {"slow_blas", slow_blas},
    {"slow_compute", slow_compute},
    {"emulated_dtype", emulated_dtype},
    {"mixed_kernels", mixed_kernels},
    {"oversubscribed", oversubscribed},
    {"shared_core", shared_core},
    {"thread_mismatch", thread_mismatch},
    {"loopback", loopback},
    {"placement_without_effect", placement_without_effect},
    {"placement_not_kept", placement_not_kept},
    {"throttled_cpu", throttled_cpu},
    {"cpu_governor", cpu_governor},
    {"small_pages", small_pages},
    {"noisy_machine", noisy_machine},
    {"machine_drift", machine_drift},
    {"moved_cores", moved_cores},
    {"busy_neighbour", busy_neighbour},
    {"not_converged", not_converged},
    {"short_step", short_step},
    {"below_clock_error", below_clock_error},
    {"device_clock_error", device_clock_error},
    {"late_starts", late_starts},
    {"imbalance", imbalance},
    {"slow_rank", slow_rank},
    {"unexplained", unexplained},
    {"bubble_unexplained", bubble_unexplained},
    {"mixed_launches", mixed_launches},
    {"shared_gpu", shared_gpu},
    {"staged", staged},
    {"throttled", throttled},
    {"overlap_loses", overlap_loses},
    {"no_spare_core", no_spare_core},
    {"composed", composed},
    {"not_verified", not_verified},
    {"cold_cache_impossible", cold_cache_impossible},
    {"prediction_differs", prediction_differs, false},
    {"peak_unknown", peak_unknown},
};

}  // namespace

std::vector<Warning> find_warnings(const WarningInputs& inputs) {
  std::vector<Warning> warnings;
  for (const Row& row : kWarnings) {
    if (row.of_times && !is_timed(inputs.record)) continue;
    if (const Message message = row.find(inputs)) warnings.push_back({row.code, *message});
  }
  return warnings;
}

std::vector<std::string> warning_codes() {
  std::vector<std::string> codes;
  for (const Row& row : kWarnings) codes.emplace_back(row.code);
  return codes;
}

}  // namespace tpbench
