#include "comm/check_mpi.hpp"

#include <fmt/format.h>

#include <string_view>

#include "base/error.hpp"

namespace tpbench {

void check_mpi(int code, const char* call, const std::source_location& where) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "unknown error";
  int length = 0;
  MPI_Error_string(code, text, &length);
  const std::string_view file = where.file_name();
  throw CommError(fmt::format("{} failed at {}:{}: {}", call, file.substr(file.find_last_of('/') + 1),
                              where.line(), text));
}

}  // namespace tpbench
