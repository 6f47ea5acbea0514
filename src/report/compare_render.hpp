#pragma once

#include <span>
#include <string>

#include "base/enum_names.hpp"
#include "report/comparison.hpp"

namespace tpbench {

/// What stdout gets from `tpbench compare` (`--format`).
enum class CompareFormat { table, csv, json, markdown, none };

/// The comparisons of one base with others, in that order. The base is called A, the others B, C, ...
std::string render_comparisons(CompareFormat format, std::span<const Comparison> comparisons);

/// One document, `tpbench.comparison/1`: folders, the rule, and per comparison its cells, means, unmatched
/// cases, environment and useful degrees.
std::string compare_json(std::span<const Comparison> comparisons);

/// One row per case and pair of folders, whatever its outcome, with a heading.
std::string compare_csv(std::span<const Comparison> comparisons);

/// For people: `as_markdown` for a page, otherwise for a terminal.
std::string compare_document(std::span<const Comparison> comparisons, bool as_markdown);

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
