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
  this->backend_->gelu(x.view());
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
  this->backend_->swiglu(x.view());
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
  this->backend_->gelu(x.view());
  this->backend_->swiglu(gated.view());
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
  std::vector<std::byte> scratch(7 * sizeof(TypeParam));
  const auto* row = static_cast<const TypeParam*>(this->backend_->host_row(x.view(), 3, scratch));
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
    EXPECT_NE(entry.make(1), nullptr);
    EXPECT_TRUE(entry.describe().is_object());
  }
  EXPECT_EQ(find_backend("abacus"), nullptr);
}

}  // namespace
}  // namespace tpbench::test
