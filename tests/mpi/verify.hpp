#pragma once

#include "bench/parts.hpp"
#include "bench/verification.hpp"
#include "world.hpp"

namespace tpbench::test {

/// A case of two weight sets on all ranks that divides by every degree up to 4, in rows too.
Case case_on_all(const Variant& variant, DType dtype);

/// Verifies a case, by samples if not told otherwise, over parts that may have a fault in them. Collective.
VerificationResult verify(const Case& point, const Parts& parts, VerifyMode mode = VerifyMode::sampled);

}  // namespace tpbench::test
