#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "comm/communicator.hpp"

namespace tpbench {

/// The MPI library's own blocking collectives. A count in MPI is an int: longer arrays go in pieces of
/// `max_count` elements, which tests set low.
std::unique_ptr<Communicator> make_mpi_communicator(const Control& group,
                                                    std::int64_t max_count = std::numeric_limits<int>::max());

}  // namespace tpbench
