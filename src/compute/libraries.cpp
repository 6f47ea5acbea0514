#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "base/error.hpp"
#include "base/json.hpp"
#include "compute/plugin.hpp"
#include "compute/products.hpp"

namespace tpbench {
namespace {

using MaybeReason = std::optional<std::string>;

constexpr PluginFile kOnednn = {
    "libtpbench_onednn.so", "tpbench_library_plugin",
    "where CMake finds oneDNN (libdnnl-dev), `cmake --build --preset release` builds it beside the program, "
    "and with -D TPBENCH_ONEDNN=ON CMake says what it does not find; on Debian the package tpbench-onednn "
    "brings it"};

// Workers of OpenMP that spin after each product take their core from whatever else runs there: the ranks of
// MPI. libgomp reads this once, when it is loaded, which is with the plug-in. Who has set it is left alone.
const LibraryPlugin& onednn() {
  constexpr int kKeepTheUsers = 0;
  setenv("OMP_WAIT_POLICY", "passive", kKeepTheUsers);
  return load_plugin<LibraryPlugin>(kOnednn);
}

MaybeReason why_not_openblas(DType dtype) {
  if (!is_narrow(dtype)) return std::nullopt;
  return fmt::format("library openblas does not multiply matrices in {}", name_of(dtype));
}

MaybeReason why_not_onednn(DType dtype) {
  try {
    return onednn().why_not(dtype);
  } catch (const EnvironmentError& missing) {
    return fmt::format("library onednn is not there: {}", missing.what());
  }
}

Json describe_onednn() {
  try {
    return onednn().describe();
  } catch (const EnvironmentError& missing) {
    return {{"missing", missing.what()}};
  }
}

constexpr std::array kLibraries = {
    LibraryEntry{.name = "openblas",
                 .packs = false,
                 .timed_at_start = true,
                 .described_as = "blas",
                 .why_not = why_not_openblas,
                 .make = make_openblas_products,
                 .describe = describe_openblas},
    LibraryEntry{.name = "onednn",
                 .packs = true,
                 .timed_at_start = false,
                 .described_as = "onednn",
                 .why_not = why_not_onednn,
                 .make = [](const ProductNeeds& needs) { return onednn().make(needs); },
                 .describe = describe_onednn},
};

}  // namespace

std::span<const LibraryEntry> all_libraries() { return kLibraries; }

const LibraryEntry* find_library(std::string_view name) {
  for (const LibraryEntry& entry : kLibraries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
