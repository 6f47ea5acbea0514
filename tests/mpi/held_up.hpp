#pragma once

#include <chrono>

namespace tpbench::test {

/// This rank returns from its `n`-th MPI_Allreduce from now on, counted from 1, so much later than it could.
void hold_up_all_reduce(int n, std::chrono::milliseconds time);

}  // namespace tpbench::test
