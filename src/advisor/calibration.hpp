#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "advisor/alpha_beta.hpp"
#include "base/dtype.hpp"
#include "base/enum_names.hpp"
#include "base/json.hpp"
#include "sweep/case.hpp"
#include "workload/work.hpp"
#include "workload/workload.hpp"

// What measurements say of a machine, as numbers from which times of other cases are put together. All of it
// is a file, docs/calibration.schema.json.
namespace tpbench {

/// From the smallest to the largest that was measured.
struct MeasuredRange {
  double low = 0;
  double high = 0;

  void include(double value) {
    low = high == 0 ? value : std::min(low, value);
    high = std::max(high, value);
  }
  /// How many times beyond: 1 inside the range; 3 for a third of the smallest and for 3 times the largest.
  [[nodiscard]] double beyond(double value) const {
    if (high == 0 || value <= 0) return 1;
    return std::max({1.0, value / high, low / value});
  }
};

/// What one kind of work takes: t = calls * call_s + FLOP * s_per_flop + bytes * (s_per_byte + the share that
/// no cache holds * s_per_byte_beyond). None is negative.
struct WorkRate {
  WorkKind kind = WorkKind::product;
  double call_s = 0;
  double s_per_flop = 0;
  double s_per_byte = 0;
  double s_per_byte_beyond = 0;  ///< more, of bytes that come from memory
  MeasuredRange tokens;          ///< Work::tokens
  MeasuredRange width;           ///< Work::in and Work::out
  std::size_t points = 0;        ///< measured times that it is a part of

  /// `beyond`: the share of its bytes that no cache holds.
  [[nodiscard]] double seconds(const Work& work, double beyond) const {
    return work.calls * call_s + work.flop * s_per_flop +
           work.bytes * (s_per_byte + beyond * s_per_byte_beyond);
  }
};

/// How much longer work takes where so many ranks compute beside each other on a host.
struct Crowding {
  std::int64_t ranks_per_host = 1;
  double factor = 1;  ///< over the least that was measured
};

/// What the reference copy takes for each byte that it reads or writes, on one thread of each of so many
/// ranks on a host at once.
struct CopyRate {
  std::int64_t ranks_per_host = 1;
  double s_per_byte = 0;
};

/// Rates of one library at one dtype and number of threads. A point is the compute of one half of a record's
/// pass; a deviation is |model - measured| / measured.
struct ComputeFit {
  std::string backend = "cpu";
  std::string library = "openblas";
  DType dtype = DType::f32;
  std::int64_t threads = 1;  ///< per rank
  CacheState cache = CacheState::warm;
  Pages pages = Pages::system;     ///< of the cases; also of a backend that has none
  std::vector<WorkRate> rates;     ///< one for each kind that was measured
  double cache_bytes = 0;          ///< that a rank finds again in the next step; 0: one rate for all bytes
  std::vector<Crowding> crowding;  ///< in ascending order of ranks
  std::vector<CopyRate> copies;    ///< likewise; empty where the cases ran none beside them
  std::size_t points = 0;
  double median_deviation = 0;
  double max_deviation = 0;

  /// Of steps whose operands are so many bytes, the share that no cache holds.
  [[nodiscard]] double beyond_caches(double step_bytes) const {
    return step_bytes > cache_bytes && cache_bytes > 0 ? 1 - cache_bytes / step_bytes : 0;
  }
};

/// Who takes part in a collective, or in a message between stages.
enum class Reach { inside_host, between_hosts };

/// What numbers of a fabric come from.
enum class RateSource { records, probe, described };

/// What one call of a collective takes by its size S, from the last rank's coming to the last one's end.
struct CollectiveRate {
  CollectiveOp op = CollectiveOp::all_reduce;
  std::string algorithm = "mpi";
  Reach reach = Reach::inside_host;
  std::int64_t ranks = 2;
  std::int64_t hosts = 1;  ///< that they were on
  RateSource source = RateSource::records;
  std::vector<CostPiece> pieces;  ///< not empty, in ascending order
};

/// What one message from rank to rank takes by its size.
struct BoundaryRate {
  Reach reach = Reach::inside_host;
  RateSource source = RateSource::records;
  std::vector<CostPiece> pieces;  ///< not empty, in ascending order
};

inline constexpr std::int64_t kSmallMessage = 65536;

/// How far times may lie from what is predicted, relative: 9 of 10 within `median / (1 + s)` to
/// `median * (1 + s)`.
struct Spread {
  double compute = 0.1;        ///< of the fit, seen on what had been left out of it
  double communication = 0.1;  ///< likewise; also of messages between stages
  double small_messages =
      0.1;                ///< likewise of collectives of less than kSmallMessage bytes, where latency counts
  double launches = 0.1;  ///< of a launch as a whole, beside both
  bool launches_measured = false;  ///< false: an assumption, as there was one launch of each case
  double other_degrees = 0.1;      ///< beside all, of a step on as many ranks as none was measured on
};

/// The error of predictions of one quantity of what was measured.
struct PredictionError {
  std::string quantity;  ///< "compute", "communication", "small messages", "step"
  std::string left_out;  ///< "nothing", "shape", "degree 2": of the fit that predicted
  std::size_t cases = 0;
  double median = 0;
  double largest = 0;
};

/// A folder or a file that numbers come from, and what it says of its machine.
struct CalibrationSource {
  std::string path;
  std::string label;
  std::string measured_by;  ///< "tpbench.record/2", "tpbench.probe/2"
  std::size_t cases = 0;    ///< records used, or paths of a probe
  std::vector<std::string> hosts;
  std::string cpu;                  ///< model of the first host; empty when unknown
  std::string compute_library;      ///< with version and kernels: "OpenBLAS 0.3.21 SkylakeX"
  std::string mpi;                  ///< with version
  std::int64_t ranks_per_host = 0;  ///< the most; 0 when unknown
  std::int64_t cores_per_host = 0;  ///< of the first host; 0 when unknown
};

/// What was read and not used.
struct LeftOut {
  std::string file;
  std::string key;  ///< of the document, "status"; empty: the whole file
  std::string why;
};

/// All of it.
struct Calibration {
  std::vector<CalibrationSource> sources;
  std::vector<ComputeFit> compute;
  std::vector<CollectiveRate> collectives;
  std::vector<BoundaryRate> boundaries;
  std::vector<std::int64_t> degrees;  ///< ranks of the cases, ascending
  double other_s_per_step = 0;        ///< of a step, beside compute and collectives; the median
  Spread spread;
  std::vector<PredictionError> errors;
  std::vector<LeftOut> left_out;
};

/// The compute library of a case, as calibrations name it: "openblas", "onednn" or, with weights that it has
/// packed, "onednn_packed" on cpu, "cublas" on cuda.
std::string library_of(const Case& point);
/// Has a case computed by a library of that name.
void set_library(Case& point, std::string_view library);

/// A document of docs/calibration.schema.json.
Json calibration_to_json(const Calibration& calibration);
/// Throws FieldFault naming the key when it is not one of this schema, or holds what makes no sense.
Calibration calibration_from_json(const Json& document);
/// What the schema says of the keys.
Json calibration_schema();

}  // namespace tpbench

TPBENCH_ENUM_NAMES(tpbench::Reach, {tpbench::Reach::inside_host, "inside_host"},
                   {tpbench::Reach::between_hosts, "between_hosts"});
TPBENCH_ENUM_NAMES(tpbench::RateSource, {tpbench::RateSource::records, "records"},
                   {tpbench::RateSource::probe, "probe"}, {tpbench::RateSource::described, "described"});
