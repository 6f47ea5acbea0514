#pragma once

#include "bench/parts.hpp"

namespace tpbench {

/// The whole program, on the given parts. Returns the exit status; nothing below ends the process, but for a
/// watchdog or a signal.
int run_program(int argc, const char* const* argv, const Parts& parts);

}  // namespace tpbench
