#pragma once

#include <cstdint>

#include "bench/case_machine.hpp"
#include "bench/team.hpp"
#include "result/record.hpp"
#include "sweep/settings.hpp"
#include "workload/workload.hpp"

namespace tpbench {

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
/// before its layer was filled; they count too what was executed, which must be what `cost` says. With `none`
/// only the run is done.
VerificationResult verify_layer(CaseMachine& machine, VerificationMethod method, std::uint64_t seed,
                                const Cost& cost, const Team& team, Heartbeat& heartbeat);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::VerificationMethod, {tpbench::VerificationMethod::none, "none"},
                   {tpbench::VerificationMethod::full, "full"},
                   {tpbench::VerificationMethod::sampled, "sampled"});
