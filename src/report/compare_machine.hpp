#pragma once

#include <optional>
#include <vector>

#include "report/compare_cell.hpp"

namespace tpbench {

// What records say of the machine beside their case, and how it changed from side to side.

/// How much of a quantity of this case is compute: what the reference product stands for; the reference copy
/// stands for the rest.
double compute_share(const Record& record, std::size_t quantity);

/// How slow the machine was in each epoch, as a logarithm, and in the middle of them.
std::vector<double> levels_of(const Record& record, double share);
double level_of(const Record& record, double share);

/// Whether all of them have times of the reference work.
bool have_reference(const std::vector<const Record*>& records);

/// The core latency beside the case, as a logarithm, in each of the records; empty where one has none.
std::optional<std::vector<double>> core_latency_levels(const std::vector<const Record*>& records);

/// How the reference product changed over the cases that all launches have; empty where records have none.
std::optional<MachineChange> machine_change(const std::vector<CaseLaunches>& cases,
                                            const Comparison& comparison);
/// The same of the core latency.
std::optional<MachineChange> core_latency_change(const std::vector<CaseLaunches>& cases,
                                                 const Comparison& comparison);

}  // namespace tpbench
