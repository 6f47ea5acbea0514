#include "comm/mpi_communicator.hpp"

#include <mpi.h>

#include <algorithm>

#include "comm/check_mpi.hpp"
#include "comm/mpi_handle.hpp"

namespace tpbench {
namespace {

// MPI has no types of two bytes that are numbers of the kind meant here: they travel as their bits.
MPI_Datatype mpi_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return MPI_DOUBLE;
    case DType::f16:
    case DType::bf16:
      return MPI_UINT16_T;
    default:
      return MPI_FLOAT;
  }
}

// The form that MPI wants of an operation.
template <typename T>
void add_elements(void* from, void* to, int* count, MPI_Datatype*) {
  T* sums = static_cast<T*>(to);
  add(sums, static_cast<const T*>(from), sums, *count);
}

// A sum that MPI does not know: each addition in float, rounded.
class SumOp {
 public:
  explicit SumOp(MPI_User_function* function) {
    constexpr int kCommutes = 1;
    TPBENCH_MPI(MPI_Op_create(function, kCommutes, &op_));
  }
  ~SumOp() {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized == 0) MPI_Op_free(&op_);
  }
  SumOp(const SumOp&) = delete;
  SumOp& operator=(const SumOp&) = delete;

  [[nodiscard]] MPI_Op get() const { return op_; }

 private:
  MPI_Op op_ = MPI_OP_NULL;
};

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const Control& group, std::int64_t max_count)
      : handle_(group.handle()), rank_(group.rank()), size_(group.size()), max_count_(max_count) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    for (std::int64_t at = 0; at < count; at += max_count_) {
      TPBENCH_MPI(MPI_Allreduce(MPI_IN_PLACE, offset(data, at, dtype), piece(count - at), mpi_type(dtype),
                                how == Reduction::max ? MPI_MAX : sum_of(dtype), handle_->comm));
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
      TPBENCH_MPI(MPI_Reduce_scatter_block(whole, shard, piece(shard_count), mpi_type(dtype), sum_of(dtype),
                                           handle_->comm));
      return;
    }
    for (int owner = 0; owner < size_; ++owner) {
      for (std::int64_t at = 0; at < shard_count; at += max_count_) {
        TPBENCH_MPI(MPI_Reduce(offset(const_cast<void*>(whole), owner * shard_count + at, dtype),
                               offset(shard, at, dtype), piece(shard_count - at), mpi_type(dtype),
                               sum_of(dtype), owner, handle_->comm));
      }
    }
  }

 private:
  [[nodiscard]] MPI_Op sum_of(DType dtype) const {
    if (dtype == DType::f16) return float16_sum_.get();
    return dtype == DType::bf16 ? bfloat16_sum_.get() : MPI_SUM;
  }
  [[nodiscard]] int piece(std::int64_t remaining) const {
    return static_cast<int>(std::min(remaining, max_count_));
  }
  static std::byte* offset(void* data, std::int64_t elements, DType dtype) {
    return static_cast<std::byte*>(data) + elements * size_of(dtype);
  }

  std::shared_ptr<MpiHandle> handle_;
  SumOp float16_sum_{add_elements<Float16>};
  SumOp bfloat16_sum_{add_elements<BFloat16>};
  int rank_;
  int size_;
  std::int64_t max_count_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(const Control& group, std::int64_t max_count) {
  return std::make_unique<MpiCommunicator>(group, max_count);
}

}  // namespace tpbench
