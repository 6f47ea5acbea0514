#pragma once

#include "base/host_device.hpp"
#include "compute/finite_exp.hpp"

namespace tpbench {

// 2 sqrt(2/pi)
template <typename T>
constexpr T kTwiceRootTwoOverPi = T(1.5957691216057307117597842397375L);

/// s = sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
template <typename T>
TPBENCH_HOST_DEVICE T gelu_gate(T x) {
  return T(1) / (T(1) + finite_exp(-kTwiceRootTwoOverPi<T> * (x + T(0.044715) * x * x * x)));
}

/// gelu(x) = x s
template <typename T>
TPBENCH_HOST_DEVICE T gelu_of(T x) {
  return x * gelu_gate(x);
}

/// gelu'(x) = s + x s (1 - s) u'
template <typename T>
TPBENCH_HOST_DEVICE T gelu_slope(T x) {
  const T s = gelu_gate(x);
  const T slope = kTwiceRootTwoOverPi<T> * (T(1) + T(3) * T(0.044715) * x * x);
  return s + x * s * (T(1) - s) * slope;
}

/// silu(gate) up, silu(g) = g / (1 + exp(-g))
template <typename T>
TPBENCH_HOST_DEVICE T swiglu_of(T gate, T up) {
  return gate / (T(1) + finite_exp(-gate)) * up;
}

template <typename T>
struct SwigluGradients {
  T gate;  ///< silu'(gate) up dy
  T up;    ///< silu(gate) dy
};

/// silu'(g) = s + g s (1 - s), s = sigmoid(g)
template <typename T>
TPBENCH_HOST_DEVICE SwigluGradients<T> swiglu_gradients(T gate, T up, T dy) {
  const T s = T(1) / (T(1) + finite_exp(-gate));
  return {dy * up * (s + gate * s * (T(1) - s)), dy * gate * s};
}

}  // namespace tpbench
