#include "report/models.hpp"

#include "base/json.hpp"
#include "report/document.hpp"
#include "workload/model_memory.hpp"

namespace tpbench {
namespace {

// One column of the table and key of the JSON: adding one is a row here.
struct ModelColumn {
  const char* heading;
  const char* key;
  Align align;
  Json (*get)(const Model&);
};

constexpr ModelColumn kFields[] = {
    {"model", "model", Align::left, [](const Model& m) { return Json(m.name); }},
    {"h", "hidden_size", Align::right, [](const Model& m) { return Json(m.hidden_size); }},
    {"f", "ffn_hidden_size", Align::right, [](const Model& m) { return Json(m.ffn_hidden_size); }},
    {"heads", "num_heads", Align::right, [](const Model& m) { return Json(m.num_heads); }},
    {"kv", "num_kv_heads", Align::right, [](const Model& m) { return Json(m.num_kv_heads); }},
    {"d", "head_dim", Align::right, [](const Model& m) { return Json(m.head_dim); }},
    {"layers", "num_layers", Align::right, [](const Model& m) { return Json(m.num_layers); }},
    {"vocabulary", "vocabulary", Align::right, [](const Model& m) { return Json(m.vocabulary); }},
    {"norm", "norm", Align::left, [](const Model& m) { return Json(name_of(m.norm)); }},
    {"act", "activation", Align::left, [](const Model& m) { return Json(name_of(m.activation)); }},
    {"a layer", "parameters_per_layer", Align::right,
     [](const Model& m) { return Json(parameters_per_layer(transformer_of(m))); }},
    {"all", "parameters", Align::right, [](const Model& m) { return Json(count_parameters(m).total()); }},
};

Section models_table(std::span<const Model> models) {
  Section table;
  for (const ModelColumn& column : kFields)
    table.columns.push_back({column.heading, column.align, column.key});
  for (const char* key : {"title", "source", "not_run"})
    table.columns.push_back({.key = key, .is_shown = false});
  for (const Model& model : models) {
    Section::Row row;
    for (const ModelColumn& column : kFields) row.cells.emplace_back(column.get(model));
    row.cells.emplace_back(model.title);
    row.cells.emplace_back(model.source);
    row.cells.emplace_back(Json(model.not_run));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string models_as_text() {
  const Section explanation = {.sentences = {"\"a layer\": its parameters without norms and biases; \"all\": "
                                             "of the whole model, with embeddings, norms "
                                             "and biases. A sweep takes the shape of a layer by name, "
                                             "\"model\": \"llama3-8b\", or from a model's own "
                                             "file, \"model\": \"path/config.json\", and runs num_layers of "
                                             "it (1 by default); workload model runs all of it. Sources: "
                                             "docs/models.md, or --json."}};
  return to_text({models_table(all_models()), explanation});
}

std::string model_as_text(const Model& model) {
  std::vector<Section> sections = {models_table({&model, 1})};
  if (!model.not_run.empty())
    sections.push_back({.title = "Not run as published", .sentences = model.not_run});
  return to_text(sections);
}

std::string models_as_json(std::span<const Model> models) {
  return to_json(models_table(models)).dump(2) + '\n';
}

}  // namespace tpbench
