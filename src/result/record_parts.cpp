#include "result/record_rows.hpp"

// What a record is made of, key by key: docs/architecture.md, "How to add a key of the record".
namespace tpbench {
namespace {

constexpr std::string_view kNotMeasured = "not measured: skipped, or failed early";

Rows<Quantity> quantity_rows() {
  const auto of_summary = [](std::string_view key, auto Summary::*member, const FieldText& text) {
    return within(&Quantity::summary, field(key, member, text));
  };
  return {
      of_summary("median", &Summary::median,
                 {.meaning = "with several epochs the median of `epoch_medians`",
                  .unit = "s",
                  .column = "^_median_s"}),
      of_summary(
          "ci95", &Summary::ci95,
          {.meaning = "low and high end of the median's nonparametric 95 % interval (order statistics); "
                      "with several epochs over `epoch_medians`, as two passes differ more than one says",
           .unit = "s",
           .null = "fewer than 6 effective samples",
           .column = "^_ci95_low_s ^_ci95_high_s"}),
      of_summary("mean", &Summary::mean, {.meaning = "over all samples", .unit = "s"}),
      of_summary("min", &Summary::min, {.meaning = "over all samples", .unit = "s", .column = "^_min_s"}),
      of_summary("max", &Summary::max, {.meaning = "over all samples", .unit = "s"}),
      of_summary("p95", &Summary::p95,
                 {.meaning = "quantile by linear interpolation", .unit = "s", .column = "^_p95_s"}),
      of_summary("p99", &Summary::p99, {.meaning = "quantile by linear interpolation", .unit = "s"}),
      of_summary("samples", &Summary::samples, {.meaning = "how many", .column = "samples", .least = 1}),
      of_summary(
          "effective_samples", &Summary::effective_samples,
          {.meaning =
               "independent samples that `ci95` counts them as, since those that follow each other are "
               "alike; with several epochs of `epoch_medians`",
           .null = "a record of a tpbench that counted each sample as one",
           .least = 1,
           .since = 2}),
      of_summary(
          "outliers", &Summary::outliers,
          {.meaning =
               "samples further than 1.5 interquartile ranges from the quartiles; counted, never removed",
           .least = 0}),
      field("epoch_medians", &Quantity::epoch_medians_s,
            {.meaning = "one for each finished epoch", .unit = "s", .column = "^_epoch_medians_s;"}),
  };
}

// All categories are counted, or none.
Field<MemoryResult> category_row(Category category, std::string_view name, std::string_view meaning) {
  const FieldText text = {
      .meaning = meaning, .unit = "bytes", .null = kNotMeasured, .column = "*_bytes", .least = 0};
  return {name, text,
          [category](const MemoryResult& memory) {
            return memory.by_category ? Json((*memory.by_category)[category]) : Json(nullptr);
          },
          [category, text](MemoryResult& memory, const Json& json) {
            const bool is_first = category == EnumNames<Category>::table.front().first;
            if (!is_first && json.is_null() == memory.by_category.has_value())
              throw FieldFault("is null and another category is not");
            if (json.is_null()) return;
            if (is_first) memory.by_category.emplace();
            read_value(json, (*memory.by_category)[category], text);
          },
          [text] { return type_of<std::optional<std::int64_t>>(text); }};
}

Rows<MemoryResult> memory_rows() {
  constexpr std::string_view kMeanings[kCategoryCount] = {
      "a rank's part of them; counted, as the next six, on the rank of the group that holds most",
      "weights that several ranks hold",
      "inputs, outputs and what stands between them",
      "of the weights and of what goes back",
      "keys and values of earlier tokens, those of the new ones included; 0 without a context",
      "buffers of the collectives",
      "of the backend and of a layer"};
  Rows<MemoryResult> rows;
  for (const auto& [category, name] : EnumNames<Category>::table)
    rows.push_back(category_row(category, name, kMeanings[static_cast<std::size_t>(category)]));
  const Rows<MemoryResult> others = {
      field("peak", &MemoryResult::peak,
            {.meaning = "counted, the largest sum over categories at any one time",
             .unit = "bytes",
             .null = kNotMeasured,
             .column = "*_bytes",
             .least = 0}),
      field("predicted_peak", &MemoryResult::predicted_peak,
            {.meaning =
                 "the same by formula; packed weights are as large as weights in rows, and what they take "
                 "beyond is `compute.packing.added_bytes`; where the two differ by more there is a "
                 "warning `prediction_differs`",
             .unit = "bytes",
             .null = "the degree does not divide the layer",
             .column = "*_bytes",
             .least = 0}),
      field("unsharded_peak", &MemoryResult::unsharded_peak,
            {.meaning = "by formula, what one rank would hold at `tp_degree` 1",
             .unit = "bytes",
             .column = "*_bytes",
             .least = 0}),
      field("process_peak_rss", &MemoryResult::process_peak_rss,
            {.meaning = "peak resident set during warm-up and sampling, the largest of the group's ranks; "
                        "with `shm` and "
                        "`hierarchical` it includes what other ranks of the host own and this one touched",
             .unit = "bytes",
             .null = "not measured, or the kernel does not say",
             .column = "*_bytes",
             .least = 0}),
      field("process_base_rss", &MemoryResult::process_base_rss,
            {.meaning = "the same before the case allocated anything",
             .unit = "bytes",
             .null = "not measured, or the kernel does not say",
             .column = "*_bytes",
             .least = 0}),
      field("huge_pages", &MemoryResult::huge_pages,
            {.meaning = "of the tensors, what lay in transparent huge pages at the end; on the rank with the "
                        "fewest. Memory that ranks share is not among them, nor that "
                        "of layers which a composed model did not run",
             .unit = "bytes",
             .null = "no tensor is as large as a huge page, the backend has a device, or the kernel does not "
                     "say",
             .column = "*_bytes",
             .least = 0,
             .since = 2}),
      field("device_in_use", &MemoryResult::device_in_use,
            {.meaning = "of the device's memory, taken by all that runs on it, with the case; the largest of "
                        "the group's "
                        "ranks",
             .unit = "bytes",
             .null = "the backend has no device",
             .column = "*_bytes",
             .least = 0}),
      field("device_base", &MemoryResult::device_base,
            {.meaning = "the same before the case allocated its tensors: contexts, libraries and their "
                        "workspace; of the "
                        "last epoch, as what a library loads at its first call stays",
             .unit = "bytes",
             .null = "the backend has no device",
             .column = "*_bytes",
             .least = 0}),
  };
  rows.insert(rows.end(), others.begin(), others.end());
  return rows;
}

constexpr std::string_view kNoBaseline = "the baseline is absent or not ok";

Rows<ScalingResult> scaling_rows() {
  return {
      field("baseline_id", &ScalingResult::baseline_id,
            {.meaning = "the case on one rank", .null = kNoBaseline, .column = "*"}),
      field("speedup", &ScalingResult::speedup,
            {.meaning = "baseline step / step", .null = kNoBaseline, .column = "*"}),
      field("efficiency", &ScalingResult::efficiency,
            {.meaning = "speedup / (`tp_degree` x `pp_degree`); it may exceed 1",
             .null = kNoBaseline,
             .column = "*"}),
      field("memory_reduction", &ScalingResult::memory_reduction,
            {.meaning = "baseline peak / peak", .null = kNoBaseline, .column = "*"}),
      field("weights_reduction", &ScalingResult::weights_reduction,
            {.meaning = "the same for `weights` and `replicated_weights` together: exactly `tp_degree` where "
                        "nothing is "
                        "replicated",
             .null = "the baseline is absent or not ok, or the workload has no weights",
             .column = "*"}),
      field("communication_fraction", &ScalingResult::communication_fraction,
            {.meaning = "communication / step of this case, medians",
             .null = "the case is not ok, or its communication is null",
             .column = "*"}),
  };
}

Rows<ModelMemory> model_memory_rows() {
  return {
      field("layers", &ModelMemory::layers,
            {.meaning = "of the whole model; for a `block` without a model its `num_layers`", .least = 1}),
      field("parameters", &ModelMemory::parameters,
            {.meaning = "weights of all layers, each counted once; no norms, no biases", .least = 1}),
      field("embedding_parameters", &ModelMemory::embedding_parameters,
            {.meaning = "beside them, and in none of the bytes", .null = "without a model", .least = 1}),
      field("parameters_per_rank", &ModelMemory::parameters_per_rank,
            {.meaning = "of one rank's part of the layers, copies of key/value heads included", .least = 1}),
      field("parameters_and_optimizer_bytes", &ModelMemory::parameters_and_optimizer_bytes,
            {.meaning = "18 for each of `parameters_per_rank`: mixed precision with Adam",
             .unit = "bytes",
             .column = "model_*",
             .least = 1}),
      field("activation_bytes", &ModelMemory::activation_bytes,
            {.meaning = "of all layers, 16-bit, tensor parallelism alone",
             .unit = "bytes",
             .column = "model_*",
             .least = 1}),
      field("activation_bytes_sequence_parallel", &ModelMemory::activation_bytes_sequence_parallel,
            {.meaning = "the same with sequence parallelism",
             .unit = "bytes",
             .column = "model_activation_sequence_parallel_bytes",
             .least = 1}),
      field("activation_bytes_selective", &ModelMemory::activation_bytes_selective,
            {.meaning = "and with the attention core recomputed in the backward pass",
             .unit = "bytes",
             .column = "model_activation_selective_bytes",
             .least = 1}),
      field("assumptions", &ModelMemory::assumptions,
            {.meaning = "what the numbers hold for, in words, and how the layer differs from the one that "
                        "the formulas "
                        "count",
             .least = 1}),
      field("source", &ModelMemory::source, {.meaning = "of the formulas", .least = 1}),
  };
}

Rows<ModelInfo> model_info_rows() {
  return {
      field("title", &ModelInfo::title,
            {.meaning = "its name for people, or the family that its file names"}),
      field("source", &ModelInfo::source, {.meaning = "where its numbers stand"}),
      field("hash", &ModelInfo::hash,
            {.meaning = "of the file's bytes; files of one shape are one case", .null = "a preset"}),
      field("parameters", &ModelInfo::parameters,
            {.meaning = "of the whole model, by formula, with embeddings and norms", .least = 1}),
      field("not_run", &ModelInfo::not_run, {.meaning = "what of it was left out, or run as something else"}),
  };
}

Rows<CollectiveResult> collective_rows() {
  constexpr std::string_view kNoBandwidth =
      "one rank, not measured, it overlaps with compute, or the clocks of the hosts cannot tell";
  return {
      field("op", &CollectiveResult::op, {.meaning = "which collective", .column = "collective_*"}),
      field(
          "bytes", &CollectiveResult::bytes,
          {.meaning = "of one call, the whole array", .unit = "bytes", .column = "collective_*", .least = 0}),
      field("calls_per_step", &CollectiveResult::calls_per_step,
            {.meaning = "0 on one rank", .column = "collective_*", .least = 0}),
      field("direction", &CollectiveResult::direction,
            {.meaning = "the half of the pass that it belongs to"}),
      field("ranks", &CollectiveResult::ranks,
            {.meaning =
                 "that take part in one call: tp_degree, or those that hold copies of one key/value head",
             .least = 1}),
      field("epoch_medians_s", &CollectiveResult::epoch_medians_s,
            {.meaning = "time of all its calls in a step, one median for each finished epoch",
             .unit = "s",
             .null = "not timed by itself: with one kind of collective `time_s.communication` is its time",
             .least = 0,
             .since = 2}),
      field("algbw_gb_per_s", &CollectiveResult::algbw_gb_per_s,
            {.meaning = "bytes over time",
             .unit = "1e9 bytes/s",
             .null = kNoBandwidth,
             .column = "*",
             .least = 0}),
      field("busbw_gb_per_s", &CollectiveResult::busbw_gb_per_s,
            {.meaning = "that times 2(n-1)/n for an all-reduce or (n-1)/n for the others; n is `ranks`",
             .unit = "1e9 bytes/s",
             .null = kNoBandwidth,
             .column = "*",
             .least = 0}),
  };
}

Rows<OverlapResult> overlap_rows() {
  return {
      field("compute_s", &OverlapResult::compute_s,
            {.meaning = "compute in one piece, nothing communicated", .unit = "s", .least = 0}),
      field("chunked_compute_s", &OverlapResult::chunked_compute_s,
            {.meaning = "compute in pieces, nothing communicated", .unit = "s", .least = 0}),
      field("communication_s", &OverlapResult::communication_s,
            {.meaning = "the all-reduce in one piece, after all compute",
             .unit = "s",
             .null = kUntold,
             .least = 0}),
      field("serial_s", &OverlapResult::serial_s, {.meaning = "that whole step", .unit = "s", .least = 0}),
      field("overlapped_s", &OverlapResult::overlapped_s,
            {.meaning = "the step in pieces, overlapped: the case itself, `time_s.step`",
             .unit = "s",
             .least = 0}),
      field("overlapped_compute_s", &OverlapResult::overlapped_compute_s,
            {.meaning = "its compute", .unit = "s", .least = 0}),
      field("exposed_s", &OverlapResult::exposed_s,
            {.meaning =
                 "communication that was left when the last piece was computed: its `time_s.communication`",
             .unit = "s",
             .null = kUntold,
             .least = 0}),
      derived("hidden_fraction", &OverlapResult::hidden_fraction,
              {.meaning =
                   "(`compute_s` + `communication_s` - `overlapped_s`) / the smaller of the two: 1 when the "
                   "shorter one is hidden entirely, 0 when nothing is gained, below 0 when overlap loses",
               .null = "one of the two took no time, or the clocks of the hosts cannot tell",
               .column = "overlap_*"}),
      derived("split_loss_s", &OverlapResult::split_loss_s,
              {.meaning = "`chunked_compute_s` - `compute_s`: what smaller products cost", .unit = "s"}),
      derived("contention_s", &OverlapResult::contention_s,
              {.meaning =
                   "`overlapped_compute_s` - `chunked_compute_s`: what the communicating thread takes from "
                   "compute",
               .unit = "s"}),
  };
}

Rows<VerificationResult> verification_rows() {
  return {
      field(
          "method", &VerificationResult::method,
          {.meaning = "how the output was compared", .column = "verification", .words = "full sampled none"}),
      field("rows_checked", &VerificationResult::rows_checked, {.meaning = "rows of the output", .least = 0}),
      field("max_relative_error", &VerificationResult::max_relative_error,
            {.meaning = "the largest error found",
             .null = "not checked, or the error is not a finite number (then the case failed)",
             .column = "*",
             .least = 0}),
      field("tolerance", &VerificationResult::tolerance,
            {.meaning = "from dtype, reduction length and, in narrow types, the number of chained layers",
             .null = "not checked",
             .column = "*",
             .least = 0}),
      field("operations_checked", &VerificationResult::operations_checked,
            {.meaning =
                 "with `sampled`, and always in f16, bf16 and tf32: single operations compared with their "
                 "definition, on rank 0",
             .least = 0}),
      field("worst_operation", &VerificationResult::worst_operation,
            {.meaning = "the largest error of one over what rounding explains of that operation; above 1 the "
                        "case fails",
             .null = "none was compared, or something was not a number",
             .least = 0}),
      field("passed", &VerificationResult::passed,
            {.meaning = "whether the output was right", .null = "not checked", .column = "*"}),
  };
}

Rows<Warning> warning_rows() {
  return {field("code", &Warning::code, {.meaning = "for programs", .pattern = "^[a-z0-9_]+$"}),
          field("message", &Warning::message, {.meaning = "for people, with the remedy", .least = 1})};
}

}  // namespace

TPBENCH_ROWS(Quantity, quantity_rows())
TPBENCH_ROWS(MemoryResult, memory_rows())
TPBENCH_ROWS(ModelMemory, model_memory_rows())
TPBENCH_ROWS(ModelInfo, model_info_rows())
TPBENCH_ROWS(CollectiveResult, collective_rows())
TPBENCH_ROWS(ScalingResult, scaling_rows())
TPBENCH_ROWS(OverlapResult, overlap_rows())
TPBENCH_ROWS(ComposedResult,
             (Rows<ComposedResult>{
                 field("layers", &ComposedResult::layers, {.meaning = "that ran", .least = 1}),
                 field("step_s", &ComposedResult::step_s,
                       {.meaning = "their step, with embedding and head: the median", .unit = "s"}),
                 field("peak", &ComposedResult::peak,
                       {.meaning = "that they took", .unit = "bytes", .least = 0})}))
TPBENCH_ROWS(VerificationResult, verification_rows())
TPBENCH_ROWS(Warning, warning_rows())

}  // namespace tpbench
