#include "report/models.hpp"

#include "base/json.hpp"
#include "report/text_table.hpp"
#include "workload/model_memory.hpp"
#include "workload/models.hpp"

namespace tpbench {
namespace {

using Align = TextTable::Align;

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

std::string cell_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

}  // namespace

std::string models_as_text() {
  TextTable table;
  for (const ModelColumn& field : kFields) table.add_column(field.heading, field.align);
  for (const Model& model : all_models()) {
    std::vector<std::string> cells;
    for (const ModelColumn& field : kFields) cells.push_back(cell_text(field.get(model)));
    table.add_row(std::move(cells));
  }
  return table.to_string() +
         "\n\"a layer\": its parameters without norms and biases. A sweep takes the shape of a layer by "
         "name,\n"
         "\"model\": \"llama3-8b\", and runs num_layers of it (1 by default). Sources: docs/models.md, or "
         "--json.\n";
}

std::string models_as_json() {
  Json list = Json::array();
  for (const Model& model : all_models()) {
    Json object;
    for (const ModelColumn& field : kFields) object[field.key] = field.get(model);
    object["title"] = model.title;
    object["source"] = model.source;
    list.push_back(std::move(object));
  }
  return list.dump(2) + '\n';
}

}  // namespace tpbench
