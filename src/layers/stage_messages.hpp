#pragma once

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "layers/layer.hpp"
#include "workload/pipeline_plan.hpp"

namespace tpbench {

/// What comes to the stages of a rank and leaves them: received into places that are posted one message
/// ahead, sent from where it was computed. On one rank nothing is.
class StageMessages {
 public:
  /// Where the message of planned step `i` goes, [T or T/t, h] of one microbatch.
  using Landing = std::function<MatrixView(const PlannedStep& planned)>;

  /// How many matrices of that many rows `make_landing` will be asked for.
  struct Landings {
    std::int64_t count = 0, rows = 0;
  };
  /// `context` is that of a stage, `whole` that of all of them. Collective over the ranks of the pipeline.
  StageMessages(const LayerContext& context, const LayerContext& whole, const RankPlan& plan, Landing landing,
                std::span<const Landings> landings);

  /// A matrix [rows, h] that messages can be received into.
  Matrix make_landing(Category category, std::int64_t rows);

  /// Posts the first messages of a step, and what `exchange` will receive.
  void start(const MatrixView& exchanged = {});
  /// Returns when the message of this direction that is due has come, and lies where `landing` says.
  void receive(Direction direction, Trace& trace);
  /// Sends the output of a stage, or the gradient of its input, to the one that is next in that direction.
  void send(Direction direction, const PlannedStep& planned, const MatrixView& data, Trace& trace);
  /// Returns when what was sent from the place of this step has left.
  void wait_sent(Direction direction, const PlannedStep& planned);
  [[nodiscard]] bool is_sent(Direction direction, const PlannedStep& planned);
  /// Between the first rank and the last: sends `part` and returns when the other's has come into `others`,
  /// which was given to `start`.
  void exchange(const MatrixView& part, const MatrixView& others, Trace& trace);
  /// Lets the library move what is under way.
  void progress();
  /// Returns when all has left.
  void finish();
  void poison();

 private:
  // The messages of one direction.
  struct Stream {
    const std::vector<std::size_t>* receives = nullptr;  // steps of the plan
    std::size_t next = 0;                                // that is due
    std::size_t posted = 0;
    std::vector<Matrix> slices;  // where messages are scattered
  };

  Stream& stream(Direction direction) { return streams_[static_cast<std::size_t>(direction)]; }
  void post(Direction direction, bool waits);
  [[nodiscard]] MatrixView target(Direction direction, std::size_t message);
  [[nodiscard]] static std::size_t receive_ticket(Direction direction, std::size_t message) {
    return 2 * static_cast<std::size_t>(direction) + message % 2;
  }
  [[nodiscard]] std::size_t exchange_ticket() const;
  [[nodiscard]] int other_end() const;
  [[nodiscard]] std::size_t send_ticket(Direction direction, const PlannedStep& planned) const;
  [[nodiscard]] int tag(Direction direction, std::int64_t to_stage, std::int64_t microbatch) const;
  [[nodiscard]] int neighbour(std::int64_t offset) const;

  LayerContext context_;
  Shape whole_;
  std::int64_t pp_rank_;
  const RankPlan& plan_;
  Landing landing_;
  std::array<Stream, kDirections> streams_;
  std::unique_ptr<PointToPoint> messages_;
};

}  // namespace tpbench
