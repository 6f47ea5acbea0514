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
#include "result/launches.hpp"
#include "result/result_set.hpp"

namespace tpbench {

/// What is said of one quantity of one case, the other side against the base.
enum class Verdict {
  within_noise,  ///< no difference larger than the noise of both
  slower,
  faster,
  machine,    ///< there is one, and it goes with the machine's own change
  not_judged  ///< one of the medians is not above 0, or there are too few values
};

/// Where the values come from that the verdict rests on.
enum class Basis { launches, epochs, blocks };

/// Which ratio the verdicts of a quantity rest on: as measured, with the machine's own change taken out (that
/// of the reference work, or what goes along with the core latency), or both of the first two.
enum class RestsOn { measured, rest, cores, both };

/// One quantity of one case on two sides: one cell. Times in seconds.
struct Cell {
  double base_s = 0;  ///< median, as in the record; of several launches the geometric mean of their medians
  double other_s = 0;
  bool base_told = true, other_told = true;   ///< false: the clocks of that side's hosts could not tell it
  std::optional<double> ratio;                ///< other / base; empty unless both are above 0
  std::optional<std::array<double, 2>> ci95;  ///< of the ratio; empty when there are too few values
  /// Ratio of the reference work, or what the ratio has of the core latency where the verdicts rest on that;
  /// empty where the records have none.
  std::optional<double> machine;
  std::optional<double> rest;  ///< ratio / machine
  std::optional<std::array<double, 2>> rest_ci95;
  std::optional<double> p_value;  ///< of what the verdict rests on, adjusted for the number of cells
  std::optional<double> noise;    ///< of both folders, as a relative difference: smaller ones are not marked
  /// The smallest relative difference that would be marked with a probability of 90 % if most cells had it,
  /// and if this cell alone had it (over launches only).
  std::optional<double> detectable, detectable_alone;
  /// Rounds in all that would show a difference of 10 % and 5 %; over launches only, and empty beyond 10000.
  std::optional<std::size_t> rounds_for_10, rounds_for_5;
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

/// A case that is ok on both sides, with the record of each side's first launch that has it; one cell per
/// quantity, in the order of kComparedQuantities.
struct ComparedCase {
  const Record* base = nullptr;
  const Record* other = nullptr;
  std::array<Cell, kComparedQuantities.size()> cells;
};

/// A case that cannot be compared: a side that does not have it is null, and at least one is null or not ok.
/// Of several launches the first record that is not ok.
struct UnmatchedCase {
  const Record* base = nullptr;
  const Record* other = nullptr;
};

/// Over all cases, for one quantity.
struct QuantitySummary {
  std::optional<double> geometric_mean;  ///< of the ratios; empty when there is none
  std::optional<double> machine, rest;   ///< the same of Cell::machine and Cell::rest
  RestsOn rests_on = RestsOn::measured;
  std::size_t ratios = 0, judged = 0, slower = 0, faster = 0, by_machine = 0;
  /// What nine of ten judged cells would show, and the rounds in all after which they would show 10 % and 5
  /// %.
  std::optional<double> detectable;
  std::optional<std::size_t> rounds_for_10, rounds_for_5;
};

/// The useful degree of one series in each folder; empty where a folder does not have the series.
struct ComparedSeries {
  std::string name;  ///< "mlp h=4096 T=128"
  std::optional<UsefulDegree> base, other;
};

/// The launches of one side, by their start.
struct Side {
  std::vector<const ResultSet*> launches;
  double noise = 0;  ///< the largest of the noise probe's figures; kUnknownNoise where no environment says

  [[nodiscard]] const ResultSet& first() const { return *launches.front(); }
  /// The folder, or "a/01 and 4 more".
  [[nodiscard]] std::string path() const;
};

/// How the reference product of one side took longer than that of the other, over all cases. The interval is
/// over launches; empty for one on each side.
struct MachineChange {
  double ratio = 1;
  std::optional<std::array<double, 2>> ci95;
  std::optional<double> p_value;
};

/// Two sides beside each other. Points into their launches, which must outlive it.
struct Comparison {
  Side base, other;
  Design design = Design::alternated;  ///< of several launches on each side
  std::size_t rounds = 1;              ///< launches of the side that has fewer; of a rolling baseline its own
  std::vector<ComparedCase> cases;     ///< in the order of the table
  std::vector<UnmatchedCase> unmatched;
  std::array<QuantitySummary, kComparedQuantities.size()> summaries;
  std::vector<JsonDifference>
      environment;                     ///< of the first launches; empty also when a folder has no environment
  std::vector<ComparedSeries> series;  ///< of the first launches
  std::optional<MachineChange> machine;  ///< empty where the records have no reference work
  std::optional<MachineChange> cores;    ///< the same of the core latency; of several launches alone
  std::vector<std::string> alarms;  ///< what makes the sides unlike before anything else: other BLAS kernels
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

/// Joins the records of both sides by id and judges every quantity (docs/compare.md): one launch on each
/// side, two and more on each, or one new launch against the two and more of a rolling baseline. Throws
/// UsageError for several against one, for a folder that is named twice, and where no case is in common.
Comparison compare(std::span<const ResultSet* const> base, std::span<const ResultSet* const> other);
Comparison compare(const ResultSet& base, const ResultSet& other);

/// The cases whose step is marked slower by more than `limit` (0.05: 5 %).
std::vector<const ComparedCase*> slower_than(const Comparison& comparison, double limit);

/// The cases at whose step a difference of `limit` would not show.
std::vector<const ComparedCase*> blind_at(const Comparison& comparison, double limit);

/// How many judged cells have an interval, of the ratio that the verdict rests on, that is wider than
/// +-`limit`. What lies below kLeastDifference_s does not count.
std::size_t wider_than(const Comparison& comparison, double limit);

/// The cases that are ok in the base and failed in the other.
std::vector<const UnmatchedCase*> broken_in_other(const Comparison& comparison);

/// Is the difference beyond chance, and not marked because the noise of both is larger?
bool hides_difference(const Cell& cell);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Verdict, {tpbench::Verdict::within_noise, "within_noise"},
                   {tpbench::Verdict::slower, "slower"}, {tpbench::Verdict::faster, "faster"},
                   {tpbench::Verdict::machine, "machine"}, {tpbench::Verdict::not_judged, "not_judged"});
TPBENCH_ENUM_NAMES(tpbench::Basis, {tpbench::Basis::launches, "launches"}, {tpbench::Basis::epochs, "epochs"},
                   {tpbench::Basis::blocks, "blocks"});
TPBENCH_ENUM_NAMES(tpbench::RestsOn, {tpbench::RestsOn::measured, "measured"},
                   {tpbench::RestsOn::rest, "rest"}, {tpbench::RestsOn::cores, "cores"},
                   {tpbench::RestsOn::both, "both"});
