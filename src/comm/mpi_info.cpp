#include "comm/mpi_info.hpp"

#include <link.h>
#include <mpi.h>
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace tpbench {
namespace {

// Point-to-point, bytes over a wire, matching networks, collectives, one-sided: what a message goes through.
constexpr std::array<std::string_view, 5> kFrameworks = {"pml", "btl", "mtl", "coll", "osc"};

bool is_running() {
  int initialised = 0, finalised = 0;
  if (MPI_Initialized(&initialised) != MPI_SUCCESS || MPI_Finalized(&finalised) != MPI_SUCCESS) return false;
  return initialised != 0 && finalised == 0;
}

std::optional<std::string> library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS || length <= 0) return std::nullopt;
  std::string version(text.data());
  while (!version.empty() && (version.back() == '\n' || version.back() == ' ')) version.pop_back();
  return version;
}

std::optional<std::string> standard_version() {
  int major = 0, minor = 0;
  if (MPI_Get_version(&major, &minor) != MPI_SUCCESS) return std::nullopt;
  return std::to_string(major) + "." + std::to_string(minor);
}

// "Open MPI v4.1.4, package: ..." -> {"Open MPI", "4.1.4"}; others keep their first words and have no
// version.
std::pair<Json, Json> name_and_version(const std::optional<std::string>& library) {
  if (!library) return {nullptr, nullptr};
  const std::string front = library->substr(0, library->find_first_of(",\n"));
  const std::size_t at = front.find(" v");
  if (at == std::string::npos || at + 2 >= front.size()) return {front, nullptr};
  return {front.substr(0, at), front.substr(at + 2)};
}

std::optional<std::string> thread_level() {
  int level = 0;
  if (!is_running() || MPI_Query_thread(&level) != MPI_SUCCESS) return std::nullopt;
  switch (level) {
    case MPI_THREAD_SINGLE:
      return "single";
    case MPI_THREAD_FUNNELED:
      return "funneled";
    case MPI_THREAD_SERIALIZED:
      return "serialized";
    case MPI_THREAD_MULTIPLE:
      return "multiple";
    default:
      return std::nullopt;
  }
}

// The tool interface has a life of its own and may be opened before MPI_Init.
class ToolSession {
 public:
  ToolSession() {
    int provided = 0, finalised = 0;
    // Open MPI 4.1 frees twice and aborts when the tool interface is opened once more after MPI_Finalize.
    if (MPI_Finalized(&finalised) != MPI_SUCCESS || finalised != 0) return;
    open_ = MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) == MPI_SUCCESS;
  }
  ~ToolSession() {
    if (open_) MPI_T_finalize();
  }
  ToolSession(const ToolSession&) = delete;
  ToolSession& operator=(const ToolSession&) = delete;
  [[nodiscard]] bool is_open() const { return open_; }

 private:
  bool open_ = false;
};

// Text of a control variable; empty when it is unknown, is no text, or was left to the library.
std::optional<std::string> control_variable(std::string_view name) {
  int index = 0;
  if (MPI_T_cvar_get_index(std::string(name).c_str(), &index) != MPI_SUCCESS) return std::nullopt;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  int verbosity = 0, bind = 0, scope = 0, name_length = 0, text_length = 0;
  MPI_T_enum values = MPI_T_ENUM_NULL;
  if (MPI_T_cvar_get_info(index, nullptr, &name_length, &verbosity, &type, &values, nullptr, &text_length,
                          &bind, &scope) != MPI_SUCCESS ||
      type != MPI_CHAR) {
    return std::nullopt;
  }
  MPI_T_cvar_handle handle = MPI_T_CVAR_HANDLE_NULL;
  int count = 0;
  if (MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) return std::nullopt;
  std::vector<char> text(static_cast<std::size_t>(std::max(count, 0)) + 1, '\0');
  const bool read = count > 0 && MPI_T_cvar_read(handle, text.data()) == MPI_SUCCESS;
  MPI_T_cvar_handle_free(&handle);
  text.back() = '\0';
  if (!read || text.front() == '\0') return std::nullopt;
  return std::string(text.data());
}

Json requested_selections() {
  const ToolSession session;
  Json requested = Json::object();
  for (const std::string_view framework : kFrameworks) {
    requested[std::string(framework)] =
        session.is_open() ? json_or_null(control_variable(framework)) : Json(nullptr);
  }
  return requested;
}

// dl_iterate_phdr is C: an exception must not pass through it.
int collect_object_name(dl_phdr_info* info, std::size_t, void* data) noexcept {
  auto& names = *static_cast<std::vector<std::string>*>(data);
  const std::string_view path = info->dlpi_name != nullptr ? info->dlpi_name : "";
  const std::string_view file = path.substr(path.rfind('/') + 1);
  if (file.starts_with("mca_") && file.ends_with(".so")) names.emplace_back(file.substr(4, file.size() - 7));
  return 0;
}

// Open MPI closes the components it does not use, so what is still loaded is what is in effect.
Json components_in_effect() {
  if (!is_running()) return nullptr;
  std::vector<std::string> loaded;  // "btl_vader"
  dl_iterate_phdr(collect_object_name, &loaded);
  if (loaded.empty()) return nullptr;
  std::sort(loaded.begin(), loaded.end());
  Json components = Json::object();
  for (const std::string_view framework : kFrameworks) {
    Json& list = components[std::string(framework)] = Json::array();
    for (const std::string& name : loaded) {
      if (name.starts_with(framework) && name.size() > framework.size() && name[framework.size()] == '_') {
        list.push_back(name.substr(framework.size() + 1));
      }
    }
  }
  return components;
}

// The header may be there without the support: Debian's is so. Only the library itself knows.
Json cuda_support() {
#if defined(MPIX_CUDA_AWARE_SUPPORT)
  return MPIX_Query_cuda_support() == 1;
#else
  return nullptr;
#endif
}

}  // namespace

Json describe_mpi() {
  const std::optional<std::string> library = library_version();
  const auto [implementation, version] = name_and_version(library);
  return {{"library", json_or_null(library)},
          {"implementation", implementation},
          {"version", version},
          {"standard", json_or_null(standard_version())},
          {"thread_level", json_or_null(thread_level())},
          {"requested", requested_selections()},
          {"components", components_in_effect()},
          {"cuda_support", cuda_support()}};
}

}  // namespace tpbench
