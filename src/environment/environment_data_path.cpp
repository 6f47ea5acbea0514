#include <fmt/format.h>

#include <map>
#include <set>
#include <string_view>

#include "base/json.hpp"
#include "base/text.hpp"
#include "environment/environment.hpp"

namespace tpbench {
namespace {

std::set<std::string> hosts_with_ranks(const EnvironmentInputs& inputs) {
  std::set<std::string> names;
  for (const RankPlace& place : inputs.ranks) names.insert(place.host);
  return names;
}

std::set<std::string> components_of(const EnvironmentInputs& inputs, const std::string& framework) {
  static const Json kNone = Json::object();
  const Json& components = inputs.mpi.is_object() ? inputs.mpi.value("components", kNone) : kNone;
  std::set<std::string> names;
  if (!components.is_object() || !components.contains(framework)) return names;
  for (const Json& name : components.at(framework)) {
    if (name.is_string()) names.insert(name.get<std::string>());
  }
  return names;
}

// Names of the hosts that share a kernel with another, kernel by kernel.
std::vector<std::vector<std::string>> hosts_of_one_kernel(const EnvironmentInputs& inputs) {
  std::map<std::string, std::vector<std::string>> names;
  for (const Json& host : inputs.hosts) {
    if (const auto id = optional_from<std::string>(host, "boot_id_hash"))
      names[*id].push_back(host.value("name", "unknown"));
  }
  std::vector<std::vector<std::string>> shared;
  for (auto& [id, list] : names) {
    if (list.size() > 1) shared.push_back(std::move(list));
  }
  return shared;
}

bool is_one_node(const EnvironmentInputs& inputs) {
  for (std::size_t host = 1; host < inputs.hosts.size(); ++host) {
    if (!on_one_node(inputs, 0, host)) return false;
  }
  return true;
}

std::vector<std::string> active_infiniband_ports(const EnvironmentInputs& inputs) {
  std::vector<std::string> ports;
  for (const Json& host : inputs.hosts) {
    for (const Json& interface : host.value("interfaces", Json::array())) {
      if (interface.value("kind", "") == "infiniband" && interface.value("state", Json()) == "active") {
        ports.push_back(host.value("name", "unknown") + " " + interface.value("name", "?"));
      }
    }
  }
  return ports;
}

// A component that reaches another host, in Open MPI's order of preference.
struct Wire {
  const char* framework;
  const char* component;
  const char* description;
};
constexpr Wire kWires[] = {
    {"pml", "ucx", "UCX (pml ucx)"},
    {"mtl", "psm2", "Omni-Path (mtl psm2)"},
    {"mtl", "ofi", "libfabric (mtl ofi)"},
    {"btl", "openib", "InfiniBand verbs (btl openib)"},
    {"btl", "uct", "UCX transports (btl uct)"},
    {"btl", "tcp", "TCP (btl tcp)"},
};

const Wire* wire_in_effect(const EnvironmentInputs& inputs) {
  for (const Wire& wire : kWires) {
    if (components_of(inputs, wire.framework).contains(wire.component)) return &wire;
  }
  return nullptr;
}

std::string describe_wire(const EnvironmentInputs& inputs, std::size_t hosts) {
  if (is_one_node(inputs))
    return fmt::format("{} hosts that MPI takes for one node: messages between them go through its memory",
                       hosts);
  const Wire* const wire = wire_in_effect(inputs);
  if (wire == nullptr) return fmt::format("{} hosts: what MPI uses between them cannot be told", hosts);
  std::string remark = fmt::format("{} hosts: messages between them go over {}", hosts, wire->description);
  const auto variables = allowed_variables(inputs.variables);
  const auto included = variables.find("OMPI_MCA_btl_tcp_if_include");
  if (std::string_view(wire->component) == "tcp" && included != variables.end()) {
    remark += fmt::format(", restricted to {}", included->second);
  }
  return remark;
}

}  // namespace

bool on_one_node(const EnvironmentInputs& inputs, std::size_t first, std::size_t second) {
  return first == second ||
         (!inputs.node_of_host.empty() && inputs.node_of_host.at(first) == inputs.node_of_host.at(second));
}

std::vector<std::string> data_path_remarks(const EnvironmentInputs& inputs) {
  const std::set<std::string> hosts = hosts_with_ranks(inputs);
  if (inputs.ranks.size() < 2) return {};
  if (hosts.size() == 1) {
    return {"all ranks are on one host: messages go through its memory, not through a network"};
  }
  std::vector<std::string> remarks = {describe_wire(inputs, hosts.size())};
  for (const std::vector<std::string>& names : hosts_of_one_kernel(inputs)) {
    remarks.push_back(fmt::format("{} are one kernel (equal boot ids): the network between them is emulated",
                                  join_words(names)));
  }
  const Wire* const wire = wire_in_effect(inputs);
  const std::vector<std::string> ports = active_infiniband_ports(inputs);
  if (wire != nullptr && std::string_view(wire->component) == "tcp" && !ports.empty()) {
    remarks.push_back(
        fmt::format("InfiniBand ports are active ({}), and yet MPI uses TCP: an MPI library with UCX "
                    "would use them",
                    fmt::join(ports, ", ")));
  }
  return remarks;
}

}  // namespace tpbench
