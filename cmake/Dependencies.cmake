# Every third-party library, found on the system; each has one doorway in src/ (docs/architecture.md).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
# Headers alone. Debian's package brings Qt and databases along, for the sake of what they could be used with:
# scripts/install-dependencies.sh unpacks it into build/ instead.
find_path(TPBENCH_VALIJSON_INCLUDE_DIR valijson/validator.hpp HINTS ${PROJECT_SOURCE_DIR}/build/valijson/usr/include
          DOC "The folder with valijson/validator.hpp")
if(NOT TPBENCH_VALIJSON_INCLUDE_DIR)
  message(FATAL_ERROR "The headers of valijson are missing. scripts/install-dependencies.sh brings them on Debian; elsewhere, "
                      "-D TPBENCH_VALIJSON_INCLUDE_DIR=DIR says where valijson/validator.hpp is")
endif()
add_library(tpbench_valijson INTERFACE)
target_include_directories(tpbench_valijson SYSTEM INTERFACE ${TPBENCH_VALIJSON_INCLUDE_DIR})
target_compile_definitions(tpbench_valijson INTERFACE VALIJSON_USE_EXCEPTIONS=1)

if(TPBENCH_TESTS)
  find_package(GTest REQUIRED)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
endif()
