#include "comm/merge_rows.hpp"

#include <mpi.h>

#include <set>
#include <span>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {
namespace {

constexpr int kRowsTag = 5;

using Rows = std::set<std::vector<std::int64_t>>;

void insert(const std::vector<std::int64_t>& numbers, std::size_t width, Rows& rows) {
  for (std::size_t at = 0; at + width <= numbers.size(); at += width) {
    const auto row = std::span(numbers).subspan(at, width);
    rows.emplace(row.begin(), row.end());
  }
}

std::vector<std::int64_t> flat(const Rows& rows) {
  std::vector<std::int64_t> numbers;
  for (const std::vector<std::int64_t>& row : rows) numbers.insert(numbers.end(), row.begin(), row.end());
  return numbers;
}

std::vector<std::int64_t> receive(int from, MPI_Comm comm) {
  MPI_Status status;
  int count = 0;
  TPBENCH_MPI(MPI_Probe(from, kRowsTag, comm, &status));
  TPBENCH_MPI(MPI_Get_count(&status, MPI_INT64_T, &count));
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  TPBENCH_MPI(MPI_Recv(numbers.data(), count, MPI_INT64_T, from, kRowsTag, comm, MPI_STATUS_IGNORE));
  return numbers;
}

}  // namespace

std::vector<std::int64_t> merge_rows(const Control& ranks, const std::vector<std::int64_t>& rows,
                                     std::size_t width) {
  MPI_Comm comm = ranks.handle()->comm;
  Rows merged;
  insert(rows, width, merged);
  // Up a tree: in each round every second rank that is left gives its rows to the one before it.
  for (int step = 1; step < ranks.size(); step *= 2) {
    if (ranks.rank() % (2 * step) != 0) {
      const std::vector<std::int64_t> mine = flat(merged);
      TPBENCH_MPI(MPI_Send(mine.data(), static_cast<int>(mine.size()), MPI_INT64_T, ranks.rank() - step,
                           kRowsTag, comm));
      break;
    }
    if (ranks.rank() + step < ranks.size()) insert(receive(ranks.rank() + step, comm), width, merged);
  }
  std::vector<std::int64_t> numbers = flat(merged);
  numbers.resize(static_cast<std::size_t>(ranks.broadcast(static_cast<std::int64_t>(numbers.size()))));
  TPBENCH_MPI(MPI_Bcast(numbers.data(), static_cast<int>(numbers.size()), MPI_INT64_T, 0, comm));
  return numbers;
}

}  // namespace tpbench
