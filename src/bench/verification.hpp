#pragma once

#include <cstdint>

#include "bench/case_machine.hpp"
#include "bench/team.hpp"
#include "result/record.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

/// The largest error that rounding explains, relative to the largest reference value: 8 epsilon sqrt(n),
/// where n is the number of additions behind one output element. Rounding errors of long sums grow like
/// sqrt(n); one wrong operand changes a result by about 1/sqrt(n), thousands of times more.
double verification_tolerance(DType dtype, std::int64_t reduction_length);

/// Multiply-adds that this process may spend on the reference of one case; bounds the time of verification.
double verification_budget(DType dtype);

/// How a case is verified.
enum class VerificationMethod {
  none,
  full,    ///< every entry of every result against the unsharded reference
  sampled  ///< some rows of the output against it, and every operation against its definition
};

/// What `mode` comes to for this layer: full where it is cheap. The same on all ranks; collective.
VerificationMethod choose_method(VerifyMode mode, const Layer& layer, const Shape& shape, const Team& team);

/// Runs every weight set once into poisoned memory and compares what it leaves. Collective over the team; the
/// result is the same on all ranks. With `sampled`, the machine's checks of operations have been on since
/// before its layer was filled. With `none` only the run is done.
VerificationResult verify_layer(CaseMachine& machine, VerificationMethod method, std::uint64_t seed,
                                std::int64_t reduction_length, const Team& team, Heartbeat& heartbeat);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::VerificationMethod, {tpbench::VerificationMethod::none, "none"},
                   {tpbench::VerificationMethod::full, "full"},
                   {tpbench::VerificationMethod::sampled, "sampled"});
