#include "report/models.hpp"

#include "base/json.hpp"
#include "report/document.hpp"
#include "workload/model_memory.hpp"
#include "workload/models.hpp"

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
    {"layers", "num_layers", Align::right, [](const Model& m) { return Json(m.num_layers); }},
    {"vocabulary", "vocabulary", Align::right, [](const Model& m) { return Json(m.vocabulary); }},
    {"norm", "norm", Align::left, [](const Model& m) { return Json(name_of(m.norm)); }},
    {"act", "activation", Align::left, [](const Model& m) { return Json(name_of(m.activation)); }},
    {"a layer", "parameters_per_layer", Align::right,
     [](const Model& m) { return Json(parameters_per_layer(transformer_of(m))); }},
};

Section models_table() {
  Section table;
  for (const ModelColumn& column : kFields) table.columns.push_back({column.heading, column.align, column.key});
  for (const char* key : {"title", "source"}) table.columns.push_back({.key = key, .is_shown = false});
  for (const Model& model : all_models()) {
    Section::Row row;
    for (const ModelColumn& column : kFields) row.cells.emplace_back(column.get(model));
    row.cells.emplace_back(model.title);
    row.cells.emplace_back(model.source);
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string models_as_text() {
  const Section explanation = {
      .sentences = {
          "\"a layer\": its parameters without norms and biases. A sweep takes the shape of a layer by name,",
          "\"model\": \"llama3-8b\", and runs num_layers of it (1 by default). Sources: docs/models.md, or --json."}};
  return to_text({models_table(), explanation});
}

std::string models_as_json() { return to_json(models_table()).dump(2) + '\n'; }

}  // namespace tpbench
