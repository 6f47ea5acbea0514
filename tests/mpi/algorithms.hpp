#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace tpbench::test {

/// The rows of the table of algorithms that work in host memory.
std::vector<const AlgorithmEntry*> host_algorithms();

/// One way to carry the collectives of a group.
struct Carrier {
  std::string name;
  std::function<std::unique_ptr<Communicator>(const Control& group)> make;
};

/// Every algorithm that works in host memory for a group of `size` ranks as the program runs it; `mpi` staged
/// as for a device; and `hierarchical` over hosts that are pretended: host by host, and taking turns.
std::vector<Carrier> all_carriers(int size);

/// The same with pieces and slots of odd and small sizes, so that every loop runs more than once.
std::vector<Carrier> all_carriers_in_pieces(int size);

}  // namespace tpbench::test
