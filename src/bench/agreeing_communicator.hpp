#pragma once

#include <memory>

#include "bench/team.hpp"
#include "comm/communicator.hpp"

namespace tpbench {

/// A communicator that can ask, before each collective, whether all ranks have come that far: a rank that
/// failed in its compute would otherwise leave the others waiting for ever. Asking is for the untimed first
/// steps of a case; in timed steps it is switched off and costs one branch.
class AgreeingCommunicator final : public Communicator {
 public:
  AgreeingCommunicator(std::unique_ptr<Communicator> inner, const Team& team)
      : inner_(std::move(inner)), team_(team) {}

  void ask(bool on) { asks_ = on; }

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    if (asks_) team_.settle({});
    return inner_->make_matrix(memory, category, dtype, rows, columns);
  }
  void all_reduce_sum(void* data, std::int64_t count, DType dtype) override {
    if (asks_) team_.settle({});
    inner_->all_reduce_sum(data, count, dtype);
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    if (asks_) team_.settle({});
    inner_->all_gather(shard, shard_count, whole, dtype);
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    if (asks_) team_.settle({});
    inner_->reduce_scatter_sum(whole, shard, shard_count, dtype);
  }

 private:
  std::unique_ptr<Communicator> inner_;
  const Team& team_;
  bool asks_ = true;
};

}  // namespace tpbench
