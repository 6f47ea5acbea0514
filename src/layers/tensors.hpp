#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/fill.hpp"
#include "workload/shape.hpp"

namespace tpbench {

/// The tensors that layers fill, each with a stream of values of its own.
enum class TensorName : std::uint32_t {
  input = 1,
  weight,
  gate,
  up,
  down,
  query,
  key,
  value,
  out,
  norm,
  cached_keys,
  cached_values,
  output_gradient,
  embedding,
  head,
  token_ids,
  targets,
  probe = 100
};

/// Inputs are uniform in [-1, 1).
inline TensorKey input_key(std::uint64_t seed) {
  return {.seed = seed, .tensor = static_cast<std::uint32_t>(TensorName::input)};
}

/// So is the gradient of the output, with which backward begins.
inline TensorKey output_gradient_key(std::uint64_t seed) {
  return {.seed = seed, .tensor = static_cast<std::uint32_t>(TensorName::output_gradient)};
}

/// Weights are scaled by the length of the sum they stand in, so that outputs stay as large as inputs.
inline TensorKey weight_key(std::uint64_t seed, TensorName name, std::int64_t layer, std::int64_t fan_in) {
  return {seed, static_cast<std::uint32_t>(name), layer, std::sqrt(3.0 / static_cast<double>(fan_in))};
}

/// Query weights are larger, so that scores differ by about one and attention prefers some tokens to others.
inline TensorKey query_key(std::uint64_t seed, std::int64_t layer, std::int64_t fan_in) {
  constexpr double kSpread = 3;
  TensorKey key = weight_key(seed, TensorName::query, layer, fan_in);
  key.scale *= kSpread;
  return key;
}

/// Parameters of norms, and keys and values of earlier tokens, are uniform in [-1, 1).
inline TensorKey plain_key(std::uint64_t seed, TensorName name, std::int64_t layer) {
  return {.seed = seed, .tensor = static_cast<std::uint32_t>(name), .layer = layer};
}

/// Embeddings are as large as inputs; those that are the weights of the output head too are scaled for that.
inline TensorKey embedding_key(std::uint64_t seed, const Shape& shape) {
  if (shape.ties_embeddings) return weight_key(seed, TensorName::embedding, 0, shape.hidden_size);
  return plain_key(seed, TensorName::embedding, 0);
}
inline TensorKey head_key(std::uint64_t seed, const Shape& shape) {
  if (shape.ties_embeddings) return embedding_key(seed, shape);
  return weight_key(seed, TensorName::head, 0, shape.hidden_size);
}

/// The ids of all tokens (or, for `targets`, of those that should follow them): any of the vocabulary.
std::vector<std::int64_t> generated_ids(std::uint64_t seed, TensorName name, const Shape& shape);

/// What rank `rank` brings to a probe of the fabric.
inline TensorKey probe_key(std::uint64_t seed, std::int64_t rank) {
  return {.seed = seed,
          .tensor = static_cast<std::uint32_t>(TensorName::probe) + static_cast<std::uint32_t>(rank)};
}

}  // namespace tpbench
