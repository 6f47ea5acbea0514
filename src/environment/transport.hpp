#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "base/json_fwd.hpp"
#include "environment/environment.hpp"

namespace tpbench {

/// How far it is known what carries the messages of a path.
enum class TransportCertainty {
  selected,  ///< nothing else in effect can carry them
  allowed,   ///< several can; what is named, if anything, is what the library's rule prefers
  unknown    ///< the library does not tell
};

/// What carries the messages between ranks of one host, or of two hosts, as far as Open MPI tells: from the
/// components in effect and their control variables. It has no performance variable that counts messages by
/// component, so nothing here was seen carrying one.
struct Transport {
  std::vector<std::string> hosts;  ///< one: between its ranks; two: between ranks of both
  TransportCertainty how = TransportCertainty::unknown;
  std::string framework;                          ///< "pml", "mtl" or "btl"; empty when unknown
  std::string component;                          ///< "vader", "tcp", "ucx"; empty when none can be named
  std::vector<std::string> candidates;            ///< components of that framework that can carry this path
  std::string reason;                             ///< a sentence: why so
  std::optional<std::int64_t> eager_limit_bytes;  ///< of the btl named, from MPI_T
  /// Of two hosts: whether they are one running kernel, so that nothing between them leaves the machine
  /// whatever the interface is called. Empty for one host and where the kernels do not say who they are.
  std::optional<bool> loopback;
};

/// Between ranks of one host (`first` equal to `second`) or of two; both are indexes into `inputs.hosts`.
Transport find_transport(const EnvironmentInputs& inputs, std::size_t first, std::size_t second);

Json transport_to_json(const Transport& transport);

/// `transports` of environment.json: every host that has two ranks or more and every pair of hosts with
/// ranks, those with the same answer in one entry, which lists at most 64 of them. Empty where there is one
/// rank.
Json transports_to_json(const EnvironmentInputs& inputs);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::TransportCertainty, {tpbench::TransportCertainty::selected, "selected"},
                   {tpbench::TransportCertainty::allowed, "allowed"},
                   {tpbench::TransportCertainty::unknown, "unknown"});
