#include "comm/device_communicators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "base/error.hpp"
#include "comm/device_side.hpp"
#include "comm/forwarding_communicator.hpp"
#include "comm/mpi_communicator.hpp"
#include "comm/mpi_info.hpp"
#include "comm/pinned_stage.hpp"

namespace tpbench {
namespace {

class StagedCommunicator final : public ForwardingCommunicator {
 public:
  StagedCommunicator(std::unique_ptr<Communicator> host, DeviceSide& device)
      : ForwardingCommunicator(std::move(host)), device_(device), in_(device), out_(device) {}

  Matrix make_matrix(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                     std::int64_t columns) override {
    return Communicator::make_matrix(memory, category, dtype, rows, columns);
  }
  DataPath data_path(DType) const override { return DataPath::staged; }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    const std::int64_t bytes = count * size_of(dtype);
    std::byte* host = in_.hold(bytes);
    to_host(host, data, bytes);
    ForwardingCommunicator::all_reduce(host, count, dtype, how);
    to_device(data, host, bytes);
  }

  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    const std::int64_t bytes = shard_count * size_of(dtype);
    std::byte* host_shard = in_.hold(bytes);
    std::byte* host_whole = out_.hold(bytes * size());
    to_host(host_shard, shard, bytes);
    ForwardingCommunicator::all_gather(host_shard, shard_count, host_whole, dtype);
    to_device(whole, host_whole, bytes * size());
  }

  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    const std::int64_t bytes = shard_count * size_of(dtype);
    std::byte* host_whole = in_.hold(bytes * size());
    std::byte* host_shard = out_.hold(bytes);
    to_host(host_whole, whole, bytes * size());
    ForwardingCommunicator::reduce_scatter_sum(host_whole, host_shard, shard_count, dtype);
    to_device(shard, host_shard, bytes);
  }

 private:
  // An empty operand may lie nowhere.
  void to_host(void* host, const void* device, std::int64_t bytes) {
    if (bytes > 0) device_.copy_to_host(host, device, bytes);
  }
  void to_device(void* device, const void* host, std::int64_t bytes) {
    if (bytes > 0) device_.copy_to_device(device, host, bytes);
  }

  DeviceSide& device_;
  PinnedStage in_, out_;
};

// MPI takes the operands where they lie; it knows nothing of the queue that writes them.
class CudaAwareCommunicator final : public ForwardingCommunicator {
 public:
  CudaAwareCommunicator(const Control& group, DeviceSide& device)
      : ForwardingCommunicator(make_mpi_communicator(group)),
        device_(device),
        staged_(make_mpi_communicator(group), device) {}

  DataPath data_path(DType dtype) const override {
    return size_of(dtype) == 2 ? DataPath::staged : DataPath::device;
  }

  void all_reduce(void* data, std::int64_t count, DType dtype, Reduction how) override {
    if (data_path(dtype) == DataPath::staged) return staged_.all_reduce(data, count, dtype, how);
    device_.finish();
    ForwardingCommunicator::all_reduce(data, count, dtype, how);
  }
  void all_gather(const void* shard, std::int64_t shard_count, void* whole, DType dtype) override {
    // Of more elements than MPI counts, the copies between its calls are made by the host.
    if (shard_count > std::numeric_limits<int>::max())
      return staged_.all_gather(shard, shard_count, whole, dtype);
    device_.finish();
    ForwardingCommunicator::all_gather(shard, shard_count, whole, dtype);
  }
  void reduce_scatter_sum(const void* whole, void* shard, std::int64_t shard_count, DType dtype) override {
    if (data_path(dtype) == DataPath::staged)
      return staged_.reduce_scatter_sum(whole, shard, shard_count, dtype);
    device_.finish();
    ForwardingCommunicator::reduce_scatter_sum(whole, shard, shard_count, dtype);
  }

 private:
  DeviceSide& device_;
  StagedCommunicator staged_;
};

}  // namespace

std::unique_ptr<Communicator> make_staged(std::unique_ptr<Communicator> host, DeviceSide& device) {
  return std::make_unique<StagedCommunicator>(std::move(host), device);
}

std::unique_ptr<Communicator> make_mpi_for_device(const Control& group, DeviceSide& device) {
  if (mpi_takes_cuda_pointers().value_or(false))
    return std::make_unique<CudaAwareCommunicator>(group, device);
  return make_staged(make_mpi_communicator(group), device);
}

std::unique_ptr<Communicator> make_nccl(const Control& group, DeviceSide* device) {
  if (device == nullptr) throw CaseError("algorithm nccl works on GPU memory alone");
  return device->make_native_communicator(
      {group.rank(), group.size(), [group](std::string text) { return group.broadcast(std::move(text)); }});
}

std::optional<std::string> why_not_nccl(const GroupPlaces& places) {
  std::vector<int> devices(places.device_of.begin(), places.device_of.end());
  std::sort(devices.begin(), devices.end());
  const auto distinct = std::unique(devices.begin(), devices.end()) - devices.begin();
  if (static_cast<std::size_t>(distinct) == places.device_of.size()) return std::nullopt;
  return fmt::format("algorithm nccl needs a GPU for each rank, and this group of {} has {}",
                     places.device_of.size(), distinct);
}

}  // namespace tpbench
