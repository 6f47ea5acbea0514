#pragma once

#include <memory>

#include "bench/team.hpp"
#include "comm/forwarding_communicator.hpp"

namespace tpbench {

/// A communicator that can ask, before each collective, whether all ranks have come that far: a rank that
/// failed in its compute would otherwise leave the others waiting for ever. Asking is for the untimed first
/// steps of a case; in timed steps it is switched off and costs one branch.
class AgreeingCommunicator final : public ForwardingCommunicator {
 public:
  /// Asks for as long as `asks` is true.
  AgreeingCommunicator(std::unique_ptr<Communicator> inner, const Team& team, const bool& asks)
      : ForwardingCommunicator(std::move(inner)), team_(team), asks_(asks) {}

  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    ask();
    return ForwardingCommunicator::make_matrix(memory, category, dtype, rows, columns);
  }
  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    ask();
    ForwardingCommunicator::all_reduce(data, count, dtype, how);
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    ask();
    ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    ask();
    ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
  }

 private:
  void ask() const {
    if (asks_) team_.settle({});
  }

  const Team& team_;
  const bool& asks_;
};

}  // namespace tpbench
