#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "workload/models.hpp"

namespace tpbench {

/// What a config.json leaves to its family, by model_type. Sources: the configuration and model classes of
/// Hugging Face Transformers.
struct ModelFamily {
  std::string_view type;  ///< model_type
  bool gated = true;      ///< gate, up and down: three matrices in the mlp
  Norm norm = Norm::rms_norm;
  bool ties_embeddings = false;          ///< where tie_word_embeddings does not say
  std::string_view activation = "silu";  ///< where no key says
  std::int64_t head_dim = 0;             ///< where head_dim does not say; 0: h/a
  UnrunParameters unrun = {};
  std::string_view not_run = {};  ///< of every model of the family; empty: nothing
};

/// nullptr for a family that is not known.
const ModelFamily* find_model_family(std::string_view type);

/// All names, for messages.
std::span<const ModelFamily> model_families();

/// What kind of model a model_type is that tpbench has no layers for ("a state space model"); empty when it
/// is not one of those.
std::string_view why_not_a_dense_decoder(std::string_view type);

}  // namespace tpbench
