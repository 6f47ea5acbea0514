#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/data_path.hpp"
#include "base/enum_names.hpp"
#include "base/field.hpp"
#include "base/message_progress.hpp"
#include "measure/statistics.hpp"
#include "result/rank_results.hpp"
#include "result/reference_times.hpp"
#include "sweep/case.hpp"
#include "workload/memory.hpp"
#include "workload/model_memory.hpp"
#include "workload/workload.hpp"

namespace tpbench {

/// `tpbench.record/2`. Within a schema keys may be added; it rises when one is removed or changes its
/// meaning.
inline constexpr int kRecordSchema = 2;

enum class Status { ok, skipped, failed };

/// What stopped a case that is not ok, as one word that programs can read; `reason` says it to people.
enum class ReasonCode {
  combination,
  divisibility,
  ranks,
  placement,
  memory,
  verification,
  error,
  watchdog,
  lost
};

/// One timed quantity of a case: its samples, oldest first, and what they say.
struct Quantity {
  std::vector<double> samples_s;
  std::vector<double> epoch_medians_s;  ///< one per finished epoch
  Summary summary;  ///< with several epochs, median and ci95 are those of the epoch medians
};

/// Times of one case. Per sample, compute + communication + other = step (docs/methodology.md). The halves of
/// compute and communication are there in pass forward_backward only. Communication, and with clocks that are
/// not aligned also wait and other, may have no samples: the clocks of the hosts cannot tell
/// (ClockResult::untold).
struct TimeResult {
  Quantity step, compute, communication, wait, other;
  Quantity wait_mean = {}, imbalance = {};  ///< not in records of schema 1
  /// Of a pipeline, whose parts are those of its busiest rank: messages between stages, waiting for them, and
  /// waiting for the other ranks to end.
  Quantity boundary = {}, input_wait = {}, end_wait = {};
  Quantity forward_compute = {}, backward_compute = {}, forward_communication = {},
           backward_communication = {};
  /// The step by the hosts' clocks; only where a device's clock took `step`.
  Quantity host_step = {};
};

/// Bytes on one rank. What was not measured (a skipped case) is empty, and so is what cannot be predicted (a
/// tp_degree that does not divide).
struct MemoryResult {
  std::optional<MemoryByCategory> by_category;  ///< counted; the largest of the group's ranks
  std::optional<std::int64_t> peak;             ///< counted, the largest sum over categories at any one time
  std::optional<std::int64_t> predicted_peak;   ///< by formula
  std::int64_t unsharded_peak = 0;              ///< by formula: what one rank would hold at tp_degree 1
  std::optional<std::int64_t>
      process_peak_rss;  ///< the largest of the group's ranks, during warm-up and sampling
  std::optional<std::int64_t> process_base_rss;  ///< the same before the case allocated anything
  /// Of the tensors, those that the kernel put into huge pages; on the rank with fewest.
  std::optional<std::int64_t> huge_pages = {};
  /// Of a device's memory, taken by all that runs on it: with the case, and before it allocated anything.
  std::optional<std::int64_t> device_in_use = {}, device_base = {};
};

/// What the devices of the active ranks were like at a moment: the slowest clocks, the highest temperature,
/// and every reason that any of them gave for not running faster.
struct DeviceMoment {
  std::int64_t sm_clock_mhz = 0;
  std::int64_t memory_clock_mhz = 0;
  std::int64_t temperature_c = 0;
  std::vector<std::string> throttle_reasons;
};

/// Around the samples of the last epoch.
struct DeviceResult {
  DeviceMoment before, after;
};

struct CollectiveResult {
  CollectiveOp op = CollectiveOp::all_reduce;
  std::int64_t bytes = 0;  ///< S of one call
  std::int64_t calls_per_step = 0;
  Direction direction = Direction::forward;
  std::int64_t ranks = 1;                ///< that take part in one call
  std::optional<double> algbw_gb_per_s;  ///< empty on one rank
  std::optional<double> busbw_gb_per_s;
  /// Times of all calls of a step, one median per finished epoch; empty where the step has one kind of
  /// collective.
  std::vector<double> epoch_medians_s = {};
};

/// Against the tp_degree 1 case of the same sweep. All empty until that case is there.
struct ScalingResult {
  std::optional<std::string> baseline_id;
  std::optional<double> speedup;           ///< baseline step / step
  std::optional<double> efficiency;        ///< speedup / tp_degree; never clamped
  std::optional<double> memory_reduction;  ///< baseline peak / peak, both counted
  std::optional<double>
      weights_reduction;  ///< the same for all weights, sharded and replicated; empty without
  std::optional<double> communication_fraction;  ///< communication / step of this case
  bool operator==(const ScalingResult&) const = default;
};

/// What it was worth to sum pieces of an output while the next were computed. Seconds, medians of a step;
/// with several epochs the mean over them. All four ways were sampled in turn.
struct OverlapResult {
  double compute_s = 0;                   ///< in one piece, nothing communicated
  double chunked_compute_s = 0;           ///< in pieces, nothing communicated
  std::optional<double> communication_s;  ///< in one piece, after the compute; empty where clocks cannot tell
  double serial_s = 0;                    ///< the whole step so
  double overlapped_s = 0;                ///< the whole step in pieces, overlapped
  std::optional<double> exposed_s;  ///< of the communication: left when the last piece was computed; likewise
  double overlapped_compute_s = 0;  ///< the compute of the overlapped step

  /// (T_comp + T_comm - T_ovl) / min(T_comp, T_comm): 1 when the shorter of the two is hidden entirely, below
  /// 0 when overlap loses.
  [[nodiscard]] std::optional<double> hidden_fraction() const {
    if (!communication_s) return std::nullopt;
    return (compute_s + *communication_s - overlapped_s) / std::min(compute_s, *communication_s);
  }
  [[nodiscard]] double split_loss_s() const { return chunked_compute_s - compute_s; }
  [[nodiscard]] double contention_s() const { return overlapped_compute_s - chunked_compute_s; }
};

/// How steps begin: at a moment that all ranks agree on, or behind a barrier.
enum class StartMethod { agreed, barrier };

/// The definition that times of several ranks follow (docs/methodology.md, section 1).
inline constexpr std::string_view kClockDefinition = "last_start_to_last_end";

/// The clocks that a case was timed by. Errors are those of a difference between two ranks on different
/// clocks; with several epochs the worst of them.
struct ClockResult {
  std::string definition{kClockDefinition};
  std::int64_t clocks = 1;  ///< 1: all ranks read the clock of one kernel
  bool aligned = true;
  StartMethod start = StartMethod::agreed;
  double error_s = 0;       ///< as stated: assumes symmetric paths
  double worst_case_s = 0;  ///< whatever the paths are
  double drift_ppm = 0;     ///< of the clock that gains or loses most against the first rank's
  std::vector<double> offsets_s =
      {};  ///< of each clock against the first rank's, at the start of the last epoch
  std::int64_t differences_per_step = 0;  ///< between clocks, that communication is the sum of
  double start_margin_s = 0;              ///< from the last rank's coming to the agreed moment, in the end
  std::int64_t starts = 0, late_starts = 0;
  std::optional<double> device_error_s = {};  ///< of a difference between two devices, the median
  std::vector<std::string> untold =
      {};  ///< quantities without times, as they would be less than three errors
  std::vector<std::string> doubtful = {};  ///< quantities whose median is less than three of their errors
};

/// One rank of a pipeline, or those that share its layers. Times are seconds of a step, medians; with several
/// epochs the mean over them. Those of stages are of one microbatch, the mean over microbatches and over the
/// stages that the rank holds.
struct PipelineRankResult {
  std::vector<std::int64_t> stages;  ///< that it holds, from 0
  std::int64_t layers = 0;           ///< weight sets of all of them
  std::int64_t in_flight = 0;        ///< microbatches, at most, whose activations it keeps; over its stages
  double compute_s = 0;
  std::optional<double> communication_s, boundary_s, input_wait_s, end_wait_s, other_s;
  std::optional<double> forward_s, backward_s, weight_gradient_s;
  std::optional<double> input_transfer_s, gradient_transfer_s;  ///< of messages for which it waited
  std::optional<std::int64_t> peak;
  std::int64_t predicted_peak = 0;
};

/// One stage: what a microbatch takes there, in seconds, medians; with several epochs the mean over them.
/// What a stage does not do is empty.
struct PipelineStageResult {
  std::optional<double> forward_s, backward_s, weight_gradient_s, input_transfer_s, gradient_transfer_s;
};

/// What the pipeline of a case came to.
struct PipelineResult {
  std::int64_t busiest = 0;  ///< of `ranks`: with the most work
  std::optional<double> ideal_s, bubble;
  std::optional<double> replayed_step_s, replayed_bubble;
  double textbook_bubble = 0;
  std::optional<double> first_microbatch_s, microbatch_s, exchange_s;
  std::int64_t message_bytes = 0;                          ///< of one, by formula
  std::int64_t messages_per_step = 0, bytes_per_step = 0;  ///< by formula
  std::int64_t messages_sent = 0, bytes_sent = 0;          ///< counted
  std::optional<DataPath> data_path;                       ///< of messages between stages
  std::optional<MessageProgress> progress;                 ///< of messages between hosts
  std::optional<std::int64_t> next_microbatches;
  std::optional<double> next_step_s, next_bubble;
  std::vector<PipelineRankResult> ranks;
  std::vector<PipelineStageResult> stages = {};  ///< from the first; empty: only those of `ranks` are known

  [[nodiscard]] std::optional<double> bubble_difference() const {
    if (!bubble || !replayed_bubble) return std::nullopt;
    return *bubble - *replayed_bubble;
  }
};

/// What CPU quotas did while a case was sampled, on the host where they did most; of several epochs the sum.
struct ThrottlingResult {
  std::int64_t periods = 0;
  double seconds = 0;
};

/// Of a model whose step was composed from that of fewer layers: what was measured.
struct ComposedResult {
  std::int64_t layers = 0;  ///< that ran
  double step_s = 0;        ///< their step with embedding and head, the median
  std::int64_t peak = 0;    ///< bytes that they took
};

/// One kernel of the library that multiplied.
struct KernelResult {
  std::string name;
  double share = 0;       ///< of the FLOP of all products
  bool emulates = false;  ///< the CPU has no instructions for products of the type
};

/// Weights that the library packed before the clock ran.
struct PackingResult {
  double seconds = 0;
  std::int64_t bytes = 0;
  std::optional<std::int64_t> added_bytes = {};  ///< empty in records that kept all rows beside them
};

struct VerificationResult {
  std::string method = "none";  ///< "full", "sampled", "none"
  std::int64_t rows_checked = 0;
  std::optional<double> max_relative_error;
  std::optional<double> tolerance;
  /// By samples, every single operation is compared with its definition: how many were, on this rank, and the
  /// largest error over what rounding explains of that operation.
  std::int64_t operations_checked = 0;
  std::optional<double> worst_operation;
  std::optional<bool> passed;
};

struct Warning {
  std::string code;     ///< stable word: "oversubscribed"
  std::string message;  ///< what is wrong and the remedy
  bool operator==(const Warning&) const = default;
};

/// The model whose shape a case has.
struct ModelInfo {
  std::string title;                 ///< for people, or the family that a file names
  std::string source;                ///< where its numbers stand: publications, or the path of its file
  std::optional<std::string> hash;   ///< of the file's bytes; empty for a preset
  std::int64_t parameters = 0;       ///< of the whole model, by formula
  std::vector<std::string> not_run;  ///< Model::not_run
};

struct RankInfo {
  std::int64_t world = 0;
  std::vector<std::int64_t> group;              ///< world ranks of the (first) group
  std::int64_t replicas = 1;                    ///< groups that ran at the same time
  std::vector<std::string> hosts;               ///< per rank of the group
  std::vector<std::vector<std::int64_t>> cpus;  ///< per rank of the group: the CPUs it may run on
};

/// The result of one case, whatever its outcome. docs/record.md describes every key of its JSON form.
struct Record {
  int schema = kRecordSchema;  ///< that it was measured and written by; what is newer is not in its JSON form
  std::string id;
  Status status = Status::failed;
  std::optional<ReasonCode> reason_code;
  std::optional<std::string> reason;
  std::string label;
  std::string environment = "environment.json";  ///< file beside `records/` that describes the machine
  std::vector<std::string>
      earlier_environments;            ///< those of epochs before a resumed launch found another one
  std::string started_at;              ///< UTC
  double duration_s = 0;               ///< wall time of the case, all phases
  std::optional<ModelInfo> model;      ///< of a case that has one
  Case point;                          ///< `case` in JSON; threads_per_rank resolved
  std::optional<TimeResult> time;      ///< only of a case that is ok
  std::optional<MemoryResult> memory;  ///< predicted parts also for a skipped case
  /// What training the whole model would take on one rank, by published formulas: nothing that this process
  /// allocated. Empty for a case without a model that is no block, and where tp_degree does not divide.
  std::optional<ModelMemory> model_memory;
  std::optional<double> flop_per_rank;  ///< by formula, of one step; empty where tp_degree does not divide
  std::optional<double> gflops_per_rank;
  std::vector<KernelResult> kernels = {};     ///< empty where the library does not tell
  std::optional<PackingResult> packing = {};  ///< of an ok case with packed weights
  std::vector<CollectiveResult> collectives;
  std::optional<std::string>
      data_path;  ///< "host", "staged", "device"; empty without collectives or when not run
  std::optional<std::int64_t> bytes_per_step;  ///< given to collectives in one step; empty as flop_per_rank
  ScalingResult scaling;
  std::optional<ClockResult> clock;             ///< of a case that has times; not in records of schema 1
  std::vector<ReferenceResult> reference;       ///< one per epoch; empty where it was not run beside the case
  std::optional<ThrottlingResult> throttling;   ///< of an ok case, where a cgroup counts
  std::optional<RankResults> rank_results;      ///< of an ok case, in its last epoch
  std::optional<DeviceResult> device;           ///< of a case on devices that tell
  std::optional<OverlapResult> overlap;         ///< of an ok case that overlaps
  std::optional<PipelineResult> pipeline = {};  ///< of an ok case with several stages
  std::optional<ComposedResult> composed;       ///< of an ok case that is scaled from fewer layers
  VerificationResult verification;
  std::optional<bool> converged;
  std::int64_t epochs_done = 0;
  std::int64_t epochs_planned = 1;
  std::map<std::string, double>
      phases_s;  ///< wall seconds of the case by phase: setup, fill, verification, ...
  std::vector<Warning> warnings;
  RankInfo ranks;

  /// Tokens of a step over its median: of a whole model that is ok.
  [[nodiscard]] std::optional<double> tokens_per_s() const;
  /// Rows of the vocabulary over all ranks, with those that make it divisible; of a case that has one.
  [[nodiscard]] std::optional<std::int64_t> padded_vocabulary() const;
};

/// It was measured: what has no samples is null in a record.
inline bool is_known(const Quantity& quantity) { return !quantity.samples_s.empty(); }

/// The case ran to its end and has times.
inline bool is_timed(const Record& record) { return record.status == Status::ok && record.time.has_value(); }

/// Every key of a record but `schema`, in the order of the file: the one description of it.
std::span<const Field<Record>> record_fields();

/// `tpbench.record/N` of `Record::schema`; valid against docs/record.schema.json where that is kRecordSchema.
/// A number that is not finite becomes null where the schema allows null; elsewhere std::invalid_argument is
/// thrown with the key, and nothing false is ever written.
Json record_to_json(const Record& record, std::span<const Field<Record>> rows = record_fields());
/// Reads this schema and older ones; what these did not know has its default. Throws std::runtime_error
/// naming the key when the document is not such a record.
Record record_from_json(const Json& document, std::span<const Field<Record>> rows = record_fields());

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::StartMethod, {tpbench::StartMethod::agreed, "agreed"},
                   {tpbench::StartMethod::barrier, "barrier"});
TPBENCH_ENUM_NAMES(tpbench::Status, {tpbench::Status::ok, "ok"}, {tpbench::Status::skipped, "skipped"},
                   {tpbench::Status::failed, "failed"});
TPBENCH_ENUM_NAMES(tpbench::ReasonCode, {tpbench::ReasonCode::combination, "combination"},
                   {tpbench::ReasonCode::divisibility, "divisibility"}, {tpbench::ReasonCode::ranks, "ranks"},
                   {tpbench::ReasonCode::placement, "placement"}, {tpbench::ReasonCode::memory, "memory"},
                   {tpbench::ReasonCode::verification, "verification"}, {tpbench::ReasonCode::error, "error"},
                   {tpbench::ReasonCode::watchdog, "watchdog"}, {tpbench::ReasonCode::lost, "lost"});
