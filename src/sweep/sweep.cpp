#include "sweep/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <set>

#include "base/json.hpp"
#include "base/text.hpp"
#include "sweep/document.hpp"
#include "sweep/expand.hpp"
#include "sweep/model_check.hpp"
#include "sweep/model_file.hpp"
#include "sweep/schema_check.hpp"

namespace tpbench {
namespace {

std::vector<Json> words(const std::vector<std::string>& names) { return {names.begin(), names.end()}; }

// Values that the schema knows and this build may lack: one row per key.
struct Offer {
  std::string_view key;
  std::vector<Json> (*available)(const Availability&);
};

constexpr std::array kOffers = {
    Offer{"workload", [](const Availability& a) { return words(a.workloads); }},
    Offer{"backend", [](const Availability& a) { return words(a.backends); }},
    Offer{"algorithm", [](const Availability& a) { return words(a.algorithms); }},
};

void check_value_offered(const Json& value, const std::string& pointer, const std::vector<Json>& available,
                         std::vector<Fault>& faults) {
  if (value.is_structured() || std::find(available.begin(), available.end(), value) != available.end())
    return;
  std::vector<std::string> names;
  for (const Json& name : available)
    names.push_back(name.is_string() ? name.get<std::string>() : name.dump());
  faults.push_back({"", pointer, shown(value),
                    fmt::format("is not available in this build; available: {}", join_words(names, ", "))});
}

// `object` is the sweep or a point of its `cases`.
void check_offered(const Json& object, const std::string& pointer, const Availability& availability,
                   std::vector<Fault>& faults) {
  for (const Offer& offer : kOffers) {
    const auto found = object.find(offer.key);
    if (found == object.end()) continue;
    const std::vector<Json> available = offer.available(availability);
    const std::string at = fmt::format("{}/{}", pointer, offer.key);
    if (!found->is_array()) check_value_offered(*found, at, available, faults);
    for (std::size_t i = 0; found->is_array() && i < found->size(); ++i) {
      check_value_offered((*found)[i], fmt::format("{}/{}", at, i), available, faults);
    }
  }
}

void check_all_offered(const Json& sweep, const Availability& availability, std::vector<Fault>& faults) {
  if (!sweep.is_object()) return;
  check_offered(sweep, "", availability, faults);
  const auto cases = sweep.find("cases");
  if (cases == sweep.end() || !cases->is_array()) return;
  for (std::size_t i = 0; i < cases->size(); ++i) {
    if ((*cases)[i].is_object())
      check_offered((*cases)[i], fmt::format("/cases/{}", i), availability, faults);
  }
}

// Rules over single values and pairs of them: all that needs no expansion.
std::vector<Fault> check_document(const Json& sweep, const Availability& availability) {
  std::vector<Fault> faults = check_against_sweep_schema(sweep);
  std::set<std::string> faulty;
  for (const Fault& fault : faults) faulty.insert(fault.pointer);
  std::vector<Fault> further;
  check_all_offered(sweep, availability, further);
  check_models(sweep, further);
  // A value that is none at all has been refused as such.
  std::copy_if(further.begin(), further.end(), std::back_inserter(faults),
               [&](const Fault& fault) { return !faulty.contains(fault.pointer); });
  return faults;
}

// -- defaults

// `object` in the order of the schema, with its defaults.
Json with_defaults(const Json& object, const Json& schema, bool fill) {
  Json result = Json::object();
  for (const auto& [key, node] : schema["properties"].items()) {
    if (key == "$schema") continue;
    if (object.contains(key))
      result[key] = object[key];
    else if (fill)
      result[key] = node["default"];
  }
  return result;
}

MeasureSettings measure_from(const Json& measure) {
  return {
      .warmup_steps = measure["warmup_steps"].get<std::int64_t>(),
      .min_samples = measure["min_samples"].get<std::int64_t>(),
      .max_samples = measure["max_samples"].get<std::int64_t>(),
      .max_seconds = measure["max_seconds"].get<double>(),
      .target_ci = measure["target_ci"].get<double>(),
      .epochs = measure["epochs"].get<std::int64_t>(),
      .order = enum_from_name<Order>(measure["order"].get<std::string>()).value(),
      .cache = enum_from_name<CacheState>(measure["cache"].get<std::string>()).value(),
  };
}

void check_samples(const Json& sweep, const MeasureSettings& measure, std::vector<Fault>& faults) {
  if (measure.min_samples <= measure.max_samples) return;
  const bool said = sweep.contains("measure") && sweep["measure"].contains("max_samples");
  faults.push_back({"", said ? "/measure/max_samples" : "/measure/min_samples",
                    std::to_string(said ? measure.max_samples : measure.min_samples),
                    fmt::format("max_samples ({}) must not be below min_samples ({})", measure.max_samples,
                                measure.min_samples)});
}

// -- files

constexpr const char* kStandardInput = "-";

std::string name_of_source(const std::filesystem::path& path) {
  return path == kStandardInput ? "standard input" : path.string();
}

std::string read_file(const std::filesystem::path& path) {
  const auto refuse = [&](const std::string& rule) {
    throw UsageError({Fault{name_of_source(path), "", "", rule}});
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) refuse("is a folder, not a sweep file");
  std::FILE* const opened = path == kStandardInput ? stdin : std::fopen(path.c_str(), "rb");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(opened, std::fclose);
  if (!file) refuse(fmt::format("cannot be opened: {}", std::strerror(errno)));
  // One byte more than is allowed shows that the file is too large, whatever its size and kind.
  std::string text(kMaxTextBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) refuse(fmt::format("cannot be read: {}", std::strerror(errno)));
  return text;
}

}  // namespace

namespace {

// Only a whole model has a number of layers of its own.
bool runs_whole_models(const Json& sweep) {
  const auto names_it = [](const Json& object) {
    const auto workload = object.find("workload");
    if (workload == object.end()) return false;
    const auto is_it = [](const Json& name) { return name == model_workload.name; };
    return workload->is_array() ? std::any_of(workload->begin(), workload->end(), is_it) : is_it(*workload);
  };
  const Json& cases = sweep["cases"];
  return names_it(sweep) || std::any_of(cases.begin(), cases.end(), names_it);
}

}  // namespace

Json resolve_sweep(const Json& sweep) {
  const Json& schema = sweep_schema();
  Json resolved = with_defaults(sweep, schema, true);
  // So stands the number of layers in what versions wrote that knew no whole model.
  const Json& layers = resolved["num_layers"];
  if ((layers.is_null() || layers == Json::array({nullptr})) && !runs_whole_models(resolved))
    resolved["num_layers"] = 1;
  resolved["measure"] = with_defaults(resolved["measure"], schema["properties"]["measure"], true);
  for (auto& [key, value] : resolved.items()) {
    const bool is_axis = schema["properties"][key].contains("then");
    const bool no_product = key == "hidden_size" && value.is_null();
    if (is_axis && !value.is_array() && !no_product) value = Json::array({value});
  }
  for (Json& point : resolved["cases"]) point = with_defaults(point, schema["definitions"]["point"], false);
  for (Json& pattern : resolved["exclude"])
    pattern = with_defaults(pattern, schema["definitions"]["pattern"], false);
  return resolved;
}

namespace {

// The models that a sweep names by their files. A file's path is meant from the folder of the sweep file.
std::vector<ModelFile> read_model_files(Json& resolved, const std::string& place,
                                        const SweepDocument& document) {
  std::map<std::string, std::string> pointer_of;  // by name, of one place that names it
  const auto note = [&](const Json& model, const std::string& pointer) {
    if (model.is_string() && is_model_file(model.get<std::string>()))
      pointer_of.try_emplace(model.get<std::string>(), pointer);
  };
  for (const Json& model : resolved["model"]) note(model, "/model");
  for (std::size_t i = 0; i < resolved["cases"].size(); ++i)
    note(resolved["cases"][i].value("model", Json()), fmt::format("/cases/{}/model", i));

  std::vector<ModelFile> files;
  Json& known = resolved["model_files"];
  for (const auto& [name, pointer] : pointer_of) {
    if (!known.contains(name)) {
      const std::filesystem::path path = std::filesystem::path(place).parent_path() / name;
      std::error_code ignored;
      if (!std::filesystem::exists(path, ignored))
        document.refuse_if(
            {{"", pointer, shown(Json(name)),
              fmt::format("there is no file {}: model paths are relative to the folder of the sweep file",
                          path.string())}});
      ModelFile file = load_model_file(path);
      file.model.name = name;
      known[name] = model_file_to_json(file);
    }
    try {
      files.push_back(model_file_from_json(known[name]));
    } catch (const FieldFault& fault) {
      document.refuse_if({{"", fmt::format("/model_files/{}{}", name, fault.pointer), "", fault.rule}});
    }
  }
  return files;
}

// What is run under a model's name and is not that model in every respect is never run in silence.
void add_model_remarks(Sweep& sweep) {
  std::set<std::string> seen;
  for (const Case& point : sweep.cases) {
    const Model* model = sweep.model_of(point);
    if (model == nullptr || model->not_run.empty() || !seen.insert(model->name).second) continue;
    sweep.remarks.push_back(
        fmt::format("model {}: not run as published: {}", model->name, fmt::join(model->not_run, "; ")));
  }
}

}  // namespace

Sweep parse_sweep(std::string_view text, const std::string& place, std::span<const std::string> overrides,
                  const Availability& available) {
  const SweepDocument document(text, place, overrides);
  document.refuse_if(check_document(document.json(), available));

  Json resolved = resolve_sweep(document.json());
  const std::vector<ModelFile> files = read_model_files(resolved, place, document);
  Sweep sweep = checked_sweep(std::move(resolved), {});
  std::vector<Model> of_files;
  for (const ModelFile& file : files) of_files.push_back(file.model);
  Expansion expansion = expand_sweep(sweep.resolved, of_files);
  check_samples(document.json(), sweep.measure, expansion.faults);
  document.refuse_if(expansion.faults);

  sweep.cases = std::move(expansion.cases);
  sweep.remarks = std::move(expansion.remarks);
  add_model_remarks(sweep);
  return sweep;
}

Sweep checked_sweep(Json resolved, std::vector<Case> cases) {
  Sweep sweep;
  sweep.resolved = std::move(resolved);
  sweep.cases = std::move(cases);
  for (const Json& file : sweep.resolved["model_files"])
    sweep.model_files.push_back(model_file_from_json(file));
  sweep.name = sweep.resolved["name"].get<std::string>();
  sweep.measure = measure_from(sweep.resolved["measure"]);
  sweep.verify = enum_from_name<VerifyMode>(sweep.resolved["verify"].get<std::string>()).value();
  sweep.efficiency_floor = sweep.resolved["efficiency_floor"].get<double>();
  sweep.seed = sweep.resolved["seed"].get<std::uint64_t>();
  return sweep;
}

const ModelFile* Sweep::model_file_of(const Case& point) const {
  const auto found = std::find_if(model_files.begin(), model_files.end(),
                                  [&](const ModelFile& file) { return point.model == file.model.name; });
  return found == model_files.end() ? nullptr : &*found;
}

const Model* Sweep::model_of(const Case& point) const {
  const ModelFile* file = model_file_of(point);
  return file != nullptr ? &file->model : point.model_row();
}

ModelFile load_model_file(const std::filesystem::path& path) {
  return parse_model_file(read_file(path), path.string());
}

Sweep load_sweep(const std::filesystem::path& path, std::span<const std::string> overrides,
                 const Availability& available) {
  return parse_sweep(read_file(path), name_of_source(path), overrides, available);
}

}  // namespace tpbench
