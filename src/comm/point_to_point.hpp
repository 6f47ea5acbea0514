#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "comm/control.hpp"

namespace tpbench {

/// Messages between the stages of a pipeline, under way while others compute. Ranks are those of the control
/// that it was made over. A rank uses its tickets one after the other and again: a ticket is free once its
/// message has been waited for. Throws CommError.
class PointToPoint {
 public:
  virtual ~PointToPoint() = default;

  [[nodiscard]] virtual int rank() const = 0;

  /// Begins to receive the message that rank `from` sends under `tag`; `data` is not touched until it is
  /// waited for. Before that, every message is sent once and received once.
  virtual void start_receive(std::size_t ticket, int from, int tag, std::span<std::byte> data) = 0;
  /// Begins to send; `data` stays as it is until it is waited for.
  virtual void start_send(std::size_t ticket, int to, int tag, std::span<const std::byte> data) = 0;
  /// Whether the ticket's message has come, or left; also where the ticket is free. Moves what is under way.
  virtual bool is_done(std::size_t ticket) = 0;
  /// Returns when it has. Lets others have the core meanwhile.
  virtual void wait(std::size_t ticket) = 0;
};

/// The MPI library's non-blocking sends and receives, on `tickets` tickets. A count in MPI is an int: longer
/// messages go in pieces of `max_bytes`, which tests set low.
std::unique_ptr<PointToPoint> make_mpi_point_to_point(const Control& ranks, std::size_t tickets,
                                                      std::int64_t max_bytes = std::int64_t{1} << 30);

}  // namespace tpbench
