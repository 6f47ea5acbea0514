#include "report/compare_cell.hpp"

#include <algorithm>
#include <cmath>

#include "report/compare_machine.hpp"
#include "result/two_samples.hpp"

namespace tpbench {
namespace {

// From here on ranks have something to say against a hundred cells, and a median of epochs has an interval.
constexpr std::size_t kEpochsForRanks = 6;

const Quantity& quantity_of(const Record& record, std::size_t quantity) {
  return (*record.time).*kComparedQuantities[quantity].member;
}

// ---- one launch on each side

// The values that the verdict rests on: epoch medians where both sides have several, as two passes over a
// sweep differ more than one says; otherwise blocks of the one pass.
struct Values {
  std::vector<double> base, other;
  Basis basis = Basis::blocks;
  std::size_t passes = 1;
};

Values values_of(const Quantity& base, const Quantity& other) {
  const std::size_t epochs = std::min(base.epoch_medians_s.size(), other.epoch_medians_s.size());
  if (epochs >= 2) return {base.epoch_medians_s, other.epoch_medians_s, Basis::epochs, epochs};
  return {block_medians(base.samples_s), block_medians(other.samples_s), Basis::blocks, 1};
}

RatioTest test_values(const Values& values) {
  const bool few = values.basis == Basis::epochs && values.passes < kEpochsForRanks;
  return few ? welch_ratio_test(values.base, values.other) : rank_ratio_test(values.base, values.other);
}

double machine_range(const std::vector<const Record*>& base, const std::vector<const Record*>& other,
                     double share) {
  std::vector<double> levels;
  for (const auto* side : {&base, &other}) {
    for (const Record* record : *side) {
      const std::vector<double> own = levels_of(*record, share);
      levels.insert(levels.end(), own.begin(), own.end());
    }
  }
  const auto [low, high] = std::minmax_element(levels.begin(), levels.end());
  return *high - *low;
}

// Epoch by epoch where there is a look for each, otherwise all alike.
void take_out(std::vector<double>& values, const Record& record, double share, Basis basis) {
  const std::vector<double> levels = levels_of(record, share);
  const double level = level_of(record, share);
  const bool by_epoch = basis == Basis::epochs && levels.size() == values.size();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] *= std::exp(-(by_epoch ? levels[i] : level));
}

// How far each side strays by itself, added, and what the launches' look at their machines adds. That weighs
// less the more often the sweep itself has looked.
Reading read_values(const Values& values, double ratio, const SideFacts& facts) {
  const RatioTest test = test_values(values);
  Reading reading = {.ratio = ratio, .ci95 = test.ci95, .p_value = test.p_value};
  // Medians of blocks or epochs need not have the median of the samples between them.
  if (reading.ci95) reading.ci95 = {{std::min((*test.ci95)[0], ratio), std::max((*test.ci95)[1], ratio)}};
  const double launches = facts.launch_noise / static_cast<double>(values.passes);
  reading.noise = std::max(facts.target_ci, spread_of(values.base) + spread_of(values.other) + launches);
  return reading;
}

CellEvidence of_two(const Record& base, const Record& other, std::size_t quantity, const SideFacts& facts,
                    bool with_reference) {
  const Quantity &first = quantity_of(base, quantity), &second = quantity_of(other, quantity);
  CellEvidence evidence;
  evidence.base_s = first.summary.median;
  evidence.other_s = second.summary.median;
  if (evidence.base_s <= 0 || evidence.other_s <= 0) return evidence;
  const double ratio = evidence.other_s / evidence.base_s;
  Values values = values_of(first, second);
  evidence.basis = values.basis;
  evidence.measured = read_values(values, ratio, facts);
  if (!with_reference) return evidence;
  const double share = compute_share(base, quantity);
  evidence.machine = std::exp(level_of(other, share) - level_of(base, share));
  evidence.machine_range = machine_range({&base}, {&other}, share);
  take_out(values.base, base, share, values.basis);
  take_out(values.other, other, share, values.basis);
  evidence.rest = read_values(values, ratio / *evidence.machine, facts);
  return evidence;
}

// ---- several

double geometric_mean(const std::vector<double>& values) {
  double logarithms = 0;
  for (const double value : values) logarithms += std::log(value) / static_cast<double>(values.size());
  return std::exp(logarithms);
}

std::vector<double> medians_of(const std::vector<const Record*>& records, std::size_t quantity) {
  std::vector<double> medians;
  for (const Record* record : records) medians.push_back(quantity_of(*record, quantity).summary.median);
  return medians;
}

std::optional<Reading> read_launches(const std::vector<double>& base, const std::vector<double>& other,
                                     Design design, double& rounds) {
  const auto test = test_launches(base, other, design);
  if (!test) return std::nullopt;
  rounds = test->rounds;
  return Reading{.ratio = test->ratio,
                 .ci95 = test->ci95,
                 .p_value = test->p_value,
                 .round_variance = test->round_variance};
}

// Compute says nothing to other ranks.
std::optional<Reading> read_beside_cores(const CaseLaunches& launches, const std::vector<double>& base,
                                         const std::vector<double>& other, std::size_t quantity,
                                         const SideFacts& facts) {
  if (facts.design != Design::alternated || kComparedQuantities[quantity].member == &TimeResult::compute)
    return std::nullopt;
  const auto first = core_latency_levels(launches.base), second = core_latency_levels(launches.other);
  if (!first || !second) return std::nullopt;
  const auto test = test_launches_beside(base, other, {*first, *second});
  if (!test) return std::nullopt;
  return Reading{.ratio = test->ratio,
                 .ci95 = test->ci95,
                 .p_value = test->p_value,
                 .round_variance = test->round_variance};
}

CellEvidence of_several(const CaseLaunches& launches, std::size_t quantity, const SideFacts& facts,
                        bool with_reference) {
  std::vector<double> base = medians_of(launches.base, quantity),
                      other = medians_of(launches.other, quantity);
  CellEvidence evidence;
  evidence.basis = Basis::launches;
  evidence.base_s = geometric_mean(base);
  evidence.other_s = geometric_mean(other);
  const auto measured = read_launches(base, other, facts.design, evidence.rounds);
  if (!measured) return evidence;
  evidence.measured = *measured;
  evidence.cores = read_beside_cores(launches, base, other, quantity, facts);
  if (!with_reference) return evidence;
  const double share = compute_share(*launches.base.front(), quantity);
  for (std::size_t i = 0; i < base.size(); ++i) base[i] *= std::exp(-level_of(*launches.base[i], share));
  for (std::size_t i = 0; i < other.size(); ++i) other[i] *= std::exp(-level_of(*launches.other[i], share));
  evidence.rest = read_launches(base, other, facts.design, evidence.rounds);
  evidence.machine_range = machine_range(launches.base, launches.other, share);
  if (evidence.rest) evidence.machine = *evidence.measured.ratio / *evidence.rest->ratio;
  return evidence;
}

// ---- what could be seen

// Half the width of the interval, as a logarithm.
double half_width(const Reading& reading) {
  return reading.ci95 ? std::log((*reading.ci95)[1] / (*reading.ci95)[0]) / 2 : 0;
}

// Of one launch on each side: beyond the noise and the interval, with a margin of 1.28 standard errors, so
// that nine of ten differences of that size are found.
double detectable_of_two(const Reading& reading) {
  const double half = half_width(reading);
  return std::max(reading.noise, half) + half * 1.2816 / 1.9600;
}

void detect(Cell& cell, const Reading& reading, const CellEvidence& evidence, Design design) {
  if (evidence.basis != Basis::launches) {
    cell.detectable = std::max(cell.detectable.value_or(0), std::expm1(detectable_of_two(reading)));
    return;
  }
  const double detectable = detectable_log(reading.round_variance, evidence.rounds, design);
  cell.detectable = std::max(cell.detectable.value_or(0), std::expm1(detectable));
  cell.rounds_for_10 = rounds_to_detect(0.10, reading.round_variance, design);
  cell.rounds_for_5 = rounds_to_detect(0.05, reading.round_variance, design);
}

// The reading that decides; of both, the one that says less.
const Reading& deciding(const CellEvidence& evidence, RestsOn rests_on) {
  const Reading* taken_out = evidence.taken_out(rests_on);
  if (taken_out == nullptr || rests_on == RestsOn::measured) return evidence.measured;
  if (rests_on != RestsOn::both) return *taken_out;
  if (evidence.is_beyond_machine()) return evidence.measured;
  return evidence.rest->p_value.value_or(1) > evidence.measured.p_value.value_or(1) ? *evidence.rest
                                                                                    : evidence.measured;
}

}  // namespace

bool CellEvidence::is_beyond_machine() const {
  constexpr double kTimes = 3;
  return measured.ratio && std::abs(std::log(*measured.ratio)) > kTimes * machine_range;
}

bool defines_otherwise(const CaseLaunches& launches) {
  constexpr int kOneClock = 2;
  const auto is_older = [](const Record* record) { return record->schema < kOneClock; };
  const auto older = std::count_if(launches.base.begin(), launches.base.end(), is_older) +
                     std::count_if(launches.other.begin(), launches.other.end(), is_older);
  return older > 0 && static_cast<std::size_t>(older) < launches.base.size() + launches.other.size();
}

CellEvidence gather_evidence(const CaseLaunches& launches, std::size_t quantity, const SideFacts& facts) {
  const auto tells = [&](const std::vector<const Record*>& records) {
    return std::all_of(records.begin(), records.end(),
                       [&](const Record* record) { return is_known(quantity_of(*record, quantity)); });
  };
  const bool is_other_quantity =
      kComparedQuantities[quantity].member == &TimeResult::communication && defines_otherwise(launches);
  const bool base_tells = tells(launches.base), other_tells = tells(launches.other);
  if (is_other_quantity || !base_tells || !other_tells) {
    CellEvidence evidence;
    evidence.base_told = base_tells;
    evidence.other_told = other_tells;
    if (base_tells) evidence.base_s = quantity_of(*launches.base.front(), quantity).summary.median;
    if (other_tells) evidence.other_s = quantity_of(*launches.other.front(), quantity).summary.median;
    return evidence;
  }
  const bool with_reference = have_reference(launches.base) && have_reference(launches.other);
  if (launches.base.size() == 1 && launches.other.size() == 1)
    return of_two(*launches.base.front(), *launches.other.front(), quantity, facts, with_reference);
  return of_several(launches, quantity, facts, with_reference);
}

Cell make_cell(const CellEvidence& evidence, RestsOn rests_on, Design design) {
  Cell cell;
  cell.base_s = evidence.base_s;
  cell.other_s = evidence.other_s;
  cell.base_told = evidence.base_told;
  cell.other_told = evidence.other_told;
  cell.basis = evidence.basis;
  cell.ratio = evidence.measured.ratio;
  cell.ci95 = evidence.measured.ci95;
  cell.machine = evidence.machine;
  if (const Reading* taken_out = evidence.taken_out(rests_on)) {
    cell.rest = taken_out->ratio;
    cell.rest_ci95 = taken_out->ci95;
    if (rests_on == RestsOn::cores) cell.machine = *evidence.measured.ratio / *taken_out->ratio;
  }
  const Reading& reading = deciding(evidence, rests_on);
  cell.p_value = reading.p_value;
  if (!reading.ci95) return cell;
  cell.noise = std::expm1(reading.noise);
  detect(cell, reading, evidence, design);
  return cell;
}

void detect_alone(Cell& cell, const CellEvidence& evidence, RestsOn rests_on, Design design,
                  std::size_t cells) {
  if (evidence.basis != Basis::launches || !cell.detectable) return;
  const Reading& reading = deciding(evidence, rests_on);
  cell.detectable_alone = std::expm1(detectable_log(reading.round_variance, evidence.rounds, design,
                                                    kFalseDiscoveryRate / static_cast<double>(cells)));
}

}  // namespace tpbench
