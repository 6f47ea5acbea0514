#include "verify.hpp"

namespace tpbench::test {

double entry(const MatrixView& x, std::int64_t row, std::int64_t column) {
  return dispatch(x.dtype, [&](auto zero) {
    return static_cast<double>(static_cast<const decltype(zero)*>(x.row(row))[column]);
  });
}

void set_entry(const MatrixView& x, std::int64_t row, std::int64_t column, double value) {
  dispatch(x.dtype, [&](auto zero) {
    using T = decltype(zero);
    static_cast<T*>(x.row(row))[column] = T(static_cast<float>(value));
  });
}

Case case_on_all(const Variant& variant, DType dtype) {
  constexpr Sizes kSizes = {48, 60, 132, 24, 12, 12};
  Case point = make_case(variant, kSizes);
  point.dtype = dtype;
  point.layout.tp = world().size();
  point.num_layers = 2;
  normalise_case(point);
  return point;
}

VerificationResult verify(const Case& point, const Parts& parts, VerifyMode mode) {
  const Team& team = team_for(point);
  Heartbeat heartbeat;
  CaseMachine machine(point, team, parts, heartbeat);
  machine.make_layer();
  const VerificationMethod method = choose_method(mode, machine.layer(), machine.shape(), team);
  machine.operations().on = checks_operations(method, point.dtype);
  machine.layer().fill(heartbeat);
  const Cost cost = point.workload_row().cost(machine.shape());
  return verify_layer(machine, method, point.seed, cost, team, heartbeat);
}

}  // namespace tpbench::test
