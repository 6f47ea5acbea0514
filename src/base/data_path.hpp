#pragma once

#include "base/enum_names.hpp"

namespace tpbench {

/// Where the bytes of a collective, or of a message between stages, go through.
enum class DataPath {
  host,    ///< operands lie in host memory
  staged,  ///< operands lie on a device, and are copied to pinned host memory and back
  device   ///< operands lie on a device, and the library takes them there
};

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::DataPath, {tpbench::DataPath::host, "host"},
                   {tpbench::DataPath::staged, "staged"}, {tpbench::DataPath::device, "device"});
