#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workload/shape.hpp"

namespace tpbench {

/// Parameters of a model that its layers do not run here, as far as its published count needs them.
struct UnrunParameters {
  std::int64_t norms_per_layer = 2;     ///< of h parameters each, layer norms of 2h
  bool norms_queries_and_keys = false;  ///< two norms of d parameters in each layer
  bool qkv_biases = false;
  bool out_bias = false;  ///< of the attention's output projection
  bool mlp_biases = false;
  bool head_bias = false;              ///< of the output head
  std::int64_t learned_positions = 0;  ///< rows of a table of position embeddings
};

/// A model of equal dense layers, as far as their shape goes: a preset, or what a model's own file says.
struct Model {
  std::string name;   ///< as in the sweep file: family and version, a hyphen, size: "llama3-8b"; or a file
  std::string title;  ///< for people: "Llama 3 8B"
  std::int64_t hidden_size = 0;      ///< h
  std::int64_t ffn_hidden_size = 0;  ///< f
  std::int64_t num_heads = 0;        ///< a
  std::int64_t num_kv_heads = 0;     ///< g
  std::int64_t head_dim = 0;         ///< d
  std::int64_t num_layers = 0;       ///< L of the whole model
  std::int64_t vocabulary = 0;       ///< rows of the embedding
  bool ties_embeddings = false;      ///< the output projection is the embedding itself
  Norm norm = Norm::layer_norm;
  Activation activation = Activation::gelu;
  UnrunParameters unrun;
  std::string source;  ///< where its numbers stand
  /// What of it is left out or run as something else, a clause each: "sliding_window 4096: ..."
  std::vector<std::string> not_run;
};

/// All presets, in the order in which they are listed to people.
std::span<const Model> all_models();

/// The preset of that name, or nullptr.
const Model* find_model(std::string_view name);

/// Parameters of a whole model, by formula.
struct ParameterCount {
  std::int64_t layers = 0;      ///< weight matrices of all layers
  std::int64_t embeddings = 0;  ///< embedding, and the output head where it is another matrix
  std::int64_t norms = 0;       ///< in the layers and behind the last
  std::int64_t unrun = 0;       ///< biases and position embeddings, which tpbench does not run

  [[nodiscard]] std::int64_t total() const { return layers + embeddings + norms + unrun; }
};

ParameterCount count_parameters(const Model& model);

}  // namespace tpbench
