// To be preloaded: OpenBLAS, and nobody else, believes that OPENBLAS_CORETYPE has the value of
// TPBENCH_TEST_OPENBLAS_CHOICE unless the variable is set, or even then with TPBENCH_TEST_OPENBLAS_STUBBORN.
// So it chooses slow kernels, and really multiplies with them, while no variable says so: what happens on a
// CPU that is newer than the library.
#include <dlfcn.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>

namespace {

char* value_of(const char* name) {
  const std::size_t length = std::strlen(name);
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    if (std::strncmp(*at, name, length) == 0 && (*at)[length] == '=') return *at + length + 1;
  }
  return nullptr;
}

bool is_openblas(const void* caller) {
  Dl_info place{};
  return dladdr(caller, &place) != 0 && place.dli_fname != nullptr &&
         std::strstr(place.dli_fname, "openblas") != nullptr;
}

}  // namespace

extern "C" char* getenv(const char* name) noexcept {
  char* const value = value_of(name);
  if (std::strcmp(name, "OPENBLAS_CORETYPE") != 0 || !is_openblas(__builtin_return_address(0))) return value;
  const bool obeys =
      value != nullptr && *value != '\0' && value_of("TPBENCH_TEST_OPENBLAS_STUBBORN") == nullptr;
  return obeys ? value : value_of("TPBENCH_TEST_OPENBLAS_CHOICE");
}
