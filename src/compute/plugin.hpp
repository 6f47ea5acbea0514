#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compute/backend.hpp"

namespace tpbench {

/// What a plug-in brings: the functions of its row in the table of backends (BackendEntry says what each
/// does). Plug-in and program are made of one source tree by one compiler; `build` tells when they are not.
struct BackendPlugin {
  std::string build;
  void (*open)(int local_rank);
  std::unique_ptr<Backend> (*make)(int threads);
  Json (*describe)();
  std::optional<DeviceInfo> (*device)();
  std::optional<DeviceState> (*device_state)();
};

/// What `BackendPlugin::build` must be.
std::string plugin_build();

/// A plug-in as it lies on the disk.
struct PluginFile {
  const char* name;           ///< "libtpbench_cuda.so"
  const char* symbol;         ///< the function that it exports, which returns its table
  const char* how_to_get_it;  ///< words for who lacks it
};

/// What the function has returned: loaded at the first call and kept, from the folder that TPBENCH_PLUGIN_DIR
/// names, or else from beside the program or from lib/tpbench where it is installed. Throws EnvironmentError
/// that says where it was looked for, or which library it lacks.
const void* load_plugin_table(const PluginFile& file);
/// Throws EnvironmentError unless the plug-in was built as this program was.
void check_plugin_build(const PluginFile& file, const std::string& build);

template <typename Table>
const Table& load_plugin(const PluginFile& file) {
  const auto& table = *static_cast<const Table*>(load_plugin_table(file));
  check_plugin_build(file, table.build);
  return table;
}

/// The folders in which a plug-in is looked for, in order.
std::vector<std::filesystem::path> plugin_folders();

}  // namespace tpbench

/// What each plug-in exports.
extern "C" const tpbench::BackendPlugin* tpbench_backend_plugin();
