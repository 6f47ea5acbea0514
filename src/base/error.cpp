#include "base/error.hpp"

namespace tpbench {
namespace {

std::string join_lines(const std::vector<Fault>& faults) {
  std::string text;
  for (const Fault& fault : faults) {
    if (!text.empty()) text += '\n';
    text += fault.to_string();
  }
  return text;
}

}  // namespace

std::string Fault::to_string() const {
  std::string text;
  for (const std::string* part : {&place, &pointer, &value}) {
    if (!part->empty()) text += *part + ": ";
  }
  return text + rule;
}

UsageError::UsageError(std::vector<Fault> faults)
    : std::runtime_error(join_lines(faults)), faults_(std::move(faults)) {}

}  // namespace tpbench
