// Prints what an all-reduce takes the naive way: a loop of calls, divided by their number. MPI alone, nothing
// of tpbench.
//   mpirun -n 4 all_reduce_loop BYTES [CALLS [RANKS]]    RANKS: only the first so many take part
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int count, char** words) {
  MPI_Init(&count, &words);
  const std::size_t bytes = count > 1 ? std::strtoull(words[1], nullptr, 10) : 8;
  const int calls = count > 2 ? std::atoi(words[2]) : 200;
  int rank = 0, world = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world);
  const int ranks = count > 3 ? std::atoi(words[3]) : world;
  MPI_Comm group = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &group);
  if (group != MPI_COMM_NULL) {
    std::vector<float> data(bytes / sizeof(float), 1.0F);
    const auto reduce = [&] {
      MPI_Allreduce(MPI_IN_PLACE, data.data(), static_cast<int>(data.size()), MPI_FLOAT, MPI_SUM, group);
    };
    for (int call = 0; call < 10; ++call) reduce();
    const double start_s = MPI_Wtime();
    for (int call = 0; call < calls; ++call) reduce();
    if (rank == 0) std::printf("%.9f\n", (MPI_Wtime() - start_s) / calls);
  }
  MPI_Finalize();
  return 0;
}
