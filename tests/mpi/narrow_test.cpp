// Products in the narrow types that are wrong in a small way: what can be seen of them behind the rounding.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "compute/forwarding_backend.hpp"
#include "narrow_backend.hpp"
#include "verify.hpp"

namespace tpbench::test {
namespace {

enum class ProductFault {
  wrong_entry,   // one entry is off by as much as the entries of its row are large
  missing_term,  // every entry lacks one term of its sum
  stale_factor   // the first factor is that of the product of the same shape before
};
constexpr ProductFault kFaults[] = {ProductFault::wrong_entry, ProductFault::missing_term,
                                    ProductFault::stale_factor};

using Entries = std::vector<double>;

Entries entries_of(const MatrixView& x) {
  Entries values;
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < x.columns; ++c) values.push_back(entry(x, r, c));
  }
  return values;
}

void set_entries(const MatrixView& x, const Entries& values) {
  auto next = values.begin();
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < x.columns; ++c) set_entry(x, r, c, *next++);
  }
}

struct Struck {
  bool reached = false;  ///< there is such a product
  bool changed = false;  ///< and it was wrong
};

// The `number`-th product is wrong.
class WrongProduct final : public ForwardingBackend {
 public:
  WrongProduct(std::unique_ptr<Backend> inner, ProductFault fault, std::int64_t number, Struck& struck)
      : ForwardingBackend(std::move(inner)), fault_(fault), number_(number), struck_(struck) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    const MatrixView& x = a.matrix;
    const Entries right = entries_of(x);
    Entries& before = before_[{x.rows, x.columns}];
    if (++products_ == number_) {
      if (fault_ == ProductFault::missing_term) {
        for (std::int64_t i = 0; i < a.rows(); ++i)
          a.transposed ? set_entry(x, 0, i, 0) : set_entry(x, i, 0, 0);
      }
      if (fault_ == ProductFault::stale_factor && !before.empty()) set_entries(x, before);
      struck_ = {true, fault_ == ProductFault::wrong_entry || entries_of(x) != right};
    }
    ForwardingBackend::multiply(a, b, c, store);
    if (products_ == number_ && struck_.changed) set_entries(x, right);
    before = right;
    if (products_ == number_ && fault_ == ProductFault::wrong_entry) spoil(c.first);
  }

 private:
  static void spoil(const MatrixView& c) {
    const std::int64_t row = c.rows / 2, column = c.columns / 2;
    double squares = 0;
    for (std::int64_t i = 0; i < c.columns; ++i) squares += entry(c, row, i) * entry(c, row, i);
    set_entry(c, row, column, entry(c, row, column) + std::sqrt(squares / static_cast<double>(c.columns)));
  }

  ProductFault fault_;
  std::int64_t number_;
  Struck& struck_;
  std::int64_t products_ = 0;
  std::map<std::pair<std::int64_t, std::int64_t>, Entries> before_;
};

class NarrowProducts : public testing::TestWithParam<std::tuple<Variant, DType>> {};

TEST_P(NarrowProducts, ThatAreWrongAreFound) {
  if (world().size() > 1) GTEST_SKIP() << "the same at every number of ranks";
  const Case point = case_on_all(std::get<0>(GetParam()), std::get<1>(GetParam()));
  if (point.workload_row().cost(point.shape()).flop() == 0) GTEST_SKIP() << "no product";
  for (const ProductFault fault : kFaults) {
    for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
      std::int64_t struck = 0;
      for (const std::int64_t number : {1, 2, 3, 5, 9, 14}) {
        Struck strikes;
        Parts parts = narrow_parts();
        parts.make_backend = [&](const BackendNeeds& needs) {
          return std::make_unique<WrongProduct>(make_narrow_backend(needs.threads), fault, number, strikes);
        };
        const VerificationResult result = verify(point, parts, mode);
        EXPECT_EQ(result.passed, !strikes.changed)
            << "fault " << static_cast<int>(fault) << ", product " << number << ", " << name_of(mode)
            << ", worst " << result.worst_operation.value_or(-1);
        struck += strikes.changed ? 1 : 0;
        if (!strikes.reached) break;  // nor any product behind it
      }
      if (fault != ProductFault::stale_factor) {
        EXPECT_GT(struck, 0);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, NarrowProducts,
                         testing::Combine(testing::ValuesIn(all_variants()),
                                          testing::Values(DType::tf32, DType::f16, DType::bf16)),
                         [](const auto& test) {
                           return name_of_variant(std::get<0>(test.param)) + "_" +
                                  std::string(name_of(std::get<1>(test.param)));
                         });

// Weights of a hundred thousand tokens are below the smallest normal number of f16, where digits are lost.
TEST(NarrowAttention, MayLookAtManyTokens) {
  if (world().size() > 1) GTEST_SKIP() << "the same at every number of ranks";
  for (const DType dtype : {DType::tf32, DType::f16, DType::bf16}) {
    Case point = make_case({"attention"}, {2, 16, 16, 1, 2, 2});
    point.dtype = dtype;
    point.context_length = 100000;
    normalise_case(point);
    for (const VerifyMode mode : {VerifyMode::full, VerifyMode::sampled}) {
      const VerificationResult result = verify(point, narrow_parts(), mode);
      EXPECT_EQ(result.passed, true) << name_of(dtype) << " " << result.max_relative_error.value_or(-1)
                                     << ", worst " << result.worst_operation.value_or(-1);
    }
  }
}

}  // namespace
}  // namespace tpbench::test
