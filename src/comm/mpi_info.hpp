#pragma once

#include <optional>

#include "base/json_fwd.hpp"

namespace tpbench {

/// What the MPI library is and what it uses: `mpi` of environment.json. May be called before MPI_Init,
/// between and after; before it, `thread_level` and `components` are null because nothing has been chosen.
/// Never throws and never aborts: what cannot be asked is null.
///   library, implementation, version: as the library names itself
///   standard: "3.1"
///   thread_level: "single", "funneled", "serialized", "multiple"
///   requested: per framework (pml, btl, mtl, coll, osc) what the user selected; null when left to the
///   library
///   components: per framework the components in effect, by the shared objects loaded; null when built in
///   btl: of each byte transfer layer in effect its name, exclusivity (of those that reach a peer, Open MPI's
///   ob1 uses the ones with the largest) and eager_limit_bytes, from MPI_T; null when `components` is
///   cuda_support: whether the library takes device pointers, asked at run time
Json describe_mpi();

/// `components` of this process alone.
Json mpi_components();

/// Does the library take pointers to CUDA memory, as it says itself at run time? Its headers may promise that
/// and it has none of it: Debian's is so. Empty where it cannot be asked.
std::optional<bool> mpi_takes_cuda_pointers();

/// Was the library built to be started by PMI-1 or PMI-2, as older Slurms offer it, and not by PMIx alone? By
/// the components that lie beside it (Open MPI 4: pmix s1 and s2). May be called before MPI_Init.
bool mpi_speaks_pmi();

}  // namespace tpbench
