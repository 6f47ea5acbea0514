#include "environment/launch.hpp"

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

TEST(WhyLaunchCannotRun, StartedAloneNamesTheCommand) {
  const auto why = why_launch_cannot_run(Launch{}, 1, 4, "tpbench --config a.json", "");
  ASSERT_TRUE(why);
  EXPECT_EQ(*why,
            "the sweep needs 4 ranks and this process was started alone; type: mpirun -n 4 tpbench --config "
            "a.json");
  const auto with_options = why_launch_cannot_run(Launch{}, 1, 4, "tpbench", "--oversubscribe");
  ASSERT_TRUE(with_options);
  EXPECT_NE(with_options->find("mpirun -n 4 --oversubscribe tpbench"), std::string::npos) << *with_options;
}

TEST(WhyLaunchCannotRun, OneRankSuffices) {
  EXPECT_FALSE(why_launch_cannot_run(Launch{}, 1, 1, "tpbench", ""));
}

TEST(WhyLaunchCannotRun, ASmallerLaunchOnPurposeIsNoFault) {
  EXPECT_FALSE(why_launch_cannot_run({"mpirun", 0, 2, 0}, 2, 8, "tpbench", ""));
  EXPECT_FALSE(why_launch_cannot_run({"mpirun", 0, 1, 0}, 1, 8, "tpbench", ""));
}

TEST(WhyLaunchCannotRun, SeveralThatEachBelieveToBeAlone) {
  const auto hydra = why_launch_cannot_run({"mpiexec.hydra", 1, 4, 1}, 1, 1, "tpbench", "");
  ASSERT_TRUE(hydra);
  EXPECT_NE(hydra->find("each of the 4 processes believes to be rank 0 of 1"), std::string::npos) << *hydra;
  EXPECT_NE(hydra->find("use Open MPI's own mpirun"), std::string::npos) << *hydra;
  const auto srun = why_launch_cannot_run({"srun", 0, 2, 0}, 1, 2, "tpbench", "");
  ASSERT_TRUE(srun);
  EXPECT_NE(srun->find("srun --mpi=pmix"), std::string::npos) << *srun;
  EXPECT_TRUE(why_launch_cannot_run({"pmix", 1, {}, {}}, 1, 1, "tpbench", ""))
      << "rank 1 of an unknown number";
}

TEST(MpirunOptions, FollowTheMachine) {
  const auto allowed =
      environment({{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
  const long cores = static_cast<long>(core_count());
  EXPECT_EQ(mpirun_options_here(cores, allowed), "");
  EXPECT_EQ(mpirun_options_here(cores + 1, allowed), "--oversubscribe");
  const auto in_allocation = environment(
      {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}, {"SLURM_JOB_ID", "1"}});
  EXPECT_EQ(mpirun_options_here(cores + 1, in_allocation), "");
}

TEST(MpirunToType, IsThatOfTheBundle) {
  EXPECT_EQ(mpirun_to_type(environment({{"PATH", "/usr/bin"}})), "mpirun");
  EXPECT_EQ(mpirun_to_type(environment({{"PATH", "/nonexistent"}, {"TPBENCH_BUNDLE", "/opt/my tools"}})),
            "'/opt/my tools/bin/mpirun'");
  // Any program of that name will do.
  const std::filesystem::path bundle = std::filesystem::path(testing::TempDir()) / "tpbench_bundle";
  std::filesystem::create_directories(bundle / "bin");
  std::filesystem::remove(bundle / "bin/mpirun");
  std::filesystem::create_symlink("/bin/sh", bundle / "bin/mpirun");
  const auto in_path =
      environment({{"PATH", (bundle / "bin").string()}, {"TPBENCH_BUNDLE", bundle.string()}});
  EXPECT_EQ(mpirun_to_type(in_path), "mpirun");
  std::filesystem::remove_all(bundle);
}

TEST(FindProgram, LooksInPathOnly) {
  EXPECT_TRUE(find_program("sh", environment({{"PATH", "/nonexistent:/bin:/usr/bin"}})));
  EXPECT_FALSE(find_program("sh", environment({{"PATH", "/nonexistent"}})));
  EXPECT_FALSE(find_program("bin", environment({{"PATH", "/usr"}}))) << "a folder is no program";
}

}  // namespace
}  // namespace tpbench
