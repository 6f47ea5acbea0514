#include "result/record_rows.hpp"

// What a record says of the ranks: who they were, and what each did.
namespace tpbench {
namespace {

Rows<RankResult> rank_result_rows() {
  return {
      field("rank", &RankResult::rank, {.meaning = "of the launch", .least = 0}),
      field("host", &RankResult::host, {.meaning = "where it ran"}),
      field("cpus", &RankResult::cpus, {.meaning = "that it may run on", .least = 0}),
      field("compute_s", &RankResult::compute_s,
            {.meaning = "computing, the mean over the samples", .unit = "s", .least = 0}),
      field(
          "wait_s", &RankResult::wait_s,
          {.meaning = "at the collectives for the last rank to come, likewise",
           .unit = "s",
           .null =
               "the case has stages, whose waiting is in `pipeline`, or the clocks of the hosts cannot tell",
           .least = 0}),
      field("last_arrivals", &RankResult::last_arrivals,
            {.meaning =
                 "how often it was the last to come to each kind of collective; of ranks that came at one "
                 "moment each",
             .null = "the case has no collective, or as `wait_s`"}),
      field("switches", &RankResult::switches,
            {.meaning = "it gave its core away, to sleep or to wait for a lock: `ru_nvcsw`", .least = 0}),
      field("preemptions", &RankResult::preemptions,
            {.meaning = "its core was taken from it: `ru_nivcsw`", .least = 0}),
      field("steal_s", &RankResult::steal_s,
            {.meaning = "a hypervisor took the CPUs that it may run on, summed over them (/proc/stat, in "
                        "steps of 10 ms)",
             .unit = "s",
             .null = "the kernel does not say",
             .least = 0}),
      field("throttled_s", &RankResult::throttled_s,
            {.meaning = "CPU quotas stopped processes of its cgroups",
             .unit = "s",
             .null = "no cgroup counts",
             .least = 0}),
  };
}

Rows<RankResults> rank_results_rows() {
  return {
      field("count", &RankResults::count, {.meaning = "ranks of all groups that ran", .least = 1}),
      field("samples", &RankResults::samples, {.meaning = "of the epoch", .least = 1}),
      field(
          "listed", &RankResults::listed,
          {.meaning =
               "each rank; of more than 64 the 32 that computed longest and the 32 that computed shortest"}),
      field("spread", &RankResults::spread, {.meaning = "of all ranks, those that are not listed as well"}),
  };
}

Rows<RankInfo> rank_rows() {
  return {
      field("world", &RankInfo::world, {.meaning = "ranks of the launch", .column = "*", .least = 0}),
      field("group", &RankInfo::group,
            {.meaning = "world ranks of the group that was measured; of the first one when several ran",
             .null = "the case did not run; so are `hosts` and `cpus`",
             .least = 0}),
      field("replicas", &RankInfo::replicas, {.meaning = "groups that ran at the same time", .least = 1}),
      field("hosts", &RankInfo::hosts, {.meaning = "for each rank of the group, its host", .column = "*;"}),
      field("cpus", &RankInfo::cpus,
            {.meaning = "for each rank of the group, the CPUs it may run on", .least = 0}),
  };
}

}  // namespace

TPBENCH_ROWS(RankInfo, rank_rows())
TPBENCH_ROWS(RankResult, rank_result_rows())
TPBENCH_ROWS(RankResults, rank_results_rows())
TPBENCH_ROWS(RankSpread,
             (Rows<RankSpread>{
                 field("quantity", &RankSpread::quantity, {.meaning = "a key of a rank, summed up"}),
                 field("min", &RankSpread::min, {.meaning = "the smallest"}),
                 field("p25", &RankSpread::p25, {.meaning = "quantile"}),
                 field("median", &RankSpread::median, {.meaning = "the middle one"}),
                 field("p75", &RankSpread::p75, {.meaning = "quantile"}),
                 field("max", &RankSpread::max, {.meaning = "the largest"})}))

}  // namespace tpbench
