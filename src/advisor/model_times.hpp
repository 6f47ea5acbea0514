#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "advisor/predict_case.hpp"
#include "workload/model_stages.hpp"

// What pieces of a whole model take: one layer and the two ends, for one microbatch on one rank.
namespace tpbench {

/// One direction of one piece. Weight gradients stand for themselves where nobody waits for them.
struct DirectionTime {
  PieceTime compute, communication;
  [[nodiscard]] double seconds() const { return compute.seconds + communication.seconds; }
  DirectionTime& add(const DirectionTime& other, double times = 1);
};

struct PieceTimes {
  DirectionTime forward, input_gradient, weight_gradient;
  DirectionTime once;  ///< in a step, whatever its microbatches: sums of gradients over ranks of a layer
  PieceTimes& add(const PieceTimes& other, double times = 1);
  /// Of one microbatch.
  [[nodiscard]] double seconds() const {
    return forward.seconds() + input_gradient.seconds() + weight_gradient.seconds();
  }
  [[nodiscard]] PieceTime compute() const;
  [[nodiscard]] PieceTime communication() const;
};

struct ModelTimes {
  PieceTimes layer, embedding, head;
};

/// Where the ranks of a split are.
struct SplitPlace {
  std::int64_t tp_hosts = 1;    ///< that the ranks of a layer are on
  std::int64_t busy_ranks = 0;  ///< that compute on each host; 0: as many as were measured at most
  double step_bytes = 0;        ///< that a rank goes through before it begins anew; set by ModelTimer
};

/// Whose rates are taken, and where the ranks are.
struct PlanMachine {
  PredictedMachine machine;
  std::string backend = "cpu";
  std::string algorithm = "mpi";
  std::string library = "openblas";  ///< library_of
  DType dtype = DType::f32;
  std::optional<std::int64_t> threads_per_rank;
  Pages pages = Pages::system;          ///< of the measured cases
  CacheState cache = CacheState::warm;  ///< of the measured cases; a whole model finds its weights cold
};

/// Puts the pieces of one model together from a calibration, and remembers them.
class ModelTimer {
 public:
  ModelTimer(const Calibration& calibration, const PlanMachine& machine);

  /// What backward computes again is in `input_gradient`: backward of tpbench's own layers makes the scores
  /// again; `selective` and `full` run the whole attention core, or layer, once more, and `none` nothing.
  const ModelTimes& times(const ModelTask& task, const ModelSplit& split, ModelPhase phase,
                          const SplitPlace& place);

  /// What a rank's optimizer takes, by the bytes that it goes over (kOptimizerBytes...).
  [[nodiscard]] PieceTime optimizer(double parameters, std::int64_t busy_ranks) const;

  [[nodiscard]] PieceTime collective(CollectiveOp op, std::int64_t bytes, const Group& group) const;
  [[nodiscard]] PieceTime message(std::int64_t bytes, Reach reach) const;
  [[nodiscard]] const Calibration& calibration() const { return calibration_; }

 private:
  [[nodiscard]] PieceTimes of_cost(const Cost& once, const Cost& twice, const SplitPlace& place,
                                   Recompute recompute) const;

  const Calibration& calibration_;
  PlanMachine machine_;
  const ComputeFit& fit_;
  using Key = std::tuple<ModelPhase, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, ModelTimes> known_;
};

/// Bytes of each parameter that an optimizer step goes over, Adam with gradients clipped by their norm. Of
/// 16-bit weights: gradients are unscaled (read 4, write 4), their norm is taken (4) and they are scaled
/// (4 + 4); Adam reads gradient, weight and two moments and writes all but the gradient (16 + 12); the 16-bit
/// weight is written (4 + 2); gradients are set to 0 (4).
inline constexpr double kOptimizerBytes16Bit = 58;
/// Of 32-bit weights nothing is unscaled, and there is no copy. Of 64-bit ones it is twice that.
inline constexpr double kOptimizerBytes32Bit = 44;

}  // namespace tpbench
