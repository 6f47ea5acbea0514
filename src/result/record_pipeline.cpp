#include "result/record_rows.hpp"

// What a record says of the stages of a pipeline: docs/pipeline.md.
namespace tpbench {
namespace {

Rows<PipelineRankResult> pipeline_rank_rows() {
  using R = PipelineRankResult;
  const auto seconds = [](std::string_view meaning) {
    return FieldText{.meaning = meaning, .unit = "s", .null = kNotAligned};
  };
  return {
      field("stages", &R::stages, {.meaning = "stages that it held", .least = 0}),
      field("layers", &R::layers, {.meaning = "weight sets of all of them", .least = 1}),
      field("in_flight", &R::in_flight,
            {.meaning = "microbatches whose activations it kept at one time, at most, over its stages",
             .least = 0}),
      field("compute_s", &R::compute_s, {.meaning = "computing", .unit = "s", .least = 0}),
      field("communication_s", &R::communication_s,
            seconds("in collectives of the ranks that share its layers")),
      field("boundary_s", &R::boundary_s, seconds("in messages between stages, as `time_s.boundary`")),
      field("input_wait_s", &R::input_wait_s, seconds("waiting for input, as `time_s.input_wait`")),
      field("end_wait_s", &R::end_wait_s, seconds("waiting for the end of the step")),
      field("other_s", &R::other_s, seconds("what is left of the step")),
      field("forward_s", &R::forward_s,
            seconds("F: compute and collectives of one microbatch on one of its stages, the mean")),
      field("backward_s", &R::backward_s,
            {.meaning = "B, or I where `zb_h1` splits it: the same of the backward",
             .unit = "s",
             .null = "the pass is forward, or the clocks of the hosts could not be aligned"}),
      field("weight_gradient_s", &R::weight_gradient_s,
            {.meaning = "W: the same of the gradients of weights",
             .unit = "s",
             .null = "the schedule is not `zb_h1`, or the clocks of the hosts could not be aligned"}),
      field("input_transfer_s", &R::input_transfer_s,
            {.meaning = "c: from sending to arrival of a message that it waited for, the mean: activations",
             .unit = "s",
             .null = "it waited for none, or the clocks of the hosts could not be aligned"}),
      field("gradient_transfer_s", &R::gradient_transfer_s,
            {.meaning = "the same of gradients",
             .unit = "s",
             .null = "it waited for none, or the clocks of the hosts could not be aligned"}),
      field("peak", &R::peak,
            {.meaning = "memory, counted", .unit = "bytes", .null = "not counted", .least = 0}),
      field("predicted_peak", &R::predicted_peak, {.meaning = "by formula", .unit = "bytes", .least = 0}),
  };
}

Rows<PipelineStageResult> pipeline_stage_rows() {
  using R = PipelineStageResult;
  const auto of_stage = [](std::string_view meaning, std::string_view null) {
    return FieldText{.meaning = meaning, .unit = "s", .null = null};
  };
  constexpr const char* kNoMessage = "it waited for none, or the clocks of the hosts could not be aligned";
  return {
      field("forward_s", &R::forward_s,
            of_stage("F, as `ranks[].forward_s`, of this stage alone", kNotAligned)),
      field("backward_s", &R::backward_s,
            of_stage("B, or I", "the pass is forward, or the clocks of the hosts could not be aligned")),
      field("weight_gradient_s", &R::weight_gradient_s,
            of_stage("W", "the schedule is not `zb_h1`, or the clocks of the hosts could not be aligned")),
      field("input_transfer_s", &R::input_transfer_s, of_stage("c, of activations that came", kNoMessage)),
      field("gradient_transfer_s", &R::gradient_transfer_s,
            of_stage("c, of gradients that came", kNoMessage)),
  };
}

Rows<PipelineResult> pipeline_rows() {
  using R = PipelineResult;
  return {
      field("busiest", &R::busiest,
            {.meaning = "of `ranks`, from 0: the one with the most compute and collectives; the parts of "
                        "`time_s` are its own",
             .least = 0}),
      field("ideal_s", &R::ideal_s,
            {.meaning = "its compute and collectives: the step without waiting",
             .unit = "s",
             .null = kNotAligned,
             .column = "*",
             .least = 0}),
      field("bubble", &R::bubble,
            {.meaning = "(step - ideal) / step, measured: the median over the samples",
             .null = kNotAligned,
             .column = "*"}),
      field("replayed_step_s", &R::replayed_step_s,
            {.meaning = "the step that the schedule gives on paper with the measured times of its stages and "
                        "messages",
             .unit = "s",
             .null = kNotAligned,
             .least = 0}),
      field("replayed_bubble", &R::replayed_bubble,
            {.meaning = "its bubble", .null = kNotAligned, .column = "*"}),
      derived("bubble_difference", &R::bubble_difference,
              {.meaning = "`bubble` - `replayed_bubble`", .null = kNotAligned}),
      field("textbook_bubble", &R::textbook_bubble,
            {.meaning = "(p - 1) / (v m + p - 1), what a closed formula says of equal stages and free "
                        "messages; for comparison only",
             .least = 0}),
      field("first_microbatch_s", &R::first_microbatch_s,
            {.meaning = "until the first microbatch had left the last stage",
             .unit = "s",
             .null = kNotAligned,
             .column = "*"}),
      field(
          "microbatch_s", &R::microbatch_s,
          {.meaning = "from one microbatch to the next there, the mean over a step; of several stages on a "
                      "rank over whole rounds of p microbatches",
           .unit = "s",
           .null = "there is one microbatch, or with several stages on a rank no more than p; training with "
                   "gpipe, whose forwards all run first; or the clocks of the hosts could not be aligned",
           .column = "*"}),
      field("exchange_s", &R::exchange_s,
            {.meaning = "what the parts of a tied gradient took between the first stage and the last",
             .unit = "s",
             .null =
                 "nothing is tied, both came without being waited for, or the clocks of the hosts could not "
                 "be aligned",
             .least = 0,
             .since = 2}),
      field("message_bytes", &R::message_bytes,
            {.meaning = "of one message of one rank", .unit = "bytes", .least = 0}),
      field("messages_per_step", &R::messages_per_step,
            {.meaning = "of all ranks that hold the same shard, by formula", .column = "*", .least = 0}),
      field("bytes_per_step", &R::bytes_per_step,
            {.meaning = "of these messages", .unit = "bytes", .column = "boundary_*", .least = 0}),
      field("messages_sent", &R::messages_sent, {.meaning = "counted", .least = 0}),
      field("bytes_sent", &R::bytes_sent, {.meaning = "counted", .unit = "bytes", .least = 0}),
      field("data_path", &R::data_path,
            {.meaning = "where messages between stages go through, in the words of the record's own "
                        "`data_path`",
             .null = "the record is of a tpbench that did not say it",
             .column = "boundary_*",
             .since = 2}),
      field(
          "progress", &R::progress,
          {.meaning = "what moves messages between hosts while a rank computes: a thread of its own, or the "
                      "rank's own calls between layers",
           .null = "the ranks of a pipeline are on one host, or the device moves them",
           .column = "boundary_*",
           .since = 2}),
      field("next_microbatches", &R::next_microbatches,
            {.meaning = "the next larger number of microbatches that would run", .null = "there is none"}),
      field("next_step_s", &R::next_step_s,
            {.meaning = "the step with it, replayed: work of a microbatch taken to shrink with its size",
             .unit = "s",
             .null = "there is none, or the clocks of the hosts could not be aligned"}),
      field("next_bubble", &R::next_bubble,
            {.meaning = "its bubble",
             .null = "there is none, or the clocks of the hosts could not be aligned"}),
      field("ranks", &R::ranks,
            {.meaning =
                 "the ranks of the pipeline in the order of their stages; those that share layers as one"}),
      field("stages", &R::stages,
            {.meaning =
                 "its stages, from the first; with `virtual_stages` several of a rank: what the replay goes "
                 "by",
             .null = "the record is of a tpbench that had those of ranks alone",
             .since = 2}),
  };
}

}  // namespace

TPBENCH_ROWS(PipelineRankResult, pipeline_rank_rows())
TPBENCH_ROWS(PipelineStageResult, pipeline_stage_rows())
TPBENCH_ROWS(PipelineResult, pipeline_rows())

}  // namespace tpbench
