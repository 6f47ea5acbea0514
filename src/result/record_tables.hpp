#pragma once

#include <string_view>
#include <utility>

#include "result/record.hpp"

/// Names of a record's keys that are written and read alike.
namespace tpbench {

inline constexpr std::string_view kRecordSchema = "tpbench.record/1";

// The quantities of a case by name: one row each, for times and samples, written and read.
using QuantityMember = std::pair<const char*, Quantity TimeResult::*>;
inline constexpr QuantityMember kQuantities[] = {
    {"step", &TimeResult::step},
    {"compute", &TimeResult::compute},
    {"communication", &TimeResult::communication},
    {"wait", &TimeResult::wait},
    {"other", &TimeResult::other},
    {"forward_compute", &TimeResult::forward_compute},
    {"backward_compute", &TimeResult::backward_compute},
    {"forward_communication", &TimeResult::forward_communication},
    {"backward_communication", &TimeResult::backward_communication},
    {"host_step", &TimeResult::host_step}};

// The measured parts by name; the others follow from them.
using OverlapMember = std::pair<const char*, double OverlapResult::*>;
inline constexpr OverlapMember kOverlapParts[] = {
    {"compute_s", &OverlapResult::compute_s},
    {"chunked_compute_s", &OverlapResult::chunked_compute_s},
    {"communication_s", &OverlapResult::communication_s},
    {"serial_s", &OverlapResult::serial_s},
    {"overlapped_s", &OverlapResult::overlapped_s},
    {"overlapped_compute_s", &OverlapResult::overlapped_compute_s},
    {"exposed_s", &OverlapResult::exposed_s}};

}  // namespace tpbench
