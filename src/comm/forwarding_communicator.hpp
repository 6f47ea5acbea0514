#pragma once

#include <memory>
#include <utility>

#include "comm/communicator.hpp"

namespace tpbench {

/// A communicator that hands every call on: decorators override what they look at.
class ForwardingCommunicator : public Communicator {
 public:
  explicit ForwardingCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    return inner_->make_matrix(memory, category, dtype, rows, columns);
  }
  DataPath data_path(DType dtype) const override { return inner_->data_path(dtype); }
  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    inner_->all_reduce(data, count, dtype, how);
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    inner_->all_gather(shard, shard_count, whole, dtype);
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    inner_->reduce_scatter_sum(whole, shard, shard_count, dtype);
  }

 private:
  std::unique_ptr<Communicator> inner_;
};

}  // namespace tpbench
