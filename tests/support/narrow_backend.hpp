#pragma once

#include <memory>

#include "bench/parts.hpp"
#include "compute/backend.hpp"

namespace tpbench::test {

/// A backend in host memory for all types, which rounds where a GPU does: an operation is computed in f32 by
/// backend cpu and its results are rounded once, as they are stored; factors of products in tf32 lose the
/// digits that tf32 has not (cut off: the roughest that hardware does). Types of backend cpu are left to it.
std::unique_ptr<Backend> make_narrow_backend(int threads);

/// The parts of this build over that backend.
Parts narrow_parts();

}  // namespace tpbench::test
