#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "result/record.hpp"

namespace tpbench {

/// A result folder as a reader sees it: no run, no lock, nothing written.
struct ResultSet {
  std::string path;                          ///< as it was typed
  std::string label;                         ///< of its records; empty when none was given
  std::vector<Record> records;               ///< sorted by id, with their `scaling`
  std::map<std::string, Json> environments;  ///< by file name; a record names the one it was measured in
  double target_ci = 0.02;                   ///< of its sweep.json; these defaults without one
  double efficiency_floor = 0.5;
  Json sweep;           ///< the document itself; null without one
  std::string command;  ///< what was typed for the last run; empty where it left no word

  /// The largest noise figure of its launches (docs/methodology.md, section 7): 0 is quiet. Empty when no
  /// environment says it.
  [[nodiscard]] std::optional<double> noise() const;
  /// "eth-1g" or, without a label, the path.
  [[nodiscard]] const std::string& name() const { return label.empty() ? path : label; }
};

/// Reads a whole folder, or nothing: what is compared must not be silently a part of it. Throws UsageError
/// with one fault per file that is no valid record, environment or sweep (file, rule), and when the folder
/// does not exist or holds no record; EnvironmentError when a file cannot be read.
ResultSet read_result_set(const std::filesystem::path& folder);

}  // namespace tpbench
