#include "comm/clock_offset.hpp"

#include <mpi.h>

#include <limits>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"
#include "measure/clock.hpp"

namespace tpbench {
namespace {

constexpr int kRounds = 100;

void answer(int rank, MPI_Comm comm) {
  for (int i = 0; i < kRounds; ++i) {
    double time_s = 0;
    TPBENCH_MPI(MPI_Recv(&time_s, 1, MPI_DOUBLE, rank, 0, comm, MPI_STATUS_IGNORE));
    time_s = now_s();
    TPBENCH_MPI(MPI_Send(&time_s, 1, MPI_DOUBLE, rank, 0, comm));
  }
}

ClockOffset ask(MPI_Comm comm) {
  ClockOffset best{0, std::numeric_limits<double>::infinity()};
  for (int i = 0; i < kRounds; ++i) {
    double root_s = 0;
    const double sent_s = now_s();
    TPBENCH_MPI(MPI_Send(&sent_s, 1, MPI_DOUBLE, 0, 0, comm));
    TPBENCH_MPI(MPI_Recv(&root_s, 1, MPI_DOUBLE, 0, 0, comm, MPI_STATUS_IGNORE));
    const double received_s = now_s();
    const double error_s = (received_s - sent_s) / 2;
    if (error_s < best.error_s) best = {(sent_s + received_s) / 2 - root_s, error_s};
  }
  return best;
}

}  // namespace

ClockOffset measure_clock_offset(const Control& control) {
  ClockOffset mine;
  for (int rank = 1; rank < control.size(); ++rank) {
    if (control.rank() == 0) answer(rank, control.handle()->comm);
    if (control.rank() == rank) mine = ask(control.handle()->comm);
    control.barrier();
  }
  return mine;
}

}  // namespace tpbench
