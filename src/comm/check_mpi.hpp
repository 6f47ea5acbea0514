#pragma once

#include <mpi.h>

#include <source_location>

#include "comm/mpi_turn.hpp"

namespace tpbench {

/// Throws CommError with the call, its place and MPI's own words unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call, const std::source_location& where);

}  // namespace tpbench

#define TPBENCH_MPI(call) \
  ::tpbench::check_mpi((::tpbench::MpiTurn(), (call)), #call, std::source_location::current())
