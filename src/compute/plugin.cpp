#include "compute/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "base/build_info.hpp"
#include "base/error.hpp"

namespace tpbench {
namespace {

// Only a file that is there is opened: of a name without a path the loader would look elsewhere too.
std::filesystem::path find_file(const PluginFile& file) {
  std::string places;
  for (const std::filesystem::path& folder : plugin_folders()) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / file.name, ignored)) return folder / file.name;
    places += (places.empty() ? "" : " and ") + folder.string();
  }
  throw EnvironmentError(
      fmt::format("the plug-in {} is missing (looked for in {}): {}; TPBENCH_PLUGIN_DIR names another folder",
                  file.name, places, file.how_to_get_it));
}

const void* open_file(const std::filesystem::path& path, const char* symbol) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw EnvironmentError(fmt::format("the plug-in {} cannot be loaded: {}", path.string(), dlerror()));
  const auto get = reinterpret_cast<const void* (*)()>(dlsym(library, symbol));
  if (get == nullptr) throw EnvironmentError(fmt::format("{} is not a plug-in of tpbench", path.string()));
  return get();
}

}  // namespace

std::string plugin_build() {
  const BuildInfo& build = build_info();
  return fmt::format("{} {} {}", build.version, build.git_revision, build.compiler);
}

std::vector<std::filesystem::path> plugin_folders() {
  if (const char* named = std::getenv("TPBENCH_PLUGIN_DIR"); named != nullptr && *named != '\0')
    return {named};
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  return {program, (program / TPBENCH_PLUGIN_FOLDER).lexically_normal()};
}

const void* load_plugin_table(const PluginFile& file) {
  // Never closed: what it has started (a device's context, threads) ends with the process.
  static std::map<std::string, const void*> loaded;
  const auto found = loaded.find(file.name);
  if (found != loaded.end()) return found->second;
  return loaded[file.name] = open_file(find_file(file), file.symbol);
}

void check_plugin_build(const PluginFile& file, const std::string& build) {
  if (build == plugin_build()) return;
  throw EnvironmentError(
      fmt::format("the plug-in {} was built from another tree ({}) than this program ({}): build or install "
                  "both together",
                  find_file(file).string(), build, plugin_build()));
}

}  // namespace tpbench
