#include "result/environment_difference.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/json.hpp"

namespace tpbench {
namespace {

// At every depth.
constexpr std::string_view kIgnoredKeys[] = {"started_at",   "pid",          "memory_available_bytes",
                                             "boot_id_hash", "memory_bytes", "core_rates"};
// What a launcher tells its own processes about this one job, and where it was started.
constexpr std::string_view kIgnoredVariables[] = {"OMPI_MCA_ess", "OMPI_MCA_orte", "OMPI_MCA_initial_wdir",
                                                  "TPBENCH_E2E"};
// Slurm says much about each job, step and port, and more with each version: here stands what says how ranks
// are placed, bound and started, and on what.
constexpr std::string_view kSlurmVariables[] = {
    "SLURM_CLUSTER_NAME",     "SLURM_CORE_SPEC",      "SLURM_CPUS_ON_NODE",        "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_PER_GPU",     "SLURM_CPU_BIND",       "SLURM_CPU_FREQ_REQ",        "SLURM_DISTRIBUTION",
    "SLURM_EXCLUSIVE",        "SLURM_GPUS",           "SLURM_GPU_BIND",            "SLURM_GPU_FREQ",
    "SLURM_HINT",             "SLURM_JOB_PARTITION",  "SLURM_MEM_BIND",            "SLURM_MEM_PER_CPU",
    "SLURM_MEM_PER_GPU",      "SLURM_MEM_PER_NODE",   "SLURM_MPI_TYPE",            "SLURM_NETWORK",
    "SLURM_NNODES",           "SLURM_NPROCS",         "SLURM_NTASKS",              "SLURM_NTASKS_PER_CORE",
    "SLURM_NTASKS_PER_GPU",   "SLURM_NTASKS_PER_NODE", "SLURM_NTASKS_PER_SOCKET", "SLURM_OVERCOMMIT",
    "SLURM_STEP_NUM_NODES",   "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE",
    "SLURM_THREADS_PER_CORE", "SLURM_THREAD_SPEC"};

void erase_everywhere(Json& value) {
  if (value.is_object()) {
    for (const std::string_view key : kIgnoredKeys) value.erase(std::string(key));
  }
  if (!value.is_structured()) return;
  for (Json& inside : value) erase_everywhere(inside);
}

bool names_a_job(std::string_view name) {
  if (name.starts_with("SLURM_"))
    return std::find(std::begin(kSlurmVariables), std::end(kSlurmVariables), name) == std::end(kSlurmVariables);
  return std::any_of(std::begin(kIgnoredVariables), std::end(kIgnoredVariables),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Lists of objects become objects keyed by place, so that one value that differs is one line and not the
// whole list.
Json opened(const Json& value) {
  if (value.is_array() &&
      std::any_of(value.begin(), value.end(), [](const Json& item) { return item.is_structured(); })) {
    Json object = Json::object();
    for (std::size_t i = 0; i < value.size(); ++i) object[std::to_string(i)] = opened(value[i]);
    return object;
  }
  if (!value.is_object()) return value;
  Json object = Json::object();
  for (const auto& [key, inside] : value.items()) object[key] = opened(inside);
  return object;
}

Json comparable(Json environment) {
  erase_everywhere(environment);
  // The label and the noise are said of each folder elsewhere.
  for (const char* key : {"schema", "label", "noise"}) environment.erase(key);
  if (environment.contains("variables")) erase_job_variables(environment["variables"]);
  return opened(environment);
}

}  // namespace

void erase_job_variables(Json& variables) {
  if (!variables.is_object()) return;
  std::vector<std::string> names;
  for (const auto& [name, value] : variables.items()) {
    if (names_a_job(name)) names.push_back(name);
  }
  for (const std::string& name : names) variables.erase(name);
}

std::vector<JsonDifference> environment_differences(const Json& first, const Json& second) {
  std::vector<JsonDifference> found = differences(comparable(first), comparable(second));
  // Kernels that differ explain more than anything that follows.
  std::stable_partition(found.begin(), found.end(), [](const JsonDifference& difference) {
    return difference.pointer.ends_with("/blas/core");
  });
  return found;
}

}  // namespace tpbench
