#include "result/record_rows.hpp"

// The machine beside a case: its clocks, quotas and devices, and the reference work.
namespace tpbench {
namespace {

Rows<ClockResult> clock_rows() {
  return {
      field(
          "definition", &ClockResult::definition,
          {.meaning =
               "of times over several ranks: a collective lasts from the last rank's start to the last one's "
               "end, on one clock",
           .words = "last_start_to_last_end"}),
      field("clocks", &ClockResult::clocks,
            {.meaning = "clocks that the ranks read; 1: that of one kernel, and no error is in any time",
             .least = 1}),
      field("aligned", &ClockResult::aligned,
            {.meaning = "their offsets are known better than by half a round trip; else nothing is said "
                        "between hosts"}),
      field("start", &ClockResult::start,
            {.meaning = "`agreed`: all ranks began at one moment; `barrier`: behind a barrier, and a step is "
                        "as long as "
                        "on its slowest rank",
             .column = "step_start"}),
      field("error_s", &ClockResult::error_s,
            {.meaning = "of a difference between two ranks on different clocks: the spread of the offset "
                        "over the fastest "
                        "tenth of the round trips, and what the drift adds; assumes that both ways take as "
                        "long. A sum of "
                        "N differences has N times the error",
             .unit = "s",
             .column = "clock_*",
             .least = 0}),
      field("worst_case_s", &ClockResult::worst_case_s,
            {.meaning = "the same whatever the ways take: half the fastest round trips",
             .unit = "s",
             .least = 0}),
      field("drift_ppm", &ClockResult::drift_ppm,
            {.meaning = "of the clock that gains or loses most against the first rank's, taken into account",
             .unit = "1e-6"}),
      field("offsets_s", &ClockResult::offsets_s,
            {.meaning = "each clock less the first rank's, when they were measured first in the last epoch",
             .unit = "s",
             .null = "there is one clock"}),
      field("differences_per_step", &ClockResult::differences_per_step,
            {.meaning = "between clocks, that the communication of a step is the sum of", .least = 0}),
      field(
          "start_margin_s", &ClockResult::start_margin_s,
          {.meaning =
               "from the moment at which the last rank had come to the agreed start, at the end of the case",
           .unit = "s",
           .least = 0}),
      field("starts", &ClockResult::starts,
            {.meaning = "steps that were to begin at an agreed moment", .least = 0}),
      field(
          "late_starts", &ClockResult::late_starts,
          {.meaning =
               "of these, steps whose moment some rank heard of too late: they are no samples, and were run "
               "again",
           .column = "*",
           .least = 0}),
      field(
          "device_error_s", &ClockResult::device_error_s,
          {.meaning =
               "of a difference between two devices, median over the samples: collectives under three times "
               "that are the last starter's own time, warning `device_clock_error`",
           .unit = "s",
           .null = "the host's clock took the times",
           .least = 0}),
      field("untold", &ClockResult::untold,
            {.meaning = "quantities that are null, as they would be less than three times their error",
             .null = "there is none"}),
      field("doubtful", &ClockResult::doubtful,
            {.meaning = "quantities whose median is less than three times their error",
             .null = "there is none"}),
  };
}

Rows<DeviceMoment> moment_rows() {
  return {
      field("sm_clock_mhz", &DeviceMoment::sm_clock_mhz,
            {.meaning = "clock of the processors", .unit = "MHz", .least = 0}),
      field("memory_clock_mhz", &DeviceMoment::memory_clock_mhz,
            {.meaning = "clock of the memory", .unit = "MHz", .least = 0}),
      field("temperature_c", &DeviceMoment::temperature_c,
            {.meaning = "the highest", .unit = "degrees Celsius"}),
      field("throttle_reasons", &DeviceMoment::throttle_reasons,
            {.meaning = "every reason that one of them gave for not running faster; warning `throttled` "
                        "where nobody had "
                        "set it",
             .null = "there was none"}),
  };
}

Rows<ReferenceTimes> reference_rows() {
  return {
      field("gemm_s", &ReferenceTimes::gemm_s,
            {.meaning =
                 "one product [64, 1024] x [1024, 1024] in f32 on one thread: of each rank the median of "
                 "five, of these the median",
             .unit = "s",
             .least = 0}),
      field("gemm_slowest_s", &ReferenceTimes::gemm_slowest_s,
            {.meaning = "the same of the slowest rank", .unit = "s", .least = 0}),
      field("copy_s", &ReferenceTimes::copy_s,
            {.meaning = "one copy of 12 MiB, likewise", .unit = "s", .least = 0}),
      field("copy_slowest_s", &ReferenceTimes::copy_slowest_s,
            {.meaning = "the same of the slowest rank", .unit = "s", .least = 0}),
      field("core_latency_s", &ReferenceTimes::core_latency_s,
            {.meaning = "what a cache line takes from one rank to its neighbour on the same host, of the "
                        "slowest such pair: it changes when the cores under the ranks do",
             .unit = "s",
             .null = "no two ranks of the case share a host's memory with a CPU for each",
             .least = 0,
             .since = 2}),
  };
}

}  // namespace

TPBENCH_ROWS(ClockResult, clock_rows())
TPBENCH_ROWS(
    ThrottlingResult,
    (Rows<ThrottlingResult>{
        field("periods", &ThrottlingResult::periods,
              {.meaning = "in which a quota stopped ranks: growth of `nr_throttled`", .least = 0}),
        field("seconds", &ThrottlingResult::seconds,
              {.meaning = "for how long, summed over the CPUs that had to wait: growth of `throttled_usec`",
               .unit = "s",
               .least = 0})}))
TPBENCH_ROWS(DeviceMoment, moment_rows())
TPBENCH_ROWS(DeviceResult,
             (Rows<DeviceResult>{
                 field("before", &DeviceResult::before, {.meaning = "right before the first of them"}),
                 field("after", &DeviceResult::after, {.meaning = "right after the last"})}))
TPBENCH_ROWS(ReferenceTimes, reference_rows())
TPBENCH_ROWS(ReferenceResult,
             (Rows<ReferenceResult>{
                 field("before", &ReferenceResult::before, {.meaning = "before the warm-up"}),
                 field("after", &ReferenceResult::after, {.meaning = "after the samples"})}))

}  // namespace tpbench
