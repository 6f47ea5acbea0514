#pragma once

#include <cstdint>
#include <span>

#include "base/direction.hpp"
#include "base/enum_names.hpp"

namespace tpbench {

/// What a rank computes, sorted by what it takes a library or a loop to do it: each kind has rates of its
/// own.
///   product                  Y [T, out] = X [T, in] W [in, out]
///   product_input_gradient   dX [T, in] = dY [T, out] W^T
///   product_weight_gradient  dW [in, out] = X^T dY
///   attention                scores, softmax and weighted values of all heads; forward
///   attention_backward       the same made anew, and its gradients
///   activation               gelu, swiglu, exponentials of a cross-entropy: an exp for each element
///   elementwise              norms, residuals, copies, rows looked up: what only reads and writes
enum class WorkKind {
  product,
  product_input_gradient,
  product_weight_gradient,
  attention,
  attention_backward,
  activation,
  elementwise
};

/// Work of one kind and size in one step of one rank. FLOP and bytes are those of all calls.
struct Work {
  WorkKind kind = WorkKind::product;
  Direction direction = Direction::forward;
  std::int64_t tokens = 0;  ///< rows: T of a product, those of a sequence in attention
  std::int64_t in = 0;      ///< of a product's weight; columns of scores in attention; columns else
  std::int64_t out = 0;     ///< of a product's weight; d a/t in attention; columns else
  double calls = 0;         ///< of the library, or tiles of attention
  double flop = 0;          ///< 2mnk of each product; 0 where there is none
  double bytes = 0;         ///< of every operand, read or written once; those of weights are of each call
};

/// Bytes of all operands: what a step goes through.
inline double bytes_of(std::span<const Work> work) {
  double bytes = 0;
  for (const Work& part : work) bytes += part.bytes;
  return bytes;
}

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::WorkKind, {tpbench::WorkKind::product, "product"},
                   {tpbench::WorkKind::product_input_gradient, "product_input_gradient"},
                   {tpbench::WorkKind::product_weight_gradient, "product_weight_gradient"},
                   {tpbench::WorkKind::attention, "attention"},
                   {tpbench::WorkKind::attention_backward, "attention_backward"},
                   {tpbench::WorkKind::activation, "activation"},
                   {tpbench::WorkKind::elementwise, "elementwise"});
