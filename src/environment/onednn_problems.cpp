#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/json.hpp"
#include "environment/environment.hpp"

namespace tpbench {
namespace {

using Variables = std::map<std::string, std::string>;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

// What has workers of libgomp spin for work: a count of spins overrides the policy (libgomp,
// "GOMP_SPINCOUNT").
std::optional<std::string> what_spins(const Variables& variables) {
  const auto count = variables.find("GOMP_SPINCOUNT");
  if (count != variables.end() && !count->second.empty()) {
    const bool none = count->second.find_first_not_of("0 ") == std::string::npos;
    return none ? std::nullopt : std::optional("GOMP_SPINCOUNT=" + count->second);
  }
  const auto policy = variables.find("OMP_WAIT_POLICY");
  if (policy == variables.end() || lower_case(policy->second) != "active") return std::nullopt;
  return "OMP_WAIT_POLICY=" + policy->second;
}

}  // namespace

std::vector<std::string> onednn_problems(const EnvironmentInputs& inputs) {
  const auto onednn = inputs.backends.find("onednn");
  if (onednn == inputs.backends.end() || onednn->second.contains("missing")) return {};
  const Variables variables = allowed_variables(inputs.variables);
  std::vector<std::string> problems;
  if (const auto spins = what_spins(variables); spins && inputs.openmp_threads > 1) {
    problems.push_back(fmt::format(
        "{}: threads of library onednn spin between products, for as long as the process lives, and "
        "take their cores from MPI, from other ranks and from cases of library openblas; unset the "
        "variable, and they sleep",
        *spins));
  }
  // In the order in which oneDNN looks.
  for (const char* const name : {"ONEDNN_VERBOSE", "DNNL_VERBOSE"}) {
    const auto found = variables.find(name);
    if (found == variables.end() || found->second.empty()) continue;
    if (found->second == "0") break;
    problems.push_back(fmt::format(
        "{}={} was switched off: oneDNN writes to stdout, which is for results; compute.kernels of "
        "the records says which kernels ran",
        name, found->second));
    break;
  }
  return problems;
}

}  // namespace tpbench
