#include "comm/mpi_info.hpp"

#include <dlfcn.h>
#include <glob.h>
#include <link.h>
#include <mpi.h>
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// Bytes of one entry; 0 for types that nothing here reads. MPI_Type_size may not be asked before MPI_Init.
std::size_t size_of_type(MPI_Datatype type) {
  if (type == MPI_CHAR) return sizeof(char);
  if (type == MPI_INT || type == MPI_UNSIGNED) return sizeof(int);
  if (type == MPI_UNSIGNED_LONG) return sizeof(unsigned long);
  if (type == MPI_UNSIGNED_LONG_LONG) return sizeof(unsigned long long);
  return 0;
}

// What a control variable holds, as its type has it in memory; empty when there is none of that name.
struct ControlValue {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  std::vector<char> bytes;  // one more than the value has, and that one 0
};

std::optional<ControlValue> read_control_variable(std::string_view name) {
  int index = 0;
  if (MPI_T_cvar_get_index(std::string(name).c_str(), &index) != MPI_SUCCESS) return std::nullopt;
  MPI_Datatype type = MPI_DATATYPE_NULL;
  int verbosity = 0, bind = 0, scope = 0, name_length = 0, text_length = 0;
  MPI_T_enum values = MPI_T_ENUM_NULL;
  if (MPI_T_cvar_get_info(index, nullptr, &name_length, &verbosity, &type, &values, nullptr, &text_length,
                          &bind, &scope) != MPI_SUCCESS ||
      bind != MPI_T_BIND_NO_OBJECT || size_of_type(type) == 0) {
    return std::nullopt;
  }
  MPI_T_cvar_handle handle = MPI_T_CVAR_HANDLE_NULL;
  int count = 0;
  if (MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) return std::nullopt;
  std::vector<char> bytes(static_cast<std::size_t>(std::max(count, 0)) * size_of_type(type) + 1);
  const bool read = count > 0 && MPI_T_cvar_read(handle, bytes.data()) == MPI_SUCCESS;
  MPI_T_cvar_handle_free(&handle);
  if (!read) return std::nullopt;
  return ControlValue{type, std::move(bytes)};
}

// Text of a control variable; empty when it is unknown, is no text, or was left to the library.
std::optional<std::string> control_text(std::string_view name) {
  std::optional<ControlValue> value = read_control_variable(name);
  if (!value || value->type != MPI_CHAR) return std::nullopt;
  value->bytes.back() = '\0';
  if (value->bytes.front() == '\0') return std::nullopt;
  return std::string(value->bytes.data());
}

template <typename T>
std::optional<std::int64_t> number_from(const ControlValue& value) {
  if (value.bytes.size() != sizeof(T) + 1) return std::nullopt;
  T number = 0;
  std::memcpy(&number, value.bytes.data(), sizeof(T));
  if (!std::in_range<std::int64_t>(number)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// Whole number of a control variable; empty when it is unknown, is no number, or is too large for one.
std::optional<std::int64_t> control_number(const std::string& name) {
  const std::optional<ControlValue> value = read_control_variable(name);
  if (!value) return std::nullopt;
  if (value->type == MPI_INT) return number_from<int>(*value);
  if (value->type == MPI_UNSIGNED) return number_from<unsigned>(*value);
  if (value->type == MPI_UNSIGNED_LONG) return number_from<unsigned long>(*value);
  if (value->type == MPI_UNSIGNED_LONG_LONG) return number_from<unsigned long long>(*value);
  return std::nullopt;
}

Json requested_selections() {
  const ToolSession session;
  Json requested = Json::object();
  for (const std::string_view framework : kFrameworks) {
    requested[std::string(framework)] =
        session.is_open() ? json_or_null(control_text(framework)) : Json(nullptr);
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

// The byte transfer layers in effect, with what the library's rule of choice and of protocol hangs on. Only
// of those: Open MPI 4.1 crashes when a variable of a component that it has closed is read.
Json byte_transfer_layers(const Json& components) {
  if (components.is_null()) return nullptr;
  const ToolSession session;
  Json layers = Json::array();
  for (const Json& component : components.at("btl")) {
    const auto name = component.get<std::string>();
    const auto number = [&](const char* what) {
      return session.is_open() ? json_or_null(control_number("btl_" + name + "_" + what)) : Json(nullptr);
    };
    layers.push_back({{"name", name},
                      {"exclusivity", number("exclusivity")},
                      {"eager_limit_bytes", number("eager_limit")}});
  }
  return layers;
}

}  // namespace

std::optional<bool> mpi_takes_cuda_pointers() {
#if defined(MPIX_CUDA_AWARE_SUPPORT)
  return MPIX_Query_cuda_support() == 1;
#else
  return std::nullopt;
#endif
}

// Open MPI closes the components it does not use, so what is still loaded is what is in effect.
Json mpi_components() {
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

Json describe_mpi() {
  const std::optional<std::string> library = library_version();
  const auto [implementation, version] = name_and_version(library);
  const Json components = mpi_components();
  return {{"library", json_or_null(library)},
          {"implementation", implementation},
          {"version", version},
          {"standard", json_or_null(standard_version())},
          {"thread_level", json_or_null(thread_level())},
          {"requested", requested_selections()},
          {"components", components},
          {"btl", byte_transfer_layers(components)},
          {"cuda_support", json_or_null(mpi_takes_cuda_pointers())}};
}

bool mpi_speaks_pmi() {
  Dl_info library = {};
  if (dladdr(reinterpret_cast<const void*>(&MPI_Init), &library) == 0 || library.dli_fname == nullptr) return false;
  const std::string folder = std::filesystem::path(library.dli_fname).parent_path();
  glob_t found = {};
  // Debian has the components one floor deeper.
  const std::string pattern = folder + "/openmpi{,/lib/openmpi*}/mca_pmix_s[12].so";
  const bool any = glob(pattern.c_str(), GLOB_BRACE, nullptr, &found) == 0;
  globfree(&found);
  return any;
}

}  // namespace tpbench
