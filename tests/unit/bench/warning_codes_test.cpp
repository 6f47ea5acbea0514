// Each warning on a launch that gives reason for it, and none on one that does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "bench/warnings.hpp"

namespace tpbench {
namespace {

struct Seconds {
  double compute = 0, communication = 0, wait = 0, other = 0;
};

Quantity quantity(double seconds) {
  Quantity quantity;
  for (int i = 0; i < 10; ++i) quantity.samples_s.push_back(seconds * (1 + 0.001 * (i - 4.5)));
  quantity.summary = summarise(quantity.samples_s);
  return quantity;
}

Case row_linear_on_two() {
  Case point;
  point.workload = "row_linear";
  point.hidden_size = 4096;
  point.layout.tp = 2;
  normalise_case(point);
  return point;
}

Record ok_record(const Case& point, const Seconds& seconds) {
  Record record;
  record.status = Status::ok;
  record.point = point;
  record.time.emplace();
  record.time->step = quantity(seconds.compute + seconds.communication + seconds.other);
  record.time->compute = quantity(seconds.compute);
  record.time->communication = quantity(seconds.communication);
  record.time->wait = quantity(2 * seconds.wait);  // half of it is the network's
  record.time->imbalance = quantity(seconds.wait);
  record.time->other = quantity(seconds.other);
  record.memory.emplace();
  record.memory->predicted_peak = 1000;
  record.verification.passed = true;
  record.converged = true;
  record.epochs_done = 1;
  return record;
}

/// Two ranks on a quiet host with two cores, each bound to one of them; a case on both that went well.
struct LaunchOfTwo {
  LaunchFacts facts;
  Case point = row_linear_on_two();
  Team team;
  CaseOutcome outcome;
  MeasureSettings measure;
  MachineHistory history;
  Record record = ok_record(point, {.compute = 1e-3, .communication = 1e-4});
  std::vector<int> device_of;

  LaunchOfTwo() {
    for (std::int64_t rank = 0; rank < 2; ++rank) {
      facts.ranks.push_back({.world_rank = rank, .host = "a", .pid = 1, .cpus = {rank}, .threads = 1});
      facts.machine_of.emplace_back("kernel");
      facts.cores_of.push_back(2);
      facts.bound_cores_of.push_back(1);
    }
    facts.worst_noise = 0.01;
    point.threads_per_rank = 1;
    team.groups = {{0, 1}};
    outcome.backend_threads = 1;
    outcome.process_peak_rss = 1;
    outcome.memory = MemoryByCategory{};
    outcome.memory->bytes[0] = record.memory->predicted_peak.value_or(0);
  }

  [[nodiscard]] std::vector<Warning> warnings() const {
    std::vector<Warning> found =
        find_warnings({facts, point, team, outcome, measure, history, record, device_of});
    // The build of the tests may itself be one to complain about.
    std::erase_if(found, [](const Warning& warning) { return warning.code == "debug_build"; });
    return found;
  }
};

/// What must stand in the message, and what makes the quiet launch one to warn of.
struct Reason {
  std::string code, words;
  std::function<void(LaunchOfTwo&)> make;
};

void on_two_clocks(LaunchOfTwo& launch) {
  ClockResult& clock = launch.record.clock.emplace();
  clock.clocks = 2;
  clock.error_s = 2e-6;
  clock.worst_case_s = 30e-6;
  clock.differences_per_step = 1;
  for (CollectiveResult& collective : launch.record.collectives) collective.busbw_gb_per_s = 1;
}

void set_times(LaunchOfTwo& launch, const Seconds& seconds) {
  launch.record.time = ok_record(launch.point, seconds).time;
}

void put_on_devices(LaunchOfTwo& launch, std::vector<int> device_of) {
  launch.point.backend = launch.record.point.backend = "cuda";
  launch.device_of = std::move(device_of);
}

const std::vector<Reason>& reasons() {
  static const std::vector<Reason> kReasons = {
      {"slow_blas", "rank 1 (a): kernels for Prescott",
       [](LaunchOfTwo& l) {
         l.facts.compute_of = {{"Prescott", {}, {}}, {"Prescott", "kernels for Prescott", std::nullopt}};
       }},
      {"slow_compute", "rank 1 (a): ",
       [](LaunchOfTwo& l) {
         l.facts.compute_of = {{}, {"", std::nullopt, CoreRates{{20, 118}, {50, 59}}}};
       }},
      {"emulated_dtype", "this CPU has no instructions for products in f32: kernel gemm:jit",
       [](LaunchOfTwo& l) {
         l.outcome.products.kernels = {{"gemm:jit", 1e9, true, std::nullopt}};
       }},
      {"slow_rank", "rank 1",
       [](LaunchOfTwo& l) {
         l.outcome.slowest = SlowestRank{1, 2.0, 1.0};
       }},
      {"mixed_kernels", "Haswell on a",
       [](LaunchOfTwo& l) {
         l.facts.compute_of = {{"Haswell", {}, {}}, {"SkylakeX", {}, {}}};
       }},
      {"throttled_cpu", "35 periods",
       [](LaunchOfTwo& l) {
         l.record.throttling = ThrottlingResult{35, 1.5};
       }},
      {"cpu_governor", "powersave",
       [](LaunchOfTwo& l) {
         l.facts.hosts = {{{"name", "a"}, {"governor", "powersave"}}};
       }},
      {"small_pages", "transparent huge pages are off",
       [](LaunchOfTwo& l) {
         l.facts.hosts = {{{"name", "a"}, {"transparent_huge_pages", "never"}}};
       }},
      {"oversubscribed", "2 ranks on 1 cores",
       [](LaunchOfTwo& l) {
         l.facts.cores_of = {1, 1};
       }},
      {"shared_core", "2 ranks are bound to 1 CPU(s) of a",
       [](LaunchOfTwo& l) { l.facts.ranks[1].cpus = {0}; }},
      {"thread_mismatch", "1 BLAS threads run where 2 were asked for",
       [](LaunchOfTwo& l) { l.point.threads_per_rank = 2; }},
      {"thread_mismatch", "2 BLAS threads share 1 core(s) on rank 0",
       [](LaunchOfTwo& l) { l.point.threads_per_rank = l.outcome.backend_threads = 2; }},
      {"thread_mismatch", "2 BLAS threads per rank and 1 core(s) for each of the 2 ranks of a",
       [](LaunchOfTwo& l) {
         l.point.threads_per_rank = l.outcome.backend_threads = 2;
         l.facts.bound_cores_of = {2, 2};
       }},
      {"loopback", "2 host names are one running machine",
       [](LaunchOfTwo& l) { l.facts.ranks[1].host = "b"; }},
      {"placement_without_effect", "placement spread",
       [](LaunchOfTwo& l) { l.point.placement = Placement::spread; }},
      {"placement_not_kept", "ranks that share a layer lie on several hosts (a, b)",
       [](LaunchOfTwo& l) {
         l.point.layout = {.tp = 2, .pp = 2};
         l.point.placement = Placement::tp_inside;
         l.facts.ranks[1].host = "b";
         l.facts.machine_of[1] = "another kernel";
       }},
      {"placement_not_kept", "stages of one shard lie on several hosts (a, b)",
       [](LaunchOfTwo& l) {
         l.point.layout = {.tp = 1, .pp = 2};
         l.point.placement = Placement::pp_inside;
         l.facts.ranks[1].host = "b";
         l.facts.machine_of[1] = "another kernel";
       }},
      {"bubble_unexplained", "the bubble is 40 % of the step and 20 % by replay",
       [](LaunchOfTwo& l) {
         l.record.pipeline.emplace();
         l.record.pipeline->bubble = 0.4;
         l.record.pipeline->replayed_bubble = 0.2;
       }},
      {"noisy_machine", "20 %", [](LaunchOfTwo& l) { l.facts.worst_noise = 0.2; }},
      // Half the width, as everywhere: the interval is 1.98 to 2.04 ms.
      {"not_converged", "+-1.5 % of its median after 10 samples (measure.target_ci: +-1.0 %)",
       [](LaunchOfTwo& l) {
         l.record.converged = false;
         l.measure.target_ci = 0.01;
         l.record.time->step.summary.median = 2e-3;
         l.record.time->step.summary.ci95 = {1.98e-3, 2.04e-3};
       }},
      {"not_converged", "raise measure.max_samples",
       [](LaunchOfTwo& l) {
         l.record.converged = false;
         l.measure.max_samples = 10;
       }},
      {"not_converged", "10 samples in 2 epochs",
       [](LaunchOfTwo& l) {
         l.record.converged = false;
         l.record.epochs_done = l.measure.epochs = 2;
       }},
      {"not_converged", "samples are correlated",
       [](LaunchOfTwo& l) {
         l.record.converged = false;
         l.record.time->step.summary.ci95.reset();
       }},
      {"short_step", "so short", [](LaunchOfTwo& l) { set_times(l, {.compute = 1.5e-6}); }},
      {"imbalance", "20 %", [](LaunchOfTwo& l) { set_times(l, {.compute = 1e-3, .wait = 2e-4}); }},
      {"below_clock_error", "communication is null: under three times",
       [](LaunchOfTwo& l) {
         on_two_clocks(l);
         l.record.time->communication = {};
         l.record.clock->untold = {"communication"};
       }},
      {"below_clock_error", "wait and other are doubtful",
       [](LaunchOfTwo& l) {
         on_two_clocks(l);
         l.record.clock->doubtful = {"wait", "other"};
       }},
      {"below_clock_error",
       "clocks of 2 hosts could not be aligned (error 40.0 us, half a round trip 30.0 us)",
       [](LaunchOfTwo& l) {
         on_two_clocks(l);
         l.record.clock->aligned = false;
         l.record.clock->error_s = 40e-6;
         l.record.time->communication = l.record.time->imbalance = l.record.time->other = {};
       }},
      {"device_clock_error", "(4.00 us)",
       [](LaunchOfTwo& l) {
         put_on_devices(l, {0, 1});
         l.record.data_path = "device";
         l.record.clock.emplace().device_error_s = 4e-6;
         l.outcome.samples.own_durations = 7;
       }},
      {"late_starts", "20 % of the steps were repeated",
       [](LaunchOfTwo& l) {
         l.record.clock.emplace().starts = 100;
         l.record.clock->late_starts = 20;
       }},
      {"unexplained", "20 %", [](LaunchOfTwo& l) { set_times(l, {.compute = 8e-3, .other = 2e-3}); }},
      {"mixed_launches", "environment.json, environment-2.json",
       [](LaunchOfTwo& l) {
         l.record.earlier_environments = {"environment.json"};
         l.record.environment = "environment-2.json";
       }},
      {"shared_gpu", "2 ranks share 1 GPU",
       [](LaunchOfTwo& l) {
         put_on_devices(l, {0, 0});
       }},
      {"staged", "use algorithm nccl",
       [](LaunchOfTwo& l) {
         put_on_devices(l, {0, 1});
         l.record.data_path = "staged";
       }},
      {"throttled", "sw_thermal_slowdown; 900 MHz after the samples, 1400 MHz before",
       [](LaunchOfTwo& l) {
         put_on_devices(l, {0, 1});
         l.record.device =
             DeviceResult{{1400, 2000, 60, {}}, {900, 2000, 80, {"gpu_idle", "sw_thermal_slowdown"}}};
       }},
      {"overlap_loses", "3.00 ms in 4 pieces against 2.00 ms",
       [](LaunchOfTwo& l) {
         l.point.overlap_chunks = 4;
         l.facts.bound_cores_of = {2, 2};
         l.facts.cores_of = {4, 4};
         l.record.overlap = OverlapResult{1e-3, 1e-3, 1e-3, 2e-3, 3e-3, 0, 1e-3};
       }},
      {"no_spare_core", "rank 0 computes on 1 thread(s), communicates on one more and has 1 core(s)",
       [](LaunchOfTwo& l) { l.point.overlap_chunks = 4; }},
      {"composed", "2 of 12 layers ran: times, memory and FLOP are composed, the layers' parts taken 6 times",
       [](LaunchOfTwo& l) {
         l.point.num_layers = 12;
         l.record.composed = ComposedResult{2, 1e-3, 0};
       }},
      {"not_verified", "--no-verify", [](LaunchOfTwo& l) { l.record.verification.passed.reset(); }},
      {"cold_cache_impossible", "warm caches", [](LaunchOfTwo& l) { l.outcome.cache_flushed = false; }},
      {"prediction_differs", "differs from the formula",
       [](LaunchOfTwo& l) { l.outcome.memory->bytes[0] += 8; }},
      {"peak_unknown", "process_peak_rss is null",
       [](LaunchOfTwo& l) { l.outcome.process_peak_rss.reset(); }},
  };
  return kReasons;
}

TEST(WarningCodes, NoneWithoutReason) {
  EXPECT_EQ(LaunchOfTwo().warnings(), std::vector<Warning>());
  LaunchOfTwo devices;
  put_on_devices(devices, {0, 1});
  devices.record.data_path = "device";
  devices.record.device = DeviceResult{{1400, 2000, 60, {}}, {1400, 2000, 60, {"gpu_idle"}}};
  EXPECT_EQ(devices.warnings(), std::vector<Warning>());
  LaunchOfTwo hosts;  // of two kernels
  hosts.facts.ranks[1].host = "b";
  hosts.facts.machine_of[1] = "another kernel";
  hosts.point.placement = Placement::spread;
  on_two_clocks(hosts);
  EXPECT_EQ(hosts.warnings(), std::vector<Warning>());
}

TEST(WarningCodes, EachForItsReasonAndNoOther) {
  for (const Reason& reason : reasons()) {
    SCOPED_TRACE(reason.code + ": " + reason.words);
    LaunchOfTwo launch;
    reason.make(launch);
    const std::vector<Warning> found = launch.warnings();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].code, reason.code);
    EXPECT_NE(found[0].message.find(reason.words), std::string::npos) << found[0].message;
  }
}

TEST(WarningCodes, ACaseWithoutTimesHasNoneToDoubt) {
  for (const Reason& reason : reasons()) {
    LaunchOfTwo launch;
    reason.make(launch);
    launch.record.status = Status::failed;
    launch.record.time.reset();
    for (const Warning& warning : launch.warnings())
      EXPECT_EQ(warning.code, "prediction_differs") << reason.code;
  }
}

TEST(WarningCodes, OfTheBuild) {
  const LaunchOfTwo launch;
  const auto found = find_warnings({launch.facts, launch.point, launch.team, launch.outcome, launch.measure,
                                    launch.history, launch.record, launch.device_of});
  EXPECT_EQ(found.empty(), build_info().optimised);
}

// A new one needs a row above and a line in docs/methodology.md, section 8. Those of baselines are
// result/scaling.cpp's, and "epochs_missing" is that of a record that is left as it was.
TEST(WarningCodes, EachIsTestedHereAndDocumented) {
  // Those of the reference work: warnings_test.cpp.
  std::set<std::string> tested = {"debug_build", "busy_neighbour", "machine_drift", "moved_cores"},
                        documented, all;
  for (const Reason& reason : reasons()) tested.insert(reason.code);
  for (const std::string& code : warning_codes()) all.insert(code);
  std::ifstream file(std::string(TPBENCH_SOURCE_DIR) + "/docs/methodology.md");
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) here = line == "## 8 Warnings";
    if (!here || !line.starts_with("| `") || line.starts_with("| `baseline_")) continue;
    if (line.starts_with("| `epochs_missing`")) continue;
    documented.insert(line.substr(3, line.find('`', 3) - 3));
  }
  EXPECT_EQ(tested, all);
  EXPECT_EQ(documented, all);
}

}  // namespace
}  // namespace tpbench
