#include "cli/start_again.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

namespace tpbench {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

// The path rather than the link, as `ps` and `top` call a process by the last word of what was executed; the
// link where the file has been replaced since, by a new build say.
std::string own_file() {
  char path[PATH_MAX];
  const ssize_t length = readlink(kSelf, path, sizeof path - 1);
  if (length <= 0) return kSelf;
  path[length] = '\0';
  struct stat by_path {
  }, running{};
  const bool same = stat(path, &by_path) == 0 && stat(kSelf, &running) == 0 &&
                    by_path.st_dev == running.st_dev && by_path.st_ino == running.st_ino;
  return same ? path : kSelf;
}

// What this process was executed with. Where it was started by the loader ("ld.so --library-path ... tpbench
// ..."), the file is the loader, and this its arguments.
std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> arguments;
  for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) {
    arguments.emplace_back(text.c_str() + at);
    if (text.find('\0', at) == std::string::npos) break;
  }
  return arguments;
}

}  // namespace

std::string start_again(const std::vector<std::pair<std::string, std::string>>& variables) {
  const std::string file = own_file();
  std::vector<std::string> arguments = own_arguments();
  if (arguments.empty()) return "/proc/self/cmdline cannot be read";
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  std::vector<std::optional<std::string>> before;
  for (const auto& [name, value] : variables) {
    const char* const old = std::getenv(name.c_str());
    before.push_back(old != nullptr ? std::optional<std::string>(old) : std::nullopt);
    setenv(name.c_str(), value.c_str(), 1);
  }
  execv(file.c_str(), pointers.data());
  const std::string why = fmt::format("{}: {}", file, std::strerror(errno));
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const char* const name = variables[i].first.c_str();
    if (before[i])
      setenv(name, before[i]->c_str(), 1);
    else
      unsetenv(name);
  }
  return why;
}

}  // namespace tpbench
