#pragma once

#include "comm/control.hpp"

// Waiting for a value that another rank of this host writes into shared memory.
namespace tpbench {

/// CPUs that any rank of the group, which is on one host, may run on. Collective.
int cpus_of(const Control& group);

/// Tells the core that this is a loop which waits.
inline void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace tpbench
