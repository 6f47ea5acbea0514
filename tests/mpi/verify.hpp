#pragma once

#include "bench/parts.hpp"
#include "bench/verification.hpp"
#include "world.hpp"

namespace tpbench::test {

/// A case of two weight sets on all ranks that divides by every degree up to 4, in rows too.
Case case_on_all(const Variant& variant, DType dtype);

/// Verifies a case, by samples if not told otherwise, over parts that may have a fault in them. Collective.
VerificationResult verify(const Case& point, const Parts& parts, VerifyMode mode = VerifyMode::sampled);

/// One element of a matrix on the host, whatever its type.
double entry(const MatrixView& x, std::int64_t row, std::int64_t column);
void set_entry(const MatrixView& x, std::int64_t row, std::int64_t column, double value);

}  // namespace tpbench::test
