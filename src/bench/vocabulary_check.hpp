#pragma once

#include "bench/checked_rows.hpp"

namespace tpbench {

/// The operations of a vocabulary that is split over ranks, against their definitions: look-up and
/// cross-entropy.
class CheckedVocabulary : public CheckedRows {
 public:
  using CheckedRows::CheckedRows;

  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override;
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override;
  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override;
  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override;
  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override;
  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override;

 private:
  std::vector<std::int64_t> host_ids(const TokenIds& ids);
  void compare_numbers(const ExpectedRow& expected, const MatrixView& found, std::int64_t length);
};

}  // namespace tpbench
