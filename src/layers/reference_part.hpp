#pragma once

#include <memory>

#include "layers/reference.hpp"

namespace tpbench {

/// What the reference of one weight set is made from. The references outlive it.
struct ReferenceContext {
  Shape shape;
  std::uint64_t seed = 1;
  std::int64_t layer = 0;
  Backend& backend;
  Heartbeat& heartbeat;
  std::optional<Nudge> nudge = {};  ///< of a weight
};

/// The unsharded counterpart of a RegionPart, for one weight set. Rows are those of the whole tensors that
/// were given to it, in order.
template <typename T>
class ReferencePart {
 public:
  using Rows = ReferenceRows<WiderThan<T>>;
  virtual ~ReferencePart() = default;
  /// Y of the given rows of X. `tokens` says which rows of [T, h] they are.
  virtual Rows forward(const Rows& x, std::span<const std::int64_t> tokens) = 0;
  /// The input gradient, from the output gradient of the rows that went through `forward`: all T of them.
  virtual Rows backward(const Rows& dy) = 0;
  /// Entries of the index-th gradient in the order of RegionPart::gradients.
  [[nodiscard]] virtual ReferenceTile gradient(std::size_t index, std::span<const std::int64_t> rows,
                                               Range columns) const = 0;
};

/// `rows` and, for each, all earlier rows of its sequence: what causal attention looks at. Sorted.
std::vector<std::int64_t> with_earlier_tokens(const Shape& shape, std::span<const std::int64_t> rows);

/// Up to `limit` of the local rows `rows` that have few earlier ones: the first of sequences that begin
/// there. Relative to rows.begin, sorted.
std::vector<std::int64_t> first_tokens(const Shape& shape, Range rows, std::int64_t limit,
                                       std::uint64_t seed);

}  // namespace tpbench
