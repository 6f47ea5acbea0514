#include <mpi.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "comm/check_mpi.hpp"
#include "comm/message_mover.hpp"
#include "comm/mpi_handle.hpp"
#include "comm/point_to_point.hpp"

namespace tpbench {
namespace {

class MpiPointToPoint final : public PointToPoint {
 public:
  // A communicator of its own: no tag of another layer can meet these.
  MpiPointToPoint(const Control& ranks, std::size_t tickets, std::int64_t max_bytes)
      : ranks_(ranks.split(0)), max_bytes_(static_cast<std::size_t>(max_bytes)), requests_(tickets) {
    if (MpiTurn::threads_may_take_turns()) mover_.emplace([this] { look_after_all(); });
  }

  int rank() const override { return ranks_.rank(); }
  std::optional<MessageProgress> network_progress() const override {
    return mover_ ? MessageProgress::thread : MessageProgress::calls;
  }

  void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) override {
    in_pieces(ticket, data, [&](std::byte* piece, int count, MPI_Request* request) {
      TPBENCH_MPI(MPI_Irecv(piece, count, MPI_BYTE, from, tag, comm(), request));
    });
  }
  void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) override {
    in_pieces(ticket, data, [&](const std::byte* piece, int count, MPI_Request* request) {
      TPBENCH_MPI(MPI_Isend(piece, count, MPI_BYTE, to, tag, comm(), request));
    });
  }

  bool is_done(std::size_t ticket) override {
    std::vector<MPI_Request>& requests = requests_[ticket];
    if (requests.empty()) return true;
    int done = 0;
    TPBENCH_MPI(MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
    if (done == 0) return false;
    requests.clear();
    if (--under_way_ == 0 && mover_) mover_->rest();
    return true;
  }

  void progress() override {
    const MpiTurn turn;
    if (under_way_ > 0) look_after_all();
  }

 private:
  [[nodiscard]] MPI_Comm comm() const { return ranks_.handle()->comm; }

  // In a turn. A look for a message that nobody sends makes the library look after all that is under way;
  // Open MPI looks at sockets in every eighth call.
  void look_after_all() {
    constexpr int kNobodys = 32767, kLooks = 8;
    for (int i = 0; i < kLooks; ++i) {
      int found = 0;
      check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kNobodys, comm(), &found, MPI_STATUS_IGNORE), "MPI_Iprobe",
                std::source_location::current());
    }
  }

  // Pieces of one message keep their order.
  template <typename Bytes, typename Start>
  void in_pieces(std::size_t ticket, Bytes data, const Start& start) {
    std::vector<MPI_Request>& requests = requests_[ticket];
    const std::size_t pieces = std::max<std::size_t>(1, (data.size() + max_bytes_ - 1) / max_bytes_);
    requests.assign(pieces, MPI_REQUEST_NULL);  // allocates only the first time
    if (++under_way_ == 1 && mover_) mover_->wake();
    for (std::size_t i = 0; i < pieces; ++i) {
      const std::size_t at = i * max_bytes_;
      start(data.data() + at, static_cast<int>(std::min(max_bytes_, data.size() - at)), &requests[i]);
    }
  }

  Control ranks_;
  std::size_t max_bytes_;
  std::vector<std::vector<MPI_Request>> requests_;  // by ticket; none where it is free
  int under_way_ = 0;                               // tickets
  std::optional<MessageMover> mover_;
};

}  // namespace

std::unique_ptr<PointToPoint> make_mpi_point_to_point(const Control& ranks, std::size_t tickets,
                                                      std::int64_t max_bytes) {
  return std::make_unique<MpiPointToPoint>(ranks, tickets, max_bytes);
}

}  // namespace tpbench
