#include "comm/communicator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "comm/mpi_communicator.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

// Whole numbers, so that sums are exact in both types and in any order.
double entry(int rank, std::int64_t i) { return static_cast<double>((i * 7 + rank * 13) % 101 - 50); }

double sum_of_entries(std::int64_t i) {
  double sum = 0;
  for (int r = 0; r < world().size(); ++r) sum += entry(r, i);
  return sum;
}

template <typename T>
std::vector<T> entries(int rank, std::int64_t count) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<T>(entry(rank, i)));
  return values;
}

// The largest pieces that a call may move, and the elements per rank: less than a piece, exactly one, several
// and a rest, and none.
constexpr std::int64_t kPieces[] = {1, 3, 64, std::numeric_limits<int>::max()};
constexpr std::int64_t kCounts[] = {0, 1, 2, 3, 5, 64, 65, 193};

template <typename T>
class MpiCommunicator : public testing::Test {
 protected:
  static constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;
  static constexpr T kGuard = T(-12345);

  /// Calls `check(communicator, count)` for all pieces and counts.
  template <typename Check>
  void for_all_sizes(const Check& check) {
    for (const std::int64_t piece : kPieces) {
      const auto communicator = make_mpi_communicator(world(), piece);
      EXPECT_EQ(communicator->rank(), world().rank());
      EXPECT_EQ(communicator->size(), world().size());
      for (const std::int64_t count : kCounts) {
        SCOPED_TRACE(testing::Message() << "pieces of " << piece << ", " << count << " elements");
        check(*communicator, count);
      }
    }
  }
};

using BothTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(MpiCommunicator, BothTypes);

TYPED_TEST(MpiCommunicator, AllReduceSumsInPlace) {
  this->for_all_sizes([&](Communicator& communicator, std::int64_t count) {
    std::vector<TypeParam> data = entries<TypeParam>(world().rank(), count);
    data.push_back(this->kGuard);
    communicator.all_reduce_sum(data.data(), count, this->kDType);
    for (std::int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(static_cast<double>(data[static_cast<std::size_t>(i)]), sum_of_entries(i)) << "element " << i;
    }
    EXPECT_EQ(data.back(), this->kGuard) << "wrote beyond the end";
  });
}

TYPED_TEST(MpiCommunicator, AllGatherPutsShardAfterShard) {
  this->for_all_sizes([&](Communicator& communicator, std::int64_t count) {
    const std::vector<TypeParam> shard = entries<TypeParam>(world().rank(), count);
    std::vector<TypeParam> whole(static_cast<std::size_t>(count * world().size()) + 1, this->kGuard);
    communicator.all_gather(shard.data(), count, whole.data(), this->kDType);
    for (std::int64_t i = 0; i < count * world().size(); ++i) {
      const auto owner = static_cast<int>(i / count);
      ASSERT_EQ(static_cast<double>(whole[static_cast<std::size_t>(i)]), entry(owner, i % count))
          << "element " << i;
    }
    EXPECT_EQ(whole.back(), this->kGuard) << "wrote beyond the end";
  });
}

TYPED_TEST(MpiCommunicator, ReduceScatterGivesEachRankItsPartOfTheSum) {
  this->for_all_sizes([&](Communicator& communicator, std::int64_t count) {
    const std::vector<TypeParam> whole = entries<TypeParam>(world().rank(), count * world().size());
    std::vector<TypeParam> shard(static_cast<std::size_t>(count) + 1, this->kGuard);
    communicator.reduce_scatter_sum(whole.data(), shard.data(), count, this->kDType);
    for (std::int64_t i = 0; i < count; ++i) {
      const double expected = sum_of_entries(world().rank() * count + i);
      ASSERT_EQ(static_cast<double>(shard[static_cast<std::size_t>(i)]), expected) << "element " << i;
    }
    EXPECT_EQ(shard.back(), this->kGuard) << "wrote beyond the end";
    EXPECT_EQ(whole, entries<TypeParam>(world().rank(), count * world().size()))
        << "changed what it was given";
  });
}

TEST(Algorithms, AreMadeByName) {
  for (const AlgorithmEntry& entry : all_algorithms()) {
    EXPECT_EQ(find_algorithm(entry.name), &entry);
    const auto communicator = entry.make(world());
    TrackedMemory memory;
    const Matrix matrix = communicator->make_matrix(memory, Category::communication, DType::f64, 3, 5);
    EXPECT_EQ(memory.in_use()[Category::communication], 3 * 5 * 8) << entry.name;
    EXPECT_EQ(matrix.view().row_stride, matrix.view().columns);
  }
  EXPECT_EQ(find_algorithm("carrier pigeon"), nullptr);
}

}  // namespace
}  // namespace tpbench::test
