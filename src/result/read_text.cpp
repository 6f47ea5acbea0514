#include "result/read_text.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/error.hpp"

namespace tpbench {

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || file.bad())
    throw EnvironmentError(fmt::format("{}: cannot read: {}", path.string(), std::strerror(errno)));
  return text;
}

}  // namespace tpbench
