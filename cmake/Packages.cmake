# Debian packages, by `cpack -G DEB` in the build folder: tpbench, and tpbench-cuda and tpbench-onednn beside it where
# these plug-ins are built.
# For a release build; the program depends on the packages whose libraries it was linked with.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tpbench)
set(CPACK_PACKAGE_VENDOR tpbench)
set(CPACK_PACKAGE_CONTACT "tpbench maintainers <maintainers@users.noreply.github.com>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
set(CPACK_VERBATIM_VARIABLES ON)

# A package of each component, and no archive of all.
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL tpbench)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_TPBENCH_PACKAGE_NAME tpbench)
set(CPACK_COMPONENT_TPBENCH_DESCRIPTION "benchmark of tensor-parallel transformer layers over MPI
 Runs the tensor-parallel layers of a transformer for real, on real ranks and a
 real fabric, and says what each rank's memory, compute and communication cost,
 so that a person can decide which degree and which network to use.")
set(CPACK_DEBIAN_TPBENCH_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_TPBENCH_PACKAGE_DEPENDS openmpi-bin)

set(CPACK_DEBIAN_TPBENCH-CUDA_PACKAGE_NAME tpbench-cuda)
set(CPACK_COMPONENT_TPBENCH-CUDA_DESCRIPTION "benchmark of tensor-parallel transformer layers, GPU backend
 The backend cuda of tpbench, a plug-in. It wants the NVIDIA driver, and cuBLASLt
 and NCCL of the CUDA toolkit that it was built with.")
# The toolkit's libraries need not come from packages.
set(CPACK_DEBIAN_TPBENCH-CUDA_PACKAGE_DEPENDS
    "tpbench (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}), libc6, libgcc-s1, libstdc++6")

# What Debian wants of every package: a changelog and a word on copyright.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
function(tpbench_package_papers component package)
  set(folder ${PROJECT_BINARY_DIR}/packages/${package})
  file(CONFIGURE OUTPUT ${folder}/changelog.Debian @ONLY CONTENT
"@package@ (@PROJECT_VERSION@-@CPACK_DEBIAN_PACKAGE_RELEASE@) unstable; urgency=medium

  * See /usr/share/doc/tpbench/CHANGELOG.md.

 -- @CPACK_PACKAGE_CONTACT@  @date@
")
  execute_process(COMMAND gzip -9n --force --keep ${folder}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  file(CONFIGURE OUTPUT ${folder}/copyright @ONLY CONTENT
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tpbench

Files: *
Copyright: the authors of tpbench
License: none
 No licence has been given yet: all rights are reserved.
")
  install(FILES ${folder}/changelog.Debian.gz ${folder}/copyright DESTINATION share/doc/${package}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endfunction()
tpbench_package_papers(tpbench tpbench)

if(TARGET tpbench_cuda)
  list(APPEND CPACK_COMPONENTS_ALL tpbench-cuda)
  tpbench_package_papers(tpbench-cuda tpbench-cuda)
  # The plug-in finds the toolkit where it was built with it; packages of Debian's own may not.
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/packages/overrides/tpbench-cuda CONTENT
"# The CUDA toolkit lies outside the folders of libraries.
tpbench-cuda: custom-library-search-path
")
  install(FILES ${PROJECT_BINARY_DIR}/packages/overrides/tpbench-cuda DESTINATION share/lintian/overrides
          COMPONENT tpbench-cuda EXCLUDE_FROM_ALL)
endif()

if(TARGET tpbench_onednn)
  list(APPEND CPACK_COMPONENTS_ALL tpbench-onednn)
  set(CPACK_DEBIAN_TPBENCH-ONEDNN_PACKAGE_NAME tpbench-onednn)
  set(CPACK_COMPONENT_TPBENCH-ONEDNN_DESCRIPTION "benchmark of tensor-parallel transformer layers, oneDNN
 The library onednn of tpbench's CPU backend, a plug-in: matrix products in f32 and
 bf16, and packed weights.")
  set(CPACK_DEBIAN_TPBENCH-ONEDNN_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_TPBENCH-ONEDNN_PACKAGE_DEPENDS "tpbench (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
  tpbench_package_papers(tpbench-onednn tpbench-onednn)
endif()

include(CPack)
