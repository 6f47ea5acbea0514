#include "sweep/case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "base/json.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

// -- one member of a case <-> one JSON value

Json to_json(std::int64_t value) { return value; }
Json to_json(std::uint64_t value) { return value; }
Json to_json(bool value) { return value; }
Json to_json(const std::string& value) { return value; }

template <typename Enum>
requires std::is_enum_v<Enum> Json to_json(Enum value) { return std::string(name_of(value)); }

template <typename T>
Json to_json(const std::optional<T>& value) {
  return value ? to_json(*value) : Json(nullptr);
}

void from_json(const Json& json, bool& value) { value = json.get<bool>(); }
void from_json(const Json& json, std::string& value) { value = json.get<std::string>(); }

template <std::integral Integer>
void from_json(const Json& json, Integer& value) {
  // get<Integer>() would cut fractions and wrap numbers that do not fit.
  const bool fits = json.is_number_unsigned()
                        ? std::in_range<Integer>(json.get<std::uint64_t>())
                        : json.is_number_integer() && std::in_range<Integer>(json.get<std::int64_t>());
  if (!fits) throw std::runtime_error("is not a whole number");
  value = json.is_number_unsigned() ? static_cast<Integer>(json.get<std::uint64_t>())
                                    : static_cast<Integer>(json.get<std::int64_t>());
}

template <typename Enum>
requires std::is_enum_v<Enum>
void from_json(const Json& json, Enum& value) {
  const auto known = enum_from_name<Enum>(json.get<std::string>());
  if (!known) throw std::runtime_error("is not a known word");
  value = *known;
}

template <typename T>
void from_json(const Json& json, std::optional<T>& value) {
  if (json.is_null()) {
    value.reset();
  } else {
    from_json(json, value.emplace());
  }
}

template <auto member>
Json get(const Case& point) {
  return to_json(point.*member);
}

template <auto member>
void set(Case& point, const Json& json) {
  from_json(json, point.*member);
}

bool always(const UsedFields&) { return true; }

template <bool UsedFields::*used>
bool when(const UsedFields& uses) {
  return uses.*used;
}

template <auto member>
constexpr CaseField field(std::string_view key, std::string_view title,
                          bool (*applies)(const UsedFields&) = always) {
  return {key, title, get<member>, set<member>, applies};
}

constexpr std::array kFields = {
    field<&Case::workload>("workload", "workload"),
    field<&Case::pass>("pass", "pass"),
    field<&Case::backend>("backend", "backend"),
    field<&Case::dtype>("dtype", "dtype"),
    field<&Case::model>("model", "model"),
    field<&Case::hidden_size>("hidden_size", "h"),
    field<&Case::ffn_hidden_size>("ffn_hidden_size", "f", when<&UsedFields::ffn_hidden_size>),
    field<&Case::num_heads>("num_heads", "heads", when<&UsedFields::num_heads>),
    field<&Case::num_kv_heads>("num_kv_heads", "kv", when<&UsedFields::num_heads>),
    field<&Case::num_layers>("num_layers", "layers", when<&UsedFields::num_layers>),
    field<&Case::batch_size>("batch_size", "batch"),
    field<&Case::sequence_length>("sequence_length", "seq"),
    field<&Case::context_length>("context_length", "context", when<&UsedFields::num_heads>),
    field<&Case::tp_degree>("tp_degree", "TP"),
    field<&Case::algorithm>("algorithm", "algorithm", when<&UsedFields::algorithm>),
    field<&Case::combine>("combine", "combine", when<&UsedFields::combine>),
    field<&Case::sequence_parallel>("sequence_parallel", "SP"),
    field<&Case::overlap_chunks>("overlap_chunks", "chunks"),
    field<&Case::placement>("placement", "placement"),
    field<&Case::groups>("groups", "groups"),
    field<&Case::threads_per_rank>("threads_per_rank", "threads"),
    field<&Case::activation>("activation", "act", when<&UsedFields::activation>),
    field<&Case::norm>("norm", "norm", when<&UsedFields::norm>),
    field<&Case::cache>("cache", "cache"),
    field<&Case::seed>("seed", "seed"),
};

}  // namespace

std::span<const CaseField> case_fields() { return kFields; }

namespace {

template <auto of_case, auto of_model>
constexpr ModelField model_field(std::string_view key) {
  return {key, [](Case& point, const Model& model) { point.*of_case = model.*of_model; }};
}

constexpr std::array kModelFields = {
    model_field<&Case::hidden_size, &Model::hidden_size>("hidden_size"),
    model_field<&Case::ffn_hidden_size, &Model::ffn_hidden_size>("ffn_hidden_size"),
    model_field<&Case::num_heads, &Model::num_heads>("num_heads"),
    model_field<&Case::num_kv_heads, &Model::num_kv_heads>("num_kv_heads"),
    model_field<&Case::activation, &Model::activation>("activation"),
    model_field<&Case::norm, &Model::norm>("norm"),
};

}  // namespace

std::span<const ModelField> model_fields() { return kModelFields; }

Cost Case::cost(std::int64_t degree) const {
  Shape at_degree = shape();
  at_degree.tp_degree = degree;
  return workload_row().cost(at_degree);
}

const Workload& Case::workload_row() const {
  const Workload* row = find_workload(workload);
  if (row == nullptr)
    throw std::runtime_error(fmt::format("\"{}\" is not a workload of this build", workload));
  return *row;
}

const Model* Case::model_row() const {
  if (!model) return nullptr;
  const Model* row = find_model(*model);
  if (row == nullptr) throw std::runtime_error(fmt::format("\"{}\" is not a model of this build", *model));
  return row;
}

Shape Case::shape() const {
  return {
      .tokens = tokens(),
      .sequence_length = sequence_length,
      .context_length = context_length.value_or(0),
      .hidden_size = hidden_size,
      .ffn_hidden_size = ffn_hidden_size.value_or(0),
      .num_heads = num_heads.value_or(0),
      .num_kv_heads = num_kv_heads.value_or(0),
      .num_layers = num_layers.value_or(1),
      .tp_degree = tp_degree,
      .dtype = dtype,
      .activation = activation.value_or(Activation::gelu),
      .norm = norm.value_or(Norm::layer_norm),
      .combine = combine.value_or(Combine::all_gather),
      .pass = pass,
      .sequence_parallel = sequence_parallel,
      .overlap_chunks = overlap_chunks,
  };
}

namespace {

// Heads of 128, the usual size (Llama, GPT-3, Megatron's examples), or the next larger that divides.
std::int64_t usual_heads(std::int64_t hidden_size) {
  constexpr std::int64_t kHeadSize = 128;
  std::int64_t heads = std::max<std::int64_t>(1, hidden_size / kHeadSize);
  while (hidden_size % heads != 0) --heads;
  return heads;
}

}  // namespace

void normalise_case(Case& point) {
  if (const Model* model = point.model_row()) {
    for (const ModelField& row : kModelFields) row.set(point, *model);
  }
  if (!point.ffn_hidden_size) point.ffn_hidden_size = 4 * point.hidden_size;
  if (!point.num_heads) point.num_heads = usual_heads(point.hidden_size);
  if (!point.num_kv_heads) point.num_kv_heads = point.num_heads;
  if (!point.activation) point.activation = Activation::gelu;
  // Families of models: GPT has GELU and layer norms, Llama has SwiGLU and RMS norms.
  if (!point.norm) point.norm = point.activation == Activation::swiglu ? Norm::rms_norm : Norm::layer_norm;
  const UsedFields& uses = point.workload_row().uses;
  if (point.workload_row().kind != WorkloadKind::layer) {
    point.pass = Pass::forward;
    point.sequence_parallel = false;
  }
  if (!uses.overlap) point.overlap_chunks = 1;
  for (const CaseField& row : kFields) {
    if (!row.applies(uses)) row.set(point, nullptr);
  }
}

Json case_to_json(const Case& point) {
  Json object = Json::object();
  for (const CaseField& row : kFields) object[std::string(row.key)] = row.get(point);
  return object;
}

Case case_from_json(const Json& object) {
  if (!object.is_object()) throw std::runtime_error("a case must be an object");
  Case point;
  for (const CaseField& row : kFields) {
    const auto found = object.find(row.key);
    if (found == object.end())
      throw std::runtime_error(fmt::format("case: the key \"{}\" is missing", row.key));
    try {
      row.set(point, *found);
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("case: \"{}\": {}", row.key, error.what()));
    }
  }
  return point;
}

std::string case_id(const Case& point) {
  // What is empty stays out: threads_per_rank, when left to the machine, must not bring the machine into the
  // id, and a field that workloads of a later version use leaves the ids of the others as they are.
  std::string text;
  for (const CaseField& row : kFields) {
    const Json value = row.get(point);
    if (!value.is_null()) text += fmt::format("{}={};", row.key, value.dump());
  }
  // 48 bits: 100,000 cases that differ only in the hash still have distinct ids but for 2 sweeps in 100,000.
  constexpr std::uint64_t kHashMask = (std::uint64_t{1} << 48U) - 1;
  const std::string shape = point.model.value_or(fmt::format("h{}", point.hidden_size));
  return fmt::format("{}-{}-b{}-s{}-tp{}-{:012x}", point.workload, shape, point.batch_size,
                     point.sequence_length, point.tp_degree, stable_hash(text) & kHashMask);
}

std::string case_id_at_degree(const Case& point, std::int64_t tp_degree) {
  Case other = point;
  other.tp_degree = tp_degree;
  return case_id(other);
}

}  // namespace tpbench
