#include "cuda/nccl_point_to_point.hpp"

#include <nccl.h>

#include <exception>
#include <stdexcept>
#include <vector>

#include "cuda/check.hpp"
#include "cuda/device.hpp"
#include "cuda/nccl_handle.hpp"

namespace tpbench::cuda {
namespace {

constexpr int kSender = 0, kReceiver = 1;  // the ranks of a link's communicator

// A link that begins or ends at this rank.
class Wire {
 public:
  Wire(const Link& link, const ncclUniqueId& id, int rank)
      : link_(link), sends_(link.from == rank), comm_(id, 2, sends_ ? kSender : kReceiver) {
    TPBENCH_CUDA(cudaStreamCreateWithFlags(&queue_, cudaStreamNonBlocking));
  }
  // What has failed may never end.
  ~Wire() {
    if (std::uncaught_exceptions() == 0) cudaStreamSynchronize(queue_);
    cudaStreamDestroy(queue_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  /// NCCL connects two ranks at their first message, in the call: it returns when the peer has made its own.
  /// In a step a rank would wait so for one that it has to send to first.
  void connect(std::span<std::byte> some) const {
    if (sends_)
      send(some);
    else
      receive(some);
    TPBENCH_CUDA(cudaStreamSynchronize(queue_));
  }

  [[nodiscard]] bool is(bool sends, int peer, int channel) const {
    return sends == sends_ && peer == (sends ? link_.to : link_.from) && channel == link_.channel;
  }
  [[nodiscard]] cudaStream_t queue() const { return queue_; }
  void come_after(const Event& event) const { TPBENCH_CUDA(cudaStreamWaitEvent(queue_, event.get())); }

  void send(std::span<const std::byte> data) const {
    TPBENCH_NCCL(ncclSend(data.data(), data.size(), ncclUint8, kReceiver, comm_.get(), queue_));
  }
  void receive(std::span<std::byte> data) const {
    TPBENCH_NCCL(ncclRecv(data.data(), data.size(), ncclUint8, kSender, comm_.get(), queue_));
  }

 private:
  Link link_;
  bool sends_;
  NcclHandle comm_;
  cudaStream_t queue_ = nullptr;
};

class NcclPointToPoint final : public PointToPoint {
 public:
  NcclPointToPoint(const NativeGroup& group, std::span<const Link> links) : rank_(group.rank) {
    std::string ids;
    for (std::size_t i = 0; i < links.size() && rank_ == 0; ++i) ids += new_nccl_id();
    ids = group.from_first(std::move(ids));
    constexpr std::int64_t kSomeBytes = 256;
    const std::shared_ptr<void> some = Device::get().allocate(kSomeBytes);
    // In one order on all ranks, or two would wait for each other.
    for (std::size_t i = 0; i < links.size(); ++i) {
      if (links[i].from != rank_ && links[i].to != rank_) continue;
      const std::size_t length = ids.size() / links.size();
      wires_.push_back(std::make_unique<Wire>(links[i], nccl_id_of(ids.substr(i * length, length)), rank_));
      wires_.back()->connect({static_cast<std::byte*>(some.get()), kSomeBytes});
    }
  }

  int rank() const override { return rank_; }
  DataPath data_path() const override { return DataPath::device; }

  void start_receive(std::size_t number, int from, int tag, std::span<std::byte> data) override {
    const Wire& wire = wire_for(false, from, tag);
    come_after_own_work(wire);
    for (const Ticket& ticket : tickets_) {
      if (ticket.sends && overlap(ticket.data, data)) wire.come_after(ticket.end);
    }
    wire.receive(data);
    mark(number, wire, data, false);
  }
  void start_send(std::size_t number, int to, int tag, std::span<const std::byte> data) override {
    const Wire& wire = wire_for(true, to, tag);
    come_after_own_work(wire);
    wire.send(data);
    mark(number, wire, data, true);
  }

  // What is received over a message that still leaves waits for it on the device.
  bool is_done(std::size_t) override { return true; }
  void progress() override {}
  void wait(std::size_t number) override {
    if (number >= tickets_.size() || !tickets_[number].waits) return;
    TPBENCH_CUDA(cudaStreamWaitEvent(Device::get().queue(), tickets_[number].end.get()));
    tickets_[number].waits = tickets_[number].sends = false;
  }

 private:
  struct Ticket {
    Event end{cudaEventDisableTiming};
    std::span<const std::byte> data = {};
    bool waits = false;  // nobody has waited for it
    bool sends = false;  // and it leaves
  };

  static bool overlap(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.data() < b.data() + b.size() && b.data() < a.data() + a.size();
  }

  [[nodiscard]] const Wire& wire_for(bool sends, int peer, int tag) const {
    for (const auto& wire : wires_) {
      if (wire->is(sends, peer, channel_of(tag))) return *wire;
    }
    throw std::logic_error("PointToPoint: a message over a link that nobody has asked for");
  }

  void come_after_own_work(const Wire& wire) {
    TPBENCH_CUDA(cudaEventRecord(own_work_.get(), Device::get().queue()));
    wire.come_after(own_work_);
  }

  void mark(std::size_t number, const Wire& wire, std::span<const std::byte> data, bool sends) {
    while (tickets_.size() <= number) tickets_.emplace_back();  // in the first step of a case only
    Ticket& ticket = tickets_[number];
    TPBENCH_CUDA(cudaEventRecord(ticket.end.get(), wire.queue()));
    ticket.data = data;
    ticket.waits = true;
    ticket.sends = sends;
  }

  int rank_;
  std::vector<std::unique_ptr<Wire>> wires_;
  std::vector<Ticket> tickets_;
  Event own_work_{cudaEventDisableTiming};
};

}  // namespace

std::unique_ptr<PointToPoint> make_nccl_point_to_point(const NativeGroup& group,
                                                       std::span<const Link> links) {
  return std::make_unique<NcclPointToPoint>(group, links);
}

}  // namespace tpbench::cuda
