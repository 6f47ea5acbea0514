#pragma once

#include "base/enum_names.hpp"

namespace tpbench {

/// What makes the network's messages move while a rank computes: a thread of its own, or the rank's own
/// calls, between layers alone.
enum class MessageProgress { thread, calls };

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::MessageProgress, {tpbench::MessageProgress::thread, "thread"},
                   {tpbench::MessageProgress::calls, "calls"});
