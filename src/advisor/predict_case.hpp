#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "advisor/advisor_error.hpp"
#include "advisor/calibration.hpp"

namespace tpbench {

/// A network that takes the place of the one that was measured.
struct Network {
  std::string name;                         ///< as it was typed
  std::vector<CostPiece> message;           ///< from rank to rank; not empty
  std::vector<CollectiveRate> collectives;  ///< where a probe has them
};

struct Fabric {
  std::optional<Network> inside, between;  ///< empty: as measured
};

/// Where a case is to run.
struct PredictedMachine {
  std::int64_t ranks_per_host = 0;  ///< 0: all ranks on one host
  Fabric fabric;
};

/// A quantity more than `kFarBeyond` times outside of what was measured.
enum class BeyondWhat { tokens, width, ranks, bytes, operation };
inline constexpr double kFarBeyond = 4;
struct Beyond {
  BeyondWhat what = BeyondWhat::tokens;
  double value = 0;
  MeasuredRange measured;
  bool operator==(const Beyond& other) const { return what == other.what; }
  /// "tokens 65536, measured 128 to 2048"
  [[nodiscard]] std::string text() const;
};

/// Seconds of one piece, and what of it lies outside of what was measured.
struct PieceTime {
  double seconds = 0;
  double far = 1;              ///< times beyond, of the quantity that is most; 1: inside
  std::vector<Beyond> beyond;  ///< those that are far beyond, the worst of each quantity

  PieceTime& add(const PieceTime& other, double times = 1);
};

/// Ranks of one collective.
struct Group {
  std::int64_t ranks = 1;
  std::int64_t hosts = 1;
};

/// The rates that a case computes at. A case without threads_per_rank takes those of the only number of
/// threads that was measured. Throws AdvisorError when there are none.
const ComputeFit& compute_fit_of(const Calibration& calibration, const Case& point);

/// What the work takes where `busy_ranks` compute on a host; 0: as many as were measured at most. It is part
/// of a step that goes through `step_bytes` before it begins anew; 0: through those of the work. Throws
/// AdvisorError for a kind that was not measured.
PieceTime work_seconds(const ComputeFit& fit, std::span<const Work> work, std::int64_t busy_ranks = 0,
                       double step_bytes = 0);

/// By the measured numbers of ranks around it, along their logarithm; 1 without any.
double crowding_factor(const ComputeFit& fit, std::int64_t busy_ranks);
/// What a rank's copy takes for each byte read or written, beside so many; 0 where it is not known.
double copy_s_per_byte(const ComputeFit& fit, std::int64_t busy_ranks);

/// What one call takes; 0 on one rank. By the measured number of ranks that is nearest, its alpha scaled by
/// the steps of a tree, its beta by the bus factor. Throws AdvisorError when nothing like it was measured.
PieceTime collective_seconds(const Calibration& calibration, const PredictedMachine& machine, CollectiveOp op,
                             const std::string& algorithm, std::int64_t bytes, const Group& group);

/// What one message between stages takes. Throws AdvisorError likewise.
PieceTime boundary_seconds(const Calibration& calibration, const PredictedMachine& machine,
                           std::int64_t bytes, Reach reach);

/// The median that is expected, and where 9 of 10 lie.
struct PredictedTime {
  double median_s = 0;
  double low_s = 0;
  double high_s = 0;
};

/// median / (1 + relative) to median * (1 + relative)
PredictedTime with_range(double median_s, double relative);

/// A step that is put together from what was measured. Its parts are those of a record: of a pipeline, those
/// of its busiest stage.
struct PredictedCase {
  PredictedTime step, compute, communication;
  PredictedTime boundary, waiting;  ///< of a pipeline: messages, and waiting for input and for the end
  double small_messages_s = 0;      ///< of communication, in collectives of less than kSmallMessage bytes
  double other_s = 0;
  double bubble = 0;  ///< (step - busiest stage's work) / step
  bool extrapolated = false;
  std::vector<Beyond> beyond;
  std::string dominant;        ///< the largest part: "compute", "communication", "boundary", "waiting"
  bool crosses_hosts = false;  ///< its collectives do
};

/// Whether collectives or messages of the case go that way there.
bool uses_reach(const Case& point, const PredictedMachine& machine, Reach reach);

/// One case on a machine. Throws AdvisorError when what was measured does not tell, and for what is not
/// predicted: a case that cannot run, overlap_chunks above 1.
PredictedCase predict_case(const Calibration& calibration, const Case& point,
                           const PredictedMachine& machine);

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::BeyondWhat, {tpbench::BeyondWhat::tokens, "tokens"},
                   {tpbench::BeyondWhat::width, "width"}, {tpbench::BeyondWhat::ranks, "ranks"},
                   {tpbench::BeyondWhat::bytes, "bytes"}, {tpbench::BeyondWhat::operation, "operation"});
