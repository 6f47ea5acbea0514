#pragma once

#include <memory>
#include <utility>

#include "comm/communicator.hpp"
#include "compute/backend.hpp"

namespace tpbench::test {

/// A backend that hands every call on: decorators override what they look at.
class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)) {}

  int threads() const override { return inner_->threads(); }
  TrackedMemory& memory() override { return inner_->memory(); }
  void gemm(const MatrixView& a, const MatrixView& b, const MatrixView& c) override { inner_->gemm(a, b, c); }
  void gelu(const MatrixView& x) override { inner_->gelu(x); }
  void swiglu(const MatrixView& x) override { inner_->swiglu(x); }
  void copy(const MatrixView& from, const MatrixView& to) override { inner_->copy(from, to); }
  void set_zero(const MatrixView& x) override { inner_->set_zero(x); }
  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    inner_->fill(x, key, row, column);
  }
  void poison(const MatrixView& x) override { inner_->poison(x); }
  const void* host_row(const MatrixView& x, std::int64_t row, std::span<std::byte> scratch) override {
    return inner_->host_row(x, row, scratch);
  }
  void parallel_for(std::int64_t count,
                    const std::function<void(std::int64_t, std::int64_t)>& body) override {
    inner_->parallel_for(count, body);
  }
  bool flush_caches() override { return inner_->flush_caches(); }

 private:
  std::unique_ptr<Backend> inner_;
};

/// The same for a communicator.
class ForwardingCommunicator : public Communicator {
 public:
  explicit ForwardingCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    return inner_->make_matrix(memory, category, dtype, rows, columns);
  }
  void all_reduce_sum(void* data, std::int64_t count, DType dtype) override {
    inner_->all_reduce_sum(data, count, dtype);
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

}  // namespace tpbench::test
