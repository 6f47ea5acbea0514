#pragma once

#include <cstdint>

#include "bench/team.hpp"
#include "compute/backend.hpp"
#include "layers/layer.hpp"
#include "result/record.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

/// The largest error that rounding explains, relative to the largest reference value: 8 epsilon sqrt(n),
/// where n is the number of additions behind one output element. Rounding errors of long sums grow like
/// sqrt(n); one wrong operand changes a result by about 1/sqrt(n), thousands of times more.
double verification_tolerance(DType dtype, std::int64_t reduction_length);

/// Rows of the local output that are compared: all, or a seeded choice with the first and the last among
/// them.
std::vector<std::int64_t> rows_to_check(std::int64_t rows, std::int64_t limit, std::uint64_t seed);

/// Multiply-adds that this process may spend on the reference of one case; bounds the time of verification.
double verification_budget(DType dtype);

/// Runs every weight set once into poisoned outputs and compares with the unsharded reference. Collective
/// over the team; the result is the same on all ranks. With VerifyMode::off only the run is done.
VerificationResult verify_layer(Layer& layer, const Shape& shape, VerifyMode mode, std::uint64_t seed,
                                std::int64_t reduction_length, const Team& team, Backend& backend,
                                Heartbeat& heartbeat);

}  // namespace tpbench
