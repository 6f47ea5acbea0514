#pragma once

#include <mpi.h>

#include <memory>

namespace tpbench {

/// Owns a communicator; errors on it come back as codes. Freed with the last copy of the pointer, unless it
/// is one that MPI itself owns or MPI has already been finalised.
struct MpiHandle {
  MPI_Comm comm = MPI_COMM_NULL;
  bool owned = false;

  MpiHandle(MPI_Comm communicator, bool own);
  ~MpiHandle();
  MpiHandle(const MpiHandle&) = delete;
  MpiHandle& operator=(const MpiHandle&) = delete;
};

}  // namespace tpbench
