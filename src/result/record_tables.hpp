#pragma once

#include <span>
#include <string_view>

#include "base/field.hpp"
#include "result/record.hpp"

/// The tables that a record is written, read and described by.
namespace tpbench {

/// One timed quantity of a case: adding one is a member of TimeResult and a row here.
struct QuantityRow {
  const char* name;
  Quantity TimeResult::*member;
  FieldText text;  ///< with `null`: not every case has it
};

inline constexpr std::string_view kNoHalves = "the pass is forward";
inline constexpr std::string_view kNoHalvesTold =
    "the pass is forward, or the clocks of the hosts cannot tell";
inline constexpr std::string_view kUntold = "the clocks of the hosts cannot tell (`clock.untold`)";
inline constexpr std::string_view kNotAligned = "the clocks of the hosts could not be aligned";
inline constexpr std::string_view kNoStages =
    "pp_degree is 1, or the clocks of the hosts cannot tell (`clock.untold`)";
inline constexpr std::string_view kNotBefore = "as `wait`, and in records of schema 1";
inline constexpr QuantityRow kQuantities[] = {
    {"step",
     &TimeResult::step,
     {.meaning = "the whole step: compute + communication + other; of a pipeline, on its busiest stage, also "
                 "boundary, input_wait and end_wait"}},
    {"compute", &TimeResult::compute, {.meaning = "computing"}},
    {"communication",
     &TimeResult::communication,
     {.meaning = "in collectives: of each, from the last rank's start to the last one's end",
      .null = kUntold}},
    {"wait",
     &TimeResult::wait,
     {.meaning =
          "at the collectives for the last rank to come, on the rank that waits longest; beside the sum",
      .null = kNotAligned}},
    {"wait_mean",
     &TimeResult::wait_mean,
     {.meaning = "the same, the mean over the ranks", .null = kNotBefore, .since = 2}},
    {"imbalance",
     &TimeResult::imbalance,
     {.meaning = "of the wait, what late ranks cause; the rest is that the network lets ranks go one after "
                 "the other",
      .null = kNotBefore,
      .since = 2}},
    {"boundary",
     &TimeResult::boundary,
     {.meaning = "in messages between stages: of each, from the later of sending and waiting for it to its "
                 "arrival, and the calls that send",
      .null = kNoStages,
      .since = 2}},
    {"input_wait",
     &TimeResult::input_wait,
     {.meaning = "for input that was not yet sent, or for a place that was not yet free",
      .null = kNoStages,
      .since = 2}},
    {"end_wait",
     &TimeResult::end_wait,
     {.meaning = "from its last work to the end of the step", .null = kNoStages, .since = 2}},
    {"other", &TimeResult::other, {.meaning = "what is left of the step", .null = kNotAligned}},
    {"forward_compute", &TimeResult::forward_compute, {.meaning = "half of `compute`", .null = kNoHalves}},
    {"backward_compute", &TimeResult::backward_compute, {.meaning = "the other half", .null = kNoHalves}},
    {"forward_communication",
     &TimeResult::forward_communication,
     {.meaning = "half of `communication`", .null = kNoHalvesTold}},
    {"backward_communication",
     &TimeResult::backward_communication,
     {.meaning = "the other half", .null = kNoHalvesTold}},
    {"host_step",
     &TimeResult::host_step,
     {.meaning = "the step by the host's clock, where a device's clock took `step`",
      .null = "the host's clock took `step`"}}};

template <>
std::span<const Field<Quantity>> fields_of<Quantity>();
template <>
std::span<const Field<MemoryResult>> fields_of<MemoryResult>();
template <>
std::span<const Field<ModelMemory>> fields_of<ModelMemory>();
template <>
std::span<const Field<ModelInfo>> fields_of<ModelInfo>();
template <>
std::span<const Field<CollectiveResult>> fields_of<CollectiveResult>();
template <>
std::span<const Field<ScalingResult>> fields_of<ScalingResult>();
template <>
std::span<const Field<OverlapResult>> fields_of<OverlapResult>();
template <>
std::span<const Field<PipelineRankResult>> fields_of<PipelineRankResult>();
template <>
std::span<const Field<PipelineStageResult>> fields_of<PipelineStageResult>();
template <>
std::span<const Field<PipelineResult>> fields_of<PipelineResult>();
template <>
std::span<const Field<ComposedResult>> fields_of<ComposedResult>();
template <>
std::span<const Field<ClockResult>> fields_of<ClockResult>();
template <>
std::span<const Field<VerificationResult>> fields_of<VerificationResult>();
template <>
std::span<const Field<KernelResult>> fields_of<KernelResult>();
template <>
std::span<const Field<PackingResult>> fields_of<PackingResult>();
template <>
std::span<const Field<Warning>> fields_of<Warning>();
template <>
std::span<const Field<ThrottlingResult>> fields_of<ThrottlingResult>();
template <>
std::span<const Field<RankResult>> fields_of<RankResult>();
template <>
std::span<const Field<RankSpread>> fields_of<RankSpread>();
template <>
std::span<const Field<RankResults>> fields_of<RankResults>();
template <>
std::span<const Field<DeviceMoment>> fields_of<DeviceMoment>();
template <>
std::span<const Field<DeviceResult>> fields_of<DeviceResult>();
template <>
std::span<const Field<ReferenceTimes>> fields_of<ReferenceTimes>();
template <>
std::span<const Field<ReferenceResult>> fields_of<ReferenceResult>();
template <>
std::span<const Field<RankInfo>> fields_of<RankInfo>();

template <>
inline constexpr const char* definition_of<Quantity> = "quantity";
template <>
inline constexpr const char* definition_of<DeviceMoment> = "device_moment";
template <>
inline constexpr const char* definition_of<ReferenceTimes> = "reference_times";

}  // namespace tpbench
