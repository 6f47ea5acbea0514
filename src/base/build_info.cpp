#include "base/build_info.hpp"

#include <revision.hpp>

namespace tpbench {

const BuildInfo& build_info() {
  static const BuildInfo info = [] {
    BuildInfo made{TPBENCH_VERSION,  TPBENCH_GIT_REVISION,   TPBENCH_BUILD_TYPE,
                   TPBENCH_COMPILER, TPBENCH_COMPILER_FLAGS, true};
#if !defined(__OPTIMIZE__) || defined(TPBENCH_SANITIZED)
    made.optimised = false;
#endif
    return made;
  }();
  return info;
}

}  // namespace tpbench
