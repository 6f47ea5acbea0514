# One static library per room of the house: a room that links only what lies below it cannot call what lies above.
#   tpbench_room(<room> [UNTIMED] [ROOMS lower...] [LIBRARIES third-party...])
# UNTIMED: nothing of it runs while the clock does, and it is optimised for a short build.
add_library(tpbench_options INTERFACE)
target_include_directories(tpbench_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(tpbench_options INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlaps in std::string that are not there (GCC bug 105651).
  target_compile_options(tpbench_options INTERFACE -Wno-restrict)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # A type of one source looks to g++ like one of a header that several share.
  target_compile_options(tpbench_options INTERFACE -Wno-subobject-linkage)
endif()
if(TPBENCH_WERROR)
  target_compile_options(tpbench_options INTERFACE -Werror)
endif()
if(TPBENCH_SANITIZE)
  target_compile_options(tpbench_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                                                   -fno-omit-frame-pointer)
  target_link_options(tpbench_options INTERFACE -fsanitize=address,undefined)
  # g++ 12 takes the sanitizers' bookkeeping in <regex> for a read of uninitialised memory.
  target_compile_options(tpbench_options INTERFACE -Wno-maybe-uninitialized)
  target_compile_definitions(tpbench_options INTERFACE TPBENCH_SANITIZED=1)
endif()

function(tpbench_room room)
  cmake_parse_arguments(ARG "UNTIMED" "" "ROOMS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${room}/*.cpp)
  list(TRANSFORM ARG_ROOMS PREPEND tpbench_)
  add_library(tpbench_${room} STATIC ${sources})
  target_link_libraries(tpbench_${room} PUBLIC tpbench_options ${ARG_ROOMS} ${ARG_LIBRARIES})
  if(ARG_UNTIMED)
    target_compile_options(tpbench_${room} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()
