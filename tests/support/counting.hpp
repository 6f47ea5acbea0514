#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "comm/forwarding_communicator.hpp"
#include "compute/forwarding_backend.hpp"
#include "workload/workload.hpp"

namespace tpbench::test {

/// What was executed, to be compared with what a formula says.
struct Executed {
  std::int64_t flop = 0;                                    ///< 2mnk per GEMM
  std::map<CollectiveOp, std::vector<std::int64_t>> bytes;  ///< of each call: the whole array
};

class CountingBackend final : public ForwardingBackend {
 public:
  CountingBackend(std::unique_ptr<Backend> inner, Executed& executed)
      : ForwardingBackend(std::move(inner)), executed_(executed) {}

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    executed_.flop += 2 * c.count * c.first.rows * c.first.columns * a.columns();
    ForwardingBackend::multiply(a, b, c, store);
  }

 private:
  Executed& executed_;
};

class CountingCommunicator final : public ForwardingCommunicator {
 public:
  CountingCommunicator(std::unique_ptr<Communicator> inner, Executed& executed)
      : ForwardingCommunicator(std::move(inner)), executed_(executed) {}

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    executed_.bytes[CollectiveOp::all_reduce].push_back(count * size_of(dtype));
    ForwardingCommunicator::all_reduce(data, count, dtype, how);
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    executed_.bytes[CollectiveOp::all_gather].push_back(shard_count * size() * size_of(dtype));
    ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    executed_.bytes[CollectiveOp::reduce_scatter].push_back(shard_count * size() * size_of(dtype));
    ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
  }

 private:
  Executed& executed_;
};

}  // namespace tpbench::test
