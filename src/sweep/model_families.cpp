#include "sweep/model_families.hpp"

#include <algorithm>
#include <array>

namespace tpbench {
namespace {

constexpr Norm kLayer = Norm::layer_norm, kRms = Norm::rms_norm;
constexpr std::string_view kBiasesAndPositions = "biases and learned position embeddings";

constexpr UnrunParameters kNone = {};
constexpr UnrunParameters kQkvBiases = {.qkv_biases = true};
constexpr UnrunParameters kAllBiases = {.qkv_biases = true, .out_bias = true, .mlp_biases = true};
constexpr UnrunParameters kHeadNorms = {.norms_queries_and_keys = true};
constexpr UnrunParameters kFourNorms = {.norms_per_layer = 4};
constexpr UnrunParameters kFourAndHeadNorms = {.norms_per_layer = 4, .norms_queries_and_keys = true};
constexpr UnrunParameters kOfPhi = {
    .norms_per_layer = 1, .qkv_biases = true, .out_bias = true, .mlp_biases = true, .head_bias = true};

// type, gated, norm, tied, activation, d, parameters that are not run, what else is not
constexpr std::array kFamilies = {
    ModelFamily{"llama", true, kRms, false, "silu", 0, kNone},
    ModelFamily{"mistral", true, kRms, false, "silu", 0, kNone},
    ModelFamily{"qwen2", true, kRms, false, "silu", 0, kQkvBiases, "biases of Q, K and V"},
    ModelFamily{"qwen3", true, kRms, false, "silu", 128, kHeadNorms, "norms of queries and keys"},
    ModelFamily{"gemma", true, kRms, true, "gelu_pytorch_tanh", 256, kNone},
    ModelFamily{"gemma2", true, kRms, true, "gelu_pytorch_tanh", 256, kFourNorms,
                "the norms behind attention and mlp"},
    ModelFamily{"gemma3_text", true, kRms, true, "gelu_pytorch_tanh", 256, kFourAndHeadNorms,
                "the norms behind attention and mlp, and of queries and keys"},
    ModelFamily{"phi3", true, kRms, false, "silu", 0, kNone},
    ModelFamily{"granite", true, kRms, false, "silu", 0, kNone,
                "multipliers of embeddings, residuals and scores"},
    ModelFamily{"smollm3", true, kRms, true, "silu", 0, kNone},
    ModelFamily{"stablelm", true, kLayer, false, "silu", 0, kNone},
    ModelFamily{"gpt2", false, kLayer, true, "gelu_new", 0, kAllBiases, kBiasesAndPositions},
    ModelFamily{"gpt_neox", false, kLayer, false, "gelu", 0, kAllBiases, "biases"},
    ModelFamily{"phi", false, kLayer, false, "gelu_new", 0, kOfPhi, "biases"},
    ModelFamily{"opt", false, kLayer, true, "relu", 0, kAllBiases, kBiasesAndPositions},
    ModelFamily{"starcoder2", false, kLayer, true, "gelu_pytorch_tanh", 0, kAllBiases, "biases"},
    ModelFamily{"falcon", false, kLayer, true, "gelu", 0, kNone},
    // Falcon's older names, of 40B and of 7B.
    ModelFamily{"RefinedWeb", false, kLayer, true, "gelu", 0, kNone},
    ModelFamily{"RefinedWebModel", false, kLayer, true, "gelu", 0, kNone},
};

struct OtherKind {
  std::string_view type, kind;
};

constexpr std::string_view kExperts = "a mixture of experts";
constexpr std::string_view kStateSpace = "a state space or recurrent model";
constexpr std::string_view kEncoder = "an encoder-decoder or an encoder";
constexpr std::string_view kLatent = "a model with latent attention";

constexpr std::array kOtherKinds = {
    OtherKind{"mixtral", kExperts},
    OtherKind{"qwen2_moe", kExperts},
    OtherKind{"qwen3_moe", kExperts},
    OtherKind{"phimoe", kExperts},
    OtherKind{"olmoe", kExperts},
    OtherKind{"gpt_oss", kExperts},
    OtherKind{"dbrx", kExperts},
    OtherKind{"granitemoe", kExperts},
    OtherKind{"llama4", kExperts},
    OtherKind{"llama4_text", kExperts},
    OtherKind{"glm4_moe", kExperts},
    OtherKind{"switch_transformers", kExperts},
    OtherKind{"deepseek_v2", kLatent},
    OtherKind{"deepseek_v3", kLatent},
    OtherKind{"minicpm3", kLatent},
    OtherKind{"mamba", kStateSpace},
    OtherKind{"mamba2", kStateSpace},
    OtherKind{"falcon_mamba", kStateSpace},
    OtherKind{"jamba", kStateSpace},
    OtherKind{"zamba", kStateSpace},
    OtherKind{"zamba2", kStateSpace},
    OtherKind{"bamba", kStateSpace},
    OtherKind{"rwkv", kStateSpace},
    OtherKind{"recurrent_gemma", kStateSpace},
    OtherKind{"nemotron_h", kStateSpace},
    OtherKind{"falcon_h1", kStateSpace},
    OtherKind{"qwen3_next", kStateSpace},
    OtherKind{"t5", kEncoder},
    OtherKind{"mt5", kEncoder},
    OtherKind{"bart", kEncoder},
    OtherKind{"mbart", kEncoder},
    OtherKind{"whisper", kEncoder},
    OtherKind{"pegasus", kEncoder},
    OtherKind{"bert", kEncoder},
    OtherKind{"roberta", kEncoder},
    OtherKind{"xlm-roberta", kEncoder},
    OtherKind{"deberta-v2", kEncoder},
    OtherKind{"modernbert", kEncoder},
    OtherKind{"distilbert", kEncoder},
    OtherKind{"vit", kEncoder},
    OtherKind{"clip", kEncoder},
    OtherKind{"mllama", "a model with cross attention"},
    OtherKind{"mllama_text_model", "a model with cross attention"},
    OtherKind{"gemma3n_text", "a model of unequal layers"},
    OtherKind{"openelm", "a model of unequal layers"},
};

}  // namespace

const ModelFamily* find_model_family(std::string_view type) {
  const auto found = std::find_if(kFamilies.begin(), kFamilies.end(),
                                  [&](const ModelFamily& family) { return family.type == type; });
  return found == kFamilies.end() ? nullptr : &*found;
}

std::span<const ModelFamily> model_families() { return kFamilies; }

std::string_view why_not_a_dense_decoder(std::string_view type) {
  const auto found = std::find_if(kOtherKinds.begin(), kOtherKinds.end(),
                                  [&](const OtherKind& other) { return other.type == type; });
  return found == kOtherKinds.end() ? std::string_view() : found->kind;
}

}  // namespace tpbench
