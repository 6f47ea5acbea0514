#include "layers/reference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string_view>

#include "compute/cpu_backend.hpp"
#include "layers/layer.hpp"
#include "layers/tensors.hpp"
#include "workload/workload.hpp"

namespace tpbench {
namespace {

TEST(Layers, RunExactlyTheWorkloadsOfTheCatalog) {
  std::set<std::string_view> layers, workloads;
  for (const LayerEntry& entry : all_layers()) {
    EXPECT_EQ(find_layer(entry.workload), &entry);
    layers.insert(entry.workload);
  }
  for (const Workload* workload : all_workloads()) workloads.insert(workload->name);
  EXPECT_EQ(layers, workloads);
  EXPECT_EQ(find_layer("convolution"), nullptr);
}

// Weights are scaled so that outputs are as large as inputs, and every tensor has values of its own.
TEST(Tensors, HaveStreamsOfTheirOwn) {
  std::set<std::uint32_t> tensors = {input_key(1).tensor};
  for (const TensorName name : {TensorName::weight, TensorName::gate, TensorName::up, TensorName::down}) {
    EXPECT_TRUE(tensors.insert(weight_key(1, name, 0, 48).tensor).second);
    EXPECT_DOUBLE_EQ(weight_key(1, name, 0, 48).scale, 0.25);
  }
  for (std::int64_t rank = 0; rank < 64; ++rank)
    EXPECT_TRUE(tensors.insert(probe_key(1, rank).tensor).second);
}

template <typename T>
class ReferenceOf : public testing::Test {
 protected:
  using Real = typename Wider<T>::type;
  static constexpr DType kDType = sizeof(T) == 4 ? DType::f32 : DType::f64;
  static constexpr Real kTolerance = sizeof(T) == 4 ? Real(1e-13) : Real(1e-16L);
  const TensorKey key_ = {.seed = 9, .tensor = 2, .layer = 1, .scale = 0.3};
  std::unique_ptr<Backend> backend_ = make_cpu_backend(3);

  std::vector<T> row(std::int64_t r, std::int64_t count) const {
    std::vector<T> values(static_cast<std::size_t>(count));
    fill_row(values.data(), key_, r, 0, count);
    return values;
  }
};
using BothTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(ReferenceOf, BothTypes);

TYPED_TEST(ReferenceOf, MakesTheRowsAskedFor) {
  const std::vector<std::int64_t> rows = {5, 0, 17};
  const auto made = generated_rows<TypeParam>(this->key_, rows, {3, 14});
  ASSERT_EQ(made.columns, 11);
  ASSERT_EQ(made.values.size(), 33U);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto expected = this->row(rows[r], 14);
    for (std::size_t c = 0; c < 11; ++c) EXPECT_EQ(made.row(r)[c], expected[c + 3]);
  }
}

TYPED_TEST(ReferenceOf, MultipliesWithATensorItMakesOnTheWay) {
  using Wide = typename TestFixture::Real;
  constexpr std::int64_t kRows = 2, kInner = 29, kFirst = 4, kLast = 15;
  ReferenceRows<Wide> x{kInner, {}};
  for (std::int64_t i = 0; i < kRows * kInner; ++i) x.values.push_back(Wide(i % 11 - 5) / 8);
  const auto y = times_generated<TypeParam>(x, this->key_, {kFirst, kLast}, *this->backend_);
  ASSERT_EQ(y.columns, kLast - kFirst);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::int64_t c = kFirst; c < kLast; ++c) {
      Wide sum = 0;
      for (std::int64_t k = 0; k < kInner; ++k)
        sum += x.row(r)[k] * Wide(this->row(k, kLast)[static_cast<std::size_t>(c)]);
      EXPECT_LE(std::abs(y.row(r)[c - kFirst] - sum), this->kTolerance);
    }
  }
}

TYPED_TEST(ReferenceOf, SumsRowsWithSigns) {
  constexpr std::int64_t kColumns = 37;
  const auto signs = random_signs(4, kColumns);
  const auto sums =
      generated_times_signs(this->kDType, this->key_, {6, 20}, {2, kColumns}, signs, *this->backend_);
  ASSERT_EQ(sums.size(), 14U);
  for (std::int64_t r = 6; r < 20; ++r) {
    const auto values = this->row(r, kColumns);
    double sum = 0;
    for (std::size_t c = 2; c < kColumns; ++c) sum += static_cast<double>(values[c]) * signs[c];
    EXPECT_NEAR(sums[static_cast<std::size_t>(r - 6)], sum, 1e-14);
  }
}

// Factors may go on beyond the matrix: a slice of columns takes its own alone.
TYPED_TEST(ReferenceOf, SumsRowsOfAMatrixWithSigns) {
  std::vector<TypeParam> values(3 * 10, TypeParam(1));
  const MatrixView slice = {values.data() + 2, this->kDType, 3, 4, 10};
  const std::vector<double> factors = {1, 2, 3, 4, 1000, 1000};
  EXPECT_EQ(times_signs(slice, factors, *this->backend_), (std::vector<double>{10, 10, 10}));
}

TYPED_TEST(ReferenceOf, MultipliesARowWithFactors) {
  for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 100U}) {
    const auto values = this->row(0, 100);
    const std::vector<double> factors(count, 2.0);
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) sum += 2 * static_cast<double>(values[i]);
    EXPECT_NEAR(dot_row(values.data(), this->kDType, factors), sum, 1e-13) << count;
  }
}

TEST(RandomSigns, AreBothAndTheSameForASeed) {
  const auto signs = random_signs(1, 1000);
  int positive = 0;
  for (const double sign : signs) {
    EXPECT_EQ(std::abs(sign), 1.0);
    positive += sign > 0 ? 1 : 0;
  }
  EXPECT_NEAR(positive, 500, 80);
  EXPECT_EQ(random_signs(1, 1000), signs);
  EXPECT_NE(random_signs(2, 1000), signs);
  const auto fewer = random_signs(1, 10);
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), signs.begin())) << "a sign depends on its column alone";
}

}  // namespace
}  // namespace tpbench
