#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "report/comparison.hpp"
#include "report/document.hpp"
#include "report/gate.hpp"

namespace tpbench {

/// What stdout gets from `tpbench compare` (`--format`).
enum class CompareFormat { table, csv, json, markdown, none };

/// The comparisons of one base with others, in that order. The base is called A, the others B, C, ... Where a
/// gate was asked for, a table ends with its line, and JSON has it as `gate`.
std::string render_comparisons(CompareFormat format, std::span<const Comparison> comparisons,
                               const Gate* gate = nullptr);

/// One document, `tpbench.comparison/1`: folders, the rule, and per comparison its cells, means, unmatched
/// cases, environment and useful degrees.
std::string compare_json(std::span<const Comparison> comparisons, const Gate* gate = nullptr);

/// For programs: one row per case and pair of folders, whatever its outcome.
Section compare_table(std::span<const Comparison> comparisons);

/// For people.
std::vector<Section> compare_sections(std::span<const Comparison> comparisons);

/// "B is faster than A in 3 and slower in 0 of 8 cases ...": what the steps of a comparison come to.
std::string outcome_sentence(const Comparison& comparison, const std::string& base, const std::string& other);

/// What the step must change by to show, and how many more rounds would show 10 % and 5 %.
std::string visibility_sentence(const Comparison& comparison);

/// "3.1 %", "23 %"
std::string share_text(double share);

/// Whether nine of ten steps would show a difference of 10 %.
bool shows_ten_percent(const Comparison& comparison);

/// "A" for the base, "B", "C", ... for the others; "Z2" behind "Z".
std::string folder_letter(std::size_t place);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::CompareFormat, {tpbench::CompareFormat::table, "table"},
                   {tpbench::CompareFormat::csv, "csv"}, {tpbench::CompareFormat::json, "json"},
                   {tpbench::CompareFormat::markdown, "markdown"}, {tpbench::CompareFormat::none, "none"});
