#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "workload/shape.hpp"

namespace tpbench {

/// A published model, as far as the shape of its layers goes. docs/models.md says where each number stands.
struct Model {
  std::string_view name;         ///< as in the sweep file: family and version, a hyphen, size: "llama3-8b"
  std::string_view title;        ///< for people: "Llama 3 8B"
  std::int64_t hidden_size = 0;  ///< h
  std::int64_t ffn_hidden_size = 0;  ///< f
  std::int64_t num_heads = 0;        ///< a
  std::int64_t num_kv_heads = 0;     ///< g
  std::int64_t num_layers = 0;       ///< L of the whole model
  std::int64_t vocabulary = 0;       ///< rows of the embedding
  bool ties_embeddings = false;      ///< the output projection is the embedding itself
  Norm norm = Norm::layer_norm;
  Activation activation = Activation::gelu;
  std::string_view source;
};

/// All presets, in the order in which they are listed to people.
std::span<const Model> all_models();

/// The preset of that name, or nullptr.
const Model* find_model(std::string_view name);

}  // namespace tpbench
