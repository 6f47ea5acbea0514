#include "environment/launch.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "environment/host.hpp"

namespace tpbench {
namespace {

ReadVariable environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

void expect_launch(const Launch& launch, const std::string& launcher, std::optional<long> rank,
                   std::optional<long> size, std::optional<long> local_rank) {
  EXPECT_EQ(launch.launcher, launcher);
  EXPECT_EQ(launch.rank, rank);
  EXPECT_EQ(launch.size, size);
  EXPECT_EQ(launch.local_rank, local_rank);
}

TEST(DetectLaunch, NothingSetIsNoLaunch) {
  expect_launch(detect_launch(environment({})), "none", {}, {}, {});
}

TEST(DetectLaunch, Mpirun) {
  expect_launch(detect_launch(environment({{"OMPI_COMM_WORLD_RANK", "3"},
                                           {"OMPI_COMM_WORLD_SIZE", "8"},
                                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                           {"PMIX_RANK", "3"}})),
                "mpirun", 3, 8, 1);
}

TEST(DetectLaunch, SrunStep) {
  expect_launch(detect_launch(environment({{"SLURM_JOB_ID", "7"},
                                           {"SLURM_STEP_ID", "0"},
                                           {"SLURM_PROCID", "1"},
                                           {"SLURM_LOCALID", "1"},
                                           {"SLURM_NTASKS", "4"},
                                           {"SLURM_STEP_NUM_TASKS", "2"},
                                           {"PMIX_RANK", "1"}})),
                "srun", 1, 2, 1);
}

TEST(DetectLaunch, AnAllocationIsNoLaunch) {
  EXPECT_EQ(detect_launch(environment({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}})).launcher, "none");
  EXPECT_EQ(detect_launch(environment({{"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}})).launcher, "none");
}

TEST(DetectLaunch, TheBatchScriptAndTheInteractiveShellAreNoLaunch) {
  for (const char* step : {"4294967291", "4294967290"}) {
    EXPECT_EQ(detect_launch(environment({{"SLURM_STEP_ID", step}, {"SLURM_PROCID", "0"}})).launcher, "none")
        << step;
  }
}

TEST(DetectLaunch, MpirunInsideAnAllocationIsMpirun) {
  expect_launch(detect_launch(environment({{"SLURM_STEP_ID", "0"},
                                           {"SLURM_PROCID", "1"},
                                           {"SLURM_STEP_NUM_TASKS", "2"},
                                           {"OMPI_COMM_WORLD_RANK", "5"},
                                           {"OMPI_COMM_WORLD_SIZE", "8"}})),
                "mpirun", 5, 8, {});
}

TEST(DetectLaunch, Hydra) {
  expect_launch(detect_launch(environment({{"PMI_RANK", "2"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "2"}})),
                "mpiexec.hydra", 2, 4, 2);
  EXPECT_EQ(detect_launch(environment({{"PMI_RANK", "2"},
                                       {"PMI_SIZE", "4"},
                                       {"MPI_LOCALRANKID", "0"},
                                       {"SLURM_STEP_ID", "0"},
                                       {"SLURM_PROCID", "1"}}))
                .launcher,
            "mpiexec.hydra");
}

TEST(DetectLaunch, SrunWithPmi2IsSrun) {
  expect_launch(detect_launch(environment({{"PMI_RANK", "1"},
                                           {"PMI_SIZE", "2"},
                                           {"SLURM_STEP_ID", "3"},
                                           {"SLURM_PROCID", "1"},
                                           {"SLURM_STEP_NUM_TASKS", "2"}})),
                "srun", 1, 2, {});
}

TEST(DetectLaunch, AnotherPmixLauncher) {
  expect_launch(detect_launch(environment({{"PMIX_RANK", "1"}})), "pmix", 1, {}, {});
}

TEST(DetectLaunch, NonsenseInAVariableIsNoNumber) {
  expect_launch(detect_launch(environment({{"OMPI_COMM_WORLD_SIZE", "8x"}, {"OMPI_COMM_WORLD_RANK", "-1"}})),
                "mpirun", {}, {}, {});
}

const std::map<std::string, std::string> kAllowed = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}, {"PATH", "/nonexistent"}};

ReadVariable allowed(std::map<std::string, std::string> variables = {}) {
  variables.insert(kAllowed.begin(), kAllowed.end());
  return environment(std::move(variables));
}

TEST(WhyLaunchCannotRun, StartedAloneNamesTheCommand) {
  const auto why =
      why_launch_cannot_run(Launch{}, 1, 4, "tpbench --config a.json", allowed({{"SLURM_JOB_ID", "1"}}));
  ASSERT_TRUE(why);
  EXPECT_EQ(*why,
            "the sweep needs 4 ranks and this process was started alone; type: mpirun -n 4 tpbench --config "
            "a.json");
}

TEST(WhyLaunchCannotRun, OneRankSuffices) {
  EXPECT_FALSE(why_launch_cannot_run(Launch{}, 1, 1, "tpbench", allowed()));
}

TEST(WhyLaunchCannotRun, ASmallerLaunchOnPurposeIsNoFault) {
  EXPECT_FALSE(why_launch_cannot_run({"mpirun", 0, 2, 0}, 2, 8, "tpbench", allowed()));
  EXPECT_FALSE(why_launch_cannot_run({"mpirun", 0, 1, 0}, 1, 8, "tpbench", allowed()));
}

TEST(WhyLaunchCannotRun, SeveralThatEachBelieveToBeAlone) {
  const auto hydra = why_launch_cannot_run({"mpiexec.hydra", 1, 4, 1}, 1, 1, "tpbench", allowed());
  ASSERT_TRUE(hydra);
  EXPECT_NE(hydra->find("each of the 4 processes thinks it is rank 0 of 1"), std::string::npos) << *hydra;
  EXPECT_NE(hydra->find("use Open MPI's own mpirun"), std::string::npos) << *hydra;
  const auto srun = why_launch_cannot_run({"srun", 0, 2, 0}, 1, 2, "tpbench", allowed());
  ASSERT_TRUE(srun);
  EXPECT_NE(srun->find("srun --mpi=pmix"), std::string::npos) << *srun;
  EXPECT_TRUE(why_launch_cannot_run({"pmix", 1, {}, {}}, 1, 1, "tpbench", allowed()))
      << "rank 1 of an unknown number";
}

TEST(WhyMpiCannotStart, AStepWithoutPmix) {
  const Launch step = {"srun", 0, 4, 0};
  const auto why =
      why_mpi_cannot_start(step, "tpbench -c a.json", false, allowed({{"SLURM_STEP_NUM_NODES", "2"}}));
  ASSERT_TRUE(why);
  EXPECT_EQ(
      *why,
      "srun did not offer PMIx to Open MPI, which cannot start without; type: srun --mpi=pmix -N 2 -n 4 "
      "tpbench -c a.json");
  EXPECT_FALSE(why_mpi_cannot_start(step, "tpbench", false, allowed({{"PMIX_NAMESPACE", "slurm.pmix.1.0"}})));
  EXPECT_FALSE(why_mpi_cannot_start({"mpirun", 0, 4, 0}, "tpbench", false, allowed()));
  EXPECT_FALSE(why_mpi_cannot_start(Launch{}, "tpbench", false, allowed()));
}

TEST(WhyMpiCannotStart, PmiIsForLibrariesThatSpeakIt) {
  const Launch step = {"srun", 0, 4, 0};
  const auto pmi2 = allowed({{"PMI_RANK", "0"}, {"PMI_FD", "5"}});
  EXPECT_TRUE(why_mpi_cannot_start(step, "tpbench", false, pmi2));
  EXPECT_FALSE(why_mpi_cannot_start(step, "tpbench", true, pmi2));
  EXPECT_TRUE(why_mpi_cannot_start(step, "tpbench", true, allowed())) << "nothing is offered";
}

TEST(StartToType, FollowsTheMachine) {
  const long cores = static_cast<long>(core_count());
  EXPECT_EQ(start_to_type(cores, allowed()), fmt::format("mpirun -n {}", cores));
  EXPECT_EQ(start_to_type(cores + 1, allowed()), fmt::format("mpirun -n {} --oversubscribe", cores + 1));
  // An allocation knows its slots.
  EXPECT_EQ(start_to_type(cores + 1, allowed({{"PBS_JOBID", "1"}})), fmt::format("mpirun -n {}", cores + 1));
}

TEST(StartToType, IsSrunInsideASlurmJob) {
  const auto step = allowed({{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}});
  EXPECT_EQ(start_to_type(4, step), "srun --mpi=pmix -n 4");
  EXPECT_EQ(unbound_to_type(step), "srun --cpu-bind=none");
  EXPECT_EQ(core_each_to_type(step), "srun --cpu-bind=cores");
  // Under mpirun, also inside a job: what was typed.
  const auto mpirun = allowed(
      {{"SLURM_JOB_ID", "1"}, {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"OMPI_COMM_WORLD_SIZE", "2"}});
  EXPECT_EQ(start_to_type(2, mpirun), "mpirun -n 2");
  EXPECT_EQ(unbound_to_type(mpirun), "mpirun --bind-to none");
  EXPECT_EQ(core_each_to_type(mpirun), "mpirun --map-by core");
}

TEST(StartToType, IsThatOfTheBundle) {
  EXPECT_EQ(start_to_type(1, allowed({{"TPBENCH_BUNDLE", "/opt/my tools"}})),
            "'/opt/my tools/bin/mpirun' -n 1");
  // Any program of that name will do.
  const std::filesystem::path bundle = std::filesystem::path(testing::TempDir()) / "tpbench_bundle";
  std::filesystem::create_directories(bundle / "bin");
  std::filesystem::remove(bundle / "bin/mpirun");
  std::filesystem::create_symlink("/bin/sh", bundle / "bin/mpirun");
  const auto in_path = allowed({{"PATH", (bundle / "bin").string()}, {"TPBENCH_BUNDLE", bundle.string()}});
  EXPECT_EQ(start_to_type(1, in_path), "mpirun -n 1");
  std::filesystem::remove_all(bundle);
}

TEST(SlurmCpus, AreThoseOfATaskAndNoMoreThanTheNodesShare) {
  EXPECT_FALSE(slurm_cpus_per_rank(2, allowed()));
  EXPECT_EQ(slurm_cpus_per_rank(2, allowed({{"SLURM_CPUS_PER_TASK", "4"}})), 4);
  EXPECT_EQ(slurm_cpus_per_rank(2, allowed({{"SLURM_CPUS_ON_NODE", "6"}})), 3);
  // What sbatch was told and srun was not.
  EXPECT_EQ(slurm_cpus_per_rank(2, allowed({{"SLURM_CPUS_PER_TASK", "4"}, {"SLURM_CPUS_ON_NODE", "2"}})), 1);
  EXPECT_EQ(slurm_cpus_per_rank(4, allowed({{"SLURM_CPUS_ON_NODE", "2"}})), 1);
}

TEST(InterruptedStatus, IsOneThatSlurmDoesNotTakeForAUsageError) {
  EXPECT_EQ(interrupted_status(allowed()), ExitStatus::interrupted);
  const auto in_slurm = static_cast<int>(interrupted_status(allowed({{"SLURM_JOB_ID", "1"}})));
  EXPECT_EQ(in_slurm, 143);
  EXPECT_GT(in_slurm - 128, static_cast<int>(ExitStatus::environment));
}

TEST(FindProgram, LooksInPathOnly) {
  EXPECT_TRUE(find_program("sh", environment({{"PATH", "/nonexistent:/bin:/usr/bin"}})));
  EXPECT_FALSE(find_program("sh", environment({{"PATH", "/nonexistent"}})));
  EXPECT_FALSE(find_program("bin", environment({{"PATH", "/usr"}}))) << "a folder is no program";
}

}  // namespace
}  // namespace tpbench
