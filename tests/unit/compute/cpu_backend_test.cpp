#include "compute/cpu_backend.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.hpp"
#include "matrices.hpp"

namespace tpbench::test {
namespace {

template <typename T>
class CpuBackendOf : public testing::Test {
 protected:
  static constexpr double kEpsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
};
using BothTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(CpuBackendOf, BothTypes);

struct Product {
  std::int64_t m, n, k;
};
constexpr Product kProducts[] = {{1, 1, 1},    {3, 5, 7},   {17, 1, 33}, {1, 64, 9},
                                 {64, 63, 65}, {2, 129, 1}, {7, 60, 132}};

TYPED_TEST(CpuBackendOf, MultipliesAsThreeLoopsDo) {
  for (const Product& p : kProducts) {
    for (const std::int64_t extra : {0, 3}) {
      SCOPED_TRACE(testing::Message() << p.m << " x " << p.n << " x " << p.k << ", stride + " << extra);
      Strided<TypeParam> a(p.m, p.k, extra), b(p.k, p.n, 2 * extra), c(p.m, p.n, extra);
      this->backend_->poison(c.view());
      this->backend_->gemm(a.view(), b.view(), c.view());
      for (std::int64_t i = 0; i < p.m; ++i) {
        for (std::int64_t j = 0; j < p.n; ++j) {
          long double sum = 0;
          for (std::int64_t k = 0; k < p.k; ++k) sum += static_cast<long double>(a.at(i, k)) * b.at(k, j);
          ASSERT_NEAR(static_cast<double>(c.at(i, j)), static_cast<double>(sum),
                      static_cast<double>(p.k) * this->kEpsilon)
              << "entry " << i << ", " << j;
        }
      }
      EXPECT_TRUE(a.guards_untouched() && b.guards_untouched() && c.guards_untouched());
    }
  }
}

TYPED_TEST(CpuBackendOf, MultipliesTransposesAndAdds) {
  constexpr std::int64_t m = 5, n = 7, k = 9;
  for (const bool a_turned : {false, true}) {
    for (const bool b_turned : {false, true}) {
      Strided<TypeParam> a(a_turned ? k : m, a_turned ? m : k, 2), b(b_turned ? n : k, b_turned ? k : n, 1);
      Strided<TypeParam> c(m, n, 3), before(m, n, 3);
      this->backend_->gemm_add({a.view(), a_turned}, {b.view(), b_turned}, c.view());
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          long double sum = before.at(i, j);
          for (std::int64_t x = 0; x < k; ++x) {
            sum += static_cast<long double>(a_turned ? a.at(x, i) : a.at(i, x)) *
                   static_cast<long double>(b_turned ? b.at(j, x) : b.at(x, j));
          }
          ASSERT_NEAR(static_cast<double>(c.at(i, j)), static_cast<double>(sum), 20 * this->kEpsilon);
        }
      }
      EXPECT_TRUE(c.guards_untouched());
    }
  }
}

// Heads side by side in rows of tokens, times one below the other.
TYPED_TEST(CpuBackendOf, MultipliesEachOfAStack) {
  constexpr std::int64_t heads = 3, m = 5, n = 4, k = 2;
  for (const bool turned : {false, true}) {
    Strided<TypeParam> a(m, heads * k, 1), b(heads * (turned ? n : k), turned ? k : n, 2), c(m, heads * n, 3);
    const MatrixStack of_b = {b.view().row_slice(0, turned ? n : k), heads,
                              b.view().row_stride * (turned ? n : k)};
    this->backend_->poison(c.view());
    this->backend_->gemm(MatrixStack(a.view().column_slice(0, k), heads, k),
                         turned ? transposed(of_b) : Factor(of_b),
                         MatrixStack(c.view().column_slice(0, n), heads, n));
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (std::int64_t x = 0; x < k; ++x)
            sum += static_cast<double>(a.at(i, head * k + x)) *
                   static_cast<double>(turned ? b.at(head * n + j, x) : b.at(head * k + x, j));
          ASSERT_NEAR(static_cast<double>(c.at(i, head * n + j)), sum, 20 * this->kEpsilon);
        }
      }
    }
    EXPECT_TRUE(c.guards_untouched());
  }
}

// -- gradients, by central differences of what they are the gradients of

using Row = std::vector<long double>;
constexpr long double kStep = 1e-6L;

// The slope of `output` at entry i of `at`, in the direction `dy` of the outputs.
template <typename Output>
double slope(Row at, std::size_t i, const Row& dy, const Output& output) {
  const auto along = [&](long double by) {
    Row moved = at;
    moved[i] += by;
    const Row y = output(moved);
    long double sum = 0;
    for (std::size_t c = 0; c < y.size(); ++c) sum += y[c] * dy[c];
    return sum;
  };
  return static_cast<double>((along(kStep) - along(-kStep)) / (2 * kStep));
}

template <typename T>
Row row_of(Strided<T>& x, std::int64_t r) {
  Row row;
  for (std::int64_t c = 0; c < x.columns(); ++c) row.push_back(x.at(r, c));
  return row;
}

Row gelu_of(const Row& x) {
  Row y;
  const long double root = std::sqrt(2 / std::acos(-1.0L));
  for (const long double v : x) y.push_back(v / 2 * (1 + std::tanh(root * (v + 0.044715L * v * v * v))));
  return y;
}

Row swiglu_of(const Row& x) {
  Row y;
  const std::size_t half = x.size() / 2;
  for (std::size_t c = 0; c < half; ++c) y.push_back(x[c] / (1 + std::exp(-x[c])) * x[half + c]);
  return y;
}

Row norm_of(Norm kind, const Row& x, const Row& gain, const Row& shift) {
  const auto count = static_cast<long double>(x.size());
  long double mean = 0, squares = 0;
  for (const long double v : x) mean += kind == Norm::layer_norm ? v / count : 0;
  for (const long double v : x) squares += (v - mean) * (v - mean) / count;
  Row y;
  for (std::size_t c = 0; c < x.size(); ++c)
    y.push_back((x[c] - mean) / std::sqrt(squares + 1e-5L) * gain[c] + (shift.empty() ? 0 : shift[c]));
  return y;
}

Row softmax_of(const Row& x, std::size_t valid, long double scale) {
  Row y(x.size(), 0);
  long double sum = 0;
  for (std::size_t c = 0; c < valid; ++c) sum += y[c] = std::exp(scale * x[c]);
  for (std::size_t c = 0; c < valid; ++c) y[c] /= sum;
  return y;
}

constexpr double kDifferenceError = 1e-8;

TYPED_TEST(CpuBackendOf, GeluBackwardIsTheSlopeOfGelu) {
  Strided<TypeParam> x(3, 21, 2), dy(3, 21, 1), dx(3, 21, 0);
  this->backend_->gelu_backward(x.view(), dy.view(), dx.view());
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < 21; ++c) {
      EXPECT_NEAR(static_cast<double>(dx.at(r, c)),
                  slope(row_of(x, r), static_cast<std::size_t>(c), row_of(dy, r), gelu_of),
                  kDifferenceError + 20 * this->kEpsilon);
    }
  }
  this->backend_->gelu_backward(x.view(), dy.view(), dy.view());
  for (std::int64_t c = 0; c < 21; ++c) EXPECT_EQ(dy.at(1, c), dx.at(1, c)) << "in place";
}

TYPED_TEST(CpuBackendOf, SwigluBackwardIsTheSlopeOfSwiglu) {
  Strided<TypeParam> x(3, 22, 2), dy(3, 11, 1), dx(3, 22, 0);
  this->backend_->swiglu_backward(x.view(), dy.view(), dx.view());
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < 22; ++c) {
      EXPECT_NEAR(static_cast<double>(dx.at(r, c)),
                  slope(row_of(x, r), static_cast<std::size_t>(c), row_of(dy, r), swiglu_of),
                  kDifferenceError + 20 * this->kEpsilon);
    }
  }
  Strided<TypeParam> both(3, 22, 0);
  this->backend_->copy(dy.view(), both.view().column_slice(0, 11));
  this->backend_->swiglu_backward(x.view(), both.view().column_slice(0, 11), both.view());
  for (std::int64_t c = 0; c < 22; ++c) EXPECT_EQ(both.at(2, c), dx.at(2, c)) << "in place";
}

TYPED_TEST(CpuBackendOf, NormsRowsAndTheirGradients) {
  constexpr std::int64_t kRows = 4, kColumns = 19;
  for (const Norm kind : {Norm::layer_norm, Norm::rms_norm}) {
    SCOPED_TRACE(name_of(kind));
    const std::int64_t parameter_rows = kind == Norm::layer_norm ? 2 : 1;
    Strided<TypeParam> x(kRows, kColumns, 1), parameters(parameter_rows, kColumns, 0), y(kRows, kColumns, 2);
    Strided<TypeParam> dy(kRows, kColumns, 0), dx(kRows, kColumns, 0), before(kRows, kColumns, 0);
    Strided<TypeParam> dparameters(parameter_rows, kColumns, 0);
    const Row gain = row_of(parameters, 0), shift = kind == Norm::layer_norm ? row_of(parameters, 1) : Row{};
    this->backend_->poison(y.view());
    this->backend_->poison(dparameters.view());
    this->backend_->norm(kind, x.view(), parameters.view(), y.view());
    this->backend_->norm_backward(kind, x.view(), parameters.view(), dy.view(), dx.view(),
                                  dparameters.view());
    const double tolerance = kDifferenceError + 100 * this->kEpsilon;
    for (std::int64_t c = 0; c < kColumns; ++c) {
      const auto i = static_cast<std::size_t>(c);
      double gain_slope = 0, shift_slope = 0;
      for (std::int64_t r = 0; r < kRows; ++r) {
        const Row row = row_of(x, r), gradient = row_of(dy, r);
        EXPECT_NEAR(static_cast<double>(y.at(r, c)), static_cast<double>(norm_of(kind, row, gain, shift)[i]),
                    tolerance);
        const double expected =
            slope(row, i, gradient, [&](const Row& at) { return norm_of(kind, at, gain, shift); });
        EXPECT_NEAR(static_cast<double>(dx.at(r, c)) - static_cast<double>(before.at(r, c)), expected,
                    tolerance)
            << "is added";
        gain_slope += slope(gain, i, gradient, [&](const Row& at) { return norm_of(kind, row, at, shift); });
        shift_slope += static_cast<double>(gradient[i]);
      }
      EXPECT_NEAR(static_cast<double>(dparameters.at(0, c)), gain_slope, tolerance);
      if (kind == Norm::layer_norm) {
        EXPECT_NEAR(static_cast<double>(dparameters.at(1, c)), shift_slope, tolerance);
      }
    }
  }
}

TYPED_TEST(CpuBackendOf, SoftmaxSeesTheFirstEntriesAndSoDoesItsGradient) {
  constexpr std::int64_t kRows = 4, kColumns = 11;
  constexpr double kScale = 0.7;
  Strided<TypeParam> x(kRows, kColumns, 2), p(kRows, kColumns, 0), dp(kRows, kColumns, 1);
  Strided<TypeParam> dx(kRows, kColumns, 0);
  this->backend_->copy(x.view(), p.view());
  this->backend_->copy(dp.view(), dx.view());
  this->backend_->softmax(p.view(), {3, 2}, kScale);
  this->backend_->softmax_backward(p.view(), dx.view(), kScale);
  for (std::int64_t r = 0; r < kRows; ++r) {
    const auto valid = static_cast<std::size_t>(3 + 2 * r);
    const Row row = row_of(x, r);
    const auto softmax = [&](const Row& at) { return softmax_of(at, valid, kScale); };
    for (std::int64_t c = 0; c < kColumns; ++c) {
      const auto i = static_cast<std::size_t>(c);
      EXPECT_NEAR(static_cast<double>(p.at(r, c)), static_cast<double>(softmax(row)[i]), 20 * this->kEpsilon);
      if (i >= valid) {
        EXPECT_EQ(p.at(r, c), TypeParam(0));
      }
      EXPECT_NEAR(static_cast<double>(dx.at(r, c)), slope(row, i, row_of(dp, r), softmax),
                  kDifferenceError + 50 * this->kEpsilon);
    }
  }
}

// Scores so large that their exponentials overflow, and one that stands alone.
TYPED_TEST(CpuBackendOf, SoftmaxOfLargeScoresIsFinite) {
  Strided<TypeParam> x(1, 3, 0);
  x.at(0, 0) = TypeParam(1e4);
  x.at(0, 1) = TypeParam(-1e4);
  x.at(0, 2) = TypeParam(1e4);
  this->backend_->softmax(x.view(), {3, 0}, 1.0);
  EXPECT_EQ(x.at(0, 0), TypeParam(0.5));
  EXPECT_EQ(x.at(0, 1), TypeParam(0));
  this->backend_->softmax(x.view(), {1, 0}, 1.0);
  EXPECT_EQ(x.at(0, 0), TypeParam(1));
}

TYPED_TEST(CpuBackendOf, AddsEntryByEntry) {
  Strided<TypeParam> a(3, 9, 1), b(3, 9, 2), sum(3, 9, 0);
  this->backend_->add(a.view(), b.view(), sum.view());
  for (std::int64_t c = 0; c < 9; ++c) EXPECT_EQ(sum.at(2, c), a.at(2, c) + b.at(2, c));
}

// A part of the output may be written in place: the other columns are somebody else's.
TYPED_TEST(CpuBackendOf, MultipliesIntoASliceOfColumns) {
  Strided<TypeParam> a(4, 6, 0), b(6, 3, 0), c(4, 10, 0), before(4, 10, 0);
  this->backend_->gemm(a.view(), b.view(), c.view().column_slice(5, 3));
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 10; ++j) {
      if (j < 5 || j >= 8) {
        EXPECT_EQ(c.at(i, j), before.at(i, j));
      }
    }
  }
}

// Rounding of the argument of exp counts as often as the argument is large; beyond that the value itself
// vanishes.
TYPED_TEST(CpuBackendOf, GeluIsTheTanhForm) {
  Strided<TypeParam> x(3, 4001, 5);
  const auto value = [](std::int64_t c) { return static_cast<TypeParam>(c - 2000) / TypeParam(100); };
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < x.columns(); ++c) x.at(r, c) = value(c);
  }
  this->backend_->gelu(x.view(), x.view());
  const long double root = std::sqrt(2 / std::acos(-1.0L));
  for (std::int64_t r = 0; r < 3; ++r) {
    for (std::int64_t c = 0; c < x.columns(); ++c) {
      const long double v = value(c);
      const long double expected = v / 2 * (1 + std::tanh(root * (v + 0.044715L * v * v * v)));
      ASSERT_NEAR(static_cast<double>(x.at(r, c)), static_cast<double>(expected),
                  16 * this->kEpsilon * std::max(1.0, std::abs(static_cast<double>(v))))
          << "gelu of " << static_cast<double>(v);
    }
  }
  EXPECT_TRUE(x.guards_untouched());
}

TYPED_TEST(CpuBackendOf, SwigluGatesTheSecondHalf) {
  constexpr std::int64_t kHalf = 1501;
  Strided<TypeParam> x(2, 2 * kHalf, 3);
  const auto gate = [](std::int64_t c) { return static_cast<TypeParam>(c - kHalf / 2) / TypeParam(50); };
  const auto up = [](std::int64_t c) { return static_cast<TypeParam>(c % 7 - 3) / TypeParam(3); };
  for (std::int64_t r = 0; r < 2; ++r) {
    for (std::int64_t c = 0; c < kHalf; ++c) {
      x.at(r, c) = gate(c);
      x.at(r, kHalf + c) = up(c);
    }
  }
  this->backend_->swiglu(x.view(), x.view().column_slice(0, kHalf));
  for (std::int64_t r = 0; r < 2; ++r) {
    for (std::int64_t c = 0; c < kHalf; ++c) {
      const long double g = gate(c);
      const long double expected = g / (1 + std::exp(-g)) * static_cast<long double>(up(c));
      ASSERT_NEAR(static_cast<double>(x.at(r, c)), static_cast<double>(expected),
                  16 * this->kEpsilon * std::max(1.0, std::abs(static_cast<double>(g))))
          << "gate " << static_cast<double>(g);
      ASSERT_EQ(x.at(r, kHalf + c), up(c)) << "the second half is only read";
    }
  }
  EXPECT_TRUE(x.guards_untouched());
}

// Values so large that the exponential overflows: the result is 0 or x, and never NaN.
TYPED_TEST(CpuBackendOf, ActivationsOfLargeValuesAreFinite) {
  const std::vector<double> values = {-1e4, -500, -100, -30, 30, 100, 500, 1e4};
  const auto count = static_cast<std::int64_t>(values.size());
  Strided<TypeParam> x(1, count, 0), gated(1, 2 * count, 0);
  for (std::int64_t c = 0; c < count; ++c) {
    x.at(0, c) = gated.at(0, c) = static_cast<TypeParam>(values[static_cast<std::size_t>(c)]);
    gated.at(0, count + c) = TypeParam(1);
  }
  this->backend_->gelu(x.view(), x.view());
  this->backend_->swiglu(gated.view(), gated.view().column_slice(0, count));
  for (std::int64_t c = 0; c < count; ++c) {
    const double expected = std::max(0.0, values[static_cast<std::size_t>(c)]);
    EXPECT_NEAR(static_cast<double>(x.at(0, c)), expected, 16 * this->kEpsilon * (1 + expected)) << c;
    EXPECT_NEAR(static_cast<double>(gated.at(0, c)), expected, 1e-11 + 16 * this->kEpsilon * (1 + expected))
        << c;
  }
}

// Small, and large enough to be shared among threads; many short rows and one long one.
constexpr std::pair<std::int64_t, std::int64_t> kShapes[] = {{1, 1},     {5, 7},     {0, 5},    {5, 0},
                                                             {3000, 11}, {1, 40001}, {130, 257}};

TYPED_TEST(CpuBackendOf, CopiesBetweenStrides) {
  for (const auto& [rows, columns] : kShapes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    Strided<TypeParam> from(rows, columns, 4), to(rows, columns, 9);
    this->backend_->poison(to.view());
    this->backend_->copy(from.view(), to.view());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) ASSERT_EQ(to.at(r, c), from.at(r, c));
    }
    EXPECT_TRUE(from.guards_untouched() && to.guards_untouched());
  }
}

TYPED_TEST(CpuBackendOf, SetsZeroInsideTheViewOnly) {
  for (const auto& [rows, columns] : kShapes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    Strided<TypeParam> x(rows, columns, 4);
    this->backend_->poison(x.view());
    this->backend_->set_zero(x.view());
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) ASSERT_EQ(x.at(r, c), TypeParam(0));
    }
    EXPECT_TRUE(x.guards_untouched());
  }
}

TYPED_TEST(CpuBackendOf, PoisonsInsideTheViewOnly) {
  Strided<TypeParam> x(5, 7, 4);
  this->backend_->poison(x.view());
  for (std::int64_t r = 0; r < 5; ++r) {
    for (std::int64_t c = 0; c < 7; ++c) EXPECT_TRUE(std::isnan(x.at(r, c)));
  }
  EXPECT_TRUE(x.guards_untouched());
}

TYPED_TEST(CpuBackendOf, FillsTheSameWithAnyNumberOfThreads) {
  const TensorKey key = {.seed = 3, .tensor = 2};
  Strided<TypeParam> expected(37, 19, 2);
  fill_rows(expected.view(), key, 4, 6, 0, 37);
  for (int threads = 1; threads <= 4; ++threads) {
    Strided<TypeParam> x(37, 19, 2);
    make_cpu_backend(threads)->fill(x.view(), key, 4, 6);
    for (std::int64_t r = 0; r < 37; ++r) {
      for (std::int64_t c = 0; c < 19; ++c) ASSERT_EQ(x.at(r, c), expected.at(r, c));
    }
    EXPECT_TRUE(x.guards_untouched());
  }
}

TYPED_TEST(CpuBackendOf, ShowsItsRowsToTheHost) {
  Strided<TypeParam> x(5, 7, 4);
  std::vector<std::byte> scratch;
  const auto* row = static_cast<const TypeParam*>(this->backend_->host_view(x.view(), scratch).row(3));
  for (std::int64_t c = 0; c < 7; ++c) EXPECT_EQ(row[c], x.at(3, c));
}

TEST(CpuBackend, CountsItsMatrices) {
  const auto backend = make_cpu_backend(1);
  const Matrix matrix = backend->make_matrix(Category::gradients, DType::f32, 3, 5);
  EXPECT_EQ(backend->memory().in_use()[Category::gradients], 60);
  EXPECT_EQ(matrix.view().row_stride, 5);
  backend->set_zero(matrix.view());
  backend->flush_caches();
  EXPECT_EQ(static_cast<const float*>(matrix.view().data)[14], 0.0F);
}

TEST(CpuBackend, UsesTheThreadsAskedFor) {
  EXPECT_EQ(make_cpu_backend(1)->threads(), 1);
  EXPECT_EQ(make_cpu_backend(2)->threads(), 2);
}

TEST(Backends, AreMadeByName) {
  for (const BackendEntry& entry : all_backends()) {
    EXPECT_EQ(find_backend(entry.name), &entry);
    EXPECT_TRUE(entry.describe().is_object());
  }
  EXPECT_NE(find_backend("cpu")->make({}), nullptr);
  EXPECT_FALSE(find_backend("cpu")->device());
  EXPECT_EQ(find_backend("abacus"), nullptr);
}

}  // namespace
}  // namespace tpbench::test
