#include "environment/environment.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "base/build_info.hpp"
#include "base/json.hpp"
#include "environment/transport.hpp"

namespace tpbench {
namespace {

// The whole environment holds secrets; these prefixes name what steers a measurement.
constexpr std::array<std::string_view, 22> kAllowedPrefixes = {"OMPI_MCA_", "UCX_",
                                                               "NCCL_",     "OMP_",
                                                               "GOMP_",     "DNNL_",
                                                               "ONEDNN_",   "OPENBLAS_",
                                                               "SLURM_",    "PMIX_MCA_",
                                                               "PRTE_MCA_", "MKL_",
                                                               "BLIS_",     "GOTO_",
                                                               "KMP_",      "FI_",
                                                               "CUDA_",     "PSM2_",
                                                               "I_MPI_",    "TPBENCH_",
                                                               "CUBLAS",    "NVIDIA_TF32_OVERRIDE"};

// Even within them: SLURM_JWT is a login. mpirun tells its ranks a key that they share
// ("precondition_transports") and the addresses where its daemons listen ("hnp_uri").
constexpr std::array<std::string_view, 14> kSecretWords = {"TOKEN",
                                                           "KEY",
                                                           "SECRET",
                                                           "PASS",
                                                           "PWD",
                                                           "PSK",
                                                           "SASL",
                                                           "LOGIN",
                                                           "CERT",
                                                           "JWT",
                                                           "CRED",
                                                           "AUTH",
                                                           "PRECONDITION_TRANSPORTS",
                                                           "_URI"};

// What mpirun tells its own daemons and ranks: job numbers and folders of this launch, which steer no
// measurement.
constexpr std::array<std::string_view, 2> kLaunchPrefixes = {"OMPI_MCA_ess_", "OMPI_MCA_orte_"};

std::string upper_case(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return upper;
}

bool is_allowed_name(std::string_view name) {
  const bool steers = std::any_of(kAllowedPrefixes.begin(), kAllowedPrefixes.end(),
                                  [&](std::string_view prefix) { return name.starts_with(prefix); });
  const bool launches = std::any_of(kLaunchPrefixes.begin(), kLaunchPrefixes.end(),
                                    [&](std::string_view prefix) { return name.starts_with(prefix); });
  const std::string upper = upper_case(name);
  return steers && !launches &&
         std::none_of(kSecretWords.begin(), kSecretWords.end(),
                      [&](std::string_view word) { return upper.find(word) != std::string::npos; });
}

// "user:password@host": a colon before an "@" of the same word.
bool holds_bare_login(std::string_view value) {
  for (std::size_t at = value.find('@'); at != std::string_view::npos; at = value.find('@', at + 1)) {
    const std::size_t start = value.find_last_of("/ \t,;=", at);
    const std::size_t first = start == std::string_view::npos ? 0 : start + 1;
    if (value.substr(first, at - first).find(':') != std::string_view::npos) return true;
  }
  return false;
}

// "http://user:password@proxy": a login stands between "://" and "@" of the same word.
bool holds_login(std::string_view value) {
  if (holds_bare_login(value)) return true;
  for (std::size_t at = value.find("://"); at != std::string_view::npos; at = value.find("://", at + 3)) {
    const std::string_view rest = value.substr(at + 3);
    if (rest.substr(0, rest.find_first_of("/ \t,;")).find('@') != std::string_view::npos) return true;
  }
  return false;
}

Json rank_to_json(const RankPlace& place) {
  return {{"rank", place.world_rank},
          {"host", place.host},
          {"pid", place.pid},
          {"cpus", place.cpus},
          {"threads", place.threads},
          {"core_rates", place.rates ? core_rates_to_json(*place.rates) : Json(nullptr)}};
}

Json build_to_json(const BuildInfo& build) {
  return {{"type", build.build_type},
          {"compiler", build.compiler},
          {"flags", build.compiler_flags},
          {"optimised", build.optimised}};
}

}  // namespace

std::vector<std::string> process_variables() {
  std::vector<std::string> variables;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) variables.emplace_back(*at);
  return variables;
}

std::map<std::string, std::string> allowed_variables(std::span<const std::string> variables) {
  std::map<std::string, std::string> allowed;
  for (const std::string& variable : variables) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals), value = variable.substr(equals + 1);
    if (is_allowed_name(name) && !holds_login(value)) allowed[name] = value;
  }
  return allowed;
}

Json describe_environment(const EnvironmentInputs& inputs) {
  const BuildInfo& build = build_info();
  const auto of_backend = [&](const char* key) {
    const auto found = inputs.backends.find(key);
    return found == inputs.backends.end() ? Json(nullptr) : found->second;
  };
  Json ranks = Json::array(), hosts = Json::array();
  for (const RankPlace& place : inputs.ranks) ranks.push_back(rank_to_json(place));
  for (const Json& host : inputs.hosts) hosts.push_back(host);
  return {{"schema", "tpbench.environment/2"},
          {"label", inputs.label},
          {"started_at", inputs.started_at},
          {"tool", {{"name", "tpbench"}, {"version", build.version}, {"git_revision", build.git_revision}}},
          {"build", build_to_json(build)},
          {"launcher", {{"name", inputs.launcher}, {"size", json_or_null(inputs.launcher_size)}}},
          {"mpi", inputs.mpi},
          {"blas", of_backend("blas")},
          {"onednn", of_backend("onednn")},
          {"gpu", of_backend("gpu")},
          {"hosts", hosts},
          {"ranks", ranks},
          {"data_path", data_path_remarks(inputs)},
          {"transports", transports_to_json(inputs)},
          {"noise", inputs.noise},
          {"problems", environment_problems(inputs)},
          {"variables", Json(allowed_variables(inputs.variables))}};
}

}  // namespace tpbench
