#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/document.hpp"
#include "report/useful_degree.hpp"
#include "result/result_set.hpp"

/// The parts of a page that show numbers.
namespace tpbench {

/// A folder as the page calls it.
struct NamedSet {
  const ResultSet* set = nullptr;
  std::string name;  ///< its label where that is its own, else its path
  std::vector<UsefulDegree> verdicts;
};

/// One workload and shape in every folder.
struct PageSeries {
  std::string id, name;
  struct InSet {
    std::vector<const Record*> records;  ///< by rising degree; empty where the folder does not have it
    const UsefulDegree* verdict = nullptr;
  };
  std::vector<InSet> in;  ///< by folder
};

std::vector<NamedSet> name_sets(std::span<const ResultSet> sets);
/// In the order of the first folder, then of those that only others have.
std::vector<PageSeries> page_series(std::span<const NamedSet> sets);

/// Charts and numbers of one series.
Section series_section(const PageSeries& series, std::span<const NamedSet> sets);
/// Of work that was split over TP and PP: the best split in words, the best step over the ranks for each
/// number of stages, and as a table with TP across and PP down. Empty where no case has stages.
std::vector<Section> split_sections(std::span<const NamedSet> sets);
/// Time over message size with its fits, for each collective of which several sizes were timed.
Section collectives_section(std::span<const NamedSet> sets);
/// One step of some cases as a timeline of its ranks: those where ranks wait, and the largest.
Section timelines_section(std::span<const NamedSet> sets);
/// Samples over time of the cases whose warnings ask for a look.
Section samples_section(std::span<const NamedSet> sets);
/// Folders side by side: fastest and useful degree of each series, and how the steps compare with the first.
std::vector<Section> fabrics_sections(std::span<const NamedSet> sets, std::span<const PageSeries> series);
/// "eth-10g is faster than eth-1g ..." for each folder but the first; and what can be seen.
std::vector<std::string> fabric_sentences(std::span<const NamedSet> sets);

}  // namespace tpbench
