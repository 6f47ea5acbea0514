#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/enum_names.hpp"
#include "sweep/case.hpp"

namespace tpbench {

enum class Order { random, given };
enum class VerifyMode { automatic, full, sampled, off };

/// How long and how often is sampled (the `measure` object of the sweep file).
struct MeasureSettings {
  std::int64_t warmup_steps = 3;
  std::int64_t min_samples = 10;
  std::int64_t max_samples = 200;
  double max_seconds = 5;   ///< per case and epoch
  double target_ci = 0.02;  ///< half-width of the 95 % interval over the median
  std::int64_t epochs = 1;
  Order order = Order::random;
  CacheState cache = CacheState::warm;
};

/// What this build can run; filled by the machine side from its tables of factories. A value of the sweep
/// file that is known to the schema and absent here is refused as "not available in this build".
struct Availability {
  std::vector<std::string> workloads;
  std::vector<std::string> backends;
  std::vector<std::string> algorithms;
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Order, {tpbench::Order::random, "random"}, {tpbench::Order::given, "given"});
TPBENCH_ENUM_NAMES(tpbench::VerifyMode, {tpbench::VerifyMode::automatic, "auto"},
                   {tpbench::VerifyMode::full, "full"}, {tpbench::VerifyMode::sampled, "sampled"},
                   {tpbench::VerifyMode::off, "off"});
