#include "cuda/nccl_communicator.hpp"

#include <nccl.h>

#include <exception>
#include <stdexcept>
#include <string>

#include "base/error.hpp"
#include "cuda/check.hpp"
#include "cuda/device.hpp"
#include "cuda/nccl_handle.hpp"

namespace tpbench::cuda {
namespace {

ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::tf32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::f16:
      return ncclFloat16;
    case DType::bf16:
      return ncclBfloat16;
  }
  throw std::logic_error("nccl_type: unknown dtype");
}

class NcclCommunicator final : public Communicator {
 public:
  explicit NcclCommunicator(const NativeGroup& group) : rank_(group.rank), size_(group.size) {
    if (size_ == 1) return;  // nothing is ever communicated
    // A failure to make rank 0's id is told instead of it.
    const std::string id = group.from_first(rank_ == 0 ? new_nccl_id() : std::string());
    comm_ = std::make_shared<NcclHandle>(nccl_id_of(id), size_, rank_);
  }
  ~NcclCommunicator() override {
    if (std::uncaught_exceptions() == 0) cudaStreamSynchronize(Device::get().queue());
  }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  DataPath data_path(DType) const override { return DataPath::device; }

  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    const std::int64_t bytes = rows * columns * size_of(dtype);
    if (comm_ == nullptr || bytes == 0)
      return Communicator::make_matrix(memory, category, dtype, rows, columns);
    std::shared_ptr<void> block = Device::get().allocate(bytes);
    void* registration = nullptr;
    TPBENCH_NCCL(ncclCommRegister(comm_->get(), block.get(), static_cast<std::size_t>(bytes), &registration));
    // Both stay until the registration is gone.
    std::shared_ptr<void> registered(block.get(), [comm = comm_, block, registration](void*) {
      if (!comm->is_aborted()) ncclCommDeregister(comm->get(), registration);
    });
    return {memory.adopt(category, bytes, std::move(registered)), dtype, rows, columns};
  }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    TPBENCH_NCCL(ncclAllReduce(data, data, static_cast<std::size_t>(count), nccl_type(dtype),
                               how == Reduction::max ? ncclMax : ncclSum, comm_->get(),
                               Device::get().queue()));
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    TPBENCH_NCCL(ncclAllGather(shard, whole, static_cast<std::size_t>(shard_count), nccl_type(dtype),
                               comm_->get(), Device::get().queue()));
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    TPBENCH_NCCL(ncclReduceScatter(whole, shard, static_cast<std::size_t>(shard_count), nccl_type(dtype),
                                   ncclSum, comm_->get(), Device::get().queue()));
  }

 private:
  int rank_;
  int size_;
  std::shared_ptr<NcclHandle> comm_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const NativeGroup& group) {
  return std::make_unique<NcclCommunicator>(group);
}

}  // namespace tpbench::cuda
