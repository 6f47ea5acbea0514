// The kernels of a vocabulary that is split over ranks, run by the emulation, against the CPU backend.

#include <random>

#include "compute/cpu_backend.hpp"
#include "cuda/kernels.hpp"
#include "tensors.hpp"

namespace tpbench::test {
namespace {

constexpr cudaStream_t kOneQueue = nullptr;

// Rows are tokens: packs fit, and do not; one token, one column, more than a block of threads takes at once;
// more tokens than there are blocks.
constexpr Layout kTokenLayouts[] = {{1, 1},    {5, 48},      {5, 48, 3},      {6, 37, 2}, {3, 1000},
                                    {2, 1301}, {2, 4104, 8}, {300, 16, 0, 8}, {0, 16},    {17000, 3, 1}};

class VocabularyKernels : public testing::TestWithParam<DType> {
 protected:
  // Calls `check(layout, ids)` with ids of which this rank holds some, most of them several times.
  template <typename Check>
  void for_layouts(const Check& check) {
    for (const Layout& layout : kTokenLayouts) {
      SCOPED_TRACE(testing::Message() << layout);
      std::mt19937 random(3);
      ids_.clear();
      for (std::int64_t r = 0; r < layout.rows; ++r)
        ids_.push_back(static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(kVocabulary)));
      check(layout);
      if (HasFatalFailure()) return;
    }
  }
  [[nodiscard]] TokenIds ids(std::int64_t first, std::int64_t held) const {
    return {ids_.data(), static_cast<std::int64_t>(ids_.size()), first, held};
  }
  // One number of each token.
  [[nodiscard]] Tensor numbers(std::int64_t count) const {
    return {GetParam() == DType::f64 ? DType::f64 : DType::f32, {1, count}};
  }

  static constexpr std::int64_t kVocabulary = 40, kFirst = 11, kHeld = 19, kTableRows = 20;
  std::vector<std::int64_t> ids_;
  std::unique_ptr<Backend> cpu_ = make_cpu_backend(1);
};

INSTANTIATE_TEST_SUITE_P(Each, VocabularyKernels,
                         testing::Values(DType::f32, DType::f64, DType::tf32, DType::f16, DType::bf16),
                         [](const auto& of) { return std::string(name_of(of.param)); });

TEST_P(VocabularyKernels, LookUp) {
  for_layouts([&](const Layout& layout) {
    Tensor table(GetParam(), {kTableRows, layout.columns, layout.extra, layout.shift}, 1);
    Tensor wide_table = table.widened(), y(GetParam(), layout);
    cuda::poison(y.view(), kOneQueue);
    cuda::look_up(ids(kFirst, kHeld), table.view(), y.view(), kOneQueue);
    Tensor expected(wide_table.dtype(), {layout.rows, layout.columns});
    cpu_->look_up(ids(kFirst, kHeld), wide_table.view(), expected.view());
    expect_near(y, expected, 0);
  });
}

TEST_P(VocabularyKernels, LookUpBackward) {
  for_layouts([&](const Layout& layout) {
    if (layout.rows > 1000) return;  // a block looks at all tokens before its own
    for (const bool adds : {false, true}) {
      Tensor dy(GetParam(), layout, 1), wide_dy = dy.widened();
      Tensor dtable(GetParam(), {kTableRows, layout.columns, layout.extra, layout.shift}, 2);
      Tensor wide = dtable.widened();
      cuda::look_up_backward(ids(kFirst, kHeld), dy.view(), dtable.view(), adds, kOneQueue);
      cpu_->look_up_backward(ids(kFirst, kHeld), wide_dy.view(), wide.view(),
                             adds ? Store::add : Store::overwrite);
      expect_near(dtable, wide, 1 + static_cast<double>(layout.rows));
    }
  });
}

// The held columns are all, some, the first ones but a row's own, none.
TEST_P(VocabularyKernels, CrossEntropy) {
  for_layouts([&](const Layout& layout) {
    for (const std::int64_t held : {layout.columns, (layout.columns + 1) / 2, std::int64_t{0}}) {
      SCOPED_TRACE(held);
      const TokenIds here = ids(kFirst, held);
      Tensor x(GetParam(), layout, 1), wide = x.widened();
      Tensor maxima = numbers(layout.rows), sums = maxima, targets = maxima, loss = maxima;
      Tensor expected_maxima = maxima, expected_sums = maxima, expected_targets = maxima,
             expected_loss = maxima;
      for (Tensor* poisoned : {&maxima, &sums, &targets, &loss}) cuda::poison(poisoned->view(), kOneQueue);
      cuda::row_maxima(here, x.view(), maxima.view(), kOneQueue);
      cpu_->row_maxima(here, wide.view(), expected_maxima.view());
      expect_near(maxima, expected_maxima, 0);
      // As if another rank had a larger one.
      for (std::int64_t r = 0; r < layout.rows; ++r) {
        maxima.set(0, r, 2.25);
        expected_maxima.set(0, r, 2.25);
      }
      cuda::exponentials(here, x.view(), maxima.view(), sums.view(), targets.view(), kOneQueue);
      cpu_->exponentials(here, wide.view(), expected_maxima.view(), expected_sums.view(),
                         expected_targets.view());
      expect_near(x, wide, 8);
      expect_near(sums, expected_sums, 64);
      expect_near(targets, expected_targets, 2);
      for (std::int64_t r = 0; r < layout.rows; ++r) {
        const double sum = 1.5 + expected_sums.get(0, r);
        sums.set(0, r, sum);
        expected_sums.set(0, r, sum);
      }
      cuda::cross_entropy(sums.view(), targets.view(), loss.view(), kOneQueue);
      cpu_->cross_entropy(expected_sums.view(), expected_targets.view(), expected_loss.view());
      expect_near(loss, expected_loss, 8);
      // From what is stored, which in a narrow type is rounded.
      Tensor wide_stored = x.widened();
      cuda::cross_entropy_backward(here, sums.view(), x.view(), kOneQueue);
      cpu_->cross_entropy_backward(here, expected_sums.view(), wide_stored.view());
      expect_near(x, wide_stored, 8);
    }
  });
}

}  // namespace
}  // namespace tpbench::test
