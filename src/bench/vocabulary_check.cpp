#include "bench/vocabulary_check.hpp"

#include <numeric>

#include "comm/device_side.hpp"

namespace tpbench {

std::vector<std::int64_t> CheckedVocabulary::host_ids(const TokenIds& ids) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(ids.count));
  if (DeviceSide* side = device())
    side->copy_to_host(values.data(), ids.data, ids.count * static_cast<std::int64_t>(sizeof(std::int64_t)));
  else
    std::copy_n(ids.data, values.size(), values.begin());
  return values;
}

// `found` is one row, with a number for each row of something else.
void CheckedVocabulary::compare_numbers(const ExpectedRow& expected, const MatrixView& found,
                                        std::int64_t length) {
  const Values factors = random_factors(++calls_, found.columns);
  FactoredSums sums = FactoredSums::zeros(found.dtype, 1, found.columns);
  add_row(expected, factors, found, 0, sums);
  compare(sums, found, factors, {.dtype = found.dtype, .length = length});
}

void CheckedVocabulary::look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) {
  if (!errors_.on) return ForwardingBackend::look_up(ids, table, y);
  const std::vector<std::int64_t> values = host_ids(ids);
  check_rows(
      y, {}, 1,
      [&](std::int64_t r, OperandRows, ExpectedRow& expected) {
        const std::int64_t place = ids.place_of(values[static_cast<std::size_t>(r)]);
        if (place >= 0) expected.values = expected.sizes = host(table, place);
      },
      [&] { ForwardingBackend::look_up(ids, table, y); }, kCopied);
}

void CheckedVocabulary::look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                                         Store store) {
  if (!errors_.on) return ForwardingBackend::look_up_backward(ids, dy, dtable, store);
  std::vector<std::vector<std::int64_t>> rows_of(static_cast<std::size_t>(dtable.rows));
  const std::vector<std::int64_t> values = host_ids(ids);
  for (std::size_t r = 0; r < values.size(); ++r) {
    const std::int64_t place = ids.place_of(values[r]);
    if (place >= 0) rows_of[static_cast<std::size_t>(place)].push_back(static_cast<std::int64_t>(r));
  }
  const bool adds = store == Store::add;
  check_rows(
      dtable, adds ? std::vector{dtable} : std::vector<MatrixView>{}, dy.rows + 1,
      [&](std::int64_t i, OperandRows before, ExpectedRow& expected) {
        if (adds) expected.values = expected.sizes = before[0];
        for (double& size : expected.sizes) size = std::abs(size);
        for (const std::int64_t r : rows_of[static_cast<std::size_t>(i)]) {
          const Values more = host(dy, r);
          for (std::size_t c = 0; c < more.size(); ++c)
            expected.set(c, expected.values[c] + more[c], expected.sizes[c] + std::abs(more[c]));
        }
      },
      [&] { ForwardingBackend::look_up_backward(ids, dy, dtable, store); });
}

// Bit for bit, as nothing is rounded.
void CheckedVocabulary::row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) {
  ForwardingBackend::row_maxima(ids, x, maxima);
  if (!errors_.on) return;
  const Values found = host(maxima, 0);
  parallel_for(x.rows, [&](std::int64_t first, std::int64_t last) {
    RowReader rows(x.row_slice(first, last - first), *this);
    Values row;
    for (std::int64_t r = first; r < last; ++r) {
      rows.row_to(r - first, row);
      const double expected = std::accumulate(row.begin(), row.begin() + ids.held, double{kLeastLogit},
                                              [](double a, double b) { return a < b ? b : a; });
      errors_.add(found[static_cast<std::size_t>(r)] == expected ? 0 : kNotANumber, 1);
    }
  });
  heartbeat_.beat(Activity::compute);
}

void CheckedVocabulary::exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                                     const MatrixView& sums, const MatrixView& targets) {
  if (!errors_.on) return ForwardingBackend::exponentials(ids, x, maxima, sums, targets);
  const std::vector<std::int64_t> values = host_ids(ids);
  const Values largest = host(maxima, 0);
  ExpectedRow expected_sums(ids.count), expected_targets(ids.count);
  const std::int64_t length = kEntryLength + ids.held;
  check_rows(
      x, {x}, length,
      [&](std::int64_t r, OperandRows in, ExpectedRow& expected) {
        const auto row = static_cast<std::size_t>(r);
        const Values& logits = in[0];
        double sum = 0;
        for (std::size_t c = 0; c < static_cast<std::size_t>(ids.held); ++c) {
          expected.set(c, std::exp(logits[c] - largest[row]));
          sum += expected.values[c];
        }
        expected_sums.set(row, sum);
        const std::int64_t place = ids.place_of(values[row]);
        if (place < 0) return;
        const double target = logits[static_cast<std::size_t>(place)];
        expected_targets.set(row, target - largest[row], std::abs(target) + std::abs(largest[row]));
      },
      [&] { ForwardingBackend::exponentials(ids, x, maxima, sums, targets); });
  compare_numbers(expected_sums, sums, length);
  compare_numbers(expected_targets, targets, kEntryLength);
}

void CheckedVocabulary::cross_entropy(const MatrixView& sums, const MatrixView& targets,
                                      const MatrixView& loss) {
  if (!errors_.on) return ForwardingBackend::cross_entropy(sums, targets, loss);
  check_rows(
      loss, {sums, targets}, kEntryLength,
      [](std::int64_t, OperandRows in, ExpectedRow& expected) {
        for (std::size_t c = 0; c < in[0].size(); ++c) {
          const double log = std::log(in[0][c]);
          expected.set(c, log - in[1][c], std::abs(log) + std::abs(in[1][c]));
        }
      },
      [&] { ForwardingBackend::cross_entropy(sums, targets, loss); });
}

void CheckedVocabulary::cross_entropy_backward(const TokenIds& ids, const MatrixView& sums,
                                               const MatrixView& x) {
  if (!errors_.on) return ForwardingBackend::cross_entropy_backward(ids, sums, x);
  const std::vector<std::int64_t> values = host_ids(ids);
  const Values all_sums = host(sums, 0);
  check_rows(
      x, {x}, kEntryLength,
      [&](std::int64_t r, OperandRows in, ExpectedRow& expected) {
        const auto row = static_cast<std::size_t>(r);
        const std::int64_t place = ids.place_of(values[row]);
        for (std::size_t c = 0; c < in[0].size(); ++c) {
          const double share = in[0][c] / all_sums[row];
          const bool is_target = static_cast<std::int64_t>(c) == place;
          expected.set(c, share - (is_target ? 1 : 0), share + (is_target ? 1 : 0));
        }
      },
      [&] { ForwardingBackend::cross_entropy_backward(ids, sums, x); });
}

}  // namespace tpbench
