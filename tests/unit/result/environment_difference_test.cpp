#include "result/environment_difference.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"

namespace tpbench {
namespace {

Json environment() {
  return Json::parse(R"({
    "schema": "tpbench.environment/1", "label": "a", "started_at": "2026-11-22T13:54:21Z",
    "mpi": {"version": "4.1.4", "components": {"btl": ["self", "tcp"]}},
    "hosts": [{"name": "n1", "cores": 2, "memory_available_bytes": 5, "boot_id_hash": "x",
               "interfaces": [{"name": "eth0", "speed_mbit_per_s": 1000}]}],
    "ranks": [{"rank": 0, "host": "n1", "pid": 7, "cpus": [0]}],
    "noise": {"min_s": 1.0, "relative": 0.1, "worst_rank_relative": 0.1},
    "variables": {"OMPI_MCA_btl": "tcp,self", "OMPI_MCA_ess_base_jobid": "1", "SLURM_JOB_ID": "5"}})");
}

TEST(EnvironmentDifferences, LeaveOutWhatTwoLaunchesNeverShare) {
  Json other = environment();
  other["started_at"] = "2026-11-23T00:00:00Z";
  other["hosts"][0]["memory_available_bytes"] = 6;
  other["hosts"][0]["boot_id_hash"] = "y";
  other["ranks"][0]["pid"] = 8;
  other["noise"] = {{"min_s", 2.0}, {"relative", 0.2}, {"worst_rank_relative", 0.3}};
  other["variables"]["OMPI_MCA_ess_base_jobid"] = "2";
  for (const char* name :
       {"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PMIXP_ABORT_AGENT_PORT", "SLURM_NODE_ALIASES",
        "SLURM_STEP_NODELIST", "SLURM_RESTART_COUNT", "SLURM_OF_TOMORROW"})
    other["variables"][name] = "6";
  other["label"] = "b";
  EXPECT_TRUE(environment_differences(environment(), other).empty());
}

TEST(EnvironmentDifferences, NameWhatSlurmWasToldOfRanks) {
  for (const char* name : {"SLURM_CPU_BIND", "SLURM_CPUS_PER_TASK", "SLURM_DISTRIBUTION", "SLURM_NNODES"}) {
    Json other = environment();
    other["variables"][name] = "6";
    EXPECT_EQ(environment_differences(environment(), other).size(), 1U) << name;
  }
}

TEST(EnvironmentDifferences, NameEachValueByItsPlace) {
  Json other = environment();
  other["mpi"]["components"]["btl"] = {"self", "vader"};
  other["hosts"][0]["interfaces"][0]["speed_mbit_per_s"] = 10000;
  other["variables"].erase("OMPI_MCA_btl");
  const auto found = environment_differences(environment(), other);
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].pointer, "/mpi/components/btl");
  EXPECT_EQ(found[0].second, R"(["self","vader"])");
  EXPECT_EQ(found[1].pointer, "/hosts/0/interfaces/0/speed_mbit_per_s");
  EXPECT_EQ(found[1].first, "1000");
  EXPECT_EQ(found[2].pointer, "/variables/OMPI_MCA_btl");
  EXPECT_EQ(found[2].second, "absent");
}

TEST(EnvironmentDifferences, SayKernelsFirst) {
  Json first = environment(), second = environment();
  first["blas"] = {{"core", "Prescott"}, {"config", "OpenBLAS Prescott"}};
  second["blas"] = {{"core", "SkylakeX"}, {"config", "OpenBLAS SkylakeX"}};
  first["hosts"][0]["blas"] = {{"core", "Prescott"}};
  second["hosts"][0]["blas"] = {{"core", "SkylakeX"}};
  second["a"] = 1;
  first["ranks"][0]["core_rates"] = {{"f32", 100}};  // no two launches share them
  const auto found = environment_differences(first, second);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_TRUE(found[0].pointer.ends_with("/blas/core")) << found[0].pointer;
  EXPECT_TRUE(found[1].pointer.ends_with("/blas/core")) << found[1].pointer;
}

TEST(EnvironmentDifferences, TellALongerListFromAShorterOne) {
  Json other = environment();
  other["ranks"].push_back({{"rank", 1}, {"host", "n2"}});
  const auto found = environment_differences(environment(), other);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].pointer, "/ranks/1");
  EXPECT_EQ(found[0].first, "absent");
}

TEST(EnvironmentDifferences, TakeAnyDocument) {
  EXPECT_TRUE(environment_differences(Json::object(), Json::object()).empty());
  EXPECT_EQ(environment_differences(Json::object(), {{"variables", nullptr}, {"noise", 3}}).size(), 1U);
}

}  // namespace
}  // namespace tpbench
