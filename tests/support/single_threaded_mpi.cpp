// To be preloaded: an MPI library that lets one thread call it, whatever is asked for.
#include <dlfcn.h>
#include <mpi.h>

extern "C" int MPI_Init_thread(int* argc, char*** argv, int, int* provided) {
  using Init = int (*)(int*, char***, int, int*);
  const auto init = reinterpret_cast<Init>(dlsym(RTLD_NEXT, "MPI_Init_thread"));
  return init(argc, argv, MPI_THREAD_FUNNELED, provided);
}
