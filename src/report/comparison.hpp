#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum_names.hpp"
#include "report/useful_degree.hpp"
#include "result/json_difference.hpp"
#include "result/result_set.hpp"

namespace tpbench {

/// What is said of one quantity of one case, the other folder against the base.
enum class Verdict {
  within_noise,  ///< no difference larger than the noise of both
  slower,
  faster,
  not_judged  ///< one of the medians is not above 0, or there are too few values
};

/// Where the values come from that the verdict rests on.
enum class Basis { epochs, blocks };

/// One quantity of one case in two folders: one cell. Times in seconds.
struct Cell {
  double base_s = 0;  ///< median, as in the record
  double other_s = 0;
  std::optional<double> ratio;                ///< other / base; empty unless both are above 0
  std::optional<std::array<double, 2>> ci95;  ///< of the ratio; empty when there are too few values
  std::optional<double> p_value;              ///< adjusted for the number of cells
  std::optional<double> noise;  ///< of both folders, as a relative difference: smaller ones are not marked
  Basis basis = Basis::blocks;
  Verdict verdict = Verdict::not_judged;
};

/// The quantities that are compared: one row each.
struct ComparedQuantity {
  std::string_view name;  ///< as in the record
  std::string_view title;
  Quantity TimeResult::*member;
};
inline constexpr std::array<ComparedQuantity, 3> kComparedQuantities = {
    {{"step", "step", &TimeResult::step},
     {"compute", "compute", &TimeResult::compute},
     {"communication", "comm", &TimeResult::communication}}};

/// A case that is ok in both folders; one cell per quantity, in the order of kComparedQuantities.
struct ComparedCase {
  const Record* base = nullptr;
  const Record* other = nullptr;
  std::array<Cell, kComparedQuantities.size()> cells;
};

/// A case that cannot be compared: a side that does not have it is null, and at least one is null or not ok.
struct UnmatchedCase {
  const Record* base = nullptr;
  const Record* other = nullptr;
};

/// Over all cases, for one quantity.
struct QuantitySummary {
  std::optional<double> geometric_mean;  ///< of the ratios; empty when there is none
  std::size_t ratios = 0, judged = 0, slower = 0, faster = 0;
};

/// The useful degree of one series in each folder; empty where a folder does not have the series.
struct ComparedSeries {
  std::string name;  ///< "mlp h=4096 T=128"
  std::optional<UsefulDegree> base, other;
};

/// Two folders side by side. Points into both, which must outlive it.
struct Comparison {
  const ResultSet* base = nullptr;
  const ResultSet* other = nullptr;
  double noise_base =
      0;  ///< figure of the noise probe that was used; kUnknownNoise where no environment says
  double noise_other = 0;
  std::vector<ComparedCase> cases;  ///< in the order of the table
  std::vector<UnmatchedCase> unmatched;
  std::array<QuantitySummary, kComparedQuantities.size()> summaries;
  std::vector<JsonDifference> environment;  ///< what differs; empty also when a folder has no environment
  std::vector<ComparedSeries> series;
  std::vector<std::string>
      remarks;  ///< what a reader of the numbers must know: other threads, several launches
};

/// Assumed of a folder that does not say: the limit beyond which a record warns of a noisy machine.
inline constexpr double kUnknownNoise = 0.10;
/// Wrong marks among all marks are expected to be at most this share.
inline constexpr double kFalseDiscoveryRate = 0.05;
/// A difference below it is not marked: what leaving a barrier one after the other can make (a tenth of the
/// step that counts as short, docs/methodology.md).
inline constexpr double kLeastDifference_s = 0.2e-6;

/// Joins the records of both by id and judges every quantity (docs/compare.md).
Comparison compare(const ResultSet& base, const ResultSet& other);

/// The cases whose step is marked slower by more than `limit` (0.05: 5 %).
std::vector<const ComparedCase*> slower_than(const Comparison& comparison, double limit);

/// The cases at whose step a difference of `limit` would not show: the noise of both is larger, or there are
/// too few values.
std::vector<const ComparedCase*> blind_at(const Comparison& comparison, double limit);

/// The cases that are ok in the base and failed in the other.
std::vector<const UnmatchedCase*> broken_in_other(const Comparison& comparison);

/// Is the difference beyond chance, and not marked because the noise of both is larger?
bool hides_difference(const Cell& cell);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Verdict, {tpbench::Verdict::within_noise, "within_noise"},
                   {tpbench::Verdict::slower, "slower"}, {tpbench::Verdict::faster, "faster"},
                   {tpbench::Verdict::not_judged, "not_judged"});
TPBENCH_ENUM_NAMES(tpbench::Basis, {tpbench::Basis::epochs, "epochs"}, {tpbench::Basis::blocks, "blocks"});
