#include "sweep/model_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.hpp"
#include "base/fields.hpp"
#include "base/text.hpp"
#include "sweep/model_families.hpp"
#include "sweep/schema_check.hpp"

namespace tpbench {
namespace {

bool is_true(const Json& value) { return value.is_boolean() && value.get<bool>(); }
bool is_more_than_one(const Json& value) { return value.is_number() && value.get<double>() > 1; }
bool is_more_than_zero(const Json& value) { return value.is_number() && value.get<double>() > 0; }
bool is_something(const Json& value) {
  return !value.is_null() && !(value.is_structured() && value.empty()) && value != Json(false);
}

bool is_full_or_windowed(const Json& layer_type) {
  return layer_type == "full_attention" || layer_type == "sliding_attention" ||
         layer_type == "chunked_attention";
}
bool has_other_layers(const Json& layer_types) {
  return layer_types.is_array() && !std::all_of(layer_types.begin(), layer_types.end(), is_full_or_windowed);
}
bool has_windowed_layers(const Json& layer_types) {
  return layer_types.is_array() && std::any_of(layer_types.begin(), layer_types.end(),
                                               [](const Json& type) { return type != "full_attention"; });
}

// A key that decides something about the whole model, where its value is of this kind.
struct Sign {
  std::string_view key;
  bool (*holds)(const Json&);
  std::string_view words;
};

// No dense decoder of equal layers.
constexpr std::array kRefused = {
    Sign{"is_encoder_decoder", is_true, "an encoder-decoder"},
    Sign{"num_local_experts", is_more_than_one, "a mixture of experts"},
    Sign{"num_experts", is_more_than_one, "a mixture of experts"},
    Sign{"n_routed_experts", is_more_than_one, "a mixture of experts"},
    Sign{"moe_num_experts", is_more_than_one, "a mixture of experts"},
    Sign{"num_experts_per_tok", is_more_than_zero, "a mixture of experts"},
    Sign{"moe_intermediate_size", is_more_than_zero, "a mixture of experts"},
    Sign{"ffn_config", is_something, "a mixture of experts"},
    Sign{"kv_lora_rank", is_more_than_zero, "a model with latent attention"},
    Sign{"q_lora_rank", is_more_than_zero, "a model with latent attention"},
    Sign{"cross_attention_layers", is_something, "a model with cross attention"},
    Sign{"add_cross_attention", is_true, "a model with cross attention"},
    Sign{"state_size", is_more_than_zero, "a state space model"},
    Sign{"ssm_cfg", is_something, "a state space model"},
    Sign{"mamba_d_state", is_more_than_zero, "a state space model"},
    Sign{"attn_layer_period", is_more_than_zero, "a model with layers of several kinds"},
    Sign{"layers_block_type", is_something, "a model with layers of several kinds"},
    Sign{"hybrid_override_pattern", is_something, "a model with layers of several kinds"},
    Sign{"block_configs", is_something, "a model of unequal layers"},
    Sign{"layer_types", has_other_layers, "a model with layers of several kinds"},
};

// Computes otherwise than a published layer does; the products are the same.
constexpr std::array kNotRun = {
    Sign{"attn_logit_softcapping", is_something, "soft caps of the scores are left out"},
    Sign{"final_logit_softcapping", is_something, "soft caps of the logits are left out"},
    Sign{"attention_chunk_size", is_something, "attention looks at all earlier tokens"},
    Sign{"layer_types", has_windowed_layers, "attention looks at all earlier tokens in every layer"},
    Sign{"attention_bias", is_true, "biases are left out"},
    Sign{"qkv_bias", is_true, "biases are left out"},
    Sign{"use_qkv_bias", is_true, "biases are left out"},
    Sign{"mlp_bias", is_true, "biases are left out"},
    Sign{"bias", is_true, "biases are left out"},
    Sign{"alibi", is_true, "position biases are left out"},
    Sign{"qk_layernorm", is_true, "norms of queries and keys are left out"},
    Sign{"quantization_config", is_something, "weights are not quantised: they are of the case's dtype"},
    Sign{"vision_config", is_something, "the text model alone is run"},
    Sign{"audio_config", is_something, "the text model alone is run"},
};

struct Number {
  const char* key;  // as most families call it
  std::array<const char*, 3> other_names;
  std::int64_t largest;
};

constexpr Number kHidden = {"hidden_size", {"n_embd", "d_model", nullptr}, 262144};
constexpr Number kFfn = {"intermediate_size", {"n_inner", "ffn_dim", "ffn_hidden_size"}, 1048576};
constexpr Number kHeads = {"num_attention_heads", {"n_head", nullptr, nullptr}, 65536};
constexpr Number kKvHeads = {"num_key_value_heads", {"num_kv_heads", "n_head_kv", nullptr}, 65536};
constexpr Number kHeadDim = {"head_dim", {nullptr, nullptr, nullptr}, 65536};
constexpr Number kLayers = {"num_hidden_layers", {"n_layer", nullptr, nullptr}, 1024};
constexpr Number kVocabulary = {"vocab_size", {nullptr, nullptr, nullptr}, 16777216};
constexpr Number kPositions = {"max_position_embeddings", {"n_positions", "n_ctx", nullptr}, 1073741824};

class Reader {
 public:
  Reader(const Json& document, const std::string& place) : document_(document), place_(place) {
    const auto nested = document.find("text_config");
    if (nested != document.end() && nested->is_object()) {
      text_ = &*nested;
      prefix_ = "/text_config";
    }
  }

  ModelFile read() {
    ModelFile file;
    const std::string type = read_type();
    refuse_other_kinds(type);
    const ModelFamily* family = find_model_family(type);
    if (family == nullptr && faults_.empty()) {
      std::vector<std::string> known;
      for (const ModelFamily& row : model_families()) known.emplace_back(row.type);
      refuse("model_type", Json(type),
             fmt::format("is not a known family of dense decoders{}; known: {}", did_you_mean(type, known),
                         join_words(known)));
    }
    if (family != nullptr) read_shape(*family, file.model);
    if (!faults_.empty()) throw UsageError(faults_);
    file.family = type;
    const Json* dtype = find("torch_dtype");
    if (dtype == nullptr) dtype = find("dtype");
    if (dtype != nullptr && dtype->is_string()) file.dtype = dtype->get<std::string>();
    return file;
  }

 private:
  // A key of the text model; of the whole file where the text model has none.
  [[nodiscard]] const Json* find(std::string_view key) const {
    for (const Json* object : {text_, &document_}) {
      const auto found = object->find(key);
      if (found != object->end()) return &*found;
    }
    return nullptr;
  }
  [[nodiscard]] bool holds(const char* key, bool otherwise = false) const {
    const Json* value = find(key);
    return value == nullptr ? otherwise : is_true(*value);
  }
  [[nodiscard]] std::string pointer(std::string_view key) const {
    return fmt::format("{}/{}", text_->contains(key) ? prefix_ : std::string(), key);
  }
  void refuse(std::string_view key, const Json& value, const std::string& rule) {
    faults_.push_back({place_, pointer(key), shown(value), rule});
  }
  void miss(std::string_view key, const std::string& rule) {
    faults_.push_back({place_, pointer(key), "", rule});
  }

  std::string read_type() {
    const Json* type = find("model_type");
    if (type != nullptr && type->is_string()) return type->get<std::string>();
    if (type != nullptr) {
      refuse("model_type", *type, "must be the name of a family, such as \"llama\"");
    } else {
      miss("model_type", "is missing: the family tells what the other keys leave open");
    }
    return "";
  }

  void refuse_other_kinds(const std::string& type) {
    constexpr std::string_view kRule = "makes it {}, which tpbench does not run: it runs dense decoders only";
    if (const auto kind = why_not_a_dense_decoder(type); !kind.empty())
      refuse("model_type", Json(type), fmt::format(fmt::runtime(kRule), kind));
    for (const Sign& sign : kRefused) {
      const Json* value = find(sign.key);
      if (value != nullptr && sign.holds(*value))
        refuse(sign.key, *value, fmt::format(fmt::runtime(kRule), sign.words));
    }
  }

  // 0 where no key names the number, or only with null.
  std::int64_t number(const Number& what) {
    std::int64_t result = 0;
    std::string_view first_key;
    for (const char* key : {what.key, what.other_names[0], what.other_names[1], what.other_names[2]}) {
      const Json* value = key == nullptr ? nullptr : find(key);
      if (value == nullptr || value->is_null()) continue;
      Json whole = *value;
      make_integral(whole);
      if (!whole.is_number_integer() || whole < 1 || whole > what.largest) {
        refuse(key, *value,
               value->is_array() ? "must be one number: tpbench runs layers that are all equal"
                                 : fmt::format("must be a whole number from 1 to {}", what.largest));
        continue;
      }
      const auto found = whole.get<std::int64_t>();
      if (result != 0 && found != result)
        refuse(key, *value, fmt::format("contradicts {} {}", first_key, result));
      if (result == 0) first_key = key;
      result = found;
    }
    return result;
  }

  std::int64_t required(const Number& what) {
    const std::size_t before = faults_.size();
    const std::int64_t value = number(what);
    if (value == 0 && faults_.size() == before) miss(what.key, "is missing");
    return value;
  }

  void read_shape(const ModelFamily& family, Model& model) {
    model.title = family.type;
    model.unrun = family.unrun;
    if (!family.not_run.empty()) model.not_run.emplace_back(family.not_run);
    model.hidden_size = required(kHidden);
    model.num_heads = required(kHeads);
    model.num_layers = required(kLayers);
    model.vocabulary = required(kVocabulary);
    model.norm = family.norm;
    model.ties_embeddings = holds("tie_word_embeddings", family.ties_embeddings);
    read_ffn(family, model);
    read_heads(family, model);
    read_activation(family, model);
    read_family_matters(family, model);
    read_window(model);
    for (const Sign& sign : kNotRun) {
      const Json* value = find(sign.key);
      if (value == nullptr || !sign.holds(*value)) continue;
      const std::string said =
          value->is_primitive() ? fmt::format("{} {}", sign.key, value->dump()) : std::string(sign.key);
      model.not_run.push_back(fmt::format("{}: {}", said, sign.words));
    }
  }

  void read_ffn(const ModelFamily& family, Model& model) {
    const std::size_t before = faults_.size();
    model.ffn_hidden_size = number(kFfn);
    if (model.ffn_hidden_size != 0 || faults_.size() != before) return;
    // GPT-2 and Falcon say nothing, or null, where it is 4h.
    if (family.gated)
      miss(kFfn.key, "is missing");
    else
      model.ffn_hidden_size = 4 * model.hidden_size;
  }

  void read_heads(const ModelFamily& family, Model& model) {
    model.num_kv_heads = number(kKvHeads);
    // Falcon's files name as many key/value heads as heads beside multi_query, which means one.
    if (is_falcon(family) && !has_new_falcon_form(family))
      model.num_kv_heads = holds("multi_query", true) ? 1 : 0;
    if (model.num_kv_heads == 0) model.num_kv_heads = model.num_heads;
    model.head_dim = number(kHeadDim);
    if (model.head_dim == 0) model.head_dim = family.head_dim;
    if (!faults_.empty() || model.num_heads == 0) return;
    if (model.num_heads % model.num_kv_heads != 0)
      refuse(used_key(kKvHeads), Json(model.num_kv_heads),
             fmt::format("does not divide the {} heads", model.num_heads));
    if (model.head_dim != 0) return;
    if (model.hidden_size % model.num_heads != 0)
      refuse(used_key(kHeads), Json(model.num_heads),
             fmt::format("does not divide hidden_size {}, and there is no head_dim", model.hidden_size));
    else
      model.head_dim = model.hidden_size / model.num_heads;
  }

  [[nodiscard]] std::string_view used_key(const Number& what) const {
    for (const char* key : what.other_names) {
      if (key != nullptr && find(key) != nullptr && find(what.key) == nullptr) return key;
    }
    return what.key;
  }

  void read_activation(const ModelFamily& family, Model& model) {
    model.activation = family.gated ? Activation::swiglu : Activation::gelu;
    std::string name(family.activation);
    std::string_view key = "hidden_act";
    for (const std::string_view candidate :
         {"hidden_activation", "hidden_act", "activation_function", "activation"}) {
      const Json* value = find(candidate);
      if (value == nullptr || value->is_null()) continue;
      key = candidate;
      name = value->is_string() ? value->get<std::string>() : value->dump();
      break;
    }
    const bool silu = name == "silu" || name == "swish";
    const bool gelu = name.starts_with("gelu") || name == "quick_gelu";
    if (!silu && !gelu && !name.starts_with("relu")) {
      refuse(key, Json(name),
             "is not a known activation; known: silu, swish, and those whose names begin with gelu or relu");
    } else if (family.gated ? !silu : !gelu) {
      model.not_run.push_back(fmt::format("{} {}{}: run as {}, which has the same products", key,
                                          family.gated ? "gated " : "", name, name_of(model.activation)));
    }
  }

  static bool is_falcon(const ModelFamily& family) {
    return family.type == "falcon" || family.type.starts_with("RefinedWeb");
  }
  [[nodiscard]] bool has_new_falcon_form(const ModelFamily& family) const {
    return family.type == "RefinedWeb" || holds("new_decoder_architecture");
  }

  void read_family_matters(const ModelFamily& family, Model& model) {
    bool parallel = family.type == "phi" || holds("use_parallel_residual", family.type == "gpt_neox");
    if (is_falcon(family)) {
      const bool new_form = has_new_falcon_form(family);
      parallel = new_form || holds("parallel_attn", true);
      const Json* norms = find("num_ln_in_parallel_attn");
      const bool one_norm = parallel && (!new_form || (norms != nullptr && *norms == 1));
      model.unrun.norms_per_layer = one_norm ? 1 : 2;
    }
    if (parallel) {
      model.not_run.emplace_back(
          "parallel attention and mlp: run one after the other, with two all-reduces in a layer instead of "
          "one");
    }
    if (family.type == "gpt2" || family.type == "opt") {
      const std::int64_t offset = family.type == "opt" ? 2 : 0;  // rows that OPT's table has in front
      model.unrun.learned_positions = required(kPositions) + offset;
    }
    if (family.type == "opt" && find("word_embed_proj_dim") != nullptr &&
        *find("word_embed_proj_dim") != Json(model.hidden_size))
      refuse("word_embed_proj_dim", *find("word_embed_proj_dim"),
             fmt::format("differs from hidden_size {}: tpbench has no projection of embeddings",
                         model.hidden_size));
    if (holds("qkv_bias") || holds("use_qkv_bias")) model.unrun.qkv_biases = true;
    if (holds("attention_bias")) model.unrun.qkv_biases = model.unrun.out_bias = true;
    if (holds("bias")) model.unrun.qkv_biases = model.unrun.out_bias = model.unrun.mlp_biases = true;
    if (holds("mlp_bias")) model.unrun.mlp_biases = true;
  }

  void read_window(Model& model) {
    const Json* window = find("sliding_window");
    if (window == nullptr || !is_something(*window) || !holds("use_sliding_window", true)) return;
    model.not_run.push_back(
        fmt::format("sliding_window {}: attention looks at all earlier tokens", window->dump()));
  }

  const Json& document_;
  const std::string& place_;
  const Json* text_ = &document_;
  std::string prefix_;
  std::vector<Fault> faults_;
};

}  // namespace

ModelFile parse_model_file(std::string_view text, const std::string& place) {
  Json document;
  try {
    document = Json::parse(text);
  } catch (const Json::parse_error& error) {
    throw UsageError({Fault{place, "", "", fmt::format("not valid JSON: {}", error.what())}});
  }
  if (!document.is_object())
    throw UsageError({Fault{place, "", shown(document), "must be an object: a model's config.json"}});
  ModelFile file = Reader(document, place).read();
  file.model.name = place;
  file.model.source = place;
  file.parameters = count_parameters(file.model).total();
  file.hash = fmt::format("fnv1a64:{:016x}", stable_hash(text));
  return file;
}

Json model_file_to_json(const ModelFile& file) { return write_object(fields_of<ModelFile>(), file); }

ModelFile model_file_from_json(const Json& object) {
  ModelFile file;
  read_object(fields_of<ModelFile>(), object, file);
  return file;
}

template <>
std::span<const Field<Model>> fields_of() {
  static const std::vector<Field<Model>> kRows = {
      field("name", &Model::name, {}),
      field("title", &Model::title, {}),
      field("hidden_size", &Model::hidden_size, {.least = 1}),
      field("ffn_hidden_size", &Model::ffn_hidden_size, {.least = 1}),
      field("num_heads", &Model::num_heads, {.least = 1}),
      field("num_kv_heads", &Model::num_kv_heads, {.least = 1}),
      field("head_dim", &Model::head_dim, {.least = 1}),
      field("num_layers", &Model::num_layers, {.least = 1}),
      field("vocabulary", &Model::vocabulary, {.least = 1}),
      field("ties_embeddings", &Model::ties_embeddings, {}),
      field("norm", &Model::norm, {}),
      field("activation", &Model::activation, {}),
      field("source", &Model::source, {}),
      field("not_run", &Model::not_run, {}),
  };
  return kRows;
}

template <>
std::span<const Field<ModelFile>> fields_of() {
  static const std::vector<Field<ModelFile>> kRows = {
      field("hash", &ModelFile::hash, {.least = 1}),
      field("model_type", &ModelFile::family, {}),
      field("torch_dtype", &ModelFile::dtype, {}),
      field("parameters", &ModelFile::parameters, {.least = 1}),
      field("shape", &ModelFile::model, {}),
  };
  return kRows;
}

}  // namespace tpbench
