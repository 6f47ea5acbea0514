// Writes result folders of a machine that never was, for tests of what is made of folders: sample_folders
// FOLDER LABEL BYTES_PER_S SHAPES DEGREES SEED.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "../unit/report/sample_sets.hpp"
#include "base/json.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kEpochs = 8, kSamples = 10;

Quantity quantity_of(const std::vector<double>& samples) {
  std::vector<std::vector<double>> epochs;
  for (std::size_t i = 0; i < kEpochs; ++i)
    epochs.emplace_back(samples.begin() + static_cast<std::ptrdiff_t>(i * kSamples),
                        samples.begin() + static_cast<std::ptrdiff_t>((i + 1) * kSamples));
  Quantity quantity = sample::of_epochs(epochs);
  quantity.summary.effective_samples = static_cast<std::int64_t>(kEpochs);
  return quantity;
}

class Machine {
 public:
  Machine(double bytes_per_s, std::uint32_t seed) : bytes_per_s_(bytes_per_s), random_(seed) {}

  Record run(const Case& point) {
    const Cost cost = point.workload_row().cost(point.shape());
    const auto ranks = static_cast<double>(point.layout.ranks());
    // Smaller products are a little less efficient, ranks beyond four disturb each other.
    const double compute = cost.flop() / 90e9 * (1 + 0.03 * std::log2(ranks)) * (ranks > 4 ? 1.12 : 1);
    double communication = 0;
    for (const CollectiveCost& collective : cost.collectives) {
      if (collective.calls_per_step > 0 && ranks > 1)
        communication += static_cast<double>(collective.calls_per_step) *
                         (20e-6 * std::log2(ranks) + static_cast<double>(collective.bytes) / bytes_per_s_);
    }
    Record record = sample::make_ok(point, {.compute = compute, .communication = communication});
    std::vector<double> computes, communications, others, steps;
    for (std::size_t i = 0; i < kEpochs * kSamples; ++i) {
      const double level = 1 + 0.015 * normal_(random_);
      computes.push_back(compute * level * (1 + 0.01 * std::abs(normal_(random_))));
      communications.push_back(communication * (1 + 0.05 * std::abs(normal_(random_))));
      others.push_back(2e-6);
      steps.push_back(computes.back() + communications.back() + others.back());
    }
    record.time->step = quantity_of(steps);
    record.time->compute = quantity_of(computes);
    record.time->communication = quantity_of(communications);
    record.time->other = quantity_of(others);
    record.time->wait = record.time->wait_mean = record.time->imbalance =
        quantity_of(std::vector<double>(steps.size(), 1e-6));
    record.epochs_done = record.epochs_planned = kEpochs;
    if (point.layout.ranks() == 1) return record;
    for (CollectiveResult& collective : record.collectives) {
      collective.algbw_gb_per_s = static_cast<double>(collective.bytes * collective.calls_per_step) /
                                  std::max(communication, 1e-12) / 1e9;
      collective.busbw_gb_per_s = *collective.algbw_gb_per_s;
    }
    return record;
  }

 private:
  double bytes_per_s_;
  std::mt19937 random_;
  std::normal_distribution<double> normal_;
};

void write(const std::filesystem::path& file, const Json& json) {
  std::ofstream(file) << json.dump(1) << '\n';
}

int write_folder(const std::filesystem::path& folder, const std::string& label, double bytes_per_s,
                 std::int64_t shapes, std::int64_t degrees, std::uint32_t seed) {
  std::filesystem::create_directories(folder / "records");
  Machine machine(bytes_per_s, seed);
  std::vector<Record> records;
  for (std::int64_t shape = 0; shape < shapes; ++shape) {
    for (std::int64_t power = 0; power < degrees; ++power) {
      Case point = sample::make_case(shape % 2 == 0 ? "mlp" : "row_linear", std::int64_t{1} << power,
                                     1024 * (1 + shape / 2));
      records.push_back(machine.run(point));
    }
  }
  for (std::int64_t power = 0; power < 8 && shapes < 10; ++power) {
    Case point = sample::make_case("all_reduce", 2, std::int64_t{64} << power);
    records.push_back(machine.run(point));
  }
  for (Record& record : records) {
    record.label = label;
    record.ranks.world = std::int64_t{1} << (degrees - 1);
  }
  apply_scaling(records);
  for (const Record& record : records)
    write(folder / "records" / (record.id + ".json"), record_to_json(record));
  write(folder / "environment.json",
        {{"schema", "tpbench.environment/2"},
         {"label", label},
         {"started_at", "2026-11-22T12:00:00Z"},
         {"tool", {{"name", "tpbench"}, {"version", "0.1.0"}, {"git_revision", "0123456789ab"}}},
         {"noise", {{"worst_rank_relative", 0.02}}},
         {"problems", Json::array()}});
  write(folder / "run.json", {{"schema", "tpbench.run/1"},
                              {"command", "tpbench --config sweep.json --label " + label},
                              {"filters", Json::array()}});
  write(folder / "sweep.json",
        {{"workload", {"mlp", "row_linear"}}, {"efficiency_floor", 0.5}, {"measure", {{"target_ci", 0.02}}}});
  return 0;
}

}  // namespace
}  // namespace tpbench

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "sample_folders FOLDER LABEL BYTES_PER_S SHAPES DEGREES SEED\n";
    return 2;
  }
  return tpbench::write_folder(argv[1], argv[2], std::stod(argv[3]), std::stoll(argv[4]), std::stoll(argv[5]),
                               static_cast<std::uint32_t>(std::stoul(argv[6])));
}
