#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "result/record.hpp"

namespace tpbench {

/// What stops the degree after the useful one: where its step is longer than baseline step / t, or why it did
/// not run.
enum class Stop {
  compute,
  communication,
  wait,
  other,
  divisibility,
  ranks,
  placement,
  memory,
  verification,
  error,
  watchdog,
  lost
};

/// The useful degree of one series (one workload and shape over its degrees): the largest t whose efficiency
/// is at least `efficiency_floor`. Degrees below it may have a lower efficiency.
struct UsefulDegree {
  std::string series;                     ///< id of the tp_degree 1 case
  std::optional<std::int64_t> degree;     ///< empty when none is useful or it cannot be stated
  std::optional<double> efficiency;       ///< at `degree`
  std::vector<std::int64_t> below_floor;  ///< degrees under `degree` whose efficiency is below the floor
  std::vector<std::int64_t> doubtful;     ///< degrees whose interval spans the floor, or that have none
  std::optional<std::int64_t> next;       ///< the next larger degree of the series; empty when there is none
  std::optional<double> next_efficiency;  ///< empty when it did not run to the end
  std::optional<Stop> stop;               ///< what stops `next`
  std::optional<double> stop_share;       ///< the excess of that part over its ideal, over the step of `next`
  std::string gap;                        ///< `below_floor` for people: "TP 2 (0.40) is below the floor"
  std::string doubt;                      ///< why `doubtful` are; both are empty when there are none
  std::string name;                       ///< of the series for people: "mlp h=4096 T=128"
  std::string sentence;                   ///< all of it for people, behind the name
};

/// One entry per series, in the order of the table. Records hold their `scaling`.
/// With t the next degree and index 1 the tp_degree 1 case, the excess of a part over ideal scaling is
/// part_t - part_1 / t for compute, communication, wait and other (medians); the largest is what stops it.
std::vector<UsefulDegree> useful_degrees(std::span<const Record> records, double efficiency_floor);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Stop, {tpbench::Stop::compute, "compute"},
                   {tpbench::Stop::communication, "communication"}, {tpbench::Stop::wait, "wait"},
                   {tpbench::Stop::other, "other"}, {tpbench::Stop::divisibility, "divisibility"},
                   {tpbench::Stop::ranks, "ranks"}, {tpbench::Stop::placement, "placement"},
                   {tpbench::Stop::memory, "memory"}, {tpbench::Stop::verification, "verification"},
                   {tpbench::Stop::error, "error"}, {tpbench::Stop::watchdog, "watchdog"},
                   {tpbench::Stop::lost, "lost"});
