#include "workload/models.hpp"

#include <algorithm>

#include "workload/model_memory.hpp"

namespace tpbench {
namespace {

constexpr bool kTied = true, kOwnHead = false;

// The families: what their models have in common.
Model gpt(std::int64_t positions) {
  Model model;
  model.norm = Norm::layer_norm;
  model.activation = Activation::gelu;
  model.unrun = {.qkv_biases = true, .out_bias = true, .mlp_biases = true, .learned_positions = positions};
  model.not_run = {"biases", "learned position embeddings"};
  return model;
}

Model llama() {
  Model model;
  model.norm = Norm::rms_norm;
  model.activation = Activation::swiglu;
  return model;
}

Model mistral() {
  Model model = llama();
  model.not_run = {"sliding_window 4096: attention looks at all earlier tokens"};
  return model;
}

Model qwen2() {
  Model model = llama();
  model.unrun.qkv_biases = true;
  model.not_run = {"biases of Q, K and V"};
  return model;
}

Model qwen3() {
  Model model = llama();
  model.unrun.norms_queries_and_keys = true;
  model.not_run = {"norms of queries and keys"};
  return model;
}

Model gemma2() {
  Model model = llama();
  model.unrun.norms_per_layer = 4;
  model.not_run = {"gated GELU: run as swiglu, which has the same products",
                   "the norms behind attention and mlp",
                   "sliding_window 4096 in every second layer: attention looks at all earlier tokens",
                   "attn_logit_softcapping 50 and final_logit_softcapping 30"};
  return model;
}

Model falcon(std::int64_t norms_per_layer) {
  Model model;
  model.norm = Norm::layer_norm;
  model.activation = Activation::gelu;
  model.unrun.norms_per_layer = norms_per_layer;
  model.not_run = {
      "parallel attention and mlp: run one after the other, with two all-reduces in a layer instead of one"};
  return model;
}

struct Dimensions {
  std::int64_t h, f, a, g, d, layers, vocabulary;
};

Model of(Model family, std::string name, std::string title, const Dimensions& size, bool tied,
         std::string source) {
  family.name = std::move(name);
  family.title = std::move(title);
  family.hidden_size = size.h;
  family.ffn_hidden_size = size.f;
  family.num_heads = size.a;
  family.num_kv_heads = size.g;
  family.head_dim = size.d;
  family.num_layers = size.layers;
  family.vocabulary = size.vocabulary;
  family.ties_embeddings = tied;
  family.source = std::move(source);
  return family;
}

// Behind the title: h, f, a, g, d, L, vocabulary.
std::vector<Model> make_models() {
  return {
      of(gpt(1024), "gpt2", "GPT-2", {768, 3072, 12, 12, 64, 12, 50257}, kTied,
         "config.json of openai-community/gpt2"),
      // Its paper prints d_model 5140 beside 40 heads of 128, which is 5120; with 5140 the heads do not fit.
      of(gpt(2048), "gpt3-13b", "GPT-3 13B", {5120, 20480, 40, 40, 128, 40, 50257}, kTied,
         "arXiv 2005.14165, table 2.1"),
      of(gpt(2048), "gpt3-175b", "GPT-3 175B", {12288, 49152, 96, 96, 128, 96, 50257}, kTied,
         "arXiv 2005.14165, table 2.1"),
      of(gpt(2048), "megatron-22b", "Megatron 22B", {6144, 24576, 64, 64, 96, 48, 51200}, kTied,
         "arXiv 2205.05198, table 3"),
      of(llama(), "llama2-7b", "Llama 2 7B", {4096, 11008, 32, 32, 128, 32, 32000}, kOwnHead,
         "config.json of meta-llama/Llama-2-7b-hf; arXiv 2307.09288"),
      of(llama(), "llama2-70b", "Llama 2 70B", {8192, 28672, 64, 8, 128, 80, 32000}, kOwnHead,
         "config.json of meta-llama/Llama-2-70b-hf; arXiv 2307.09288"),
      of(llama(), "llama3-8b", "Llama 3 8B", {4096, 14336, 32, 8, 128, 32, 128256}, kOwnHead,
         "arXiv 2407.21783, table 3; config.json of meta-llama/Meta-Llama-3-8B"),
      of(llama(), "llama3-70b", "Llama 3 70B", {8192, 28672, 64, 8, 128, 80, 128256}, kOwnHead,
         "arXiv 2407.21783, table 3; config.json of meta-llama/Meta-Llama-3-70B"),
      of(llama(), "llama3-405b", "Llama 3 405B", {16384, 53248, 128, 8, 128, 126, 128256}, kOwnHead,
         "arXiv 2407.21783, table 3; config.json of meta-llama/Llama-3.1-405B"),
      of(llama(), "llama3.2-1b", "Llama 3.2 1B", {2048, 8192, 32, 8, 64, 16, 128256}, kTied,
         "config.json of meta-llama/Llama-3.2-1B"),
      of(llama(), "llama3.2-3b", "Llama 3.2 3B", {3072, 8192, 24, 8, 128, 28, 128256}, kTied,
         "config.json of meta-llama/Llama-3.2-3B"),
      of(mistral(), "mistral-7b", "Mistral 7B", {4096, 14336, 32, 8, 128, 32, 32000}, kOwnHead,
         "arXiv 2310.06825, table 1; config.json of mistralai/Mistral-7B-v0.1"),
      of(qwen2(), "qwen2.5-7b", "Qwen2.5 7B", {3584, 18944, 28, 4, 128, 28, 152064}, kOwnHead,
         "config.json of Qwen/Qwen2.5-7B; arXiv 2412.15115, table 1"),
      of(qwen2(), "qwen2.5-72b", "Qwen2.5 72B", {8192, 29568, 64, 8, 128, 80, 152064}, kOwnHead,
         "config.json of Qwen/Qwen2.5-72B; arXiv 2412.15115, table 1"),
      of(qwen3(), "qwen3-0.6b", "Qwen3 0.6B", {1024, 3072, 16, 8, 128, 28, 151936}, kTied,
         "config.json of Qwen/Qwen3-0.6B; arXiv 2505.09388, table 1"),
      of(qwen3(), "qwen3-4b", "Qwen3 4B", {2560, 9728, 32, 8, 128, 36, 151936}, kTied,
         "config.json of Qwen/Qwen3-4B; arXiv 2505.09388, table 1"),
      of(qwen3(), "qwen3-8b", "Qwen3 8B", {4096, 12288, 32, 8, 128, 36, 151936}, kOwnHead,
         "config.json of Qwen/Qwen3-8B; arXiv 2505.09388, table 1"),
      of(qwen3(), "qwen3-32b", "Qwen3 32B", {5120, 25600, 64, 8, 128, 64, 151936}, kOwnHead,
         "config.json of Qwen/Qwen3-32B; arXiv 2505.09388, table 1"),
      of(gemma2(), "gemma2-9b", "Gemma 2 9B", {3584, 14336, 16, 8, 256, 42, 256000}, kTied,
         "config.json of google/gemma-2-9b; arXiv 2408.00118, table 1"),
      of(gemma2(), "gemma2-27b", "Gemma 2 27B", {4608, 36864, 32, 16, 128, 46, 256000}, kTied,
         "config.json of google/gemma-2-27b; arXiv 2408.00118, table 1"),
      of(llama(), "phi3-mini", "Phi-3-mini", {3072, 8192, 32, 32, 96, 32, 32064}, kOwnHead,
         "config.json of microsoft/Phi-3-mini-4k-instruct; arXiv 2404.14219"),
      of(falcon(1), "falcon-7b", "Falcon 7B", {4544, 18176, 71, 1, 64, 32, 65024}, kTied,
         "config.json of tiiuae/falcon-7b; arXiv 2311.16867"),
      of(falcon(2), "falcon-40b", "Falcon 40B", {8192, 32768, 128, 8, 64, 60, 65024}, kTied,
         "config.json of tiiuae/falcon-40b; arXiv 2311.16867"),
  };
}

}  // namespace

std::span<const Model> all_models() {
  static const std::vector<Model> models = make_models();
  return models;
}

const Model* find_model(std::string_view name) {
  const auto models = all_models();
  const auto found =
      std::find_if(models.begin(), models.end(), [&](const Model& model) { return model.name == name; });
  return found == models.end() ? nullptr : &*found;
}

ParameterCount count_parameters(const Model& model) {
  const std::int64_t h = model.hidden_size, d = model.head_dim;
  const std::int64_t queries = model.num_heads * d, keys_and_values = 2 * model.num_kv_heads * d;
  const std::int64_t of_norm = (model.norm == Norm::layer_norm ? 2 : 1) * h;
  const UnrunParameters& unrun = model.unrun;
  ParameterCount count;
  count.layers = model.num_layers * parameters_per_layer(transformer_of(model));
  count.embeddings = (model.ties_embeddings ? 1 : 2) * model.vocabulary * h;
  count.norms = (model.num_layers * unrun.norms_per_layer + 1) * of_norm;
  if (unrun.norms_queries_and_keys) count.norms += model.num_layers * 2 * d;
  std::int64_t biases = 0;
  if (unrun.qkv_biases) biases += queries + keys_and_values;
  if (unrun.out_bias) biases += h;
  if (unrun.mlp_biases)
    biases += (model.activation == Activation::swiglu ? 2 : 1) * model.ffn_hidden_size + h;
  count.unrun =
      model.num_layers * biases + unrun.learned_positions * h + (unrun.head_bias ? model.vocabulary : 0);
  return count;
}

}  // namespace tpbench
