#include "layers/reference_part.hpp"

#include <algorithm>

namespace tpbench {

std::vector<std::int64_t> with_earlier_tokens(const Shape& shape, std::span<const std::int64_t> rows) {
  std::vector<std::int64_t> all;
  for (const std::int64_t row : rows) {
    const std::int64_t start = row - row % shape.sequence_length;
    std::int64_t next = all.empty() ? start : std::max(start, all.back() + 1);
    for (; next <= row; ++next) all.push_back(next);
  }
  return all;
}

std::vector<std::int64_t> first_tokens(const Shape& shape, Range rows, std::int64_t limit,
                                       std::uint64_t seed) {
  const std::int64_t s = shape.sequence_length;
  const std::int64_t first_sequence = (rows.begin + s - 1) / s, end_sequence = (rows.end + s - 1) / s;
  if (first_sequence >= end_sequence) return {};
  // Two sequences, or as many as it takes when they are short.
  const std::int64_t sequences = std::max<std::int64_t>(2, (limit + s - 1) / s);
  std::vector<std::int64_t> chosen;
  for (const std::int64_t sequence : choose_rows(end_sequence - first_sequence, sequences, seed)) {
    const std::int64_t start = (first_sequence + sequence) * s;
    for (std::int64_t row = start; row < std::min({start + s, start + limit / 2 + 1, rows.end}); ++row)
      chosen.push_back(row - rows.begin);
  }
  if (static_cast<std::int64_t>(chosen.size()) > limit) chosen.resize(static_cast<std::size_t>(limit));
  return chosen;
}

}  // namespace tpbench
