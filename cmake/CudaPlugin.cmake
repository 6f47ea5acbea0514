# What src/cuda/ makes of a set of kernels and libraries.
#   tpbench_cuda_plugin(<target> LIBRARIES <kernels, runtime and libraries...>)
# makes <target>_parts, a library of all but what the plug-in exports, and <target>, the plug-in libtpbench_cuda.so. It
# holds what it needs of the rooms below it: the program lends it nothing but the types in their headers.
function(tpbench_cuda_plugin target)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cuda/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/plugin\\.cpp$")
  add_library(${target}_parts STATIC ${sources})
  target_link_libraries(${target}_parts PUBLIC ${ARG_LIBRARIES} tpbench_compute tpbench_tensor tpbench_measure tpbench_base
                                               ${CMAKE_DL_LIBS})
  add_library(${target} MODULE ${PROJECT_SOURCE_DIR}/src/cuda/plugin.cpp)
  target_link_libraries(${target} PRIVATE ${target}_parts)
  # Its copies of what the program has too are its own; BLAS and others come with rooms of which it needs little.
  target_link_options(${target} PRIVATE -Wl,--as-needed -Wl,--exclude-libs,ALL -Wl,--no-undefined)
  set_target_properties(${target}_parts ${target} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)
  set_target_properties(${target} PROPERTIES PREFIX lib OUTPUT_NAME tpbench_cuda)
endfunction()
