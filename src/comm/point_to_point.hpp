#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/data_path.hpp"
#include "base/message_progress.hpp"
#include "comm/control.hpp"
#include "tensor/matrix.hpp"

namespace tpbench {

/// Messages from one rank to another that are received in the order in which they are sent.
struct Link {
  int from = 0, to = 0, channel = 0;
};
/// A tag names its message among those of its channel.
inline constexpr int kChannels = 3;
constexpr int channel_of(int tag) { return tag % kChannels; }
constexpr int tag_in(int channel, int number) { return number * kChannels + channel; }

/// Messages between the stages of a pipeline, under way while others compute. Ranks are those of the control
/// that it was made over. A rank uses its tickets one after the other and again: a ticket is free once its
/// message has been waited for, and all its messages have one peer. Throws CommError.
///
/// Where operands lie on a device, a message begins behind the work that the calling thread has queued. What
/// is said below of a wait and of what is done is true of that queue: what is put into it afterwards comes
/// after the message, which need not be over when the call returns.
class PointToPoint {
 public:
  virtual ~PointToPoint() = default;

  [[nodiscard]] virtual int rank() const = 0;
  /// Of messages that leave the host; none where all ranks are on one.
  [[nodiscard]] virtual std::optional<MessageProgress> network_progress() const { return std::nullopt; }

  /// Where operands go through.
  [[nodiscard]] virtual DataPath data_path() const { return DataPath::host; }

  /// A matrix that messages can be received into; of all that a rank asks for, no more bytes than it has
  /// said.
  virtual Matrix make_landing(TrackedMemory& memory, Category category, DType dtype, std::int64_t rows,
                              std::int64_t columns) {
    return {memory.allocate(category, rows * columns * size_of(dtype)), dtype, rows, columns};
  }

  /// Begins to receive the message that rank `from` sends under `tag`, into a part of a landing. It is not
  /// touched until it is waited for. Before that, every message is sent once and received once.
  virtual void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) = 0;
  /// Begins to send; `data` stays as it is until it is waited for.
  virtual void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) = 0;
  /// Whether the ticket's message has come, or left; also where the ticket is free. Moves what is under way.
  virtual bool is_done(std::size_t ticket) = 0;
  /// Moves what is under way, and no more.
  virtual void progress() = 0;
  /// Returns when it has. Lets others have the core meanwhile.
  virtual void wait(std::size_t ticket) {
    // At first without a pause, as a message may be a microsecond away; then others may need the core that
    // this rank waits on.
    constexpr int kSpins = 200;
    for (int spins = 0; !is_done(ticket); ++spins) {
      if (spins > kSpins) std::this_thread::yield();
    }
  }
};

/// What a rank will ask for.
struct PointToPointNeeds {
  std::size_t tickets = 0;
  std::int64_t landing_bytes = 0;   ///< of all landings, each rounded up to kLandingAlignment
  std::int64_t received_bytes = 0;  ///< of messages that are received at the same time, likewise
  std::vector<Link> links = {};     ///< all that there are between the ranks; the same on each of them
};
inline constexpr std::int64_t kLandingAlignment = 64;
inline std::int64_t landing_bytes_of(std::int64_t bytes) {
  return (bytes + kLandingAlignment - 1) / kLandingAlignment * kLandingAlignment;
}

/// Between ranks of one host by memory that they share, between hosts by MPI. Hosts are told apart as by
/// find_hosts. Collective over `ranks`.
std::unique_ptr<PointToPoint> make_point_to_point(const Control& ranks, const PointToPointNeeds& needs,
                                                  const std::string& identity = host_identity());

/// The MPI library's non-blocking sends and receives alone. A count in MPI is an int: longer messages go in
/// pieces of `max_bytes`, which tests set low.
std::unique_ptr<PointToPoint> make_mpi_point_to_point(const Control& ranks, std::size_t tickets,
                                                      std::int64_t max_bytes = std::int64_t{1} << 30);

/// Whoever sends writes to where the receiver has said that it waits: one copy. `ranks` are on one host.
std::unique_ptr<PointToPoint> make_shm_point_to_point(const Control& ranks, const PointToPointNeeds& needs);

}  // namespace tpbench
