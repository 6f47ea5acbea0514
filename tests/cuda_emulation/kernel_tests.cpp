// Every kernel of src/cuda/, run by the emulation, against the CPU backend.

#include <sys/mman.h>

#include "compute/cpu_backend.hpp"
#include "cuda/kernels.hpp"
#include "tensors.hpp"

namespace tpbench::test {
namespace {

constexpr cudaStream_t kQueue = nullptr;

// Aligned and wide, strided, where packs break on the width, on the stride, on the address; one entry, one
// row, more than a block of threads takes at once; narrow and many; none.
constexpr Layout kLayouts[] = {{1, 1},        {1, 64},     {5, 48},   {5, 48, 16},  {5, 48, 3},
                               {5, 48, 8, 1}, {4, 37, 2},  {3, 1000}, {2, 4104, 8}, {2, 1301},
                               {300, 8},      {301, 2, 1}, {0, 16},   {16, 0}};
// More than there are blocks of one row. Whatever the type, the loop is the same: one of them is enough.
constexpr Layout kManyRows = {17000, 6, 1};

class Kernels : public testing::TestWithParam<DType> {
 protected:
  // Calls `check(layout)` with every layout, and one whose rows are more than blocks where `many_rows` says
  // so.
  template <typename Check>
  void for_layouts(const Check& check) {
    for (const Layout& layout : kLayouts) {
      SCOPED_TRACE(testing::Message() << layout);
      check(layout);
      if (HasFatalFailure()) return;
    }
  }
  [[nodiscard]] Tensor make(const Layout& layout, std::uint32_t tensor) const {
    return {GetParam(), layout, tensor};
  }
  // Of the same shape, elsewhere in memory.
  [[nodiscard]] Tensor make_result(std::int64_t rows, std::int64_t columns, const Layout& like) const {
    Tensor result(GetParam(), {rows, columns, like.extra, like.shift});
    cuda::poison(result.view(), kQueue);
    return result;
  }

  std::unique_ptr<Backend> cpu_ = make_cpu_backend(1);
};

INSTANTIATE_TEST_SUITE_P(Each, Kernels,
                         testing::Values(DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16),
                         [](const auto& of) { return std::string(name_of(of.param)); });

TEST_P(Kernels, Gelu) {
  for_layouts([&](const Layout& layout) {
    Tensor x = make(layout, 1), wide = x.widened();
    Tensor y = make_result(layout.rows, layout.columns, layout);
    cuda::gelu(x.view(), y.view(), kQueue);
    cpu_->gelu(wide.view(), wide.view());
    expect_near(y, wide, 8);
    cuda::gelu(x.view(), x.view(), kQueue);
    expect_near(x, wide, 8);
  });
}

TEST_P(Kernels, GeluBackward) {
  for_layouts([&](const Layout& layout) {
    Tensor x = make(layout, 1), wide_x = x.widened();
    Tensor dy = make({layout.rows, layout.columns}, 2), wide = dy.widened();
    Tensor dx = make_result(layout.rows, layout.columns, layout);
    cuda::gelu_backward(x.view(), dy.view(), dx.view(), kQueue);
    cpu_->gelu_backward(wide_x.view(), wide.view(), wide.view());
    expect_near(dx, wide, 16);
    cuda::gelu_backward(x.view(), dy.view(), dy.view(), kQueue);
    expect_near(dy, wide, 16);
  });
}

TEST_P(Kernels, Swiglu) {
  for_layouts([&](const Layout& half) {
    const Layout layout{half.rows, 2 * half.columns, half.extra, half.shift};
    Tensor x = make(layout, 1), wide = x.widened();
    Tensor y = make_result(half.rows, half.columns, half);
    cuda::swiglu(x.view(), y.view(), kQueue);
    cpu_->swiglu(wide.view(), wide.view().column_slice(0, half.columns));
    Tensor expected(wide.dtype(), {half.rows, half.columns});
    cpu_->copy(wide.view().column_slice(0, half.columns), expected.view());
    expect_near(y, expected, 8);
    cuda::swiglu(x.view(), x.view().column_slice(0, half.columns), kQueue);
    expect_near(x, wide, 8);  // the second half is only read
  });
}

TEST_P(Kernels, SwigluBackward) {
  for_layouts([&](const Layout& half) {
    const Layout layout{half.rows, 2 * half.columns, half.extra, half.shift};
    Tensor x = make(layout, 1), wide_x = x.widened();
    Tensor dy = make({half.rows, half.columns, 8}, 2), wide_dy = dy.widened();
    Tensor dx = make_result(layout.rows, layout.columns, layout);
    Tensor wide(wide_x.dtype(), {layout.rows, layout.columns});
    cuda::swiglu_backward(x.view(), dy.view(), dx.view(), kQueue);
    cpu_->swiglu_backward(wide_x.view(), wide_dy.view(), wide.view());
    expect_near(dx, wide, 16);
    const MatrixView first_half = dx.view().column_slice(0, half.columns);
    cuda::copy(dy.view(), first_half, kQueue);
    cuda::swiglu_backward(x.view(), first_half, dx.view(), kQueue);
    expect_near(dx, wide, 16);
  });
}

// Values so large that the exponential overflows: the result is 0 or x, and never NaN.
TEST_P(Kernels, ActivationsOfLargeValuesAreFinite) {
  constexpr double kValues[] = {-1e4, -512, -128, 128, 512, 1e4};
  constexpr std::int64_t kCount = std::size(kValues);
  Tensor x(GetParam(), {1, kCount}), gated(GetParam(), {1, 2 * kCount}), slope(GetParam(), {1, kCount});
  for (std::int64_t c = 0; c < kCount; ++c) {
    x.set(0, c, kValues[c]);
    gated.set(0, c, kValues[c]);
    gated.set(0, kCount + c, 1);
    slope.set(0, c, 1);
  }
  const Tensor before = x;
  cuda::gelu_backward(x.view(), slope.view(), slope.view(), kQueue);
  cuda::gelu(x.view(), x.view(), kQueue);
  cuda::swiglu(gated.view(), gated.view().column_slice(0, kCount), kQueue);
  for (std::int64_t c = 0; c < kCount; ++c) {
    const bool positive = kValues[c] > 0;
    EXPECT_NEAR(x.get(0, c), positive ? before.get(0, c) : 0, 1e-20);
    EXPECT_NEAR(gated.get(0, c), positive ? before.get(0, c) : 0, 1e-20);
    EXPECT_NEAR(slope.get(0, c), positive ? 1 : 0, 1e-20);
  }
}

TEST_P(Kernels, Norm) {
  const auto check = [&](const Layout& layout) {
    for (const Norm kind : {Norm::layer_norm, Norm::rms_norm}) {
      SCOPED_TRACE(name_of(kind));
      Tensor x = make(layout, 1), wide_x = x.widened();
      Tensor parameters = make({kind == Norm::layer_norm ? 2 : 1, layout.columns, layout.extra}, 2);
      Tensor wide_parameters = parameters.widened(), wide = x.widened();
      Tensor y = make_result(layout.rows, layout.columns, layout);
      cuda::norm(kind, x.view(), parameters.view(), y.view(), kQueue);
      cpu_->norm(kind, wide_x.view(), wide_parameters.view(), wide.view());
      expect_near(y, wide, 64);
    }
  };
  for_layouts(check);
  if (GetParam() == DType::f16) check(kManyRows);
}

TEST_P(Kernels, NormBackward) {
  const auto check = [&](const Layout& layout) {
    for (const Norm kind : {Norm::layer_norm, Norm::rms_norm}) {
      SCOPED_TRACE(name_of(kind));
      const std::int64_t parameter_rows = kind == Norm::layer_norm ? 2 : 1;
      Tensor x = make(layout, 1), wide_x = x.widened();
      Tensor parameters = make({parameter_rows, layout.columns, layout.extra}, 2);
      Tensor dy = make(layout, 3), wide_dy = dy.widened();
      Tensor dx = make(layout, 4), wide_dx = dx.widened();
      Tensor dparameters = make_result(parameter_rows, layout.columns, layout);
      Tensor wide_parameters = parameters.widened(), wide_dparameters = parameters.widened();
      std::vector<std::byte> scratch(static_cast<std::size_t>(cuda::norm_backward_scratch_bytes(x.view())));
      cuda::norm_backward(kind, x.view(), parameters.view(), dy.view(), dx.view(), dparameters.view(),
                          scratch.data(), kQueue);
      cpu_->norm_backward(kind, wide_x.view(), wide_parameters.view(), wide_dy.view(), wide_dx.view(),
                          wide_dparameters.view());
      // A row of two entries may be nearly constant: what it is divided by magnifies roundings.
      expect_near(dx, wide_dx, layout.columns < 10 ? 4000 : 128);
      expect_near(dparameters, wide_dparameters, 128 + static_cast<double>(layout.rows));
      ASSERT_TRUE(x.guards_untouched() && dy.guards_untouched() && parameters.guards_untouched());
    }
  };
  for_layouts(check);
  if (GetParam() == DType::f16) check(kManyRows);
}

TEST_P(Kernels, NormBackwardGivesTheSameBitsAgain) {
  const Layout layout{777, 40};
  Tensor x = make(layout, 1), parameters = make({2, 40}, 2), dy = make(layout, 3), dx = make(layout, 4);
  Tensor first(GetParam(), {2, 40}), second(GetParam(), {2, 40});
  std::vector<std::byte> scratch(static_cast<std::size_t>(cuda::norm_backward_scratch_bytes(x.view())));
  for (Tensor* dparameters : {&first, &second}) {
    cuda::norm_backward(Norm::layer_norm, x.view(), parameters.view(), dy.view(), dx.view(),
                        dparameters->view(), scratch.data(), kQueue);
  }
  for (std::int64_t c = 0; c < 40; ++c) EXPECT_EQ(first.bits(0, c), second.bits(0, c));
}

TEST_P(Kernels, Softmax) {
  const auto check = [&](const Layout& layout) {
    // All of each row; then, as of a causal mask, one entry more in each row, as far as there are.
    for (const std::int64_t step : {0, 1}) {
      const std::int64_t first_valid = step == 0 ? layout.columns : layout.columns - layout.rows + 1;
      if (step == 1 && (first_valid < 1 || layout.rows == 0)) continue;
      SCOPED_TRACE(testing::Message() << first_valid << " entries and " << step << " more in each row");
      Tensor x = make(layout, 1), wide = x.widened();
      cuda::softmax(x.view(), {first_valid, step}, 0.7, kQueue);
      if (layout.columns > 0) cpu_->softmax(wide.view(), {first_valid, step}, 0.7);
      expect_near(x, wide, 16);
    }
  };
  for_layouts(check);
  if (GetParam() == DType::f16) check(kManyRows);
}

TEST_P(Kernels, SoftmaxLeavesZeroBehindWhatIsValid) {
  Tensor x = make({4, 16}, 1);
  cuda::softmax(x.view(), {3, 2}, 1, kQueue);
  for (std::int64_t r = 0; r < 4; ++r) {
    for (std::int64_t c = 0; c < 16; ++c) EXPECT_EQ(x.get(r, c) == 0, c >= 3 + 2 * r) << r << ", " << c;
  }
}

// Scores so large that their exponentials overflow.
TEST_P(Kernels, SoftmaxOfLargeScoresIsFinite) {
  Tensor x(GetParam(), {1, 3});
  x.set(0, 0, 1e4);
  x.set(0, 1, -1e4);
  x.set(0, 2, 1e4);
  cuda::softmax(x.view(), {3, 0}, 1, kQueue);
  EXPECT_EQ(x.get(0, 0), 0.5);
  EXPECT_EQ(x.get(0, 1), 0);
}

TEST_P(Kernels, SoftmaxBackward) {
  const auto check = [&](const Layout& layout) {
    Tensor p = make(layout, 1);
    cuda::softmax(p.view(), {layout.columns, 0}, 1, kQueue);
    Tensor wide_p = p.widened();
    Tensor dp = make({layout.rows, layout.columns, 8}, 2), wide = dp.widened();
    cuda::softmax_backward(p.view(), dp.view(), 0.7, kQueue);
    cpu_->softmax_backward(wide_p.view(), wide.view(), 0.7);
    expect_near(dp, wide, 64);
  };
  for_layouts(check);
  if (GetParam() == DType::f16) check(kManyRows);
}

TEST_P(Kernels, Add) {
  for_layouts([&](const Layout& layout) {
    Tensor a = make(layout, 1), b = make({layout.rows, layout.columns, 8}, 2), same_b = b;
    Tensor sum = make_result(layout.rows, layout.columns, layout), wide = a.widened(), wide_b = b.widened();
    cuda::add(a.view(), b.view(), sum.view(), kQueue);
    cpu_->add(wide.view(), wide_b.view(), wide.view());
    expect_near(sum, wide, 0);
    cuda::add(a.view(), same_b.view(), same_b.view(), kQueue);
    expect_near(same_b, wide, 0);
    cuda::add(a.view(), b.view(), a.view(), kQueue);
    expect_near(a, wide, 0);
  });
}

TEST_P(Kernels, CopyBetweenStrides) {
  for_layouts([&](const Layout& layout) {
    for (const std::int64_t shift : {0, 1}) {
      Tensor from = make(layout, 1);
      Tensor to = make_result(layout.rows, layout.columns, {0, 0, 16, shift});
      cuda::copy(from.view(), to.view(), kQueue);
      for (std::int64_t r = 0; r < layout.rows; ++r) {
        for (std::int64_t c = 0; c < layout.columns; ++c) ASSERT_EQ(to.bits(r, c), from.bits(r, c));
      }
      ASSERT_TRUE(to.guards_untouched());
    }
  });
}

TEST_P(Kernels, SetZeroAndPoison) {
  for_layouts([&](const Layout& layout) {
    Tensor x = make(layout, 1);
    cuda::poison(x.view(), kQueue);
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t c = 0; c < layout.columns; ++c)
        ASSERT_TRUE(std::isnan(x.get(r, c))) << r << ", " << c;
    }
    cuda::set_zero(x.view(), kQueue);
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t c = 0; c < layout.columns; ++c) ASSERT_EQ(x.bits(r, c), 0U);
    }
    ASSERT_TRUE(x.guards_untouched());
  });
}

TEST_P(Kernels, FillBitForBit) {
  const TensorKey key{.seed = 0x123456789abcdef, .tensor = 7, .layer = 3, .scale = 0.3};
  constexpr std::int64_t kRow = (std::int64_t{1} << 33) + 11, kColumn = 1003;
  for_layouts([&](const Layout& layout) {
    Tensor x = make(layout, 1), expected(GetParam(), layout);
    cuda::fill(x.view(), key, kRow, kColumn, kQueue);
    const auto columns = static_cast<std::size_t>(layout.columns);
    std::vector<float> row(columns);
    std::vector<double> wide_row(columns);
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      fill_row(row.data(), key, kRow + r, kColumn, layout.columns);
      fill_row(wide_row.data(), key, kRow + r, kColumn, layout.columns);
      for (std::size_t c = 0; c < columns; ++c) {
        const auto column = static_cast<std::int64_t>(c);
        expected.set(r, column, GetParam() == DType::f64 ? wide_row[c] : static_cast<double>(row[c]));
        ASSERT_EQ(x.bits(r, column), expected.bits(r, column)) << r << ", " << c;
      }
    }
    ASSERT_TRUE(x.guards_untouched());
  });
}

// A kernel that is launched with fewer threads than there are packs, both ways.
TEST(KernelsOfLargeMatrices, GoOnToFurtherRowsAndColumns) {
  for (const Layout& layout : {Layout{33000, 130, 0, 1}, Layout{1, (std::int64_t{1} << 23) + 77, 0, 1}}) {
    SCOPED_TRACE(testing::Message() << layout);
    Tensor x(DType::f16, layout);
    cuda::set_zero(x.view(), kQueue);
    std::int64_t others = 0;
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t c = 0; c < layout.columns; ++c) others += x.bits(r, c) != 0 ? 1 : 0;
    }
    EXPECT_EQ(others, 0);
    EXPECT_TRUE(x.guards_untouched());
  }
}

// Entries more than 2^31 apart. Only what is touched of these addresses becomes memory.
TEST(KernelsOfLargeMatrices, CountIn64Bits) {
  constexpr std::int64_t kStride = (std::int64_t{1} << 31) + 24, kColumns = 40;
  constexpr auto kBytes = static_cast<std::size_t>(2 * kStride * 2 + 4096);
  void* data =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) GTEST_SKIP() << "no room for " << kBytes << " bytes of addresses";
  const MatrixView far{data, DType::f16, 2, kColumns, kStride};
  Tensor x(DType::f16, {2, kColumns}, 1), parameters(DType::f16, {2, kColumns}, 2),
      y(DType::f16, {2, kColumns});
  Tensor back(DType::f16, {2, kColumns});
  cuda::copy(x.view(), far, kQueue);
  cuda::norm(Norm::layer_norm, x.view(), parameters.view(), y.view(), kQueue);
  cuda::norm(Norm::layer_norm, far, parameters.view(), far, kQueue);
  cuda::copy(far, back.view(), kQueue);
  munmap(data, kBytes);
  for (std::int64_t c = 0; c < kColumns; ++c) EXPECT_EQ(back.bits(1, c), y.bits(1, c)) << c;
}

}  // namespace
}  // namespace tpbench::test
