#pragma once

// For headers that only name Json: the whole library costs every file that includes it seconds to compile.
#include <nlohmann/json_fwd.hpp>

namespace tpbench {

using Json = nlohmann::ordered_json;

}  // namespace tpbench
