#include <array>

#include "comm/communicator.hpp"
#include "comm/hierarchical_communicator.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/shm_communicator.hpp"

namespace tpbench {
namespace {

std::optional<std::string> runs_anywhere(std::span<const int>) { return std::nullopt; }

constexpr std::array kAlgorithms = {
    AlgorithmEntry{"mpi", [](const Control& group) { return make_mpi_communicator(group); }, runs_anywhere},
    AlgorithmEntry{"shm", [](const Control& group) { return make_shm_communicator(group); }, why_not_shm},
    AlgorithmEntry{"hierarchical", [](const Control& group) { return make_hierarchical_communicator(group); },
                   why_not_hierarchical}};

}  // namespace

Matrix Communicator::make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                                 std::int64_t columns) {
  return {memory.allocate(category, rows * columns * size_of(dtype)), dtype, rows, columns};
}

std::span<const AlgorithmEntry> all_algorithms() { return kAlgorithms; }

const AlgorithmEntry* find_algorithm(std::string_view name) {
  for (const AlgorithmEntry& entry : kAlgorithms) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace tpbench
