#include "comm/communicator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "algorithms.hpp"
#include "base/error.hpp"
#include "comm/hierarchical_communicator.hpp"
#include "world.hpp"

namespace tpbench::test {
namespace {

// Whole numbers, so that sums are exact in every type and in any order: bf16 holds those up to 256.
double entry(int rank, std::int64_t i) { return static_cast<double>((i * 7 + rank * 13) % 61 - 30); }

template <typename T>
T to_element(double value) {
  return T(static_cast<float>(value));
}

double sum_of_entries(std::int64_t i) {
  double sum = 0;
  for (int r = 0; r < world().size(); ++r) sum += entry(r, i);
  return sum;
}

template <typename T>
std::vector<T> entries(int rank, std::int64_t count) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(to_element<T>(entry(rank, i)));
  return values;
}

// Elements per rank: none, fewer than ranks, less than a cache line, exactly some pieces, and a rest.
constexpr std::int64_t kCounts[] = {0, 1, 2, 3, 5, 64, 65, 193, 5003};

// Where an operand lies: in memory of the rank's own; in a matrix of the communicator, at its begin or
// within; on some ranks here and on others there.
enum class Home { own, matrix, within, mixed };
constexpr Home kHomes[] = {Home::own, Home::matrix, Home::within, Home::mixed};

/// An operand of `count` elements with a guard behind it.
template <typename T>
class Operand {
 public:
  static constexpr float kGuard = -12352;  // f16 and bf16 hold it

  Operand(Communicator& communicator, std::int64_t count, Home home)
      : count_(count), own_(size_of_all(count)) {
    constexpr std::int64_t kWithin = 21;
    matrix_ = communicator.make_matrix(memory_, Category::communication, kDTypeOf<T>, 1, count + 1 + kWithin);
    const bool here = home == Home::own || (home == Home::mixed && communicator.rank() == 0);
    data_ = here ? own_.data() : static_cast<T*>(matrix_.view().data) + (home == Home::within ? kWithin : 0);
    std::fill_n(data_, count + 1, T(kGuard));
  }

  void operator=(const std::vector<T>& values) { std::copy(values.begin(), values.end(), data_); }
  [[nodiscard]] T* data() { return data_; }
  [[nodiscard]] std::vector<T> values() const { return {data_, data_ + count_}; }
  [[nodiscard]] bool guarded() const { return static_cast<float>(data_[count_]) == kGuard; }

 private:
  static std::size_t size_of_all(std::int64_t count) { return static_cast<std::size_t>(count) + 1; }

  std::int64_t count_;
  TrackedMemory memory_;
  std::vector<T> own_;
  Matrix matrix_;
  T* data_;
};

template <typename T>
std::vector<T> expected(std::int64_t count, const std::function<double(std::int64_t)>& value) {
  std::vector<T> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(to_element<T>(value(i)));
  return values;
}

// Every algorithm and several sizes of pieces.
std::vector<Carrier> every_carrier() {
  std::vector<Carrier> carriers = all_carriers(world().size());
  for (Carrier& carrier : all_carriers_in_pieces(world().size())) carriers.push_back(std::move(carrier));
  return carriers;
}

template <typename T>
class Collectives : public testing::Test {
 protected:
  /// Calls `check(communicator, count, home)` for all algorithms and sizes.
  template <typename Check>
  void for_all(const Check& check) {
    for (const Carrier& carrier : every_carrier()) {
      const auto communicator = carrier.make(world());
      EXPECT_EQ(communicator->rank(), world().rank());
      EXPECT_EQ(communicator->size(), world().size());
      for (const std::int64_t count : kCounts) {
        for (const Home home : kHomes) {
          SCOPED_TRACE(testing::Message()
                       << carrier.name << ", " << count << " elements, home " << static_cast<int>(home));
          check(*communicator, count, home);
        }
      }
    }
  }
};

using AllTypes = testing::Types<float, double, Float16, BFloat16>;
TYPED_TEST_SUITE(Collectives, AllTypes);

TYPED_TEST(Collectives, AllReduceSumsInPlace) {
  using T = TypeParam;
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> data(communicator, count, home);
    data = entries<T>(world().rank(), count);
    communicator.all_reduce_sum(data.data(), count, kDTypeOf<T>);
    EXPECT_EQ(data.values(), expected<T>(count, sum_of_entries));
    EXPECT_TRUE(data.guarded()) << "wrote beyond the end";
  });
}

TYPED_TEST(Collectives, AllGatherPutsShardAfterShard) {
  using T = TypeParam;
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> shard(communicator, count, home), whole(communicator, count * world().size(), home);
    shard = entries<T>(world().rank(), count);
    communicator.all_gather(shard.data(), count, whole.data(), kDTypeOf<T>);
    const auto whole_entry = [&](std::int64_t i) { return entry(static_cast<int>(i / count), i % count); };
    EXPECT_EQ(whole.values(), expected<T>(count * world().size(), whole_entry));
    EXPECT_EQ(shard.values(), entries<T>(world().rank(), count)) << "changed what it was given";
    EXPECT_TRUE(whole.guarded()) << "wrote beyond the end";
  });
}

TYPED_TEST(Collectives, ReduceScatterGivesEachRankItsPartOfTheSum) {
  using T = TypeParam;
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> whole(communicator, count * world().size(), home), shard(communicator, count, home);
    whole = entries<T>(world().rank(), count * world().size());
    communicator.reduce_scatter_sum(whole.data(), shard.data(), count, kDTypeOf<T>);
    const auto own_sum = [&](std::int64_t i) { return sum_of_entries(world().rank() * count + i); };
    EXPECT_EQ(shard.values(), expected<T>(count, own_sum));
    EXPECT_EQ(whole.values(), entries<T>(world().rank(), count * world().size()))
        << "changed what it was given";
    EXPECT_TRUE(shard.guarded()) << "wrote beyond the end";
  });
}

// One entry of each rank's is the largest of all.
template <typename T>
class Maxima : public Collectives<T> {};
using ComputedTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(Maxima, ComputedTypes);

TYPED_TEST(Maxima, AreTheLargestOfAllRanks) {
  using T = TypeParam;
  const auto value = [](int rank, std::int64_t i) {
    return static_cast<double>((i * 7 + rank * 13) % 61 - 90 + (i % world().size() == rank ? 40 : 0));
  };
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> data(communicator, count, home);
    data = expected<T>(count, [&](std::int64_t i) { return value(world().rank(), i); });
    communicator.all_reduce(data.data(), count, kDTypeOf<T>, Reduction::max);
    EXPECT_EQ(data.values(), expected<T>(count, [&](std::int64_t i) {
                double largest = value(0, i);
                for (int r = 1; r < world().size(); ++r) largest = std::max(largest, value(r, i));
                return largest;
              }));
    EXPECT_TRUE(data.guarded()) << "wrote beyond the end";
  });
}

// Sums of numbers that are rounded depend on the order of the operands: it must be one order for all.
TYPED_TEST(Collectives, AllReduceGivesEveryRankTheSameBits) {
  using T = TypeParam;
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> data(communicator, count, home);
    data = expected<T>(count,
                       [](std::int64_t i) { return std::sin(static_cast<double>(i * 7 + world().rank())); });
    communicator.all_reduce_sum(data.data(), count, kDTypeOf<T>);
    const std::vector<T> sum = data.values();
    const std::string bits(reinterpret_cast<const char*>(sum.data()), sum.size() * sizeof(T));
    for (const std::string& other : world().all_gather(bits)) EXPECT_TRUE(other == bits);
  });
}

// Numbers that a sum must round: by half a unit of its largest partial sum for each addition, no more.
TYPED_TEST(Collectives, SumsAreRoundedOncePerAddition) {
  using T = TypeParam;
  const auto value = [](int rank, std::int64_t i) {
    return to_element<T>(std::sin(static_cast<double>(i * 7 + rank * 3 + 1)));
  };
  this->for_all([&](Communicator& communicator, std::int64_t count, Home home) {
    Operand<T> data(communicator, count, home);
    for (std::int64_t i = 0; i < count; ++i) data.data()[i] = value(world().rank(), i);
    communicator.all_reduce_sum(data.data(), count, kDTypeOf<T>);
    for (std::int64_t i = 0; i < count; ++i) {
      double sum = 0, size = 0;
      for (int r = 0; r < world().size(); ++r) {
        sum += static_cast<double>(value(r, i));
        size += std::abs(static_cast<double>(value(r, i)));
      }
      const double unit = epsilon_of(kDTypeOf<T>) / 2 * size;
      ASSERT_LE(std::abs(static_cast<double>(data.data()[i]) - sum), (world().size() - 1) * 1.01 * unit) << i;
    }
  });
}

// Calls of all kinds behind one another without a barrier in between, each rank at its own pace: what one
// call leaves must not reach into the next.
TYPED_TEST(Collectives, FollowOneAnotherAtAnyPace) {
  using T = TypeParam;
  for (const Carrier& carrier : every_carrier()) {
    SCOPED_TRACE(carrier.name);
    const auto communicator = carrier.make(world());
    constexpr std::int64_t kLargest = 700;
    const std::int64_t size = world().size();
    Operand<T> a(*communicator, kLargest * size, Home::matrix), b(*communicator, kLargest * size, Home::own);
    Operand<T> result(*communicator, kLargest * size, Home::matrix);
    std::mt19937 same(7), own(static_cast<unsigned>(world().rank()));
    for (int call = 0; call < 100; ++call) {
      const auto count = static_cast<std::int64_t>(same() % kLargest);
      Operand<T>& operand = same() % 2 == 0 ? a : b;
      const auto kind = same() % (sizeof(T) == 2 ? 3 : 4);  // maxima are of what a processor computes in
      if (own() % 8 == 0) std::this_thread::yield();
      const auto mine = [&](int rank, std::int64_t i) { return entry(rank, i + call); };
      const auto sum = [&](std::int64_t i) { return sum_of_entries(i + call); };
      const auto largest = [&](std::int64_t i) {
        double value = mine(0, i);
        for (int r = 1; r < size; ++r) value = std::max(value, mine(r, i));
        return value;
      };
      const std::int64_t given = kind == 1 ? count * size : count;
      for (std::int64_t i = 0; i < given; ++i) operand.data()[i] = to_element<T>(mine(world().rank(), i));
      T* found = operand.data();
      if (kind == 0 || kind == 3) {
        communicator->all_reduce(found, count, kDTypeOf<T>, kind == 0 ? Reduction::sum : Reduction::max);
      } else {
        found = result.data();
        if (kind == 1) communicator->reduce_scatter_sum(operand.data(), found, count, kDTypeOf<T>);
        if (kind == 2) communicator->all_gather(operand.data(), count, found, kDTypeOf<T>);
      }
      std::int64_t wrong = 0;
      for (std::int64_t i = 0; i < (kind == 2 ? count * size : count); ++i) {
        const double right = kind == 0   ? sum(i)
                             : kind == 3 ? largest(i)
                             : kind == 1 ? sum(world().rank() * count + i)
                                         : mine(static_cast<int>(i / count), i % count);
        wrong += found[i] != to_element<T>(right) ? 1 : 0;
      }
      ASSERT_EQ(wrong, 0) << "call " << call << " of kind " << kind << ", " << count << " elements";
    }
  }
}

TEST(Algorithms, AreMadeByName) {
  for (const AlgorithmEntry& entry : all_algorithms()) EXPECT_EQ(find_algorithm(entry.name), &entry);
  for (const AlgorithmEntry* entry : host_algorithms()) {
    const auto communicator = entry->make(world(), nullptr);
    EXPECT_EQ(communicator->data_path(DType::f32), DataPath::host);
    TrackedMemory memory;
    const Matrix matrix = communicator->make_matrix(memory, Category::communication, DType::f64, 3, 5);
    EXPECT_EQ(memory.in_use()[Category::communication], 3 * 5 * 8) << entry->name;
    EXPECT_EQ(matrix.view().row_stride, matrix.view().columns);
    std::fill_n(static_cast<double*>(matrix.view().data), matrix.view().elements(), 1.0);
    EXPECT_EQ(communicator->make_matrix(memory, Category::communication, DType::f64, 0, 5).view().elements(),
              0);
  }
  EXPECT_EQ(find_algorithm("carrier pigeon"), nullptr);
}

// A layer goes before its communicator; what a test or a case that failed half-way leaves may not.
TEST(Algorithms, LeaveMatricesThatOutliveThem) {
  for (const Carrier& carrier : all_carriers(world().size())) {
    SCOPED_TRACE(carrier.name);
    TrackedMemory memory;
    Matrix matrix;
    {
      const auto communicator = carrier.make(world());
      matrix = communicator->make_matrix(memory, Category::activations, DType::f32, 100, 100);
    }
    auto* values = static_cast<float*>(matrix.view().data);
    std::fill_n(values, 10000, 3.0F);
    EXPECT_EQ(values[9999], 3.0F);
    EXPECT_EQ(memory.in_use().total(), 40000);
    matrix = Matrix();
    EXPECT_EQ(memory.in_use().total(), 0);
  }
}

TEST(Algorithms, SayWhatSharedMemoryIsTooMuch) {
  if (world().size() == 1) GTEST_SKIP() << "nothing is shared";
  const auto communicator = find_algorithm("shm")->make(world(), nullptr);
  TrackedMemory memory;
  try {
    const Matrix matrix =
        communicator->make_matrix(memory, Category::activations, DType::f64, std::int64_t{1} << 30, 1 << 27);
    FAIL() << "an exabyte was allocated";
  } catch (const CaseError& error) {
    EXPECT_NE(std::string(error.what()).find("of memory that ranks share: this machine has "),
              std::string::npos)
        << error.what();
  }
  EXPECT_EQ(memory.in_use().total(), 0);
  // The ranks are still in step.
  std::vector<float> values(5000, 1.0F);
  communicator->all_reduce_sum(values.data(), 5000, DType::f32);
  EXPECT_EQ(values[4999], static_cast<float>(world().size()));
}

TEST(Hierarchical, RefusesHostsWithUnequalNumbersOfRanks) {
  if (world().size() < 3) GTEST_SKIP() << "needs three ranks";
  std::vector<int> host_of(static_cast<std::size_t>(world().size()), 0);
  host_of.back() = 1;
  EXPECT_THROW(make_hierarchical_communicator(world(), host_of), CaseError);
}

}  // namespace
}  // namespace tpbench::test
