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

/// Whether single operations are checked too: by samples, and in narrow types always, as their checks see
/// smaller errors than a comparison at the end of a chain of rounded results.
bool checks_operations(VerificationMethod method, DType dtype);

/// The largest error that rounding explains in the results of a case: rounding_tolerance, in which epsilon of
/// a narrow type is multiplied by how far the roundings of stored results grow in a chain of layers. By a
/// square root in forward, as independent ones do beside a stream that grows too. In training by the number
/// of layers, as gradients of scores are small differences and sensitive to all of them; and twice in tf32,
/// where factors may be cut off: then all errors have one sign. Beyond 16 ranks, f16 and bf16 also by the
/// square root of their number, as each of their sums is rounded that often.
double case_tolerance(const Shape& shape, const Cost& cost);

/// Runs every weight set once into poisoned memory and compares what it leaves. Collective over the team; the
/// result is the same on all ranks. Where they are to be checked, the machine's checks of operations have
/// been on since before its layer was filled; they count too what was executed, which must be what `cost`
/// says. With `none` only the run is done.
VerificationResult verify_layer(CaseMachine& machine, VerificationMethod method, std::uint64_t seed,
                                const Cost& cost, const Team& team, Heartbeat& heartbeat);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::VerificationMethod, {tpbench::VerificationMethod::none, "none"},
                   {tpbench::VerificationMethod::full, "full"},
                   {tpbench::VerificationMethod::sampled, "sampled"});
