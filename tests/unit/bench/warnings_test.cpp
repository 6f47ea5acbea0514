// Warnings from facts that are made up: what each machine at fault brings, and that a quiet one brings
// nothing.
#include "bench/warnings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "environment/host.hpp"

namespace tpbench {
namespace {

Case make_case(std::int64_t degree, const std::string& workload) {
  Case point;
  point.workload = workload;
  point.hidden_size = 4096;
  point.sequence_length = 128;
  point.layout.tp = degree;
  normalise_case(point);
  point.threads_per_rank = 2;
  return point;
}

Quantity ten_of(double seconds) {
  Quantity quantity;
  quantity.samples_s.assign(10, seconds);
  quantity.summary = summarise(quantity.samples_s);
  return quantity;
}

Record make_record(const Case& point) {
  Record record;
  record.point = point;
  record.status = Status::ok;
  record.time.emplace();
  record.time->step = ten_of(2.41e-3);
  record.time->compute = ten_of(2e-3);
  record.time->communication = ten_of(4e-4);
  record.time->wait = ten_of(3e-5);
  record.time->imbalance = ten_of(2e-5);
  record.time->other = ten_of(1e-5);
  record.memory.emplace();
  record.memory->predicted_peak = point.cost().memory.total();
  record.converged = true;
  record.epochs_done = 1;
  record.verification.passed = true;
  return record;
}

// A launch of ranks on quiet hosts of eight cores, four ranks each, and a case of it that went well.
struct Quiet {
  explicit Quiet(std::int64_t degree, const std::string& workload = "row_linear")
      : point(make_case(degree, workload)), record(make_record(point)) {
    outcome.backend_threads = 2;
    outcome.memory = point.cost().memory;
    outcome.process_peak_rss = 1 << 28;
    record.throttling = ThrottlingResult{};
    outcome.slowest = SlowestRank{0, 0.2, 0.199};
    const ReferenceTimes look = {1e-3, 1.02e-3, 2e-3, 2.1e-3};
    outcome.reference = {look, look};
    for (int i = 0; i < 8; ++i) history.add(static_cast<std::size_t>(degree), *outcome.reference);
    team.groups = {{}};
    for (std::int64_t rank = 0; rank < degree; ++rank) add_rank(rank);
  }

  void add_rank(std::int64_t rank) {
    constexpr std::int64_t kRanksOfHost = 4;
    const std::string host = "n" + std::to_string(rank / kRanksOfHost);
    const std::int64_t core = 2 * (rank % kRanksOfHost);
    team.groups[0].push_back(static_cast<int>(rank));
    facts.ranks.push_back({rank, host, 100 + rank, {core, core + 1}, 2, CoreRates{{100, 118}, {50, 59}}});
    facts.machine_of.push_back("boot of " + host);
    facts.cores_of.push_back(8);
    facts.bound_cores_of.push_back(2);
    facts.compute_of.push_back({"SkylakeX", std::nullopt, CoreRates{{100, 118}, {50, 59}}});
    if (rank % kRanksOfHost != 0) return;
    HostFacts described;
    described.name = host;
    described.governor = "performance";
    described.transparent_huge_pages = "madvise";
    facts.hosts.push_back(host_to_json(described));
  }

  [[nodiscard]] std::vector<Warning> warnings() const {
    std::vector<Warning> found = find_warnings({facts, point, team, outcome, measure, history, record});
    // The build of the tests may itself be one to complain about.
    if (!build_info().optimised) {
      EXPECT_FALSE(found.empty() || found.front().code != "debug_build");
      std::erase_if(found, [](const Warning& warning) { return warning.code == "debug_build"; });
    }
    return found;
  }
  [[nodiscard]] std::string codes() const {
    std::string text;
    for (const Warning& warning : warnings()) text += (text.empty() ? "" : " ") + warning.code;
    return text;
  }
  // The message of the only warning that there is.
  [[nodiscard]] std::string only(const std::string& code) const {
    EXPECT_EQ(codes(), code);
    const auto found = warnings();
    return found.empty() ? "" : found.front().message;
  }

  LaunchFacts facts;
  Case point;
  Team team;
  CaseOutcome outcome;
  MeasureSettings measure;
  MachineHistory history;
  Record record;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(Warnings, NoneInTwentyRunsOnAQuietMachine) {
  std::mt19937 random(7);
  const auto about = [&](double value, double share) {
    return value * (1 + share * (2 * std::uniform_real_distribution<double>()(random) - 1));
  };
  const std::string workloads[] = {"row_linear", "column_linear", "mlp", "gemm", "all_reduce"};
  for (int run = 0; run < 20; ++run) {
    Quiet quiet(std::int64_t{1} << run % 4, workloads[run % 5]);
    quiet.facts.worst_noise = about(0.045, 1);
    for (RankCompute& compute : quiet.facts.compute_of) compute.rates->f32.gemm_gflops = about(85, 0.3);
    quiet.outcome.slowest->others_s = about(0.195, 0.02);
    quiet.outcome.slowest->compute_s = 0.2;
    if (run % 3 == 0) quiet.record.throttling.reset();
    if (run % 3 == 1) quiet.facts.hosts.clear();
    EXPECT_EQ(quiet.codes(), "") << "run " << run;
  }
}

TEST(Warnings, SlowKernels) {
  Quiet machine(2);
  machine.facts.compute_of[1].advice = "OpenBLAS multiplies with its kernels for Prescott (SSE)";
  EXPECT_EQ(machine.only("slow_blas"),
            "rank 1 (n0): OpenBLAS multiplies with its kernels for Prescott (SSE)");
  machine.facts.compute_of[0].advice = machine.facts.compute_of[1].advice;
  EXPECT_TRUE(machine.only("slow_blas").starts_with("ranks 0 (n0) and 1 more: "));
  Quiet without(1);  // the rank with slow kernels works in another case
  without.facts.compute_of.push_back(machine.facts.compute_of[1]);
  EXPECT_EQ(without.codes(), "");
}

TEST(Warnings, SlowCores) {
  Quiet machine(4);
  machine.facts.compute_of[2].rates->f32.gemm_gflops = 41;
  machine.facts.compute_of[3].rates->f32.gemm_gflops = 20;
  machine.facts.compute_of[1].rates->f64.gemm_gflops = 1;  // the case is in f32
  const std::string message = machine.only("slow_compute");
  EXPECT_TRUE(message.starts_with("ranks 2 (n0) and 1 more: ")) << message;
  EXPECT_HAS(message, "at 20 GFLOP/s");
  EXPECT_HAS(message, "17 % of the 118 GFLOP/s");
  machine.point.dtype = DType::f64;
  EXPECT_TRUE(machine.only("slow_compute").starts_with("rank 1 (n0): "));
  for (RankCompute& compute : machine.facts.compute_of) compute.rates.reset();
  EXPECT_EQ(machine.codes(), "");
}

TEST(Warnings, SlowCoresOfAnotherLibrary) {
  Quiet machine(4);
  machine.facts.compute_of[2].rates->f32.gemm_gflops = 20;  // OpenBLAS's, which does not multiply here
  machine.point.library = "onednn";
  EXPECT_EQ(machine.codes(), "");
  machine.outcome.library_rate = LibraryRate{{48, 118}, 3};
  EXPECT_EQ(machine.codes(), "");
  machine.outcome.library_rate->rate.gemm_gflops = 47;
  const std::string message = machine.only("slow_compute");
  EXPECT_TRUE(message.starts_with("rank 3 (n0): ")) << message;
  EXPECT_HAS(message, "kernels of library onednn");
  machine.point.dtype = DType::bf16;
  EXPECT_HAS(machine.only("slow_compute"), "reach there in f32");
}

TEST(Warnings, HostsWithDifferentKernels) {
  Quiet machine(8);
  for (std::size_t rank = 4; rank < 8; ++rank) machine.facts.compute_of[rank].core = "Haswell";
  EXPECT_HAS(machine.only("mixed_kernels"), "Haswell on n1, SkylakeX on n0");
}

TEST(Warnings, Quota) {
  Quiet machine(2);
  machine.record.throttling = ThrottlingResult{35, 1.5};
  const std::string message = machine.only("throttled_cpu");
  EXPECT_HAS(message, "35 periods");
  EXPECT_HAS(message, "1.50 s");
}

TEST(Warnings, Settings) {
  Quiet machine(8);
  machine.facts.hosts[1]["governor"] = "powersave";
  EXPECT_TRUE(machine.only("cpu_governor").starts_with("n1: the CPU governor is powersave"));
  machine.facts.hosts[1]["governor"] = "performance";
  machine.facts.hosts[0]["transparent_huge_pages"] = "never";
  EXPECT_TRUE(machine.only("small_pages").starts_with("n0: transparent huge pages are off"));
  machine.facts.hosts[0]["transparent_huge_pages"] = "madvise";
  machine.outcome.huge_pages = HugePages{1 << 21, 0.25};
  EXPECT_EQ(machine.codes(), "") << "nobody asked for them";
  machine.record.point.pages = Pages::huge;
  EXPECT_HAS(machine.only("small_pages"), "gave 25 % of the huge pages");
  machine.outcome.huge_pages->share = 0.95;
  EXPECT_EQ(machine.codes(), "");
  Quiet elsewhere(4);  // the host with the setting has no rank of this case
  HostFacts other;
  other.name = "n1";
  other.governor = "powersave";
  elsewhere.facts.hosts.push_back(host_to_json(other));
  EXPECT_EQ(elsewhere.codes(), "");
}

TEST(Warnings, SharedCore) {
  Quiet machine(2);
  for (RankPlace& place : machine.facts.ranks) place.cpus = {0};
  machine.facts.bound_cores_of = {1, 1};
  EXPECT_EQ(machine.codes(), "shared_core thread_mismatch");
}

TEST(Warnings, Oversubscription) {
  Quiet machine(4);
  machine.facts.cores_of = {2, 2, 2, 2};
  EXPECT_TRUE(machine.codes().starts_with("oversubscribed"));
  EXPECT_HAS(machine.warnings().front().message, "4 ranks on 2 cores");
}

TEST(Warnings, WrongThreads) {
  Quiet machine(2);
  machine.outcome.backend_threads = 1;
  EXPECT_HAS(machine.only("thread_mismatch"), "1 BLAS threads run where 2 were asked for");
  machine.outcome.backend_threads = 2;
  machine.facts.bound_cores_of[1] = 1;
  EXPECT_HAS(machine.only("thread_mismatch"), "2 BLAS threads share 1 core(s) on rank 1");
}

TEST(Warnings, Imbalance) {
  Quiet machine(4);
  machine.record.time->wait = ten_of(2e-3);
  EXPECT_EQ(machine.codes(), "") << "that is the network, which lets ranks go one after the other";
  machine.record.time->imbalance = ten_of(9e-4);
  EXPECT_HAS(machine.only("imbalance"), "37 % of the step");
  EXPECT_HAS(machine.only("imbalance"), "come late: unequal cores");
  // Rank 1 comes last in nine of ten.
  machine.outcome.ranks = {{.rank = 0, .compute_s = 1e-3, .last_arrivals = {{"all_reduce", 1}}},
                           {.rank = 1,
                            .compute_s = 1.5e-3,
                            .last_arrivals = {{"all_reduce", 9}},
                            .preemptions = 7,
                            .steal_s = 0.4}};
  machine.outcome.samples.step_s.assign(10, 1e-3);
  EXPECT_HAS(machine.only("imbalance"), "; rank 1 (");
  EXPECT_HAS(machine.only("imbalance"),
             ") came last in 90 % of them: it computed 50 % longer than the median rank, its core was taken "
             "from it 7 "
             "times and the hypervisor took 400 ms of its CPUs; look for unequal cores");
  // What happened to all alike is not what is different there.
  machine.outcome.ranks[0].preemptions = 6;
  machine.outcome.ranks[0].steal_s = 0.3;
  EXPECT_HAS(machine.only("imbalance"), "50 % longer than the median rank; look for unequal cores");
  machine.outcome.ranks[1].last_arrivals["all_reduce"] = 1;
  EXPECT_HAS(machine.only("imbalance"), "come late: unequal cores");
}

TEST(Warnings, SlowRank) {
  Quiet machine(4);
  machine.outcome.slowest = SlowestRank{3, 0.3, 0.2};
  EXPECT_TRUE(
      machine.only("slow_rank").starts_with("rank 3 (n0) computed 50 % longer than the other ranks did"));
}

TEST(Warnings, Loopback) {
  Quiet machine(8);
  for (std::string& boot : machine.facts.machine_of) boot = "one kernel";
  machine.facts.cores_of.assign(8, 16);
  EXPECT_HAS(machine.only("loopback"), "2 host names are one running machine");
}

TEST(Warnings, SaysWhySamplingDidNotConverge) {
  Quiet launch(2);
  launch.record.converged = false;
  std::vector<double>& samples = launch.record.time->step.samples_s;
  const auto message = [&](std::size_t count, auto value_of) {
    samples.clear();
    for (std::size_t i = 0; i < count; ++i) samples.push_back(value_of(static_cast<double>(i)));
    launch.record.time->step.summary = summarise(samples);
    return launch.only("not_converged");
  };
  EXPECT_EQ(message(5, [](double) { return 1e-3; }),
            "5 samples are too few for an interval, as measure.max_seconds (5 s) ended sampling before "
            "measure.min_samples "
            "(10): raise measure.max_seconds");
  EXPECT_EQ(message(8, [](double) { return 1e-3; }),
            "8 samples cannot tell whether they are independent: raise measure.max_seconds");
  EXPECT_EQ(message(200, [](double i) { return 1e-3 + 1e-6 * i; }),
            "samples are correlated: 200 are worth 1 independent ones, too few for an interval: raise "
            "measure.max_samples, or use a quieter machine");
  EXPECT_EQ(
      message(200, [](double i) { return std::fmod(i, 2) < 1 ? 1e-3 : 2e-3; }),
      "the step's interval is +-33.3 % of its median after 200 samples (measure.target_ci: +-2.0 %): raise "
      "measure.max_samples or use a quieter "
      "machine");
}

TEST(Warnings, NothingOfTimesForACaseWithoutAny) {
  Quiet machine(2);
  machine.facts.compute_of[0].advice = "slow";
  machine.record.throttling = ThrottlingResult{35, 1.5};
  machine.record.status = Status::skipped;
  EXPECT_EQ(find_warnings({machine.facts, machine.point, machine.team, machine.outcome, machine.measure,
                           machine.history, machine.record})
                .size(),
            0U);
}

TEST(Warnings, NothingOfKernelsAndCoresWhereADeviceComputes) {
  Quiet machine(2);
  machine.facts.compute_of[0].advice = "slow";
  machine.facts.compute_of[1].core = "Haswell";
  machine.facts.compute_of[1].rates->f32.gemm_gflops = 1;
  machine.facts.hosts[0]["transparent_huge_pages"] = "never";
  const WarningInputs inputs = {machine.facts,   machine.point,   machine.team,   machine.outcome,
                                machine.measure, machine.history, machine.record, {0, 1}};
  for (const Warning& warning : find_warnings(inputs)) EXPECT_EQ(warning.code, "debug_build");
}

TEST(Warnings, OfAMachineThatDrifts) {
  Quiet machine(2);
  machine.outcome.reference->before.gemm_s = machine.outcome.reference->after.gemm_s = 1.4e-3;
  machine.outcome.reference->before.gemm_slowest_s = machine.outcome.reference->after.gemm_slowest_s = 1.4e-3;
  EXPECT_NE(machine.only("machine_drift")
                .find("1.40 ms beside this case and 1.00 ms beside those before it (40 % more)"),
            std::string::npos);
}

TEST(Warnings, OfCoresThatMoved) {
  Quiet machine(2);
  machine.outcome.reference->before.core_latency_s = 55e-9;
  machine.outcome.reference->after.core_latency_s = 250e-9;
  EXPECT_NE(
      machine.only("moved_cores")
          .find("a cache line took 55 ns from one rank to the next before the samples and 250 ns after"),
      std::string::npos);
}

TEST(Warnings, OfABusyNeighbour) {
  Quiet machine(2);
  machine.outcome.reference->after.copy_s = machine.outcome.reference->after.copy_slowest_s = 4e-3;
  EXPECT_NE(machine.only("busy_neighbour").find("another program uses the caches or the memory"),
            std::string::npos);
}

}  // namespace
}  // namespace tpbench
