# CUDA: the kernels of src/cuda/ with nvcc where it is found, and the headers with which the same sources are
# compiled for the emulation of a GPU in the tests (tests/cuda_emulation/), which needs neither nvcc nor a driver.
#
# Sets TPBENCH_CUDA_INCLUDE_DIR, the toolkit's headers, or FALSE; and makes tpbench_cuda_kernels where there is nvcc.
set(TPBENCH_CUDA AUTO CACHE STRING "The GPU backend: ON, OFF, or AUTO: where the CUDA toolkit is found")
set_property(CACHE TPBENCH_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT TPBENCH_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "TPBENCH_CUDA is ${TPBENCH_CUDA}; it must be AUTO, ON or OFF")
endif()

set(TPBENCH_CUDA_INCLUDE_DIR FALSE)
if(TPBENCH_CUDA STREQUAL "OFF")
  return()
endif()

# Kernels that run on a GPU see no sanitizer.
set(missing "")
if(TPBENCH_SANITIZE AND TPBENCH_CUDA STREQUAL "ON")
  message(FATAL_ERROR "TPBENCH_CUDA=ON with TPBENCH_SANITIZE: the sanitizers do not see into kernels; leave it at AUTO, "
                      "and the emulation is what they look at")
elseif(TPBENCH_SANITIZE)
  set(missing "the sanitizers do not see into it")
else()
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(TPBENCH_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATH_SUFFIXES bin PATHS /usr/local/cuda/bin
                 DOC "The CUDA compiler")
    mark_as_advanced(TPBENCH_NVCC)
    if(TPBENCH_NVCC)
      set(CMAKE_CUDA_COMPILER ${TPBENCH_NVCC})
    endif()
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING
        "Devices to compile for: those of A100 and H100, and by the driver for what came later")
  endif()
  if(TPBENCH_CUDA STREQUAL "ON")
    enable_language(CUDA)
  else()
    include(CheckLanguage)
    set(CMAKE_MESSAGE_LOG_LEVEL_BEFORE ${CMAKE_MESSAGE_LOG_LEVEL})
    set(CMAKE_MESSAGE_LOG_LEVEL WARNING)
    if(TPBENCH_NVCC)
      # check_language looks for a compiler by itself and would not look at /usr/local.
      set(ENV{CUDACXX} ${TPBENCH_NVCC})
      unset(CMAKE_CUDA_COMPILER)
    endif()
    check_language(CUDA)
    set(CMAKE_MESSAGE_LOG_LEVEL ${CMAKE_MESSAGE_LOG_LEVEL_BEFORE})
    if(CMAKE_CUDA_COMPILER)
      enable_language(CUDA)
    else()
      set(missing "no CUDA compiler that works")
    endif()
  endif()
endif()

get_filename_component(nvcc_folder "${CMAKE_CUDA_COMPILER}" DIRECTORY)
find_path(TPBENCH_CUDA_HEADERS cuda_fp16.h
          HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} ${nvcc_folder}/../include ENV CUDA_HOME ENV CUDA_PATH
          PATH_SUFFIXES include PATHS /usr/local/cuda/include DOC "The CUDA toolkit's headers")
mark_as_advanced(TPBENCH_CUDA_HEADERS)
if(TPBENCH_CUDA_HEADERS)
  set(TPBENCH_CUDA_INCLUDE_DIR ${TPBENCH_CUDA_HEADERS})
endif()

if(missing)
  message(STATUS "CUDA: off (${missing})")
  return()
endif()
message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")

# CMake 3.25 does not know that nvcc speaks C++20.
if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
if(NOT CMAKE_CUDA_COMPILER_LAUNCHER AND CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cuda/*.cu)
# The rooms' warnings are g++'s words, which nvcc does not take: it is given the folder alone.
add_library(tpbench_cuda_kernels STATIC ${kernel_sources})
target_include_directories(tpbench_cuda_kernels PUBLIC ${PROJECT_SOURCE_DIR}/src)
target_compile_options(tpbench_cuda_kernels PRIVATE -Xcompiler=-Wall,-Wextra)
if(TPBENCH_WERROR)
  target_compile_options(tpbench_cuda_kernels PRIVATE -Werror=all-warnings -Xcompiler=-Werror)
endif()
set_target_properties(tpbench_cuda_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_STANDARD 20
                                                      CUDA_STANDARD_REQUIRED ON CUDA_EXTENSIONS OFF)

# cuBLASLt and NCCL for the plug-in (cmake/CudaPlugin.cmake).
find_package(CUDAToolkit REQUIRED)
find_library(TPBENCH_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ENV NCCL_HOME PATH_SUFFIXES lib DOC "NCCL")
find_path(TPBENCH_NCCL_INCLUDE_DIR nccl.h HINTS ${TPBENCH_CUDA_INCLUDE_DIR} ENV NCCL_HOME PATH_SUFFIXES include
          DOC "NCCL's header")
mark_as_advanced(TPBENCH_NCCL_LIBRARY TPBENCH_NCCL_INCLUDE_DIR)
if(TPBENCH_NCCL_LIBRARY AND TPBENCH_NCCL_INCLUDE_DIR AND TARGET CUDA::cublasLt)
  add_library(tpbench_nccl INTERFACE)
  target_link_libraries(tpbench_nccl INTERFACE ${TPBENCH_NCCL_LIBRARY})
  target_include_directories(tpbench_nccl SYSTEM INTERFACE ${TPBENCH_NCCL_INCLUDE_DIR})
elseif(TPBENCH_CUDA STREQUAL "ON")
  message(FATAL_ERROR "TPBENCH_CUDA is ON, and NCCL or cuBLASLt is not found: NCCL_HOME names another folder")
else()
  message(STATUS "CUDA: no plug-in (NCCL or cuBLASLt is not found)")
endif()
