#include "layers/reference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string_view>

#include "compute/cpu_backend.hpp"
#include "layers/attention_part.hpp"
#include "layers/layer.hpp"
#include "layers/mlp_part.hpp"
#include "layers/norm_reference.hpp"
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
  for (const TensorName name : {TensorName::weight, TensorName::gate, TensorName::up, TensorName::down,
                                TensorName::embedding, TensorName::head}) {
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
  const auto made = generated_rows<TypeParam>(TestFixture::kDType, this->key_, rows, {3, 14});
  ASSERT_EQ(made.columns, 11);
  ASSERT_EQ(made.values.size(), 33U);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto expected = this->row(rows[r], 14);
    for (std::size_t c = 0; c < 11; ++c) EXPECT_EQ(made.row(r)[c], expected[c + 3]);
  }
}

// Narrow types are read as they are stored: rounded, alone and in products.
template <typename T>
class ReferenceOfHalf : public testing::Test {};
using HalfTypes = testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(ReferenceOfHalf, HalfTypes);

TYPED_TEST(ReferenceOfHalf, ReadsTheStoredValues) {
  const TensorKey key = {.seed = 9, .tensor = 2, .layer = 1, .scale = 0.3};
  std::vector<TypeParam> stored(29);
  fill_row(stored.data(), key, 4, 0, 29);
  const std::vector<std::int64_t> rows = {4};
  const auto made = generated_rows<float>(kDTypeOf<TypeParam>, key, rows, {0, 29});
  // A row that picks row 4 out of the tensor.
  ReferenceRows<double> pick{5, {0, 0, 0, 0, 1}};
  Heartbeat heartbeat;
  const auto backend = make_cpu_backend(1);
  const auto picked =
      ReferenceMath<float>(kDTypeOf<TypeParam>, *backend, heartbeat).times(pick, key, {0, 29});
  for (std::size_t c = 0; c < stored.size(); ++c) {
    EXPECT_EQ(made.row(0)[c], static_cast<double>(float(stored[c])));
    EXPECT_EQ(picked.row(0)[c], static_cast<double>(float(stored[c])));
  }
}

TYPED_TEST(ReferenceOf, MultipliesWithATensorItMakesOnTheWay) {
  using Wide = typename TestFixture::Real;
  constexpr std::int64_t kRows = 2, kInner = 29, kFirst = 4, kLast = 15;
  ReferenceRows<Wide> x{kInner, {}};
  for (std::int64_t i = 0; i < kRows * kInner; ++i) x.values.push_back(Wide(i % 11 - 5) / 8);
  Heartbeat heartbeat;
  const ReferenceMath<TypeParam> math(TestFixture::kDType, *this->backend_, heartbeat);
  const auto y = math.times(x, this->key_, {kFirst, kLast});
  EXPECT_GT(heartbeat.beats.load(), 0U);
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

TYPED_TEST(ReferenceOf, MultipliesWithTheTransposeOfATensor) {
  using Wide = typename TestFixture::Real;
  constexpr std::int64_t kInner = 29, kFirst = 4, kLast = 15;
  ReferenceRows<Wide> x{kInner, {}};
  for (std::int64_t i = 0; i < 2 * kInner; ++i) x.values.push_back(Wide(i % 11 - 5) / 8);
  Heartbeat heartbeat;
  const auto y = ReferenceMath<TypeParam>(TestFixture::kDType, *this->backend_, heartbeat)
                     .times_transposed(x, this->key_, {kFirst, kLast});
  ASSERT_EQ(y.columns, kLast - kFirst);
  for (std::size_t r = 0; r < 2; ++r) {
    for (std::int64_t k = kFirst; k < kLast; ++k) {
      const auto weights = this->row(k, kInner);
      Wide sum = 0;
      for (std::int64_t c = 0; c < kInner; ++c)
        sum += x.row(r)[c] * Wide(weights[static_cast<std::size_t>(c)]);
      EXPECT_LE(std::abs(y.row(r)[k - kFirst] - sum), this->kTolerance);
    }
  }
}

TYPED_TEST(ReferenceOf, MultipliesTheTransposeOfRows) {
  using Wide = typename TestFixture::Real;
  ReferenceRows<Wide> a{3, {1, 2, 3, 4, 5, 6}}, b{4, {1, 0, 2, 1, 0, 1, 1, 3}};
  Heartbeat heartbeat;
  const std::vector<std::int64_t> columns = {2, 0};
  const auto product = ReferenceMath<TypeParam>(TestFixture::kDType, *this->backend_, heartbeat)
                           .transposed_times(a, columns, b, {1, 4});
  EXPECT_EQ(product.values, (std::vector<Wide>{6, 12, 21, 4, 6, 13}));
}

// -- the reference's own backward, by central differences of its forward

using Rows = ReferenceRows<long double>;
using PartMaker = std::unique_ptr<ReferencePart<double>> (*)(const ReferenceContext&);

struct PartCase {
  const char* name;
  PartMaker make;
  Shape shape;
  std::vector<TensorName> weights;  // in the order of the gradients
};

Shape tiny(Activation activation, std::int64_t kv_heads) {
  return {.tokens = 10,
          .sequence_length = 5,
          .hidden_size = 12,
          .ffn_hidden_size = 7,
          .num_heads = 4,
          .num_kv_heads = kv_heads,
          .dtype = DType::f64,
          .activation = activation,
          .pass = Pass::forward_backward};
}

const PartCase kParts[] = {
    {"mlp_gelu", make_mlp_reference<double>, tiny(Activation::gelu, 4), {TensorName::up, TensorName::down}},
    {"mlp_swiglu",
     make_mlp_reference<double>,
     tiny(Activation::swiglu, 4),
     {TensorName::up, TensorName::down, TensorName::gate}},
    {"attention",
     make_attention_reference<double>,
     tiny(Activation::gelu, 4),
     {TensorName::query, TensorName::key, TensorName::value, TensorName::out}},
    {"attention_of_groups",
     make_attention_reference<double>,
     tiny(Activation::gelu, 2),
     {TensorName::query, TensorName::key, TensorName::value, TensorName::out}},
};

long double scalar_product(const Rows& a, const Rows& b) {
  long double sum = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i) sum += a.values[i] * b.values[i];
  return sum;
}

class BackwardOf : public testing::TestWithParam<PartCase> {
 protected:
  const Shape& shape() const { return GetParam().shape; }
  Rows rows(const TensorKey& key) const {
    return generated_rows<double>(DType::f64, key, tokens_, {0, shape().hidden_size});
  }
  std::unique_ptr<ReferencePart<double>> part(const std::optional<Nudge>& nudge = {}) {
    return GetParam().make({shape(), 1, 0, *backend_, heartbeat_, nudge});
  }

  static constexpr double kStep = 0x1p-13;
  static constexpr double kTolerance = 1e-6;
  const std::vector<std::int64_t> tokens_ = all_rows({0, 10});
  const Rows x_ = rows(input_key(1)), dy_ = rows(output_gradient_key(1));
  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
  Heartbeat heartbeat_;
};

TEST_P(BackwardOf, InputsIsTheSlopeOfForward) {
  const auto whole = part();
  whole->forward(x_, tokens_);
  const Rows dx = whole->backward(dy_);
  for (std::size_t i = 0; i < x_.values.size(); i += 7) {
    Rows more = x_, less = x_;
    more.values[i] += static_cast<long double>(kStep);
    less.values[i] -= static_cast<long double>(kStep);
    const long double slope = (scalar_product(part()->forward(more, tokens_), dy_) -
                               scalar_product(part()->forward(less, tokens_), dy_)) /
                              (2 * static_cast<long double>(kStep));
    EXPECT_NEAR(static_cast<double>(dx.values[i] - slope), 0, kTolerance) << i;
  }
}

TEST_P(BackwardOf, WeightsIsTheSlopeOfForward) {
  const auto whole = part();
  whole->forward(x_, tokens_);
  whole->backward(dy_);
  for (std::size_t index = 0; index < GetParam().weights.size(); ++index) {
    const TensorKey key = weight_key(1, GetParam().weights[index], 0, 1);
    for (const std::int64_t row : {0, 3, 6}) {
      for (const std::int64_t column : {0, 2, 5}) {
        const auto output = [&](double by) {
          return scalar_product(part(Nudge{key, row, column, by})->forward(x_, tokens_), dy_);
        };
        // The nudged weight is rounded to double: the step is a power of two, the weights are multiples of
        // less.
        const long double slope = (output(kStep) - output(-kStep)) / (2 * static_cast<long double>(kStep));
        const std::int64_t rows[] = {row};
        const auto gradient = whole->gradient(index, rows, {column, column + 1}).values.front();
        EXPECT_NEAR(static_cast<double>(gradient - slope), 0, kTolerance)
            << index << " " << row << " " << column;
        EXPECT_NE(gradient, 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, BackwardOf, testing::ValuesIn(kParts),
                         [](const auto& test) { return test.param.name; });

TEST(BackwardOfNorms, IsTheSlopeOfForward) {
  for (const Norm kind : {Norm::rms_norm, Norm::layer_norm}) {
    const auto key = [](std::uint32_t tensor) { return TensorKey{.seed = 5, .tensor = tensor}; };
    const std::int64_t norm_rows = kind == Norm::layer_norm ? 2 : 1;
    const Rows x = generated_rows<double>(DType::f64, key(1), all_rows({0, 3}), {0, 6});
    const Rows dy = generated_rows<double>(DType::f64, key(2), all_rows({0, 3}), {0, 6});
    const Rows parameters = generated_rows<double>(DType::f64, key(3), all_rows({0, norm_rows}), {0, 6});
    Rows dparameters;
    const Rows dx = NormReference<long double>(kind, x, parameters).backward(dy, dparameters);
    constexpr long double kStep = 0x1p-13L;
    const auto check = [&](const Rows& at, const Rows& gradient, const auto& output) {
      for (std::size_t i = 0; i < at.values.size(); ++i) {
        Rows more = at, less = at;
        more.values[i] += kStep;
        less.values[i] -= kStep;
        const long double slope =
            (scalar_product(output(more), dy) - scalar_product(output(less), dy)) / (2 * kStep);
        EXPECT_NEAR(static_cast<double>(gradient.values[i] - slope), 0, 1e-6) << name_of(kind) << " " << i;
      }
    };
    check(x, dx, [&](const Rows& at) { return NormReference<long double>(kind, at, parameters).output(); });
    check(parameters, dparameters,
          [&](const Rows& at) { return NormReference<long double>(kind, x, at).output(); });
  }
}

TEST(EarlierTokens, AreThoseOfTheSameSequence) {
  const Shape shape = {.tokens = 12, .sequence_length = 4};
  EXPECT_EQ(with_earlier_tokens(shape, std::vector<std::int64_t>{1, 2, 9}),
            (std::vector<std::int64_t>{0, 1, 2, 8, 9}));
  EXPECT_EQ(with_earlier_tokens(shape, all_rows({0, 12})), all_rows({0, 12}));
}

TEST(FirstTokens, AreCheapToHaveAlone) {
  const Shape shape = {.tokens = 64, .sequence_length = 16};
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const auto rows = first_tokens(shape, {24, 64}, 8, seed);
    ASSERT_FALSE(rows.empty());
    EXPECT_LE(rows.size(), 8U);
    for (const std::int64_t row : rows) EXPECT_LT((row + 24) % 16, 5) << row;
  }
  EXPECT_TRUE(first_tokens(shape, {17, 32}, 8, 1).empty()) << "no sequence begins there";
  const Shape decode = {.tokens = 3, .sequence_length = 1};
  EXPECT_EQ(first_tokens(decode, {0, 3}, 8, 1), (std::vector<std::int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace tpbench
