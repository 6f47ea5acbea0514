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
std::filesystem::path find_file(const std::string& file) {
  std::string places;
  for (const std::filesystem::path& folder : plugin_folders()) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / file, ignored)) return folder / file;
    places += (places.empty() ? "" : " and ") + folder.string();
  }
  throw EnvironmentError(fmt::format(
      "the plug-in {} is missing (looked for in {}): where CMake finds the CUDA toolkit and NCCL, "
      "`cmake --build --preset release` builds it beside the program, and with -D TPBENCH_CUDA=ON CMake says "
      "what it does not find; TPBENCH_PLUGIN_DIR names another folder",
      file, places));
}

const BackendPlugin& open_file(const std::filesystem::path& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    throw EnvironmentError(fmt::format("the plug-in {} cannot be loaded: {}", path.string(), dlerror()));
  const auto get =
      reinterpret_cast<decltype(&tpbench_backend_plugin)>(dlsym(library, "tpbench_backend_plugin"));
  if (get == nullptr) throw EnvironmentError(fmt::format("{} is not a plug-in of tpbench", path.string()));
  const BackendPlugin& plugin = *get();
  if (plugin.build != plugin_build()) {
    throw EnvironmentError(
        fmt::format("the plug-in {} was built from another tree ({}) than this program ({}): build or "
                    "install both together",
                    path.string(), plugin.build, plugin_build()));
  }
  return plugin;
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

const BackendPlugin& load_plugin(const std::string& file) {
  // Never closed: what it has started (a device's context, threads) ends with the process.
  static std::map<std::string, const BackendPlugin*> loaded;
  const auto found = loaded.find(file);
  if (found != loaded.end()) return *found->second;
  const BackendPlugin& plugin = open_file(find_file(file));
  loaded[file] = &plugin;
  return plugin;
}

}  // namespace tpbench
