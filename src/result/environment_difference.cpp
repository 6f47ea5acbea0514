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
                                                  "SLURM_JOB",    "SLURM_STEP",    "SLURM_TASK_PID",
                                                  "SLURM_LAUNCH", "SLURM_SRUN",    "SLURM_SUBMIT",
                                                  "SLURM_PROCID", "SLURM_LOCALID", "SLURM_GTIDS",
                                                  "SLURM_NODEID", "TPBENCH_E2E"};

void erase_everywhere(Json& value) {
  if (value.is_object()) {
    for (const std::string_view key : kIgnoredKeys) value.erase(std::string(key));
  }
  if (!value.is_structured()) return;
  for (Json& inside : value) erase_everywhere(inside);
}

void erase_job_variables(Json& variables) {
  std::vector<std::string> names;
  for (const auto& [name, value] : variables.items()) {
    if (std::any_of(std::begin(kIgnoredVariables), std::end(kIgnoredVariables),
                    [&, &text = name](std::string_view prefix) { return text.starts_with(prefix); }))
      names.push_back(name);
  }
  for (const std::string& name : names) variables.erase(name);
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
  if (environment.contains("variables") && environment["variables"].is_object())
    erase_job_variables(environment["variables"]);
  return opened(environment);
}

}  // namespace

std::vector<JsonDifference> environment_differences(const Json& first, const Json& second) {
  std::vector<JsonDifference> found = differences(comparable(first), comparable(second));
  // Kernels that differ explain more than anything that follows.
  std::stable_partition(found.begin(), found.end(), [](const JsonDifference& difference) {
    return difference.pointer.ends_with("/blas/core");
  });
  return found;
}

}  // namespace tpbench
