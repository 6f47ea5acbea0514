#pragma once

#include <string>
#include <vector>

#include "base/json_fwd.hpp"

namespace tpbench {

/// One value in which two documents differ.
struct JsonDifference {
  std::string pointer;  ///< JSON pointer
  std::string first;    ///< as JSON; "absent" when the key is not there
  std::string second;
};

/// All differences between two documents. The order of keys does not count; lists are compared as a whole.
std::vector<JsonDifference> differences(const Json& first, const Json& second);

}  // namespace tpbench
