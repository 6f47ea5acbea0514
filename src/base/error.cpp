#include "base/error.hpp"

#include <string_view>

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

// A carriage return at the end of a line, say, is wrong and cannot be seen.
std::string visible(const std::string& text) {
  constexpr std::string_view kNamed = "\t\n\r", kNames = "tnr";
  std::string shown;
  for (const char letter : text) {
    const std::size_t named = kNamed.find(letter);
    const auto code = static_cast<unsigned char>(letter);
    if (named != std::string_view::npos)
      shown += {'\\', kNames[named]};
    else if (code < 0x20 || code == 0x7f)
      shown += {'\\', 'x', "0123456789abcdef"[code >> 4U], "0123456789abcdef"[code & 0xfU]};
    else
      shown += letter;
  }
  return shown;
}

}  // namespace

std::string Fault::to_string() const {
  std::string text;
  for (const std::string* part : {&place, &pointer, &value}) {
    if (!part->empty()) text += *part + ": ";
  }
  return visible(text + rule);
}

UsageError::UsageError(std::vector<Fault> faults)
    : std::runtime_error(join_lines(faults)), faults_(std::move(faults)) {}

}  // namespace tpbench
