#include "workload/models.hpp"

#include <algorithm>
#include <array>

namespace tpbench {
namespace {

// Families: what their models have in common.
constexpr bool kTied = true, kOwnOutput = false;
constexpr Norm kLayer = Norm::layer_norm, kRms = Norm::rms_norm;
constexpr Activation kGelu = Activation::gelu, kSwiglu = Activation::swiglu;

// name, title, h, f, a, g, L, vocabulary, embeddings, norm, activation, source
constexpr std::array kModels = {
    // Its paper prints d_model 5140 beside 40 heads of 128, which is 5120; with 5140 the heads do not fit.
    Model{"gpt3-13b", "GPT-3 13B", 5120, 20480, 40, 40, 40, 50257, kTied, kLayer, kGelu,
          "arXiv 2005.14165, table 2.1"},
    Model{"gpt3-175b", "GPT-3 175B", 12288, 49152, 96, 96, 96, 50257, kTied, kLayer, kGelu,
          "arXiv 2005.14165, table 2.1"},
    Model{"megatron-22b", "Megatron 22B", 6144, 24576, 64, 64, 48, 51200, kTied, kLayer, kGelu,
          "arXiv 2205.05198, table 3"},
    Model{"llama2-7b", "Llama 2 7B", 4096, 11008, 32, 32, 32, 32000, kOwnOutput, kRms, kSwiglu,
          "config.json of meta-llama/Llama-2-7b-hf; arXiv 2307.09288"},
    Model{"llama2-70b", "Llama 2 70B", 8192, 28672, 64, 8, 80, 32000, kOwnOutput, kRms, kSwiglu,
          "config.json of meta-llama/Llama-2-70b-hf; arXiv 2307.09288"},
    Model{"llama3-8b", "Llama 3 8B", 4096, 14336, 32, 8, 32, 128256, kOwnOutput, kRms, kSwiglu,
          "arXiv 2407.21783, table 3; config.json of meta-llama/Meta-Llama-3-8B"},
    Model{"llama3-70b", "Llama 3 70B", 8192, 28672, 64, 8, 80, 128256, kOwnOutput, kRms, kSwiglu,
          "arXiv 2407.21783, table 3; config.json of meta-llama/Meta-Llama-3-70B"},
    Model{"llama3-405b", "Llama 3 405B", 16384, 53248, 128, 8, 126, 128256, kOwnOutput, kRms, kSwiglu,
          "arXiv 2407.21783, table 3; config.json of meta-llama/Llama-3.1-405B"},
    Model{"mistral-7b", "Mistral 7B", 4096, 14336, 32, 8, 32, 32000, kOwnOutput, kRms, kSwiglu,
          "arXiv 2310.06825, table 1; config.json of mistralai/Mistral-7B-v0.1"},
    Model{"qwen2.5-7b", "Qwen2.5 7B", 3584, 18944, 28, 4, 28, 152064, kOwnOutput, kRms, kSwiglu,
          "config.json of Qwen/Qwen2.5-7B; arXiv 2412.15115, table 1"},
    Model{"qwen2.5-72b", "Qwen2.5 72B", 8192, 29568, 64, 8, 80, 152064, kOwnOutput, kRms, kSwiglu,
          "config.json of Qwen/Qwen2.5-72B; arXiv 2412.15115, table 1"},
};

}  // namespace

std::span<const Model> all_models() { return kModels; }

const Model* find_model(std::string_view name) {
  const auto found =
      std::find_if(kModels.begin(), kModels.end(), [&](const Model& model) { return model.name == name; });
  return found == kModels.end() ? nullptr : &*found;
}

}  // namespace tpbench
