#include <cmath>

#include "layers/mlp_part.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

template <typename Real>
Real sigmoid(Real x) {
  return 1 / (1 + std::exp(-x));
}

// The tanh form of gelu, written as x sigmoid(u): see compute/activation.hpp.
template <typename Real>
struct Gelu {
  static constexpr Real kTwiceRootTwoOverPi = Real(1.5957691216057307117597842397375L);
  static Real value(Real x) { return x * gate(x); }
  static Real slope(Real x) {
    const Real s = gate(x);
    return s + x * s * (1 - s) * kTwiceRootTwoOverPi * (1 + 3 * Real(0.044715L) * x * x);
  }
  static Real gate(Real x) { return sigmoid(kTwiceRootTwoOverPi * (x + Real(0.044715L) * x * x * x)); }
};

template <typename T>
class MlpReference final : public ReferencePart<T> {
 public:
  using typename ReferencePart<T>::Rows;
  using Real = WiderThan<T>;

  explicit MlpReference(const ReferenceContext& context)
      : context_(context), math_(context.shape.dtype, context.backend, context.heartbeat, context.nudge) {}

  Rows forward(const Rows& x, std::span<const std::int64_t>) override {
    x_ = x;
    up_ = math_.times(x, key(TensorName::up), inner());
    activated_ = up_;
    if (gated()) gate_ = math_.times(x, key(TensorName::gate), inner());
    for (std::size_t i = 0; i < up_.values.size(); ++i) {
      activated_.values[i] = gated() ? up_.values[i] * gate_.values[i] * sigmoid(gate_.values[i])
                                     : Gelu<Real>::value(up_.values[i]);
    }
    return math_.times(activated_, key(TensorName::down), hidden());
  }

  Rows backward(const Rows& dy) override {
    dy_ = dy;
    up_gradient_ = math_.times_transposed(dy, key(TensorName::down), inner());  // of what was activated
    gate_gradient_ = up_gradient_;
    for (std::size_t i = 0; i < up_.values.size(); ++i) {
      const Real d = up_gradient_.values[i];
      if (gated()) {
        const Real g = gate_.values[i], s = sigmoid(g);
        up_gradient_.values[i] = d * g * s;
        gate_gradient_.values[i] = d * up_.values[i] * (s + g * s * (1 - s));
      } else {
        up_gradient_.values[i] = d * Gelu<Real>::slope(up_.values[i]);
      }
    }
    Rows dx = math_.times_transposed(up_gradient_, key(TensorName::up), hidden());
    if (!gated()) return dx;
    const Rows more = math_.times_transposed(gate_gradient_, key(TensorName::gate), hidden());
    for (std::size_t i = 0; i < dx.values.size(); ++i) dx.values[i] += more.values[i];
    return dx;
  }

  // up, down, gate
  ReferenceTile gradient(std::size_t index, std::span<const std::int64_t> rows,
                         Range columns) const override {
    if (index == 1) return as_tile(math_.transposed_times(activated_, rows, dy_, columns));
    return as_tile(math_.transposed_times(x_, rows, index == 0 ? up_gradient_ : gate_gradient_, columns));
  }

 private:
  [[nodiscard]] bool gated() const { return context_.shape.gated(); }
  [[nodiscard]] Range hidden() const { return {0, context_.shape.hidden_size}; }
  [[nodiscard]] Range inner() const { return {0, context_.shape.ffn_hidden_size}; }
  [[nodiscard]] TensorKey key(TensorName name) const {
    return weight_key(context_.seed, name, context_.layer,
                      name == TensorName::down ? inner().size() : hidden().size());
  }

  ReferenceContext context_;
  ReferenceMath<T> math_;
  Rows x_, up_, gate_, activated_;
  Rows dy_, up_gradient_, gate_gradient_;
};

}  // namespace

template <typename T>
std::unique_ptr<ReferencePart<T>> make_mlp_reference(const ReferenceContext& context) {
  return std::make_unique<MlpReference<T>>(context);
}
template std::unique_ptr<ReferencePart<float>> make_mlp_reference(const ReferenceContext&);
template std::unique_ptr<ReferencePart<double>> make_mlp_reference(const ReferenceContext&);

double mlp_reference_cost(const Shape& shape) {
  return static_cast<double>(shape.tokens) * static_cast<double>(shape.hidden_size) *
         static_cast<double>(shape.ffn_hidden_size) * (shape.gated() ? 3 : 2);
}

}  // namespace tpbench
