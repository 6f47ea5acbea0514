#include "sweep/case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

#include "base/fields.hpp"
#include "base/text.hpp"

namespace tpbench {
namespace {

bool always(const UsedFields&) { return true; }

template <bool UsedFields::*used>
bool when(const UsedFields& uses) {
  return uses.*used;
}

CaseField axis(Field<Case> row, std::string_view title, bool (*applies)(const UsedFields&) = always) {
  row.text.column = "*";
  return {std::move(row), title, applies};
}

template <typename T>
CaseField row(std::string_view key, std::string_view title, T Case::*member, const FieldText& text,
              bool (*applies)(const UsedFields&) = always) {
  return axis(field(key, member, text), title, applies);
}

CaseField layout_row(std::string_view key, std::string_view title, std::int64_t Layout::*degree,
                     const FieldText& text) {
  return axis(within(&Case::layout, field(key, degree, text)), title);
}

// An axis that came later, and what older cases had in its place: it stays out of the id.
CaseField later(CaseField row, Json (*implicit)(const Case&)) {
  row.implicit = implicit;
  return row;
}
// Of axes that only the host's backend has.
bool is_on_host(const Case& point) { return point.backend == "cpu"; }
Json openblas(const Case& point) { return is_on_host(point) ? Json("openblas") : Json(nullptr); }
Json plain(const Case& point) {
  return is_on_host(point) ? Json(name_of(WeightLayout::plain)) : Json(nullptr);
}
Json of_system(const Case& point) { return is_on_host(point) ? Json(name_of(Pages::system)) : Json(nullptr); }
Json one(const Case&) { return 1; }
Json none(const Case&) { return nullptr; }

constexpr const char* kOnePp = "pp_degree is 1";
constexpr const char* kNoProducts = "backend `cuda`, or the workload multiplies nothing";

Json workload_names() {
  Json names = Json::array();
  for (const Workload* workload : all_workloads()) names.push_back(workload->name);
  return {{"enum", std::move(names)}};
}

CaseField workload_row() {
  CaseField workload =
      row("workload", "workload", &Case::workload, {.meaning = "which layer was run", .least = 1});
  workload.type = workload_names;
  return workload;
}

Json usual_head_dim(const Case& point) {
  const std::int64_t heads = point.num_heads.value_or(0);
  return heads == 0 || point.hidden_size % heads != 0 ? Json(nullptr) : Json(point.hidden_size / heads);
}

CaseField head_dim_row() {
  return later(row("head_dim", "d", &Case::head_dim,
                   {.meaning = "elements of a head's queries, keys and values",
                    .null = "all but `attention` and `block`",
                    .least = 1,
                    .since = 2},
                   when<&UsedFields::num_heads>),
               usual_head_dim);
}

std::vector<CaseField> make_rows() {
  return {
      workload_row(),
      row("pass", "pass", &Case::pass, {.meaning = "what one step is"}),
      row("backend", "backend", &Case::backend,
          {.meaning = "where tensors lie and compute runs", .least = 1}),
      later(
          row("library", "library", &Case::library,
              {.meaning = "what multiplied matrices on the CPU", .null = kNoProducts, .least = 1, .since = 2},
              when<&UsedFields::products>),
          openblas),
      later(row("weight_layout", "weights", &Case::weight_layout,
                {.meaning = "how weights lay that were multiplied: in rows, or packed by the library once, "
                            "before the clock ran, in place of the rows",
                 .null = kNoProducts,
                 .since = 2},
                when<&UsedFields::products>),
            plain),
      later(
          row("pages", "pages", &Case::pages,
              {.meaning = "pages of tensors on the host: those that the kernel gives by itself, or huge ones "
                          "that were asked for",
               .null = "backend `cuda`",
               .since = 2}),
          of_system),
      row("dtype", "dtype", &Case::dtype, {.meaning = "element type of every tensor"}),
      row("model", "model", &Case::model,
          {.meaning =
               "the preset, or the model's own file, that set hidden_size, ffn_hidden_size, num_heads, "
               "num_kv_heads, head_dim, activation, norm, vocab_size and tie_embeddings; those stand in the "
               "case too",
           .null = "the case has no model",
           .least = 1}),
      row("hidden_size", "h", &Case::hidden_size, {.meaning = "h", .least = 1}),
      row("ffn_hidden_size", "f", &Case::ffn_hidden_size,
          {.meaning = "f", .null = "all but `mlp` and `block`", .least = 1},
          when<&UsedFields::ffn_hidden_size>),
      row("num_heads", "heads", &Case::num_heads,
          {.meaning = "attention heads", .null = "all but `attention` and `block`", .least = 1},
          when<&UsedFields::num_heads>),
      row("num_kv_heads", "kv", &Case::num_kv_heads,
          {.meaning = "key/value heads", .null = "all but `attention` and `block`", .least = 1},
          when<&UsedFields::num_heads>),
      head_dim_row(),
      row("num_layers", "layers", &Case::num_layers,
          {.meaning = "distinct weight sets in a step", .null = "the workload has no weights", .least = 1},
          when<&UsedFields::num_layers>),
      later(row("scaled_from_layers", "from layers", &Case::scaled_from_layers,
                {.meaning = "layers that ran; the results are composed for `num_layers`",
                 .null = "all of them ran",
                 .least = 1,
                 .since = 2},
                when<&UsedFields::whole_model>),
            none),
      later(row("vocab_size", "V", &Case::vocab_size,
                {.meaning = "V, ids of the vocabulary",
                 .null = "all but `embedding`, `lm_head` and `model`",
                 .least = 1,
                 .since = 2},
                when<&UsedFields::vocabulary>),
            none),
      later(row("logits", "logits", &Case::logits,
                {.meaning = "whose logits a step made: the last token's of each sequence, or all",
                 .null = "all but a forward pass of `lm_head` and `model`",
                 .since = 2},
                when<&UsedFields::logits>),
            none),
      later(row("tie_embeddings", "tied", &Case::tie_embeddings,
                {.meaning = "whether the output head had the weights of the embedding",
                 .null = "all but `model`",
                 .since = 2},
                when<&UsedFields::whole_model>),
            none),
      row("batch_size", "batch", &Case::batch_size,
          {.meaning = "sequences of a step, the same total at every degree", .least = 1}),
      row("sequence_length", "seq", &Case::sequence_length,
          {.meaning = "tokens of a sequence; T = batch_size x sequence_length",
           .unit = "tokens",
           .least = 1}),
      row("context_length", "context", &Case::context_length,
          {.meaning = "earlier tokens of each sequence whose keys and values were in a cache; 0: none",
           .unit = "tokens",
           .null = "all but `attention` and `block`",
           .least = 0},
          when<&UsedFields::num_heads>),
      layout_row("tp_degree", "TP", &Layout::tp, {.meaning = "t, ranks that share one layer", .least = 1}),
      later(
          layout_row("pp_degree", "PP", &Layout::pp,
                     {.meaning = "p, stages of consecutive layers; of the ranks of a case those of one layer "
                                 "come first, then the stages",
                      .least = 1,
                      .since = 2}),
          one),
      later(row("microbatches", "m", &Case::microbatches,
                {.meaning = "m, equal parts of the batch that were run one after the other",
                 .least = 1,
                 .since = 2}),
            one),
      later(row("virtual_stages", "v", &Case::virtual_stages,
                {.meaning = "v, stages that each rank held", .null = kOnePp, .least = 1, .since = 2}),
            none),
      later(row("schedule", "schedule", &Case::schedule,
                {.meaning = "the order of forward and backward microbatches on each stage",
                 .null = "pp_degree is 1, or the pass is forward",
                 .since = 2}),
            none),
      later(row("boundary", "boundary", &Case::boundary,
                {.meaning =
                     "what each of the ranks that share a layer sent to the next stage: all activations, "
                     "or its part of the rows, which the receivers gathered",
                 .null = "pp_degree or tp_degree is 1, or sequence_parallel: there is one way",
                 .since = 2}),
            none),
      row("algorithm", "algorithm", &Case::algorithm,
          {.meaning = "what carried the collectives", .null = "the workload has no collective", .least = 1},
          when<&UsedFields::algorithm>),
      row("combine", "combine", &Case::combine,
          {.meaning = "how the output was assembled", .null = "all but `column_linear`"},
          when<&UsedFields::combine>),
      row("sequence_parallel", "SP", &Case::sequence_parallel,
          {.meaning = "an all-gather and a reduce-scatter in place of each all-reduce"}),
      row("overlap_chunks", "chunks", &Case::overlap_chunks,
          {.meaning = "pieces of a row-parallel output whose sums overlap with compute; 1: no overlap",
           .least = 1}),
      row("placement", "placement", &Case::placement,
          {.meaning =
               "ranks of a group: neighbours, or as far apart as the world allows; of a pipeline, what "
               "stays inside hosts: the ranks of a layer, or the stages"}),
      row("groups", "groups", &Case::groups,
          {.meaning = "one group alone, or as many as fit at the same time"}),
      row("threads_per_rank", "threads", &Case::threads_per_rank,
          {.meaning = "BLAS threads of a rank, as it ran",
           .null = "the case did not run and none was asked for",
           .least = 1}),
      row("activation", "act", &Case::activation,
          {.meaning = "activation of the mlp", .null = "all but `mlp` and `block`"},
          when<&UsedFields::activation>),
      row("norm", "norm", &Case::norm, {.meaning = "the normalisation that ran", .null = "all but `block`"},
          when<&UsedFields::norm>),
      row("cache", "cache", &Case::cache, {.meaning = "whether each step found its data in the caches"}),
      row("seed", "seed", &Case::seed, {.meaning = "of the data", .least = 0}),
  };
}

const std::vector<CaseField>& rows() {
  static const std::vector<CaseField> kRows = make_rows();
  return kRows;
}

}  // namespace

std::span<const CaseField> case_fields() { return rows(); }

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
    model_field<&Case::head_dim, &Model::head_dim>("head_dim"),
    model_field<&Case::activation, &Model::activation>("activation"),
    model_field<&Case::norm, &Model::norm>("norm"),
    model_field<&Case::vocab_size, &Model::vocabulary>("vocab_size"),
    model_field<&Case::tie_embeddings, &Model::ties_embeddings>("tie_embeddings"),
};

}  // namespace

std::span<const ModelField> model_fields() { return kModelFields; }

Cost Case::cost(const Layout& at) const {
  Shape in_layout = shape();
  in_layout.layout = at;
  return workload_row().cost(in_layout);
}

const Workload& Case::workload_row() const {
  const Workload* row = find_workload(workload);
  if (row == nullptr)
    throw std::runtime_error(fmt::format("\"{}\" is not a workload of this build", workload));
  return *row;
}

const Model* Case::model_row() const {
  if (!model || is_model_file(*model)) return nullptr;
  const Model* row = find_model(*model);
  if (row == nullptr) throw std::runtime_error(fmt::format("\"{}\" is not a model of this build", *model));
  return row;
}

Shape Case::shape() const {
  Shape shape = whole_shape();
  shape.num_layers = scaled_from_layers.value_or(shape.num_layers);
  return shape;
}

Shape Case::whole_shape() const {
  return {
      .tokens = tokens(),
      .sequence_length = sequence_length,
      .context_length = context_length.value_or(0),
      .hidden_size = hidden_size,
      .ffn_hidden_size = ffn_hidden_size.value_or(0),
      .num_heads = num_heads.value_or(0),
      .num_kv_heads = num_kv_heads.value_or(0),
      .head_dim = head_dim.value_or(0),
      .num_layers = num_layers.value_or(1),
      .layout = layout,
      .dtype = dtype,
      .activation = activation.value_or(Activation::gelu),
      .norm = norm.value_or(Norm::layer_norm),
      .combine = combine.value_or(Combine::all_gather),
      .pass = pass,
      .sequence_parallel = sequence_parallel,
      .overlap_chunks = overlap_chunks,
      .microbatches = microbatches,
      .virtual_stages = virtual_stages.value_or(1),
      .schedule =
          schedule.value_or(virtual_stages.value_or(1) > 1 ? Schedule::interleaved : Schedule::one_f_one_b),
      .boundary = boundary.value_or(Boundary::whole),
      .vocabulary = vocab_size.value_or(0),
      .logits = logits.value_or(Logits::last),
      .ties_embeddings = tie_embeddings.value_or(false),
      .is_scaled = scaled_from_layers.has_value(),
  };
}

namespace {

// Empties what a case with these degrees does not look at, and names what its placement comes to.
void settle_pipeline(Case& point) {
  const bool pipes = point.layout.pp > 1;
  if (!point.virtual_stages) point.virtual_stages = 1;
  if (!point.schedule) point.schedule = point.shape().schedule;
  if (!point.boundary) point.boundary = Boundary::whole;
  if (!pipes) point.virtual_stages.reset();
  if (!pipes || point.pass == Pass::forward) point.schedule.reset();
  if (!pipes || point.layout.tp == 1 || point.sequence_parallel) point.boundary.reset();
  const bool inside = point.placement == Placement::tp_inside || point.placement == Placement::pp_inside;
  if (!pipes && inside) point.placement = Placement::packed;
  if (!pipes || point.placement == Placement::spread) return;
  if (!inside || point.layout.tp == 1) point.placement = Placement::tp_inside;
}

constexpr std::int64_t kUsualHeadSize = 128;      // Llama, GPT-3, Megatron's examples
constexpr std::int64_t kUsualVocabulary = 32000;  // Llama 2

// Heads of the usual size, or of the next larger that divides.
std::int64_t usual_heads(std::int64_t hidden_size) {
  std::int64_t heads = std::max<std::int64_t>(1, hidden_size / kUsualHeadSize);
  while (hidden_size % heads != 0) --heads;
  return heads;
}

}  // namespace

bool is_model_file(std::string_view model) { return model.ends_with(".json"); }

bool Case::has_odd_default_heads() const {
  return !model && num_heads == usual_heads(hidden_size) && hidden_size % kUsualHeadSize != 0 &&
         hidden_size > kUsualHeadSize;
}

std::string about_default_heads(const Case& point) {
  if (!point.num_heads || !point.has_odd_default_heads()) return "";
  return fmt::format(
      "; num_heads {} is the default: 128 does not divide hidden_size {}, so heads have {}; num_heads or "
      "head_dim sets others",
      *point.num_heads, point.hidden_size, point.hidden_size / *point.num_heads);
}

std::optional<std::string> default_heads_text(const Case& point) {
  if (!point.num_heads || point.model || point.num_heads != usual_heads(point.hidden_size))
    return std::nullopt;
  std::string text = fmt::format("h={} has {}", point.hidden_size, *point.num_heads);
  if (point.has_odd_default_heads())
    text += fmt::format(" of {}, as 128 does not divide it", point.hidden_size / *point.num_heads);
  return text;
}

void normalise_case(Case& point, std::span<const Model> of_files) {
  const Model* model = point.model_row();
  for (const Model& of_file : of_files) {
    if (point.model == of_file.name) model = &of_file;
  }
  if (model != nullptr) {
    for (const ModelField& row : kModelFields) row.set(point, *model);
  }
  if (!point.ffn_hidden_size) point.ffn_hidden_size = 4 * point.hidden_size;
  if (!point.num_heads) point.num_heads = usual_heads(point.hidden_size);
  if (!point.num_kv_heads) point.num_kv_heads = point.num_heads;
  if (!point.head_dim && point.hidden_size % *point.num_heads == 0)
    point.head_dim = point.hidden_size / *point.num_heads;
  if (!point.activation) point.activation = Activation::gelu;
  // Families of models: GPT has GELU and layer norms, Llama has SwiGLU and RMS norms.
  if (!point.norm) point.norm = point.activation == Activation::swiglu ? Norm::rms_norm : Norm::layer_norm;
  if (!point.vocab_size) point.vocab_size = kUsualVocabulary;
  if (!point.tie_embeddings) point.tie_embeddings = false;
  if (point.pass == Pass::forward_backward) point.logits.reset();  // training wants all, and gathers none
  const UsedFields& uses = point.workload_row().uses;
  if (!point.num_layers) point.num_layers = uses.whole_model && model != nullptr ? model->num_layers : 1;
  if (point.scaled_from_layers && *point.scaled_from_layers >= *point.num_layers)
    point.scaled_from_layers.reset();  // all of them
  if (point.workload_row().kind != WorkloadKind::layer) {
    point.pass = Pass::forward;
    point.sequence_parallel = false;
  }
  if (!is_on_host(point)) {
    point.library.reset();
    point.weight_layout.reset();
    point.pages.reset();
  }
  if (!uses.overlap) point.overlap_chunks = 1;
  settle_pipeline(point);
  for (const CaseField& field : rows()) {
    if (!field.applies(uses)) field.set(point, nullptr);
  }
}

Json case_to_json(const Case& point) { return write_object(rows(), point); }

Case case_from_json(const Json& object) {
  Case point;
  read_object(rows(), object, point);
  // What was no axis yet when this was written.
  const Workload* workload = find_workload(point.workload);
  for (const CaseField& field : rows()) {
    if (!field.implicit || object.contains(field.key)) continue;
    const bool applies = workload == nullptr || field.applies(workload->uses);
    field.set(point, applies ? field.implicit(point) : Json(nullptr));
  }
  return point;
}

std::string case_id(const Case& point) {
  // What is empty stays out: threads_per_rank, when left to the machine, must not bring the machine into the
  // id, and a field that workloads of a later version use leaves the ids of the others as they are.
  std::string text;
  for (const CaseField& field : rows()) {
    const Json value = field.get(point);
    // Two files of one shape are one case: what the file set is in the id, and where it lies is not.
    const bool is_implicit = (field.implicit && value == field.implicit(point)) ||
                             (field.key == "model" && point.model && is_model_file(*point.model));
    if (!value.is_null() && !is_implicit) text += fmt::format("{}={};", field.key, value.dump());
  }
  // 48 bits: 100,000 cases that differ only in the hash still have distinct ids but for 2 sweeps in 100,000.
  constexpr std::uint64_t kHashMask = (std::uint64_t{1} << 48U) - 1;
  const bool is_preset = point.model && !is_model_file(*point.model);
  const std::string shape = is_preset ? *point.model : fmt::format("h{}", point.hidden_size);
  return fmt::format("{}-{}-b{}-s{}-{}-{:012x}", point.workload, shape, point.batch_size,
                     point.sequence_length, point.layout.id(), stable_hash(text) & kHashMask);
}

std::string case_id_in(const Case& point, const Layout& layout) {
  Case other = point;
  other.layout = layout;
  settle_pipeline(other);
  return case_id(other);
}

}  // namespace tpbench
