#include "held_up.hpp"

#include <mpi.h>

#include <thread>

namespace {

int calls_left = 0;
std::chrono::milliseconds how_long;

}  // namespace

namespace tpbench::test {

void hold_up_all_reduce(int n, std::chrono::milliseconds time) {
  calls_left = n;
  how_long = time;
}

}  // namespace tpbench::test

// In place of the library's, by the profiling interface that every MPI library has.
extern "C" int MPI_Allreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op op,
                             MPI_Comm comm) {
  const int status = PMPI_Allreduce(send, receive, count, type, op, comm);
  if (calls_left > 0 && --calls_left == 0) std::this_thread::sleep_for(how_long);
  return status;
}
