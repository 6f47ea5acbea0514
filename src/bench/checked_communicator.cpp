#include <algorithm>

#include "bench/error_of_sums.hpp"
#include "bench/factored_sums.hpp"
#include "bench/operation_check.hpp"
#include "bench/row_reader.hpp"

namespace tpbench {
namespace {

class CheckedCommunicator final : public ForwardingCommunicator {
 public:
  CheckedCommunicator(std::unique_ptr<Communicator> inner, const Control& group, Backend& backend,
                      OperationErrors& errors, Heartbeat& heartbeat)
      : ForwardingCommunicator(std::move(inner)),
        group_(group),
        backend_(backend),
        errors_(errors),
        heartbeat_(heartbeat) {}

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    if (!errors_.on) return ForwardingCommunicator::all_reduce(data, count, dtype, how);
    begin_check(count, dtype);
    if (how == Reduction::max) return check_max(data, count, dtype);
    const FactoredSums expected = over_ranks(sums(data, count, dtype));
    ForwardingCommunicator::all_reduce(data, count, dtype, how);
    compare(expected, data, count, dtype, size());
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    if (!errors_.on) return ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
    begin_check(shard_count * size(), dtype);
    const FactoredSums own = sums(shard, shard_count, dtype);
    const std::size_t pieces = own.sums.size();
    FactoredSums all(pieces * static_cast<std::size_t>(size()));
    const auto place = static_cast<std::ptrdiff_t>(pieces * static_cast<std::size_t>(rank()));
    std::copy(own.sums.begin(), own.sums.end(), all.sums.begin() + place);
    std::copy(own.squares.begin(), own.squares.end(), all.squares.begin() + place);
    all = over_ranks(std::move(all));
    ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
    for (std::int64_t owner = 0; owner < size(); ++owner)
      compare(part(all, owner, pieces), offset(whole, owner * shard_count, dtype), shard_count, dtype,
              kCopied);
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    if (!errors_.on) return ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
    begin_check(shard_count * size(), dtype);
    FactoredSums all;
    for (std::int64_t owner = 0; owner < size(); ++owner) {
      const FactoredSums share =
          sums(offset(const_cast<void*>(whole), owner * shard_count, dtype), shard_count, dtype);
      all.sums.insert(all.sums.end(), share.sums.begin(), share.sums.end());
      all.squares.insert(all.squares.end(), share.squares.begin(), share.squares.end());
    }
    all = over_ranks(std::move(all));
    ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
    compare(part(all, rank(), all.sums.size() / static_cast<std::size_t>(size())), shard, shard_count, dtype,
            size());
  }

 private:
  static void* offset(void* data, std::int64_t elements, DType dtype) {
    return static_cast<std::byte*>(data) + elements * size_of(dtype);
  }
  static FactoredSums part(const FactoredSums& all, std::int64_t owner, std::size_t pieces) {
    const auto first = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(owner) * pieces);
    const auto last = first + static_cast<std::ptrdiff_t>(pieces);
    FactoredSums result;
    result.sums.assign(all.sums.begin() + first, all.sums.begin() + last);
    result.squares.assign(all.squares.begin() + first, all.squares.begin() + last);
    return result;
  }

  // Bit for bit, as nothing is rounded.
  void check_max(void* data, std::int64_t count, DType dtype) {
    std::vector<double> expected = values_of(data, count, dtype);
    group_.reduce_max(expected);
    ForwardingCommunicator::all_reduce(data, count, dtype, Reduction::max);
    errors_.add(values_of(data, count, dtype) == expected ? 0 : kNotANumber, 1);
    heartbeat_.beat(Activity::exchange);
  }
  std::vector<double> values_of(void* data, std::int64_t count, DType dtype) {
    std::vector<double> values;
    RowReader({data, dtype, 1, count, count}, backend_).row_to(0, values);
    return values;
  }

  // Every rank makes the same calls, and so has the same factors.
  void begin_check(std::int64_t count, DType dtype) {
    ++calls_;
    errors_.count_bytes(count * size_of(dtype));
  }
  FactoredSums sums(const void* data, std::int64_t count, DType dtype) {
    return piece_sums(data, count, dtype, calls_, backend_);
  }
  FactoredSums over_ranks(FactoredSums values) const {
    group_.reduce_sum(values.sums);
    group_.reduce_sum(values.squares);
    return values;
  }
  // A ring, or a tree, stores up to one partial sum for each rank.
  void compare(const FactoredSums& expected, const void* data, std::int64_t count, DType dtype,
               std::int64_t stores) {
    errors_.add(error_of_sums(expected, sums(data, count, dtype)),
                operation_tolerance({dtype, size(), elements_of_piece(dtype), stores}));
    heartbeat_.beat(Activity::exchange);
  }

  Control group_;
  Backend& backend_;
  OperationErrors& errors_;
  Heartbeat& heartbeat_;
  std::uint64_t calls_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_checked_communicator(std::unique_ptr<Communicator> inner,
                                                        const Control& group, Backend& backend,
                                                        OperationErrors& errors, Heartbeat& heartbeat) {
  return std::make_unique<CheckedCommunicator>(std::move(inner), group, backend, errors, heartbeat);
}

}  // namespace tpbench
