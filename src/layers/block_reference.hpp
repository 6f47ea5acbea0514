#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "layers/norm_reference.hpp"
#include "layers/reference_part.hpp"

namespace tpbench {

/// The unsharded layers of a BlockStack, one after the other.
template <typename T>
class BlockReference final : public Reference {
 public:
  using Real = WiderThan<T>;
  using Rows = ReferenceRows<Real>;
  /// The gradient of the last layer's output, from that output.
  using OutputGradient = std::function<Rows(const Rows& output)>;

  /// `input` is X of `rows` (sorted), which have among them all that they look at. `output_gradient` is null
  /// where backward is not asked for.
  BlockReference(const LayerContext& context, Heartbeat& heartbeat, std::vector<std::int64_t> rows,
                 Rows input, OutputGradient output_gradient);

  /// The output of each layer; backward the results of BlockStack::gradients.
  ReferenceTile tile(std::int64_t layer, Direction direction, std::size_t index,
                     std::span<const std::int64_t> rows, Range columns) override;

  /// The outputs of a layer, in order. Layers are asked for in the order in which a step runs them.
  const Rows& output(std::int64_t layer);
  /// The gradient of a layer's input; after all outputs.
  const Rows& input_gradient(std::int64_t layer);

 private:
  static constexpr std::size_t kHalves = 2;

  struct LayerState {
    std::array<std::unique_ptr<ReferencePart<T>>, kHalves> parts;
    std::vector<NormReference<Real>> norms;
  };

  [[nodiscard]] const Shape& shape() const { return context_.shape; }
  void forward_through();
  void backward_through();

  LayerContext context_;
  Heartbeat& heartbeat_;
  std::vector<std::int64_t> rows_;
  Rows stream_;  // behind layer layers_done_ - 1
  OutputGradient output_gradient_;
  std::size_t layers_done_ = 0;
  std::size_t layers_left_ = 0;  // whose backward is still to come
  std::vector<LayerState> layers_;
  Rows stream_gradient_;  // before layer layers_left_
  Rows norm_gradients_;   // of layer layers_left_
};

extern template class BlockReference<float>;
extern template class BlockReference<double>;

/// Of a `block`, whose ends are generated.
std::unique_ptr<Reference> make_block_reference(const LayerContext& context, const ReferenceExtent& extent,
                                                Heartbeat& heartbeat);
/// Multiply-adds of the reference of all results.
double block_reference_cost(const Shape& shape);

}  // namespace tpbench
