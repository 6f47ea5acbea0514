#pragma once

namespace tpbench {

/// Student's law: P(|T| > t) with `freedom` degrees of freedom.
double student_p_value(double t, double freedom);

/// The t with P(|T| > t) = `miss`.
double student_quantile(double miss, double freedom);

/// P(|T| > t) of the law with `freedom` degrees whose normal part is moved by `shift`: the power of a test.
double moved_student_p_value(double t, double freedom, double shift);

}  // namespace tpbench
