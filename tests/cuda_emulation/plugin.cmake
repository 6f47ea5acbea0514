
# -- the plug-in as a whole, with stand-ins for cuBLASLt, NCCL and the driver's management library
find_path(TPBENCH_NCCL_INCLUDE_DIR nccl.h HINTS ${TPBENCH_CUDA_INCLUDE_DIR})
if(TPBENCH_NCCL_INCLUDE_DIR AND NOT TPBENCH_SANITIZE)
  add_library(tpbench_cuda_emulated_libraries STATIC cublaslt.cpp nccl.cpp)
  target_link_libraries(tpbench_cuda_emulated_libraries PUBLIC tpbench_cuda_emulated_runtime)
  target_include_directories(tpbench_cuda_emulated_libraries SYSTEM PUBLIC ${TPBENCH_NCCL_INCLUDE_DIR})
  set_target_properties(tpbench_cuda_emulated_libraries PROPERTIES POSITION_INDEPENDENT_CODE ON)

  tpbench_cuda_plugin(tpbench_cuda_emulated
                      LIBRARIES tpbench_cuda_emulated_kernels tpbench_cuda_emulated_libraries)
  set(emulated_folder ${CMAKE_CURRENT_BINARY_DIR}/plugin)
  set_target_properties(tpbench_cuda_emulated PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${emulated_folder})
  add_library(tpbench_nvml_emulated SHARED nvml.cpp)
  set_target_properties(tpbench_nvml_emulated PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${emulated_folder}
                                                         OUTPUT_NAME nvidia-ml SOVERSION 1)
endif()
