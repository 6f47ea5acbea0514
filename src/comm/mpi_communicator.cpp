#include "comm/mpi_communicator.hpp"

#include <mpi.h>

#include <algorithm>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {
namespace {

MPI_Datatype mpi_type(DType dtype) { return dtype == DType::f32 ? MPI_FLOAT : MPI_DOUBLE; }

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const Control& group, std::int64_t max_count)
      : handle_(group.handle()), rank_(group.rank()), size_(group.size()), max_count_(max_count) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce_sum(void* data, std::int64_t count, DType dtype) override {
    for (std::int64_t at = 0; at < count; at += max_count_) {
      TPBENCH_MPI(MPI_Allreduce(MPI_IN_PLACE, offset(data, at, dtype), piece(count - at), mpi_type(dtype),
                                MPI_SUM, handle_->comm));
    }
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    if (shard_count <= max_count_) {
      const int count = piece(shard_count);
      TPBENCH_MPI(MPI_Allgather(shard, count, mpi_type(dtype), whole, count, mpi_type(dtype), handle_->comm));
      return;
    }
    // A piece of every shard at a time, each from its owner: pieces of one gather would not lie where they
    // belong.
    for (int owner = 0; owner < size_; ++owner) {
      std::byte* target = offset(whole, owner * shard_count, dtype);
      if (owner == rank_)
        std::copy_n(static_cast<const std::byte*>(shard), shard_count * size_of(dtype), target);
      for (std::int64_t at = 0; at < shard_count; at += max_count_) {
        TPBENCH_MPI(MPI_Bcast(offset(target, at, dtype), piece(shard_count - at), mpi_type(dtype), owner,
                              handle_->comm));
      }
    }
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    if (shard_count <= max_count_) {
      TPBENCH_MPI(MPI_Reduce_scatter_block(whole, shard, piece(shard_count), mpi_type(dtype), MPI_SUM,
                                           handle_->comm));
      return;
    }
    for (int owner = 0; owner < size_; ++owner) {
      for (std::int64_t at = 0; at < shard_count; at += max_count_) {
        TPBENCH_MPI(MPI_Reduce(offset(const_cast<void*>(whole), owner * shard_count + at, dtype),
                               offset(shard, at, dtype), piece(shard_count - at), mpi_type(dtype), MPI_SUM,
                               owner, handle_->comm));
      }
    }
  }

 private:
  [[nodiscard]] int piece(std::int64_t remaining) const {
    return static_cast<int>(std::min(remaining, max_count_));
  }
  static std::byte* offset(void* data, std::int64_t elements, DType dtype) {
    return static_cast<std::byte*>(data) + elements * size_of(dtype);
  }

  std::shared_ptr<MpiHandle> handle_;
  int rank_;
  int size_;
  std::int64_t max_count_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const Control& group, std::int64_t max_count) {
  return std::make_unique<MpiCommunicator>(group, max_count);
}

}  // namespace tpbench
