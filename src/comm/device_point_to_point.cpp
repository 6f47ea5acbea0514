#include "comm/device_point_to_point.hpp"

#include <unistd.h>

#include <memory>
#include <vector>

#include "base/error.hpp"
#include "comm/pinned_stage.hpp"

namespace tpbench {
namespace {

std::int64_t page_bytes() { return sysconf(_SC_PAGESIZE); }
std::int64_t pages_of(std::int64_t bytes) { return (bytes + page_bytes() - 1) / page_bytes() * page_bytes(); }

// What the messages of a host need for it: a page more for each ticket, as pages are pinned.
PointToPointNeeds host_needs(const PointToPointNeeds& needs) {
  const auto tickets = static_cast<std::int64_t>(needs.tickets);
  return {needs.tickets, landing_bytes_of(needs.received_bytes + (tickets + 2) * page_bytes()),
          needs.received_bytes, needs.links};
}

class StagedPointToPoint final : public PointToPoint {
 public:
  StagedPointToPoint(const Control& ranks, const PointToPointNeeds& needs, DeviceSide& device)
      : device_(device), host_(make_point_to_point(ranks, host_needs(needs))), received_(needs.tickets) {
    // Bytes, as numbers of two: the smallest type there is.
    landing_ = host_->make_landing(host_memory_, Category::communication, DType::f16, 1,
                                   host_needs(needs).landing_bytes / 2);
    void* first = landing_.view().data;
    auto room = static_cast<std::size_t>(host_needs(needs).landing_bytes);
    std::align(static_cast<std::size_t>(page_bytes()), 1, first, room);
    next_ = static_cast<std::byte*>(first);
    end_ = next_ + static_cast<std::int64_t>(room) / page_bytes() * page_bytes();
    pinned_ = device_.pin(next_, end_ - next_);
    for (std::size_t i = 0; i < needs.tickets; ++i) sent_.emplace_back(device_);
  }

  int rank() const override { return host_->rank(); }
  std::optional<MessageProgress> network_progress() const override { return host_->network_progress(); }
  DataPath data_path() const override { return DataPath::staged; }

  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    Received& received = received_[ticket];
    received.on_device = data;
    received.waits = true;
    host_->start_receive(ticket, from, tag, {place_of(received, data.size()), data.size()});
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    std::byte* host = sent_[ticket].hold(static_cast<std::int64_t>(data.size()));
    device_.copy_to_host(host, data.data(), static_cast<std::int64_t>(data.size()));
    host_->start_send(ticket, to, tag, {host, data.size()});
  }

  bool is_done(std::size_t ticket) override {
    if (!host_->is_done(ticket)) return false;
    Received& received = received_[ticket];
    if (received.waits)
      device_.copy_to_device(received.on_device.data(), received.place,
                             static_cast<std::int64_t>(received.on_device.size()));
    received.waits = false;
    return true;
  }
  void progress() override { host_->progress(); }

 private:
  // A ticket's place on the host, and where its message goes.
  struct Received {
    std::byte* place = nullptr;
    std::size_t bytes = 0;
    std::span<std::byte> on_device = {};
    bool waits = false;
  };

  // All messages of a ticket are as long as its first.
  std::byte* place_of(Received& received, std::size_t bytes) {
    if (bytes <= received.bytes) return received.place;
    const std::int64_t pages = pages_of(static_cast<std::int64_t>(bytes));
    if (next_ + pages > end_) throw std::logic_error("PointToPoint: more is received than was asked for");
    received.place = next_;
    received.bytes = static_cast<std::size_t>(pages);
    next_ += pages;
    return received.place;
  }

  DeviceSide& device_;
  TrackedMemory host_memory_;  // not of the case's tensors
  std::unique_ptr<PointToPoint> host_;
  Matrix landing_;
  std::byte *next_ = nullptr, *end_ = nullptr;
  std::shared_ptr<void> pinned_;
  std::vector<Received> received_;  // by ticket
  std::vector<PinnedStage> sent_;   // by ticket
};

}  // namespace

std::unique_ptr<PointToPoint> make_nccl_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                       DeviceSide* device) {
  if (device == nullptr) throw CaseError("algorithm nccl works on GPU memory alone");
  const NativeGroup group = {ranks.rank(), ranks.size(),
                             [ranks](std::string text) { return ranks.broadcast(std::move(text)); }};
  return device->make_native_point_to_point(group, needs.links);
}

std::unique_ptr<PointToPoint> make_staged_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                         DeviceSide& device) {
  return std::make_unique<StagedPointToPoint>(ranks, needs, device);
}

}  // namespace tpbench
