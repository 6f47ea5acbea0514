#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <vector>

#include "report/comparison.hpp"
#include "result/launches.hpp"

namespace tpbench {

/// The ok records of one case, by the start of their launches; of alternated sides the i-th are a pair.
struct CaseLaunches {
  std::vector<const Record*> base, other;
};

/// What is known of both sides beside a case's own records.
struct SideFacts {
  double target_ci = 0;     ///< of both, added as the root of the squares
  double launch_noise = 0;  ///< of both machines, as a logarithm; of single launches
  Design design = Design::alternated;
};

/// What the records say of one ratio: of the times as measured, or with the machine's own change taken out.
struct Reading {
  std::optional<double> ratio;
  std::optional<std::array<double, 2>> ci95;
  std::optional<double> p_value;  ///< of this cell alone
  double noise = 0;               ///< as a logarithm: what must be exceeded besides; 0 over launches
  double round_variance = 0;      ///< over launches
};

/// Everything that is known of one cell before all cells are looked at together.
struct CellEvidence {
  double base_s = 0, other_s = 0;
  bool base_told = true, other_told = true;
  Basis basis = Basis::blocks;
  double rounds = 0;  ///< over launches
  Reading measured;
  std::optional<Reading> rest;  ///< empty where records have no reference work
  std::optional<double> machine;
  /// Between the slowest and the fastest look at the machine on either side, as a logarithm.
  double machine_range = 0;
  /// Without what goes along with the core latency; empty where it cannot be told.
  std::optional<Reading> cores;

  /// Whether the ratio is many times what the machine was seen to change by: then it is not the machine, and
  /// how unsteady the looks at it were says nothing.
  [[nodiscard]] bool is_beyond_machine() const;

  /// The reading that verdicts of this kind rest on, beside the measured one; null where there is none.
  [[nodiscard]] const Reading* taken_out(RestsOn rests_on) const {
    const std::optional<Reading>& reading = rests_on == RestsOn::cores ? cores : rest;
    return reading ? &*reading : nullptr;
  }
};

/// One side's records are of schema 1 and the other's are not. Schema 2 times what ranks do together on one
/// clock; what schema 1 calls communication, wait and other is another quantity.
bool defines_otherwise(const CaseLaunches& launches);

CellEvidence gather_evidence(const CaseLaunches& launches, std::size_t quantity, const SideFacts& facts);

/// A cell that rests on what it says: everything but the verdict and the adjustment of p for the number of
/// cells.
Cell make_cell(const CellEvidence& evidence, RestsOn rests_on, Design design);

/// Fills `detectable_alone` of a cell over launches that is one of `cells`.
void detect_alone(Cell& cell, const CellEvidence& evidence, RestsOn rests_on, Design design,
                  std::size_t cells);

}  // namespace tpbench
