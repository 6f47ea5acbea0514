#include <net/if.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "environment/host_files.hpp"

namespace tpbench::host_files {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Interface names by index, as the kernel tells this process: right also where /sys belongs to another
// network namespace or is missing.
std::vector<std::pair<std::string, std::int64_t>> kernel_interfaces() {
  std::vector<std::pair<std::string, std::int64_t>> interfaces;
  struct if_nameindex* const list = if_nameindex();
  for (auto* at = list; at != nullptr && at->if_index != 0; ++at) {
    interfaces.emplace_back(at->if_name, static_cast<std::int64_t>(at->if_index));
  }
  if (list != nullptr) if_freenameindex(list);
  return interfaces;
}

// ARPHRD_* of the kernel (if_arp.h), by number: the header does not have them all.
std::string kind_of_type(std::int64_t type) {
  switch (type) {
    case 1:
      return "ethernet";
    case 32:
      return "infiniband";
    case 772:
      return "loopback";
    default:
      return "other";
  }
}

InterfaceFacts interface_from_files(const std::string& name, const fs::path& folder) {
  InterfaceFacts facts;
  facts.name = name;
  facts.kind = kind_of_type(read_number(folder / "type").value_or(name == "lo" ? 772 : 0));
  facts.loopback = facts.kind == "loopback";
  facts.state = read_line(folder / "operstate");
  facts.mtu_bytes = read_number(folder / "mtu");
  // -1 is the kernel's "unknown", and virtual devices refuse the read.
  const auto speed = read_number(folder / "speed");
  if (speed && *speed > 0) facts.speed_mbit_per_s = static_cast<double>(*speed);
  return facts;
}

InterfaceFacts interface_by_name_alone(const std::string& name) {
  InterfaceFacts facts;
  facts.name = name;
  facts.loopback = name == "lo";
  facts.kind = facts.loopback ? "loopback" : "other";
  return facts;
}

// "100 Gb/sec (4X EDR)" in `rate`, "4: ACTIVE" in `state`
InterfaceFacts infiniband_port(const std::string& name, const fs::path& folder) {
  InterfaceFacts facts;
  facts.name = name;
  facts.kind = "infiniband";
  if (const auto state = read_line(folder / "state")) {
    std::string word = state->substr(std::min(state->size(), state->find(": ") + 2));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    facts.state = word;
  }
  double gigabits = 0;
  std::istringstream(read_line(folder / "rate").value_or("")) >> gigabits;
  if (gigabits > 0) facts.speed_mbit_per_s = gigabits * 1000;
  return facts;
}

}  // namespace

std::vector<InterfaceFacts> read_interfaces(const fs::path& root) {
  std::vector<InterfaceFacts> interfaces;
  const fs::path net = root / "sys/class/net";
  if (root == "/") {
    for (const auto& [name, index] : kernel_interfaces()) {
      const bool same_namespace = read_number(net / name / "ifindex") == index;
      interfaces.push_back(same_namespace ? interface_from_files(name, net / name)
                                          : interface_by_name_alone(name));
    }
  } else {
    for (const std::string& name : names_in(net))
      interfaces.push_back(interface_from_files(name, net / name));
  }
  const fs::path infiniband = root / "sys/class/infiniband";
  for (const std::string& device : names_in(infiniband)) {
    for (const std::string& port : names_in(infiniband / device / "ports")) {
      interfaces.push_back(infiniband_port(device + ":" + port, infiniband / device / "ports" / port));
    }
  }
  return interfaces;
}

}  // namespace tpbench::host_files
