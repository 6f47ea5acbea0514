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
inline constexpr QuantityRow kQuantities[] = {
    {"step", &TimeResult::step, {.meaning = "the whole step: compute + communication + other"}},
    {"compute", &TimeResult::compute, {.meaning = "computing"}},
    {"communication", &TimeResult::communication, {.meaning = "in collectives"}},
    {"wait", &TimeResult::wait, {.meaning = "the skew between ranks at the collectives; beside the sum"}},
    {"other", &TimeResult::other, {.meaning = "what is left of the step"}},
    {"forward_compute", &TimeResult::forward_compute, {.meaning = "half of `compute`", .null = kNoHalves}},
    {"backward_compute", &TimeResult::backward_compute, {.meaning = "the other half", .null = kNoHalves}},
    {"forward_communication",
     &TimeResult::forward_communication,
     {.meaning = "half of `communication`", .null = kNoHalves}},
    {"backward_communication",
     &TimeResult::backward_communication,
     {.meaning = "the other half", .null = kNoHalves}},
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
std::span<const Field<VerificationResult>> fields_of<VerificationResult>();
template <>
std::span<const Field<Warning>> fields_of<Warning>();
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
