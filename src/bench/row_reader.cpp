#include "bench/row_reader.hpp"

#include <algorithm>

namespace tpbench {

void RowReader::row_to(std::int64_t r, std::vector<double>& values) {
  const void* entries = row(r);
  dispatch(x_.dtype, [&](auto zero) {
    const auto* first = static_cast<const decltype(zero)*>(entries);
    values.resize(static_cast<std::size_t>(x_.columns));
    std::transform(first, first + x_.columns, values.begin(),
                   [](auto entry) { return static_cast<double>(entry); });
  });
}

void RowReader::read_from(std::int64_t r) {
  // A copy of these takes longer than its turn comes to, also on a device that several ranks share.
  constexpr std::int64_t kBytes = 1 << 20;
  const std::int64_t row_bytes = std::max<std::int64_t>(1, x_.columns * size_of(x_.dtype));
  const std::int64_t rows = std::clamp<std::int64_t>(kBytes / row_bytes, 1, x_.rows - r);
  read_ = backend_.host_view(x_.row_slice(r, rows), scratch_);
  first_ = r;
}

}  // namespace tpbench
