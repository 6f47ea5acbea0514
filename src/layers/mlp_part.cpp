#include "layers/mlp_part.hpp"

#include <algorithm>

#include "layers/tensors.hpp"

namespace tpbench {
namespace {

// The gated form holds gate and up side by side, A_i [h, 2f/t], so that one GEMM makes both.
class MlpPart final : public RegionPart {
 public:
  explicit MlpPart(const LayerContext& context)
      : context_(context), inner_(context.shard(shape().ffn_hidden_size)) {
    const std::int64_t h = shape().hidden_size, f = inner_.size(), tokens = shape().tokens;
    const std::int64_t wide = gated() ? 2 * f : f;
    const KeptSets kept = shape().trains() ? shape().kept_sets() : KeptSets{1, 0, 0};
    for (std::int64_t set = 0; set < kept.activations; ++set)
      hidden_.push_back(context_.make_matrix(Category::activations, tokens, wide));
    for (std::int64_t set = 0; set < kept.inputs; ++set)
      activated_.push_back(context_.make_matrix(Category::activations, tokens, f));
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      up_.push_back(context_.make_matrix(Category::weights, h, wide));
      down_.push_back(context_.make_matrix(Category::weights, f, h));
      if (!shape().trains()) continue;
      up_gradient_.push_back(context_.make_matrix(Category::gradients, h, wide));
      down_gradient_.push_back(context_.make_matrix(Category::gradients, f, h));
    }
    if (!shape().trains()) return;
    for (std::int64_t set = 0; set < std::max<std::int64_t>(1, kept.gradients); ++set)
      hidden_gradient_.push_back(context_.make_matrix(Category::gradients, tokens, wide));
  }

  void fill(Heartbeat& heartbeat) override {
    const std::int64_t h = shape().hidden_size;
    for (std::int64_t layer = 0; layer < shape().num_layers; ++layer) {
      const MatrixView& up = up_[index(layer)].view();
      if (gated()) backend().fill(gate_of(up), key(TensorName::gate, layer, h), 0, inner_.begin);
      backend().fill(up_of(up), key(TensorName::up, layer, h), 0, inner_.begin);
      backend().fill(down_[index(layer)].view(), key(TensorName::down, layer, shape().ffn_hidden_size),
                     inner_.begin, 0);
      heartbeat.beat(Activity::compute);
    }
  }

  void prepare(std::int64_t layer, const MatrixView& x) override {
    const MatrixView& hidden = hidden_of(layer);
    backend().gemm(x, up_[index(layer)].view(), hidden);
    if (gated())
      backend().swiglu(hidden, activated_of(layer));
    else
      backend().gelu(hidden, activated_of(layer));
  }

  void project(std::int64_t layer, const OutputPiece& piece, const MatrixView& target) override {
    backend().gemm(activated_of(layer).row_slice(piece.rows.begin, piece.rows.size()),
                   down_[index(layer)].view().column_slice(piece.columns.begin, piece.columns.size()),
                   target);
  }

  // dact = dY B^T; through the activation; dX = dH A^T
  void input_gradient(std::int64_t layer, const MatrixView& dy, const MatrixView& dx) override {
    const MatrixView& hidden_gradient = hidden_gradient_of(layer);
    const MatrixView activated_gradient = hidden_gradient.column_slice(0, inner_.size());
    backend().gemm(dy, transposed(down_[index(layer)].view()), activated_gradient);
    if (gated())
      backend().swiglu_backward(hidden_of(layer), activated_gradient, hidden_gradient);
    else
      backend().gelu_backward(hidden_of(layer), activated_gradient, hidden_gradient);
    backend().gemm(hidden_gradient, transposed(up_[index(layer)].view()), dx);
  }

  // dB = act^T dY; dA = X^T dH
  void weight_gradients(std::int64_t layer, const MatrixView& x, const MatrixView& dy) override {
    const Store store = context_.into_gradient();
    backend().multiply(transposed(activated_of(layer)), dy, down_gradient_[index(layer)].view(), store);
    backend().multiply(transposed(x), hidden_gradient_of(layer), up_gradient_[index(layer)].view(), store);
  }

  void poison(std::int64_t layer, Direction direction) override {
    if (direction == Direction::forward) {
      backend().poison(hidden_of(layer));
      if (shape().trains()) backend().poison(activated_of(layer));
    } else {
      backend().poison(hidden_gradient_of(layer));
      backend().poison(up_gradient_[index(layer)].view());
      backend().poison(down_gradient_[index(layer)].view());
    }
  }

  std::vector<Result> gradients(std::int64_t layer) const override {
    const MatrixView& up = up_gradient_[index(layer)].view();
    std::vector<Result> results = {
        {"up_gradient", up_of(up), 0, inner_.begin},
        {"down_gradient", down_gradient_[index(layer)].view(), inner_.begin, 0},
    };
    if (gated()) results.push_back({"gate_gradient", gate_of(up), 0, inner_.begin});
    return results;
  }

 private:
  static std::size_t index(std::int64_t layer) { return static_cast<std::size_t>(layer); }
  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  [[nodiscard]] Backend& backend() const { return context_.backend; }
  [[nodiscard]] bool gated() const { return shape().gated(); }
  [[nodiscard]] TensorKey key(TensorName name, std::int64_t layer, std::int64_t fan_in) const {
    return weight_key(context_.seed, name, context_.whole_layer(layer), fan_in);
  }
  [[nodiscard]] MatrixView gate_of(const MatrixView& wide) const {
    return wide.column_slice(0, inner_.size());
  }
  [[nodiscard]] MatrixView up_of(const MatrixView& wide) const {
    return wide.column_slice(gated() ? inner_.size() : 0, inner_.size());
  }
  // Without backward the activation works where its operand stands, and weight sets share the place.
  [[nodiscard]] const MatrixView& hidden_of(std::int64_t layer) const {
    return hidden_[context_.activations_at(layer)].view();
  }
  [[nodiscard]] MatrixView activated_of(std::int64_t layer) const {
    return shape().trains() ? activated_[context_.inputs_at(layer)].view()
                            : hidden_of(layer).column_slice(0, inner_.size());
  }

  [[nodiscard]] const MatrixView& hidden_gradient_of(std::int64_t layer) const {
    return hidden_gradient_[context_.gradients_at(layer)].view();
  }

  LayerContext context_;
  Range inner_;
  std::vector<Matrix> up_, down_;
  std::vector<Matrix> hidden_;
  std::vector<Matrix> activated_;
  std::vector<Matrix> up_gradient_, down_gradient_;
  std::vector<Matrix> hidden_gradient_;
};

}  // namespace

std::unique_ptr<RegionPart> make_mlp_part(const LayerContext& context) {
  return std::make_unique<MlpPart>(context);
}

}  // namespace tpbench
