#pragma once

#include "base/error.hpp"

namespace tpbench {

/// What was measured does not answer the question; the message says what to measure.
class AdvisorError : public UsageError {
 public:
  using UsageError::UsageError;
};

}  // namespace tpbench
