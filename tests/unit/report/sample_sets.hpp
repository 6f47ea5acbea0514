#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "../result/sample_record.hpp"
#include "result/result_set.hpp"
#include "result/scaling.hpp"

namespace tpbench::sample {

/// A quantity of `epochs` passes, as a run summarises it.
inline Quantity of_epochs(const std::vector<std::vector<double>>& epochs) {
  Quantity quantity;
  for (const auto& samples : epochs) {
    quantity.samples_s.insert(quantity.samples_s.end(), samples.begin(), samples.end());
    quantity.epoch_medians_s.push_back(summarise(samples).median);
  }
  quantity.summary = summarise(quantity.samples_s);
  if (epochs.size() > 1) {
    const Summary over_epochs = summarise(quantity.epoch_medians_s);
    quantity.summary.median = over_epochs.median;
    quantity.summary.ci95 = over_epochs.ci95;
  }
  return quantity;
}

/// How the machine behaves in one simulated launch.
struct Machine {
  double factor = 1;         ///< of every step: 1.1 is a tool that is 10 % slower
  double noise = 0.01;       ///< of a sample against the one before it
  double memory = 0.8;       ///< how much a sample takes after the one before it
  double busy = 0;           ///< share of passes over a case in which a neighbour slows the core
  double busy_factor = 1.4;  ///< by so much
};

/// One launch over `cases` cases, with `epochs` passes of `samples` samples each: steps of 0.1 to 1 ms.
inline ResultSet simulate(std::size_t cases, std::size_t epochs, std::size_t samples, const Machine& machine,
                          std::uint32_t seed, double probe = 0.02) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  ResultSet set;
  set.path = "launch-" + std::to_string(seed);
  set.environments["environment.json"] = {{"noise", {{"worst_rank_relative", probe}}}};
  for (std::size_t i = 0; i < cases; ++i) {
    const double step_s = 1e-4 * (1 + static_cast<double>(i % 10));
    std::vector<std::vector<double>> passes;
    for (std::size_t epoch = 0; epoch < epochs; ++epoch) {
      const double neighbour = uniform(random) < machine.busy ? machine.busy_factor : 1;
      double state = normal(random);
      std::vector<double> pass;
      for (std::size_t k = 0; k < samples; ++k) {
        state = machine.memory * state + std::sqrt(1 - machine.memory * machine.memory) * normal(random);
        pass.push_back(step_s * machine.factor * neighbour * std::exp(machine.noise * state));
      }
      passes.push_back(pass);
    }
    Record record =
        make_ok(make_case("row_linear", 1, 128 * static_cast<std::int64_t>(i + 1)), {.compute = 1});
    record.time->step = of_epochs(passes);
    record.time->compute = make_quantity(0);  // one cell per case
    record.epochs_done = record.epochs_planned = static_cast<std::int64_t>(epochs);
    set.records.push_back(record);
  }
  return set;
}

}  // namespace tpbench::sample
