// What backend cpu makes of f16 and bf16: each operation as in f32, rounded once.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "compute/cpu_backend.hpp"

namespace tpbench::test {
namespace {

/// Values in T, and the same in f32. Rows have gaps.
template <typename T>
class Twin {
 public:
  Twin(std::int64_t rows, std::int64_t columns, double scale, int seed)
      : rows_(rows), columns_(columns), narrow_(size(rows, columns)), wide_(size(rows, columns)) {
    for (std::size_t i = 0; i < narrow_.size(); ++i) {
      narrow_[i] = T(static_cast<float>(scale * std::sin(static_cast<double>(i + 1) * (seed + 1))));
      wide_[i] = float(narrow_[i]);
    }
  }
  [[nodiscard]] MatrixView narrow() {
    return {narrow_.data(), kDTypeOf<T>, rows_, columns_, columns_ + kGap};
  }
  [[nodiscard]] MatrixView wide() { return {wide_.data(), DType::f32, rows_, columns_, columns_ + kGap}; }

  /// Each entry is the one in f32, rounded once.
  void expect_rounded(const char* what) {
    const float half_unit = static_cast<float>(epsilon_of(kDTypeOf<T>)) / 2;
    for (std::size_t i = 0; i < narrow_.size(); ++i) {
      const float found = float(narrow_[i]), expected = wide_[i];
      ASSERT_LE(std::abs(found - expected), 1.01F * half_unit * std::abs(expected) + 1e-7F)
          << what << ", place " << i << ": " << found << " for " << expected;
      wide_[i] = found;  // for the next operation
    }
  }

 private:
  static constexpr std::int64_t kGap = 3;
  static std::size_t size(std::int64_t rows, std::int64_t columns) {
    return static_cast<std::size_t>(rows * (columns + kGap));
  }
  std::int64_t rows_, columns_;
  std::vector<T> narrow_;
  std::vector<float> wide_;
};

template <typename T>
class NarrowOperations : public testing::Test {
 protected:
  /// Runs `operation(backend, views...)` on the operands in T and in f32, and compares the last of them.
  template <typename Operation, typename... Operands>
  void check(const char* what, const Operation& operation, Operands&... operands) {
    operation(*backend_, operands.narrow()...);
    operation(*backend_, operands.wide()...);
    (operands.expect_rounded(what), ...);
  }
  std::unique_ptr<Backend> backend_ = make_cpu_backend(2);
};
using NarrowTypes = testing::Types<Float16, BFloat16>;
TYPED_TEST_SUITE(NarrowOperations, NarrowTypes);

// Short rows, rows beyond one block, and enough of them for two threads.
constexpr std::pair<std::int64_t, std::int64_t> kSizes[] = {{1, 1}, {3, 37}, {2, 2600}, {700, 66}};

TYPED_TEST(NarrowOperations, AreThoseOfF32RoundedOnce) {
  using T = TypeParam;
  for (const auto& [rows, columns] : kSizes) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    const auto twin = [&, rows = rows, columns = columns](int seed, std::int64_t times = 1) {
      return Twin<T>(rows, times * columns, 2, seed);
    };
    Twin<T> x = twin(1), y = twin(2), dx = twin(3), pair = twin(4, 2), dpair = twin(5, 2);
    using View = const MatrixView&;
    this->check(
        "gelu", [](Backend& b, View in, View out) { b.gelu(in, out); }, x, y);
    this->check(
        "swiglu", [](Backend& b, View in, View out) { b.swiglu(in, out); }, pair, y);
    this->check(
        "gelu'", [](Backend& b, View in, View dy, View out) { b.gelu_backward(in, dy, out); }, x, y, dx);
    this->check(
        "swiglu'", [](Backend& b, View in, View dy, View out) { b.swiglu_backward(in, dy, out); }, pair, y,
        dpair);
    this->check(
        "add", [](Backend& b, View l, View r, View sum) { b.add(l, r, sum); }, x, y, dx);
    this->check(
        "copy", [](Backend& b, View from, View to) { b.copy(from, to); }, x, y);
    for (const Norm kind : {Norm::rms_norm, Norm::layer_norm}) {
      Twin<T> parameters(2, columns, 1, 6), dparameters(2, columns, 1, 7), input = twin(8),
                                                                           gradient = twin(9);
      if (columns > 1) {  // one entry less its mean is noise
        this->check(
            "norm", [&](Backend& b, View in, View p, View out) { b.norm(kind, in, p, out); }, input,
            parameters, y);
      }
    }
    Twin<T> scores = twin(10), weights = twin(11);
    const Visible visible{.first = columns, .step = 0};
    this->check(
        "softmax", [&](Backend& b, View s) { b.softmax(s, visible, 0.5); }, scores);
    this->check(
        "softmax'", [&](Backend& b, View p, View dp) { b.softmax_backward(p, dp, 0.5); }, scores, weights);
  }
}

// Of ids that many tokens have, every addition would round.
TYPED_TEST(NarrowOperations, ASumOfManyRowsIsRoundedOnce) {
  using T = TypeParam;
  constexpr std::int64_t kTokens = 500, kColumns = 70;
  std::vector<std::int64_t> places;
  for (std::int64_t token = 0; token < kTokens; ++token) places.push_back(token % 3 == 0 ? 1 : token % 7);
  const TokenIds ids{places.data(), kTokens, 0, 6};  // id 6 is another rank's
  Twin<T> dy(kTokens, kColumns, 0.1, 1), table(6, kColumns, 1, 2);
  for (const Store store : {Store::overwrite, Store::add}) {
    Twin<T> sums = table;
    this->backend_->look_up_backward(ids, dy.narrow(), sums.narrow(), store);
    this->backend_->look_up_backward(ids, dy.wide(), sums.wide(), store);
    sums.expect_rounded("look_up'");
  }
}

}  // namespace
}  // namespace tpbench::test
