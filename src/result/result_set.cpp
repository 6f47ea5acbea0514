#include "result/result_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "result/folder.hpp"
#include "result/read_text.hpp"

namespace tpbench {
namespace {

namespace fs = std::filesystem;

// The one that is written, and those that are read.
constexpr std::string_view kEnvironmentSchemas[] = {"\"tpbench.environment/2\"", "\"tpbench.environment/1\""};

void check_is_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (status.type() == fs::file_type::not_found)
    throw UsageError({Fault{folder.string(), "", "", "no such folder"}});
  if (error) throw EnvironmentError(fmt::format("{}: cannot read: {}", folder.string(), error.message()));
  if (!fs::is_directory(status)) {
    throw UsageError(
        {Fault{folder.string(), "", "", "is a file; name the result folder, which holds records/"}});
  }
  // Opened once here: a folder that may not be read must not look like an empty one.
  for (const fs::path& inside : {folder, folder / "records"}) {
    if (!fs::exists(inside, error) && !error) continue;
    if (!error) (void)fs::directory_iterator(inside, error);
    if (error) throw EnvironmentError(fmt::format("{}: cannot read: {}", inside.string(), error.message()));
  }
}

void read_all_records(const fs::path& folder, ResultSet& set, std::vector<Fault>& faults) {
  for (const fs::path& file : record_files(folder)) {
    try {
      set.records.push_back(read_record(file));
    } catch (const EnvironmentError&) {
      throw;
    } catch (const std::exception& problem) {
      faults.push_back({file.string(), "", "", fmt::format("is not a valid record: {}", problem.what())});
    }
  }
}

// environment.json and environment-2.json, ...; their absence is no fault, as records alone can be compared.
void read_environments(const fs::path& folder, ResultSet& set, std::vector<Fault>& faults) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("environment") || entry.path().extension() != ".json") continue;
    Json json = Json::parse(read_text(entry.path()), nullptr, /*allow_exceptions=*/false);
    const std::string place = entry.path().string();
    if (!json.is_object()) {
      faults.push_back({place, "", "", "is not a JSON object"});
      continue;
    }
    const std::string schema = json.value("schema", Json(nullptr)).dump();
    if (std::ranges::find(kEnvironmentSchemas, schema) == std::end(kEnvironmentSchemas)) {
      faults.push_back(
          {place, "/schema", schema, fmt::format("must be {} or older", kEnvironmentSchemas[0])});
      continue;
    }
    set.environments[name] = std::move(json);
  }
}

// The two values of the sweep that a reader needs.
void read_sweep_settings(const fs::path& folder, ResultSet& set, std::vector<Fault>& faults) {
  const fs::path file = folder / "sweep.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  const Json json = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    faults.push_back({file.string(), "", "", "is not a JSON object"});
    return;
  }
  const auto read = [&](const char* pointer, double& value) {
    const Json::json_pointer place(pointer);
    if (!json.contains(place)) return;
    const Json& found = json.at(place);
    if (!found.is_number() || found.get<double>() <= 0 || found.get<double>() > 1)
      faults.push_back({file.string(), pointer, found.dump(), "must be a number above 0 and at most 1"});
    else
      value = found.get<double>();
  };
  read("/measure/target_ci", set.target_ci);
  read("/efficiency_floor", set.efficiency_floor);
  set.sweep = json;
}

// For people alone: what it says of no word is no fault.
void read_command(const fs::path& folder, ResultSet& set) {
  const fs::path file = folder / "run.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return;
  const Json json = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
  if (json.is_object() && json.contains("command") && json.at("command").is_string())
    set.command = json.at("command").get<std::string>();
}

}  // namespace

std::optional<double> ResultSet::noise() const {
  std::optional<double> largest;
  for (const auto& [name, environment] : environments) {
    const Json::json_pointer place("/noise/worst_rank_relative");
    if (!environment.contains(place) || !environment.at(place).is_number()) continue;
    largest = std::max(largest.value_or(0), environment.at(place).get<double>());
  }
  return largest;
}

ResultSet read_result_set(const fs::path& folder) {
  check_is_folder(folder);
  ResultSet set;
  set.path = folder.string();
  std::vector<Fault> faults;
  read_all_records(folder, set, faults);
  read_environments(folder, set, faults);
  read_sweep_settings(folder, set, faults);
  read_command(folder, set);
  if (faults.empty() && set.records.empty()) {
    faults.push_back(
        {set.path, "", "",
         "holds no records: a result folder has records/ID.json, written by a run with --output"});
  }
  if (!faults.empty()) throw UsageError(faults);
  set.label = set.records.front().label;
  return set;
}

}  // namespace tpbench
