#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json_fwd.hpp"
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
  lost,
  unknown  ///< the clocks of the hosts cannot tell communication from waiting
};

/// The verdict on one series (one workload and shape over its degrees): the fastest degree, and the useful
/// one: the largest t whose efficiency is at least `efficiency_floor`. Degrees below it may have a lower
/// efficiency.
struct UsefulDegree {
  std::string series;                   ///< id of the tp_degree 1 case
  std::optional<std::int64_t> fastest;  ///< degree of the shortest step; empty when nothing ran
  std::string fastest_name;             ///< "TP 2"
  double fastest_step_s = 0;
  std::optional<double> fastest_speedup;  ///< against TP 1
  std::vector<std::string> rivals;        ///< "TP 4 with 136 ms": steps that may be as short
  std::optional<std::int64_t> degree;     ///< empty when none is useful or it cannot be stated
  std::string degree_name;
  std::optional<double> efficiency;       ///< at `degree`
  std::vector<std::int64_t> below_floor;  ///< degrees under `degree` whose efficiency is below the floor
  std::vector<std::int64_t> doubtful;     ///< degrees whose interval spans the floor, or that have none
  std::optional<std::int64_t> next;       ///< the next larger degree of the series; empty when there is none
  std::string next_name;
  std::optional<double> next_efficiency;  ///< empty when it did not run to the end
  double next_step_s = 0;
  std::optional<Stop> stop;          ///< what stops `next`, as far as the times say
  std::optional<double> stop_share;  ///< the excess of that part over its ideal, over the step of `next`
  double stop_part_s = 0;            ///< that part of the step of `next`, and what it would be ideally
  double stop_ideal_s = 0;
  std::string next_outcome;  ///< of a `next` that has no times: "not run: 2 ranks available"
  std::string finding;       ///< why no cause can be named: "8 ranks on 2 cores of n1"; or empty
                             ///< (machine_finding of the cases that the verdict rests on)
  std::string gap;           ///< `below_floor` for people: "TP 2 (0.40) is below the floor"
  std::string doubt;         ///< why `doubtful` are; both are empty when there are none
  bool is_open = false;      ///< so wide an interval that there is no conclusion
  std::string no_baseline;   ///< why nothing can be said; or empty
  bool is_alone = false;     ///< TP 1 is the only degree
  double floor = 0.5;
  std::string name;      ///< of the series for people: "mlp h=4096 T=128"
  std::string sentence;  ///< all of it for people, behind the name

  [[nodiscard]] bool is_certain() const { return doubtful.empty() && finding.empty() && rivals.empty(); }
};

/// One entry per series, in the order of the table. Records hold their `scaling`.
/// With t the next degree and index 1 the tp_degree 1 case, the excess of a part over ideal scaling is
/// part_t - part_1 / t for compute, communication, wait and other (medians); the largest is what stops it.
std::vector<UsefulDegree> useful_degrees(std::span<const Record> records, double efficiency_floor);

/// What is to be read first: one sentence for each series, and one for all where they agree.
std::vector<std::string> verdict_sentences(std::span<const UsefulDegree> verdicts);
/// One sentence on series that agree, without their names.
std::string say_verdict(std::span<const UsefulDegree* const> agreeing);

/// What keeps the times of a case from being those of the program and the fabric alone, in a few words; or
/// empty: more ranks than cores, a slow or shared core, a quota, drift, slow kernels.
std::string machine_finding(const Record& record);
/// The code of the warning that says so; or empty.
std::string machine_finding_code(const Record& record);

/// For programs.
Json verdict_to_json(const UsefulDegree& verdict);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Stop, {tpbench::Stop::compute, "compute"},
                   {tpbench::Stop::communication, "communication"}, {tpbench::Stop::wait, "wait"},
                   {tpbench::Stop::other, "other"}, {tpbench::Stop::divisibility, "divisibility"},
                   {tpbench::Stop::ranks, "ranks"}, {tpbench::Stop::placement, "placement"},
                   {tpbench::Stop::memory, "memory"}, {tpbench::Stop::verification, "verification"},
                   {tpbench::Stop::error, "error"}, {tpbench::Stop::watchdog, "watchdog"},
                   {tpbench::Stop::lost, "lost"}, {tpbench::Stop::unknown, "unknown"});
