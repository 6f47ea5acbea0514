#include "environment/environment.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/json_schema.hpp"
#include "comm/mpi_info.hpp"
#include "environment/host.hpp"
#include "environment/launch_facts.hpp"
#include "environment/transport.hpp"

namespace tpbench {
namespace {

const std::string kSourceDir = TPBENCH_SOURCE_DIR;

Json mpi_of(std::vector<std::string> btl) {
  return {
      {"library", "Open MPI v4.1.4"},
      {"implementation", "Open MPI"},
      {"version", "4.1.4"},
      {"standard", "3.1"},
      {"thread_level", "funneled"},
      {"requested",
       {{"pml", nullptr}, {"btl", nullptr}, {"mtl", nullptr}, {"coll", nullptr}, {"osc", nullptr}}},
      {"components",
       {{"pml", {"ob1"}}, {"btl", btl}, {"mtl", Json::array()}, {"coll", {"tuned"}}, {"osc", Json::array()}}},
      {"btl",
       {{{"name", "self"}, {"exclusivity", 65536}, {"eager_limit_bytes", 1024}},
        {{"name", "tcp"}, {"exclusivity", 100}, {"eager_limit_bytes", 65536}},
        {{"name", "vader"}, {"exclusivity", 65536}, {"eager_limit_bytes", 4096}}}},
      {"cuda_support", false}};
}

Json host_named(const std::string& name, const std::string& boot_id_hash) {
  HostFacts facts;
  facts.name = name;
  facts.boot_id_hash = boot_id_hash;
  facts.cores = 2;
  facts.allowed_cpus = {0, 1};
  return host_to_json(facts);
}

// Two ranks on one quiet host with nothing wrong.
EnvironmentInputs good_inputs() {
  EnvironmentInputs inputs;
  inputs.label = "shared-memory";
  inputs.started_at = "2026-11-22T12:00:00Z";
  inputs.mpi = mpi_of({"self", "vader"});
  inputs.hosts = {host_named("a", "0123456789abcdef")};
  inputs.ranks = {{0, "a", 10, {0}, 1}, {1, "a", 11, {1}, 1}};
  inputs.launcher = "mpirun";
  inputs.launcher_size = 2;
  inputs.variables = {"PATH=/usr/bin"};
  return inputs;
}

bool mentions(const std::vector<std::string>& texts, const std::string& word) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& text) { return text.find(word) != std::string::npos; });
}

// The build of the tests may itself be one to complain about.
std::vector<std::string> problems_of(const EnvironmentInputs& inputs) {
  std::vector<std::string> problems = environment_problems(inputs);
  std::erase_if(problems,
                [](const std::string& text) { return text.find("build without") != std::string::npos; });
  return problems;
}

std::vector<SchemaFault> schema_faults(const Json& document) {
  std::ifstream file(kSourceDir + "/docs/environment.schema.json");
  return validate_with_schema(Json::parse(file), document);
}

TEST(AllowedVariables, KeepsWhatSteersAndNothingElse) {
  const std::vector<std::string> variables = {"OMPI_MCA_btl=tcp,self",
                                              "UCX_TLS=rc",
                                              "NCCL_DEBUG=INFO",
                                              "OMP_NUM_THREADS=2",
                                              "HOME=/home/somebody",
                                              "SSH_AUTH_SOCK=/x",
                                              "AWS_REGION=x",
                                              "MY_OMP_THREADS=1",
                                              "CUDA_VISIBLE_DEVICES=0",
                                              "SLURM_JOB_ID=7",
                                              "TPBENCH_LABEL=a=b",
                                              "NVIDIA_TF32_OVERRIDE=0",
                                              "NOEQUALS"};
  const std::map<std::string, std::string> expected = {
      {"OMPI_MCA_btl", "tcp,self"},  {"UCX_TLS", "rc"},
      {"NCCL_DEBUG", "INFO"},        {"OMP_NUM_THREADS", "2"},
      {"CUDA_VISIBLE_DEVICES", "0"}, {"NVIDIA_TF32_OVERRIDE", "0"},
      {"SLURM_JOB_ID", "7"},         {"TPBENCH_LABEL", "a=b"}};
  EXPECT_EQ(allowed_variables(variables), expected);
}

TEST(AllowedVariables, NeverASecret) {
  const std::vector<std::string> variables = {"SLURM_JWT=hush",
                                              "SLURM_SPANK_MY_TOKEN=hush",
                                              "TPBENCH_API_KEY=hush",
                                              "TPBENCH_secret=hush",
                                              "UCX_Passphrase=hush",
                                              "I_MPI_HYDRA_CREDENTIALS=hush",
                                              "OMPI_MCA_sec_auth=hush",
                                              "OMPI_MCA_orte_precondition_transports=hush",
                                              "OMPI_MCA_orte_hnp_uri=hush",
                                              "SLURM_PROXY=http://me:hush@proxy:3128/",
                                              "TPBENCH_URLS=http://a/ https://hush@b",
                                              "FI_SASL=hush",
                                              "OMPI_MCA_x_pwd=hush",
                                              "UCX_PSK=hush",
                                              "SLURM_FOO=me:hush@host"};
  EXPECT_TRUE(allowed_variables(variables).empty());
  EnvironmentInputs inputs = good_inputs();
  inputs.variables = variables;
  EXPECT_EQ(describe_environment(inputs).dump().find("hush"), std::string::npos);
}

TEST(AllowedVariables, NotTheNumbersOfOneLaunch) {
  const std::vector<std::string> variables = {
      "OMPI_MCA_ess_base_jobid=1", "OMPI_MCA_orte_jobfam_session_dir=/tmp/x", "OMPI_MCA_btl=tcp,self"};
  EXPECT_EQ(allowed_variables(variables), (std::map<std::string, std::string>{{"OMPI_MCA_btl", "tcp,self"}}));
}

TEST(AllowedVariables, AnAddressIsNoLogin) {
  const std::vector<std::string> variables = {"TPBENCH_NOTE=see http://host/page or mail a@b"};
  EXPECT_EQ(allowed_variables(variables).size(), 1U);
}

TEST(DescribeEnvironment, IsValidAgainstThePublishedSchema) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts.push_back(host_to_json(read_host_facts()));
  inputs.variables = process_variables();
  const Json document = describe_environment(inputs);
  for (const SchemaFault& fault : schema_faults(document)) {
    ADD_FAILURE() << fault.pointer << ": " << fault.description;
  }
  EXPECT_EQ(document.at("schema"), "tpbench.environment/2");
  EXPECT_EQ(document.at("ranks").size(), 2U);
  EXPECT_TRUE(document.at("gpu").is_null());
}

TEST(DescribeEnvironment, IsValidWithNothingKnown) {
  EnvironmentInputs inputs;
  inputs.started_at = "2026-11-22T12:00:00Z";
  EXPECT_TRUE(schema_faults(describe_environment(inputs)).empty());
}

TEST(DescribeEnvironment, IsValidWithWhatMpiSaysBeforeItIsInitialised) {
  EnvironmentInputs inputs = good_inputs();
  inputs.mpi = describe_mpi();
  EXPECT_TRUE(inputs.mpi.at("library").is_string());
  EXPECT_TRUE(inputs.mpi.at("components").is_null());
  EXPECT_TRUE(schema_faults(describe_environment(inputs)).empty());
  EXPECT_EQ(describe_mpi(), inputs.mpi) << "asking twice does no harm";
}

TEST(DescribeEnvironment, TheSchemaRefusesWhatIsWrong) {
  const Json good = describe_environment(good_inputs());
  ASSERT_TRUE(schema_faults(good).empty());
  const auto refused = [&](const char* pointer, const Json& value) {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    return !schema_faults(bad).empty();
  };
  EXPECT_TRUE(refused("/schema", "tpbench.environment/3"));
  EXPECT_TRUE(refused("/surplus", 1));
  EXPECT_TRUE(refused("/started_at", "yesterday"));
  EXPECT_TRUE(refused("/hosts/0/cores", 0)) << "what does not exist is null, not 0";
  EXPECT_TRUE(refused("/hosts/0/os", ""));
  EXPECT_TRUE(refused("/ranks/0/threads", "1"));
  EXPECT_TRUE(refused("/variables/HOME", "/home/somebody"));
  Json without = good;
  without.erase("mpi");
  EXPECT_FALSE(schema_faults(without).empty());
}

TEST(EnvironmentProblems, NothingIsWrongWithAGoodLaunch) {
  EXPECT_EQ(problems_of(good_inputs()), std::vector<std::string>{});
}

TEST(EnvironmentProblems, Governor) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts[0]["governor"] = "powersave";
  EXPECT_TRUE(mentions(problems_of(inputs), "governor is powersave"));
  inputs.hosts[0]["governor"] = "performance";
  EXPECT_TRUE(problems_of(inputs).empty());
}

TEST(EnvironmentProblems, HugePages) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts[0]["transparent_huge_pages"] = "never";
  EXPECT_TRUE(mentions(problems_of(inputs), "transparent huge pages"));
}

TEST(EnvironmentProblems, CpuQuota) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts[0]["cpu_quota"] = 1.5;
  EXPECT_TRUE(mentions(problems_of(inputs), "1.5 cores' worth"));
  inputs.hosts[0]["cpu_quota"] = 2.0;
  EXPECT_TRUE(problems_of(inputs).empty());
}

TEST(EnvironmentProblems, Kernels) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts.push_back(host_named("b", "fedcba9876543210"));
  inputs.hosts[0]["blas"] = {{"core", "Prescott"},
                             {"advice", "OpenBLAS multiplies with its kernels for Prescott"}};
  inputs.hosts[1]["blas"] = {{"core", "Prescott"}, {"advice", nullptr}};
  EXPECT_TRUE(mentions(problems_of(inputs), "a: OpenBLAS multiplies with its kernels for Prescott"));
  EXPECT_FALSE(mentions(problems_of(inputs), "different kernels"));
  inputs.hosts[1]["blas"]["core"] = "SkylakeX";
  EXPECT_TRUE(mentions(problems_of(inputs), "different kernels (Prescott on a, SkylakeX on b)"));
}

TEST(EnvironmentProblems, SlowCores) {
  EnvironmentInputs inputs = good_inputs();
  for (RankPlace& place : inputs.ranks) place.rates = CoreRates{{100, 118}, {50, 59}};
  EXPECT_TRUE(problems_of(inputs).empty());
  inputs.ranks[1].rates->f64.gemm_gflops = 12;
  const auto problems = problems_of(inputs);
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_TRUE(problems[0].starts_with("a, rank 1: a product of 256 x 256 matrices in f64")) << problems[0];
  inputs.blas_problem = "the buffers of OpenBLAS";
  EXPECT_TRUE(mentions(problems_of(inputs), "the buffers of OpenBLAS"));
}

TEST(DefaultThreads, FollowCoresBindingAndQuota) {
  EXPECT_EQ(default_threads(8, 2, 8, std::nullopt), 4);
  EXPECT_EQ(default_threads(8, 2, 1, std::nullopt), 1);
  EXPECT_EQ(default_threads(8, 2, 8, 4.0), 2);
  EXPECT_EQ(default_threads(8, 2, 8, 3.9), 1) << "a share of a core is none";
  EXPECT_EQ(default_threads(8, 1, 8, 0.25), 1);
  EXPECT_EQ(default_threads(8, 16, 8, 16.0), 1);
}

TEST(EnvironmentProblems, MoreRanksThanCores) {
  EnvironmentInputs inputs = good_inputs();
  inputs.ranks.push_back({2, "a", 12, {0}, 1});
  EXPECT_TRUE(mentions(problems_of(inputs), "3 ranks on 2 cores"));
}

TEST(EnvironmentProblems, TwoRanksOnOneCore) {
  EnvironmentInputs inputs = good_inputs();
  inputs.ranks[1].cpus = {0};
  EXPECT_TRUE(mentions(problems_of(inputs), "2 ranks are bound to 1 CPU(s) of a"));
}

TEST(EnvironmentProblems, MoreThreadsThanCpus) {
  EnvironmentInputs inputs = good_inputs();
  for (RankPlace& place : inputs.ranks) place.threads = 2;
  EXPECT_TRUE(mentions(problems_of(inputs), "2 BLAS threads share 1 core(s) on rank 0"));
}

TEST(EnvironmentProblems, HostsThatAreOneMachine) {
  EnvironmentInputs inputs = good_inputs();
  inputs.hosts.push_back(host_named("b", "0123456789abcdef"));
  inputs.ranks[1] = {1, "b", 11, {0}, 1};
  const std::vector<std::string> problems = problems_of(inputs);
  EXPECT_TRUE(mentions(problems, "a, b: these hosts are one machine"));
  EXPECT_TRUE(mentions(problems, "bound to 1 CPU(s) of a, b"))
      << "both hosts bound their first rank to core 0";
  inputs.hosts[1]["boot_id_hash"] = "fedcba9876543210";
  EXPECT_TRUE(problems_of(inputs).empty());
}

TEST(EnvironmentProblems, ThreadVariablesThatSaySomethingElse) {
  EnvironmentInputs inputs = good_inputs();
  inputs.variables.emplace_back("OPENBLAS_NUM_THREADS=4");
  EXPECT_TRUE(mentions(problems_of(inputs), "OPENBLAS_NUM_THREADS=4"));
  inputs.variables.back() = "OMP_NUM_THREADS=1";
  EXPECT_TRUE(problems_of(inputs).empty());
}

TEST(EnvironmentProblems, WorkersThatSpinTakeCores) {
  EnvironmentInputs inputs = good_inputs();
  inputs.openmp_threads = 2;
  inputs.backends["onednn"] = {{"library", "oneDNN"}};
  const auto spins = [&](const std::vector<std::string>& variables) {
    inputs.variables = {"PATH=/usr/bin"};
    inputs.variables.insert(inputs.variables.end(), variables.begin(), variables.end());
    return mentions(problems_of(inputs), "spin between products");
  };
  EXPECT_FALSE(spins({}));
  EXPECT_FALSE(spins({"OMP_WAIT_POLICY=passive"}));
  EXPECT_TRUE(spins({"OMP_WAIT_POLICY=ACTIVE"}));
  EXPECT_TRUE(spins({"OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=infinity"}));
  EXPECT_TRUE(spins({"OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=10k"}));
  EXPECT_FALSE(spins({"OMP_WAIT_POLICY=active", "GOMP_SPINCOUNT=0"}));
  inputs.openmp_threads = 1;
  EXPECT_FALSE(spins({"GOMP_SPINCOUNT=infinity"}));
  inputs.openmp_threads = 2;
  inputs.backends["onednn"] = {{"missing", "no plug-in"}};
  EXPECT_FALSE(spins({"GOMP_SPINCOUNT=infinity"}));
}

TEST(EnvironmentProblems, OnednnIsKeptFromStdout) {
  EnvironmentInputs inputs = good_inputs();
  inputs.variables.emplace_back("DNNL_VERBOSE=1");
  EXPECT_TRUE(problems_of(inputs).empty());
  inputs.backends["onednn"] = {{"library", "oneDNN"}};
  EXPECT_TRUE(mentions(problems_of(inputs), "DNNL_VERBOSE=1 was switched off"));
  inputs.variables.back() = "ONEDNN_VERBOSE=0";
  EXPECT_TRUE(problems_of(inputs).empty());
}

TEST(EnvironmentProblems, NoLauncher) {
  EnvironmentInputs inputs = good_inputs();
  inputs.launcher = "none";
  inputs.variables = {"PATH=/nonexistent"};
  EXPECT_TRUE(mentions(problems_of(inputs), "no launcher found"));
  inputs.variables.emplace_back("TPBENCH_BUNDLE=/opt/tpbench");
  EXPECT_FALSE(mentions(problems_of(inputs), "no launcher found"));
}

TEST(DataPath, OneHostIsItsMemory) {
  EXPECT_TRUE(mentions(data_path_remarks(good_inputs()), "through its memory"));
  EnvironmentInputs alone = good_inputs();
  alone.ranks.resize(1);
  EXPECT_TRUE(data_path_remarks(alone).empty());
}

TEST(DataPath, TwoHostsNameTheWire) {
  EnvironmentInputs inputs = good_inputs();
  inputs.mpi = mpi_of({"self", "tcp", "vader"});
  inputs.hosts.push_back(host_named("b", "fedcba9876543210"));
  inputs.ranks[1].host = "b";
  inputs.variables.emplace_back("OMPI_MCA_btl_tcp_if_include=10.0.0.0/24");
  std::vector<std::string> remarks = data_path_remarks(inputs);
  EXPECT_TRUE(mentions(remarks, "TCP (btl tcp), restricted to 10.0.0.0/24"));
  EXPECT_FALSE(mentions(remarks, "emulated"));
  inputs.hosts[1]["boot_id_hash"] = inputs.hosts[0]["boot_id_hash"];
  EXPECT_TRUE(mentions(data_path_remarks(inputs), "a and b are one kernel"));
  EXPECT_TRUE(mentions(data_path_remarks(inputs), "emulated"));
  inputs.hosts.push_back(host_named("c", "1111111111111111"));
  EXPECT_TRUE(mentions(data_path_remarks(inputs), "a and b are one kernel")) << "whatever else there is";
}

// Containers that one daemon of the launcher started: two hosts, and MPI sends through the node's memory.
TEST(DataPath, TwoHostsOnOneNodeOfMpi) {
  EnvironmentInputs inputs = good_inputs();
  inputs.mpi = mpi_of({"self", "tcp", "vader"});
  inputs.hosts.push_back(host_named("b", "0123456789abcdef"));
  inputs.ranks[1].host = "b";
  EXPECT_TRUE(mentions(data_path_remarks(inputs), "TCP"));
  EXPECT_EQ(find_transport(inputs, 0, 1).component, "tcp");
  inputs.node_of_host = {0, 0};
  EXPECT_FALSE(mentions(data_path_remarks(inputs), "TCP"));
  EXPECT_EQ(find_transport(inputs, 0, 1).component, "vader");
  EXPECT_EQ(find_transport(inputs, 0, 1).loopback, true);
}

TEST(LaunchFacts, HostsOfOneNameAreToldApart) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(distinct_names({"node", "a", "node", "node"}), (Names{"node", "a", "node#2", "node#3"}));
}

TEST(DataPath, AnIdleInfinibandPortIsNamed) {
  EnvironmentInputs inputs = good_inputs();
  inputs.mpi = mpi_of({"self", "tcp"});
  HostFacts facts;
  facts.name = "b";
  facts.interfaces = {{"mlx5_0:1", "infiniband", "active", 100000.0, std::nullopt, false}};
  inputs.hosts.push_back(host_to_json(facts));
  inputs.ranks[1].host = "b";
  EXPECT_TRUE(mentions(data_path_remarks(inputs), "mlx5_0:1"));
}

// Ranks 0 and 1 on host a, 2 on host b; other kernels.
EnvironmentInputs two_hosts(std::vector<std::string> btl) {
  EnvironmentInputs inputs = good_inputs();
  inputs.mpi = mpi_of(std::move(btl));
  inputs.hosts.push_back(host_named("b", "fedcba9876543210"));
  inputs.ranks.push_back({2, "b", 12, {0}, 1});
  return inputs;
}

TEST(Transport, TheOnlyLayerThatReachesIsSelected) {
  const EnvironmentInputs inputs = two_hosts({"self", "tcp", "vader"});
  const Transport between = find_transport(inputs, 0, 1);
  EXPECT_EQ(between.how, TransportCertainty::selected) << "vader does not leave its host";
  EXPECT_EQ(between.framework, "btl");
  EXPECT_EQ(between.component, "tcp");
  EXPECT_EQ(between.eager_limit_bytes, 65536);
  EXPECT_EQ(between.loopback, false);
}

TEST(Transport, OfSeveralTheLargestExclusivityIsNamedAndNotClaimed) {
  const Transport inside = find_transport(two_hosts({"self", "tcp", "vader"}), 0, 0);
  EXPECT_EQ(inside.how, TransportCertainty::allowed);
  EXPECT_EQ(inside.component, "vader");
  EXPECT_EQ(inside.candidates, (std::vector<std::string>{"tcp", "vader"})) << "self reaches no other rank";
  EXPECT_EQ(inside.eager_limit_bytes, 4096);
  EXPECT_EQ(inside.loopback, std::nullopt);
}

TEST(Transport, NoneIsNamedWhereTheRuleDoesNotDecide) {
  EnvironmentInputs inputs = two_hosts({"self", "tcp", "vader"});
  inputs.mpi["btl"][1]["exclusivity"] = 65536;
  EXPECT_EQ(find_transport(inputs, 0, 0).component, "") << "equal";
  inputs.mpi["btl"][1]["exclusivity"] = nullptr;
  EXPECT_EQ(find_transport(inputs, 0, 0).component, "") << "not said";
  EXPECT_EQ(find_transport(inputs, 0, 0).eager_limit_bytes, std::nullopt);
  EXPECT_EQ(find_transport(inputs, 0, 0).how, TransportCertainty::allowed);
}

TEST(Transport, TheStubOfSharedMemoryCarriesNothing) {
  EnvironmentInputs inputs = two_hosts({"self", "sm", "vader"});
  EXPECT_EQ(find_transport(inputs, 0, 0).candidates, (std::vector<std::string>{"vader"}));
  inputs.mpi["btl"].push_back({{"name", "sm"}, {"exclusivity", 65536}, {"eager_limit_bytes", 4096}});
  EXPECT_EQ(find_transport(inputs, 0, 0).candidates, (std::vector<std::string>{"sm", "vader"}));
}

TEST(Transport, UnknownWhereNothingIsTold) {
  EnvironmentInputs inputs = two_hosts({"self", "vader"});
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::unknown) << "nothing reaches";
  inputs.mpi["components"] = nullptr;
  inputs.mpi["btl"] = nullptr;
  EXPECT_EQ(find_transport(inputs, 0, 0).how, TransportCertainty::unknown) << "built in";
  inputs.mpi = nullptr;
  const Transport transport = find_transport(inputs, 0, 1);
  EXPECT_EQ(transport.how, TransportCertainty::unknown);
  EXPECT_EQ(transport.component, "");
  EXPECT_FALSE(transport.reason.empty());
}

TEST(Transport, MatchingLayersAndWholePmls) {
  EnvironmentInputs inputs = two_hosts({"self", "tcp", "vader"});
  inputs.mpi["components"]["pml"] = {"ucx"};
  EXPECT_EQ(find_transport(inputs, 0, 1).framework, "pml");
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::selected);
  EXPECT_EQ(find_transport(inputs, 0, 1).eager_limit_bytes, std::nullopt) << "UCX has limits of its own";
  inputs.mpi["components"]["pml"] = {"cm"};
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::unknown) << "cm without an mtl";
  inputs.mpi["components"]["mtl"] = {"psm2"};
  EXPECT_EQ(find_transport(inputs, 0, 1).component, "psm2");
  inputs.mpi["components"]["pml"] = {"cm", "ob1"};
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::allowed);
  EXPECT_EQ(find_transport(inputs, 0, 1).component, "");
}

TEST(Transport, CountsOnlyWhatBothHostsHave) {
  EnvironmentInputs inputs = two_hosts({"openib", "self", "tcp", "vader"});
  const Json here = inputs.mpi.at("components"), there = mpi_of({"self", "tcp", "vader"}).at("components");
  inputs.components = {here, here};
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::allowed);
  inputs.components = {here, there};
  EXPECT_EQ(find_transport(inputs, 0, 1).how, TransportCertainty::selected);
  EXPECT_EQ(find_transport(inputs, 0, 1).component, "tcp");
}

TEST(Transport, OneKernelIsLoopback) {
  EnvironmentInputs inputs = two_hosts({"self", "tcp"});
  inputs.hosts[1]["boot_id_hash"] = inputs.hosts[0]["boot_id_hash"];
  EXPECT_EQ(find_transport(inputs, 0, 1).loopback, true);
  inputs.hosts[1]["boot_id_hash"] = nullptr;
  EXPECT_EQ(find_transport(inputs, 0, 1).loopback, std::nullopt);
}

TEST(Transport, EqualAnswersShareAnEntry) {
  EnvironmentInputs inputs = two_hosts({"self", "tcp", "vader"});
  for (int i = 0; i < 12; ++i) {
    const std::string name = "c" + std::to_string(i);
    inputs.hosts.push_back(host_named(name, fmt::format("{:016x}", i)));
    inputs.ranks.push_back({3 + i, name, 20, {0}, 1});
  }
  const Json entries = transports_to_json(inputs);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].at("between"), Json({{"a"}})) << "only host a has two ranks";
  EXPECT_EQ(entries[1].at("count"), 14 * 13 / 2);
  EXPECT_EQ(entries[1].at("between").size(), 64U);
  EXPECT_EQ(entries[1].at("between")[0], Json({"a", "b"}));
  EXPECT_TRUE(schema_faults(describe_environment(inputs)).empty());
  inputs.ranks.resize(1);
  EXPECT_TRUE(transports_to_json(inputs).empty());
}

}  // namespace
}  // namespace tpbench
