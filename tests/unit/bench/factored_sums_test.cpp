#include "bench/factored_sums.hpp"

#include <gtest/gtest.h>

#include "compute/cpu_backend.hpp"
#include "matrices.hpp"

namespace tpbench::test {
namespace {

// Rows of 3 heads of 4 columns each and 2 columns of nobody; of each head 3 columns are written.
constexpr std::int64_t kRows = 5, kHeads = 3, kHead = 4, kWritten = 3, kNobody = 2;

class BitsBetweenRows : public testing::Test {
 protected:
  std::uint64_t bits() { return bits_between_rows(stack_, *backend_); }

  std::unique_ptr<Backend> backend_ = make_cpu_backend(1);
  Strided<float> whole_{kRows, kHeads* kHead, kNobody};
  MatrixStack stack_ = {whole_.view().column_slice(0, kWritten), kHeads, kHead};
};

TEST_F(BitsBetweenRows, AreNotThoseOfTheStack) {
  const std::uint64_t before = bits();
  for (std::int64_t head = 0; head < kHeads; ++head) backend_->poison(stack_.at(head));
  EXPECT_EQ(bits(), before);
}

TEST_F(BitsBetweenRows, AreThoseBetweenItsMatricesAndBehindThem) {
  for (const std::int64_t column : {kHead - 1, 2 * kHead - 1, kHeads * kHead - 1, kHeads * kHead + 1}) {
    const std::uint64_t before = bits();
    whole_.at(2, column) += 1;
    EXPECT_NE(bits(), before) << column;
  }
}

TEST_F(BitsBetweenRows, OfMatricesOneBelowTheOtherAreThoseOfEach) {
  stack_ = {whole_.view().block(0, 2, 0, kHead), 2, 2 * whole_.view().row_stride};
  const std::uint64_t before = bits();
  for (std::int64_t i = 0; i < stack_.count; ++i) backend_->poison(stack_.at(i));
  EXPECT_EQ(bits(), before);
  whole_.at(2, kHead) += 1;
  EXPECT_NE(bits(), before);
}

}  // namespace
}  // namespace tpbench::test
