#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "comm/communicator.hpp"

namespace tpbench {

/// Collectives of a group on several hosts with the same number of ranks on each, in any order of ranks:
///   all_reduce: a reduce-scatter inside each host in shared memory; each local rank sums its slice over the
///   hosts by MPI, all at the same time; an all-gather inside each host.
///   all_gather: each local rank fetches the shards of its counterparts on the other hosts; then the ranks of
///   a host show each other what they have. reduce_scatter: the same backwards.
/// Every byte crosses the wire once for a host, not once for a rank. On one host this is `shm`. Throws
/// CaseError where the group cannot be so carried or memory cannot be shared.
std::unique_ptr<Communicator> make_hierarchical_communicator(const Control& group);

/// How tests make hosts of one: rank r counts as being on host host_of[r].
std::unique_ptr<Communicator> make_hierarchical_communicator(const Control& group,
                                                             std::span<const int> host_of,
                                                             std::int64_t slot_bytes = 4 << 20);

/// Why `hierarchical` cannot carry a group whose rank r is on host host_of[r]; empty when it can.
std::optional<std::string> why_not_hierarchical(std::span<const int> host_of);

}  // namespace tpbench
