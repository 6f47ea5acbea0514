#include "layers/mlp.hpp"

#include <algorithm>
#include <cmath>

#include "layers/reference.hpp"
#include "layers/tensors.hpp"

namespace tpbench {
namespace {

template <typename Real>
Real gelu(Real x) {
  constexpr Real kTwiceRootTwoOverPi = Real(1.5957691216057307117597842397375L);
  return x / (1 + std::exp(-kTwiceRootTwoOverPi * (x + Real(0.044715L) * x * x * x)));
}

template <typename Real>
Real silu(Real x) {
  return x / (1 + std::exp(-x));
}

// Y [T, h] = sum over ranks of act(X A_i) B_i. Splitting A by columns lets the activation, which is not
// linear, work on whole sums; splitting B by the same rows needs nothing in between; one all-reduce at the
// end. The gated form holds gate and up side by side, A_i [h, 2f/t], so that one GEMM makes both.
class MlpLayer final : public Layer {
 public:
  explicit MlpLayer(const LayerContext& context)
      : context_(context),
        inner_(shard_of(shape().ffn_hidden_size, shape().tp_degree, context.communicator.rank())) {
    const std::int64_t h = shape().hidden_size, f = inner_.size(), wide = gated() ? 2 * f : f;
    input_ = backend().make_matrix(Category::activations, shape().dtype, shape().tokens, h);
    hidden_ = backend().make_matrix(Category::activations, shape().dtype, shape().tokens, wide);
    output_ = context.communicator.make_matrix(backend().memory(), Category::activations, shape().dtype,
                                               shape().tokens, h);
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      up_.push_back(backend().make_matrix(Category::weights, shape().dtype, h, wide));
      down_.push_back(backend().make_matrix(Category::weights, shape().dtype, f, h));
    }
  }

  void fill(Heartbeat& heartbeat) override {
    backend().fill(input_.view(), input_key(context_.seed), 0, 0);
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      const auto l = static_cast<std::size_t>(layer);
      const std::int64_t f = inner_.size();
      if (gated())
        backend().fill(up_[l].view().column_slice(0, f), key(TensorName::gate, layer), 0, inner_.begin);
      backend().fill(up_[l].view().column_slice(gated() ? f : 0, f), key(TensorName::up, layer), 0,
                     inner_.begin);
      backend().fill(down_[l].view(), key(TensorName::down, layer), inner_.begin, 0);
      heartbeat.beat(Activity::compute);
    }
  }

  void forward(std::int64_t layer, Trace& trace) override {
    const auto l = static_cast<std::size_t>(layer);
    trace.begin(Activity::compute);
    backend().gemm(input_.view(), up_[l].view(), hidden_.view());
    if (observes_) note_before_activation();
    if (gated())
      backend().swiglu(hidden_.view());
    else
      backend().gelu(hidden_.view());
    backend().gemm(activated(), down_[l].view(), output_.view());
    trace.end();
    if (context_.communicator.size() == 1) return;
    trace.begin(Activity::all_reduce);
    context_.communicator.all_reduce_sum(output_.view().data, output_.view().elements(), shape().dtype);
    trace.end();
  }

  void poison() override {
    backend().poison(hidden_.view());
    backend().poison(output_.view());
  }

  OutputShard output() const override { return {output_.view(), 0, 0}; }

  ReferenceTile reference(std::int64_t layer, std::span<const std::int64_t> rows,
                          Range columns) const override {
    const Range all = {0, shape().ffn_hidden_size};
    return dispatch(shape().dtype, [&](auto zero) {
      using T = decltype(zero);
      const auto x = generated_rows<T>(input_key(context_.seed), rows, {0, shape().hidden_size});
      auto hidden = times_generated<T>(x, key(TensorName::up, layer), all, backend());
      if (gated()) {
        const auto gate = times_generated<T>(x, key(TensorName::gate, layer), all, backend());
        for (std::size_t i = 0; i < hidden.values.size(); ++i) hidden.values[i] *= silu(gate.values[i]);
      } else {
        for (auto& value : hidden.values) value = gelu(value);
      }
      const auto y = times_generated<T>(hidden, key(TensorName::down, layer), columns, backend());
      return ReferenceTile{columns.size(), {y.values.begin(), y.values.end()}};
    });
  }

  double reference_cost_per_row() const override {
    return static_cast<double>(shape().hidden_size) * static_cast<double>(shape().ffn_hidden_size) *
           (gated() ? 3 : 2);
  }

  void observe(bool on) override { observes_ = on; }

  // Three links of a chain, each in every row: X A, the activation of what X A really was, and from what the
  // activation really was to the sum over ranks.
  std::vector<RowSums> row_sums(std::int64_t layer) const override {
    const std::int64_t h = shape().hidden_size;
    RowSums product{product_sums(layer), before_sums_, false};
    RowSums activation{activated_sums_, times_signs(activated(), inner_signs(), backend()), false};
    const auto folded = generated_times_signs(shape().dtype, key(TensorName::down, layer), inner_, {0, h},
                                              random_signs(context_.seed, h), backend());
    RowSums output{times_signs(activated(), folded, backend()),
                   times_signs(output_.view(), random_signs(context_.seed, h), backend()), true};
    return {std::move(product), std::move(activation), std::move(output)};
  }

 private:
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] bool gated() const { return shape().activation == Activation::swiglu; }
  [[nodiscard]] MatrixView activated() const { return hidden_.view().column_slice(0, inner_.size()); }
  [[nodiscard]] TensorKey key(TensorName name, std::int64_t layer) const {
    return weight_key(context_.seed, name, layer,
                      name == TensorName::down ? shape().ffn_hidden_size : shape().hidden_size);
  }

  [[nodiscard]] std::vector<double> inner_signs() const {
    return random_signs(context_.seed, hidden_.view().columns);
  }

  // What X A_i should sum up to: X (A_i s), with gate and up side by side as they are held.
  [[nodiscard]] std::vector<double> product_sums(std::int64_t layer) const {
    const Range all_h = {0, shape().hidden_size};
    const std::vector<double> signs = inner_signs();
    // generated_times_signs takes signs by the column of the whole tensor: this rank's stand where its
    // columns are.
    const auto fold = [&](TensorName name, std::int64_t offset) {
      std::vector<double> placed(static_cast<std::size_t>(inner_.end));
      std::copy_n(signs.begin() + offset, inner_.size(), placed.begin() + inner_.begin);
      return generated_times_signs(shape().dtype, key(name, layer), all_h, inner_, placed, backend());
    };
    std::vector<double> folded = fold(TensorName::up, gated() ? inner_.size() : 0);
    if (gated()) {
      const std::vector<double> gate = fold(TensorName::gate, 0);
      for (std::size_t k = 0; k < folded.size(); ++k) folded[k] += gate[k];
    }
    return generated_times_signs(shape().dtype, input_key(context_.seed), {0, shape().tokens}, all_h, folded,
                                 backend());
  }

  // Called between the first GEMM and the activation that overwrites its result.
  void note_before_activation() {
    const std::vector<double> signs = inner_signs();
    const MatrixView& before = hidden_.view();
    before_sums_ = times_signs(before, signs, backend());
    activated_sums_.assign(static_cast<std::size_t>(before.rows), 0);
    std::vector<std::byte> scratch(static_cast<std::size_t>(before.columns * shape().element_size()));
    dispatch(shape().dtype, [&](auto zero) {
      for (std::int64_t r = 0; r < before.rows; ++r) {
        const auto* row = static_cast<const decltype(zero)*>(backend().host_row(before, r, scratch));
        double sum = 0;
        for (std::int64_t c = 0; c < inner_.size(); ++c) {
          const double first = row[c];
          const double value =
              gated() ? silu(first) * static_cast<double>(row[inner_.size() + c]) : gelu(first);
          sum += signs[static_cast<std::size_t>(c)] * value;
        }
        activated_sums_[static_cast<std::size_t>(r)] = sum;
      }
    });
  }

  LayerContext context_;
  Range inner_;
  bool observes_ = false;
  std::vector<double> before_sums_;     // signed row sums of X A_i
  std::vector<double> activated_sums_;  // signed row sums of act(X A_i), activated in double
  Matrix input_;
  Matrix hidden_;
  Matrix output_;
  std::vector<Matrix> up_;
  std::vector<Matrix> down_;
};

}  // namespace

std::unique_ptr<Layer> make_mlp(const LayerContext& context) { return std::make_unique<MlpLayer>(context); }

}  // namespace tpbench
