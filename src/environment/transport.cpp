#include "environment/transport.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/json.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

using Names = std::vector<std::string>;

constexpr std::size_t kMostListed = 64;

// What a byte transfer layer reaches; one that is not here may reach anything.
struct Reach {
  std::string_view btl;
  bool own_node;
  bool other_nodes;
};
constexpr Reach kReaches[] = {
    {"self", false, false},  {"vader", true, false}, {"sm", true, false},
    {"smcuda", true, false}, {"usnic", false, true},
};

bool reaches(const std::string& btl, bool one_node) {
  for (const Reach& row : kReaches) {
    if (row.btl == btl) return one_node ? row.own_node : row.other_nodes;
  }
  return true;
}

const Json& components_of_host(const EnvironmentInputs& inputs, std::size_t host) {
  static const Json kNone;
  if (host < inputs.components.size()) return inputs.components[host];
  return inputs.mpi.is_object() && inputs.mpi.contains("components") ? inputs.mpi.at("components") : kNone;
}

// In effect on both hosts, in alphabetical order.
Names in_effect(const Json& first, const Json& second, const char* framework) {
  const auto names = first.value(framework, Names()), others = second.value(framework, Names());
  Names both;
  std::copy_if(names.begin(), names.end(), std::back_inserter(both), [&](const std::string& name) {
    return std::find(others.begin(), others.end(), name) != others.end();
  });
  return both;
}

std::optional<std::int64_t> btl_number(const EnvironmentInputs& inputs, const std::string& name,
                                       const char* key) {
  if (!inputs.mpi.is_object() || !inputs.mpi.contains("btl")) return std::nullopt;
  for (const Json& btl : inputs.mpi.at("btl")) {
    if (btl.at("name") == name) return optional_from<std::int64_t>(btl, key);
  }
  return std::nullopt;
}

// Open MPI 4 loads an "sm" that carries nothing and only tells people to ask for vader; in version 5 sm is
// what vader was. The stub has none of the variables that every layer registers.
bool is_stub(const EnvironmentInputs& inputs, const std::string& name) {
  return name == "sm" && !btl_number(inputs, name, "exclusivity");
}

// The one with the largest exclusivity: the rule of Open MPI's bml r2, which ob1 sends through. Empty when
// two are equal or one does not say.
std::string preferred(const EnvironmentInputs& inputs, const Names& candidates) {
  std::string best;
  std::int64_t largest = -1;
  for (const std::string& name : candidates) {
    const auto exclusivity = btl_number(inputs, name, "exclusivity");
    if (!exclusivity) return "";
    if (*exclusivity == largest) best.clear();
    if (*exclusivity <= largest) continue;
    largest = *exclusivity;
    best = name;
  }
  return best;
}

void settle_btl(const EnvironmentInputs& inputs, const Json& first, const Json& second, bool one_node,
                Transport& transport) {
  transport.framework = "btl";
  for (const std::string& name : in_effect(first, second, "btl")) {
    if (reaches(name, one_node) && !is_stub(inputs, name)) transport.candidates.push_back(name);
  }
  const Names& candidates = transport.candidates;
  if (candidates.empty()) {
    transport.framework.clear();
    transport.reason = "no byte transfer layer that reaches there is seen to be in effect";
    return;
  }
  transport.how = candidates.size() == 1 ? TransportCertainty::selected : TransportCertainty::allowed;
  transport.component = candidates.size() == 1 ? candidates.front() : preferred(inputs, candidates);
  if (candidates.size() == 1)
    transport.reason = "the only byte transfer layer in effect that reaches there";
  else if (transport.component.empty())
    transport.reason = fmt::format("{} are in effect and reach there, and none has the largest exclusivity",
                                   join_words(candidates));
  else
    transport.reason = fmt::format(
        "{} are in effect and reach there; {} has the largest exclusivity, by which "
        "pml ob1 chooses",
        join_words(candidates), transport.component);
  if (!transport.component.empty())
    transport.eager_limit_bytes = btl_number(inputs, transport.component, "eager_limit_bytes");
}

// One component of a framework that has only one in effect at a time.
void settle_single(const char* framework, const Names& candidates, Transport& transport) {
  transport.candidates = candidates;
  if (candidates.empty()) {
    transport.reason = fmt::format("no {} is seen to be in effect on both sides", framework);
    return;
  }
  transport.framework = framework;
  if (candidates.size() > 1) {
    transport.how = TransportCertainty::allowed;
    transport.reason = fmt::format("{} are in effect, and which of them carries messages is not told",
                                   join_words(candidates));
    return;
  }
  transport.how = TransportCertainty::selected;
  transport.component = candidates.front();
  transport.reason = fmt::format("the only {} in effect", framework);
  if (transport.component == "ucx" || transport.component == "ofi")
    transport.reason += "; what it sends through in turn is its own choice and not told";
}

void settle(const EnvironmentInputs& inputs, const Json& first, const Json& second, bool one_node,
            Transport& transport) {
  if (!first.is_object() || !second.is_object()) {
    transport.reason = "the library does not show which components are in effect";
    return;
  }
  const Names layers = in_effect(first, second, "pml");
  if (layers == Names{"ob1"})
    settle_btl(inputs, first, second, one_node, transport);
  else if (layers == Names{"cm"})
    settle_single("mtl", in_effect(first, second, "mtl"), transport);
  else
    settle_single("pml", layers, transport);
}

std::optional<bool> are_one_kernel(const Json& first, const Json& second) {
  const auto a = optional_from<std::string>(first, "boot_id_hash");
  const auto b = optional_from<std::string>(second, "boot_id_hash");
  if (!a || !b) return std::nullopt;
  return *a == *b;
}

std::map<std::string, std::size_t> ranks_by_host(const EnvironmentInputs& inputs) {
  std::map<std::string, std::size_t> ranks;
  for (const RankPlace& place : inputs.ranks) ++ranks[place.host];
  return ranks;
}

// Adds a path to the entry with the same answer, or begins one.
void add_path(const Transport& transport, Json& entries) {
  Json entry = transport_to_json(transport);
  const Json hosts = entry.at("hosts");
  entry.erase("hosts");
  for (Json& known : entries) {
    Json answer = known;
    answer.erase("between");
    answer.erase("count");
    if (answer != entry) continue;
    known["count"] = known.at("count").get<std::size_t>() + 1;
    if (known.at("between").size() < kMostListed) known["between"].push_back(hosts);
    return;
  }
  Json begun = {{"between", Json::array({hosts})}, {"count", 1}};
  begun.update(entry);
  entries.push_back(begun);
}

}  // namespace

Transport find_transport(const EnvironmentInputs& inputs, std::size_t first, std::size_t second) {
  Transport transport;
  transport.hosts = {inputs.hosts.at(first).value("name", "unknown")};
  if (first != second) {
    transport.hosts.push_back(inputs.hosts.at(second).value("name", "unknown"));
    transport.loopback = are_one_kernel(inputs.hosts[first], inputs.hosts[second]);
  }
  settle(inputs, components_of_host(inputs, first), components_of_host(inputs, second),
         on_one_node(inputs, first, second), transport);
  return transport;
}

Json transport_to_json(const Transport& transport) {
  const auto text = [](const std::string& words) { return words.empty() ? Json(nullptr) : Json(words); };
  return {{"hosts", transport.hosts},
          {"path", transport.hosts.size() == 1 ? "inside_host" : "between_hosts"},
          {"how", name_of(transport.how)},
          {"framework", text(transport.framework)},
          {"component", text(transport.component)},
          {"candidates", transport.candidates},
          {"reason", transport.reason},
          {"eager_limit_bytes", json_or_null(transport.eager_limit_bytes)},
          {"loopback", json_or_null(transport.loopback)}};
}

Json transports_to_json(const EnvironmentInputs& inputs) {
  Json entries = Json::array();
  const auto ranks = ranks_by_host(inputs);
  const auto ranks_on = [&](std::size_t host) {
    const auto found = ranks.find(inputs.hosts[host].value("name", "unknown"));
    return found == ranks.end() ? 0 : found->second;
  };
  for (std::size_t host = 0; host < inputs.hosts.size(); ++host) {
    if (ranks_on(host) > 1) add_path(find_transport(inputs, host, host), entries);
  }
  for (std::size_t first = 0; first < inputs.hosts.size(); ++first) {
    for (std::size_t second = first + 1; second < inputs.hosts.size(); ++second) {
      if (ranks_on(first) > 0 && ranks_on(second) > 0)
        add_path(find_transport(inputs, first, second), entries);
    }
  }
  return entries;
}

}  // namespace tpbench
