#include <gtest/gtest.h>

#include <cmath>

#include "compute/cpu_backend.hpp"
#include "matrices.hpp"

namespace tpbench::test {
namespace {

// Of a vocabulary of 12 this rank holds ids 4 to 8, with one row of padding. Ids of others, of both edges,
// one of them three times.
constexpr std::int64_t kIds[] = {8, 0, 4, 8, 11, 3, 9, 8, 6};
constexpr std::int64_t kTokens = std::size(kIds);
constexpr TokenIds kHeld = {kIds, kTokens, 4, 5};
constexpr std::int64_t kRows = 6;

template <typename T>
class VocabularyOf : public testing::Test {
 protected:
  static constexpr double kEpsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
};
using BothTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(VocabularyOf, BothTypes);

TYPED_TEST(VocabularyOf, LooksUpWhatIsHeldAndZeros) {
  Strided<TypeParam> table(kRows, 7, 2), y(kTokens, 7, 3);
  this->backend_->poison(y.view());
  this->backend_->look_up(kHeld, table.view(), y.view());
  for (std::int64_t r = 0; r < kTokens; ++r) {
    const bool held = kIds[r] >= 4 && kIds[r] < 9;
    for (std::int64_t c = 0; c < 7; ++c)
      EXPECT_EQ(y.at(r, c), held ? table.at(kIds[r] - 4, c) : TypeParam(0)) << r << ", " << c;
  }
  EXPECT_TRUE(y.guards_untouched());
}

TYPED_TEST(VocabularyOf, SumsTheGradientsOfEachId) {
  for (const Store store : {Store::overwrite, Store::add}) {
    // So wide that threads share it.
    Strided<TypeParam> dy(kTokens, 3001, 2), dtable(kRows, 3001, 3), before(kRows, 3001, 3);
    this->backend_->look_up_backward(kHeld, dy.view(), dtable.view(), store);
    for (std::int64_t i = 0; i < kRows; ++i) {
      for (std::int64_t c = 0; c < 3001; ++c) {
        double sum = store == Store::add ? static_cast<double>(before.at(i, c)) : 0;
        for (std::int64_t r = 0; r < kTokens; ++r)
          sum += kIds[r] - 4 == i && i < 5 ? static_cast<double>(dy.at(r, c)) : 0;
        ASSERT_NEAR(static_cast<double>(dtable.at(i, c)), sum, 8 * this->kEpsilon) << i << ", " << c;
      }
    }
    EXPECT_TRUE(dtable.guards_untouched());
  }
}

// Two halves of the columns of the same logits, as two ranks have them, against the whole.
TYPED_TEST(VocabularyOf, SharesACrossEntropyBetweenRanks) {
  using T = TypeParam;
  constexpr std::int64_t kVocabulary = 12, kHalf = 7;
  Strided<T> whole(kTokens, kVocabulary, 0);
  for (std::int64_t r = 0; r < kTokens; ++r) {
    for (std::int64_t c = 0; c < kVocabulary; ++c) whole.at(r, c) *= T(40);
  }
  const TokenIds of_half[] = {{kIds, kTokens, 0, kHalf}, {kIds, kTokens, kHalf, kVocabulary - kHalf}};
  Strided<T> half[] = {{kTokens, kHalf, 2}, {kTokens, kHalf, 2}};
  Strided<T> maxima[] = {{1, kTokens, 0}, {1, kTokens, 0}}, sums[] = {{1, kTokens, 0}, {1, kTokens, 0}},
             targets[] = {{1, kTokens, 0}, {1, kTokens, 0}}, loss(1, kTokens, 1);
  for (int rank = 0; rank < 2; ++rank) {
    for (std::int64_t r = 0; r < kTokens; ++r) {
      for (std::int64_t c = 0; c < kHalf; ++c) {
        const std::int64_t id = rank * kHalf + c;
        half[rank].at(r, c) = id < kVocabulary ? whole.at(r, id) : T(1000);  // padding counts for nothing
      }
    }
    this->backend_->row_maxima(of_half[rank], half[rank].view(), maxima[rank].view());
  }
  for (std::int64_t r = 0; r < kTokens; ++r)
    maxima[0].at(0, r) = maxima[1].at(0, r) = std::max(maxima[0].at(0, r), maxima[1].at(0, r));
  for (int rank = 0; rank < 2; ++rank) {
    this->backend_->exponentials(of_half[rank], half[rank].view(), maxima[rank].view(), sums[rank].view(),
                                 targets[rank].view());
  }
  for (std::int64_t r = 0; r < kTokens; ++r) {
    sums[0].at(0, r) = sums[1].at(0, r) = sums[0].at(0, r) + sums[1].at(0, r);
    targets[0].at(0, r) += targets[1].at(0, r);
  }
  this->backend_->cross_entropy(sums[0].view(), targets[0].view(), loss.view());
  for (int rank = 0; rank < 2; ++rank)
    this->backend_->cross_entropy_backward(of_half[rank], sums[rank].view(), half[rank].view());
  for (std::int64_t r = 0; r < kTokens; ++r) {
    long double sum = 0;
    for (std::int64_t c = 0; c < kVocabulary; ++c) sum += std::exp(static_cast<long double>(whole.at(r, c)));
    const long double expected = std::log(sum) - static_cast<long double>(whole.at(r, kIds[r]));
    EXPECT_NEAR(static_cast<double>(loss.at(0, r)), static_cast<double>(expected), 64 * this->kEpsilon) << r;
    for (std::int64_t id = 0; id < 2 * kHalf; ++id) {
      long double gradient = 0;
      if (id < kVocabulary)
        gradient = std::exp(static_cast<long double>(whole.at(r, id))) / sum - (id == kIds[r] ? 1 : 0);
      EXPECT_NEAR(static_cast<double>(half[id / kHalf].at(r, id % kHalf)), static_cast<double>(gradient),
                  32 * this->kEpsilon)
          << r << ", " << id;
    }
  }
  EXPECT_TRUE(half[0].guards_untouched() && half[1].guards_untouched() && loss.guards_untouched());
}

// A rank without an id of its own, and logits whose exponentials would overflow.
TYPED_TEST(VocabularyOf, TakesNothingAndLargeLogits) {
  using T = TypeParam;
  const TokenIds none = {kIds, 1, 12, 0}, one = {kIds, 1, 8, 2};
  Strided<T> x(1, 2, 0), maxima(1, 1, 0), sums(1, 1, 0), targets(1, 1, 0);
  this->backend_->row_maxima(none, x.view(), maxima.view());
  EXPECT_EQ(maxima.at(0, 0), T(kLeastLogit));
  maxima.at(0, 0) = 3;
  this->backend_->exponentials(none, x.view(), maxima.view(), sums.view(), targets.view());
  EXPECT_EQ(sums.at(0, 0), 0);
  EXPECT_EQ(targets.at(0, 0), 0);
  EXPECT_EQ(x.at(0, 1), 0);
  x.at(0, 0) = 20000;
  x.at(0, 1) = 19999;
  this->backend_->row_maxima(one, x.view(), maxima.view());
  this->backend_->exponentials(one, x.view(), maxima.view(), sums.view(), targets.view());
  EXPECT_EQ(x.at(0, 0), 1);
  EXPECT_NEAR(static_cast<double>(sums.at(0, 0)), 1 + std::exp(-1.0), 4 * this->kEpsilon);
}

}  // namespace
}  // namespace tpbench::test
