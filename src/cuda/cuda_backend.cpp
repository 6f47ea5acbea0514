#include "cuda/cuda_backend.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "comm/communicator.hpp"
#include "comm/device_side.hpp"
#include "compute/cuda_workspace.hpp"
#include "compute/thread_pool.hpp"
#include "cuda/check.hpp"
#include "cuda/device.hpp"
#include "cuda/gemm.hpp"
#include "cuda/kernels.hpp"
#include "cuda/nccl_communicator.hpp"
#include "cuda/nccl_point_to_point.hpp"
#include "measure/device_clock.hpp"

namespace tpbench::cuda {
namespace {

// Marks on the queue of the thread that computes.
class EventClock final : public DeviceClock {
 public:
  void mark(std::size_t index) override {
    while (events_.size() <= index) events_.emplace_back();  // in the first step of a case only
    TPBENCH_CUDA(cudaEventRecord(events_[index].get(), Device::get().queue()));
  }
  void wait(std::size_t index) override { Device::get().wait(events_[index].get()); }
  double seconds_between(std::size_t from, std::size_t to) override {
    float milliseconds = 0;
    TPBENCH_CUDA(cudaEventElapsedTime(&milliseconds, events_[from].get(), events_[to].get()));
    return static_cast<double>(milliseconds) * 1e-3;
  }

 private:
  std::vector<Event> events_;
};

class CudaSide final : public DeviceSide {
 public:
  void finish() override { Device::get().finish(); }
  void copy_to_host(void* host, const void* device, std::int64_t bytes) override {
    copy(host, device, bytes, cudaMemcpyDeviceToHost);
  }
  void copy_to_device(void* device, const void* host, std::int64_t bytes) override {
    copy(device, host, bytes, cudaMemcpyHostToDevice);
  }
  std::shared_ptr<void> pinned_memory(std::int64_t bytes) override {
    return Device::get().allocate_pinned(bytes);
  }
  std::shared_ptr<void> pin(void* host, std::int64_t bytes) override {
    TPBENCH_CUDA(cudaHostRegister(host, static_cast<std::size_t>(bytes), cudaHostRegisterDefault));
    return {host, [](void* pinned) { cudaHostUnregister(pinned); }};
  }
  std::shared_ptr<void> point() override {
    const cudaStream_t queue = Device::get().queue();  // first of all: it makes this GPU the thread's
    auto event = std::make_shared<Event>(cudaEventDisableTiming);
    TPBENCH_CUDA(cudaEventRecord(event->get(), queue));
    return event;
  }
  void come_after(const std::shared_ptr<void>& point) override {
    const auto event = std::static_pointer_cast<Event>(point);
    TPBENCH_CUDA(cudaStreamWaitEvent(Device::get().queue(), event->get()));
  }
  Memory memory_now() override {
    std::size_t free = 0, total = 0;
    TPBENCH_CUDA(cudaMemGetInfo(&free, &total));
    return {static_cast<std::int64_t>(free), static_cast<std::int64_t>(total)};
  }
  std::unique_ptr<Communicator> make_native_communicator(const NativeGroup& group) override {
    return make_nccl_communicator(group);
  }
  std::unique_ptr<PointToPoint> make_native_point_to_point(const NativeGroup& group,
                                                           std::span<const Link> links) override {
    return make_nccl_point_to_point(group, links);
  }

 private:
  static void copy(void* to, const void* from, std::int64_t bytes, cudaMemcpyKind kind) {
    TPBENCH_CUDA(cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), kind, Device::get().queue()));
    Device::get().finish();
  }
};

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int threads)
      : memory_([](std::int64_t bytes) { return Device::get().allocate(bytes); }),
        workspace_(memory_.allocate(Category::workspace, kCudaWorkspaceBytes)),
        gemm_(workspace_.data(), kCudaWorkspaceBytes),
        pool_(threads) {}
  // Memory is not given back under work that still uses it. What has failed was told before, and may never
  // end.
  ~CudaBackend() override {
    if (std::uncaught_exceptions() == 0) cudaStreamSynchronize(queue());
  }
  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  int threads() const override { return pool_.threads(); }
  TrackedMemory& memory() override { return memory_; }
  DeviceSide* device() override { return &side_; }
  DeviceClock* device_clock() override { return &clock_; }

  void multiply(const Factor& a, const Factor& b, const MatrixStack& c, Store store) override {
    gemm_.multiply(a, b, c, store, queue());
  }
  void gelu(const MatrixView& x, const MatrixView& y) override { cuda::gelu(x, y, queue()); }
  void swiglu(const MatrixView& x, const MatrixView& y) override { cuda::swiglu(x, y, queue()); }
  void gelu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    cuda::gelu_backward(x, dy, dx, queue());
  }
  void swiglu_backward(const MatrixView& x, const MatrixView& dy, const MatrixView& dx) override {
    cuda::swiglu_backward(x, dy, dx, queue());
  }
  void norm(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& y) override {
    cuda::norm(kind, x, parameters, y, queue());
  }
  void norm_backward(Norm kind, const MatrixView& x, const MatrixView& parameters, const MatrixView& dy,
                     const MatrixView& dx, const MatrixView& dparameters) override {
    check_room_for_rows(x);
    cuda::norm_backward(kind, x, parameters, dy, dx, dparameters, workspace_.data(), queue());
  }
  void softmax(const MatrixView& x, const Visible& visible, double scale) override {
    cuda::softmax(x, visible, scale, queue());
  }
  void softmax_backward(const MatrixView& p, const MatrixView& dp, double scale) override {
    cuda::softmax_backward(p, dp, scale, queue());
  }
  void look_up(const TokenIds& ids, const MatrixView& table, const MatrixView& y) override {
    cuda::look_up(ids, table, y, queue());
  }
  void look_up_backward(const TokenIds& ids, const MatrixView& dy, const MatrixView& dtable,
                        Store store) override {
    cuda::look_up_backward(ids, dy, dtable, store == Store::add, queue());
  }
  void row_maxima(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima) override {
    cuda::row_maxima(ids, x, maxima, queue());
  }
  void exponentials(const TokenIds& ids, const MatrixView& x, const MatrixView& maxima,
                    const MatrixView& sums, const MatrixView& targets) override {
    cuda::exponentials(ids, x, maxima, sums, targets, queue());
  }
  void cross_entropy(const MatrixView& sums, const MatrixView& targets, const MatrixView& loss) override {
    cuda::cross_entropy(sums, targets, loss, queue());
  }
  void cross_entropy_backward(const TokenIds& ids, const MatrixView& sums, const MatrixView& x) override {
    cuda::cross_entropy_backward(ids, sums, x, queue());
  }
  void copy(const MatrixView& from, const MatrixView& to) override { cuda::copy(from, to, queue()); }
  void add(const MatrixView& a, const MatrixView& b, const MatrixView& sum) override {
    cuda::add(a, b, sum, queue());
  }
  void set_zero(const MatrixView& x) override { cuda::set_zero(x, queue()); }

  void fill(const MatrixView& x, const TensorKey& key, std::int64_t row, std::int64_t column) override {
    cuda::fill(x, key, row, column, queue());
  }
  void poison(const MatrixView& x) override { cuda::poison(x, queue()); }

  MatrixView host_view(const MatrixView& x, std::vector<std::byte>& scratch) override {
    const auto size = static_cast<std::size_t>(size_of(x.dtype)), rows = static_cast<std::size_t>(x.rows),
               width = static_cast<std::size_t>(x.columns) * size,
               pitch = static_cast<std::size_t>(x.row_stride) * size;
    scratch.resize(std::max(scratch.size(), rows * width));
    const MatrixView copy = {scratch.data(), x.dtype, x.rows, x.columns, x.columns};
    if (x.elements() == 0) return copy;
    if (rows == 1 || pitch == width) {  // a row may be longer than any pitch
      side_.copy_to_host(scratch.data(), x.data, static_cast<std::int64_t>(rows * width));
    } else {
      TPBENCH_CUDA(cudaMemcpy2DAsync(scratch.data(), width, x.data, pitch, width, rows,
                                     cudaMemcpyDeviceToHost, queue()));
      side_.finish();
    }
    return copy;
  }
  // The pool's threads read through queues of their own: all that this thread has queued comes first.
  void parallel_for(std::int64_t count,
                    const std::function<void(std::int64_t, std::int64_t)>& body) override {
    side_.finish();
    pool_.parallel_for(count, body);
  }

  // What is written after everything else pushes it out of the second-level cache.
  bool flush_caches() override {
    constexpr std::int64_t kTimes = 2;
    const std::int64_t bytes = kTimes * Device::get().properties().l2CacheSize;
    if (!pushes_out_) pushes_out_ = Device::get().allocate(bytes);
    TPBENCH_CUDA(cudaMemsetAsync(pushes_out_.get(), 0, static_cast<std::size_t>(bytes), queue()));
    side_.finish();
    return true;
  }

 private:
  static cudaStream_t queue() { return Device::get().queue(); }

  // Mean and inverse of each row stand in the workspace for a moment.
  static void check_room_for_rows(const MatrixView& x) {
    if (norm_backward_scratch_bytes(x) > kCudaWorkspaceBytes)
      throw CaseError("the gradient of a norm takes up to 2097152 rows on a GPU (4194304 below f64)");
  }

  CudaSide side_;
  EventClock clock_;
  TrackedMemory memory_;
  Allocation workspace_;
  std::shared_ptr<void> pushes_out_;
  Gemm gemm_;
  ThreadPool pool_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int threads) { return std::make_unique<CudaBackend>(threads); }

}  // namespace tpbench::cuda
