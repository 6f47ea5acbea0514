#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "sweep/case.hpp"
#include "sweep/model_file.hpp"
#include "sweep/settings.hpp"

namespace tpbench {

/// A sweep file after defaults, overrides and checks.
struct Sweep {
  std::string name;
  Json resolved;            ///< every key present; itself a valid sweep file; equal for equal sweeps
  std::vector<Case> cases;  ///< in the order of the file; normalised; no two with one id
  std::vector<ModelFile> model_files;  ///< of models that cases name by their own files
  MeasureSettings measure;
  VerifyMode verify = VerifyMode::automatic;
  double efficiency_floor = 0.5;
  std::uint64_t seed = 1;
  /// What is legal and yet looks like a slip ("exclude/0 matches no case"), and what of a model is not run.
  std::vector<std::string> remarks;

  /// The model of a case: a preset, or that of its file; nullptr where it has none.
  [[nodiscard]] const Model* model_of(const Case& point) const;
  /// What stands in its file; nullptr where its model is none of a file.
  [[nodiscard]] const ModelFile* model_file_of(const Case& point) const;
};

/// The sweep schema (docs/sweep.schema.json, compiled in).
const Json& sweep_schema();

/// One form for equal sweeps: every key, in the schema's order, each axis a list. What an older version wrote
/// gets the defaults of keys that it did not know.
Json resolve_sweep(const Json& sweep);

/// Reads a model's own file (sweep/model_file.hpp). Throws UsageError.
ModelFile load_model_file(const std::filesystem::path& path);

/// Reads and checks a sweep. `overrides` are the texts of `--set key=value`, applied in order: the value is
/// JSON, or else a comma-separated list, or else a string; a key may be dotted (measure.max_seconds). `place`
/// names the source in messages ("sweep.json"). Throws UsageError with every fault found.
Sweep parse_sweep(std::string_view text, const std::string& place, std::span<const std::string> overrides,
                  const Availability& available);

/// The same from a file, or from standard input when its path is "-". Throws UsageError also when the file
/// cannot be read.
Sweep load_sweep(const std::filesystem::path& path, std::span<const std::string> overrides,
                 const Availability& available);

/// A sweep as rank 0 has checked and expanded it, from its `resolved` and `cases`: nothing is checked again.
Sweep checked_sweep(Json resolved, std::vector<Case> cases);

/// Keeps the cases that match every filter, each "key=value[,value...]" over the fields of a case.
/// Throws UsageError on an unknown key, a malformed filter, or when nothing is left.
std::vector<Case> filter_cases(std::span<const Case> cases, std::span<const std::string> filters);

}  // namespace tpbench
