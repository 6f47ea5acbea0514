#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/json.hpp"
#include "sweep/json_text.hpp"

namespace tpbench {

/// A sweep file and the `--set`s on top of it, before any rule is applied; knows where each value came from.
class SweepDocument {
 public:
  /// Parses `text` and applies `overrides`. Throws UsageError when the text is no JSON; faults of single
  /// overrides and keys that stand twice are kept for `faults`.
  SweepDocument(std::string_view text, std::string place, std::span<const std::string> overrides);

  [[nodiscard]] const Json& json() const { return json_; }

  /// What was wrong while reading; their `place` is set.
  [[nodiscard]] const std::vector<Fault>& faults() const { return faults_; }

  /// Throws UsageError with `faults()` and with `found`, whose places it fills in, in the order of the file;
  /// returns when there is none.
  void refuse_if(const std::vector<Fault>& found) const;

 private:
  void apply(const std::string& override);
  [[nodiscard]] std::size_t line_of(std::string pointer) const;
  [[nodiscard]] const std::string* override_of(std::string_view pointer) const;

  std::string place_;
  Json json_;
  JsonPositions positions_;
  std::vector<std::pair<std::string, std::string>> overridden_;  // JSON pointer, "--set key=value"
  std::vector<Fault> faults_;
};

}  // namespace tpbench
