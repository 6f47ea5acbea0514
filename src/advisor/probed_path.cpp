#include "advisor/probed_path.hpp"

namespace tpbench {
namespace {

constexpr std::size_t kMostPiecesEachSide = 3;
constexpr std::size_t kMostPieces = 4;

Json summary_to_json(const Summary& summary) {
  return {{"median", summary.median},
          {"ci95", json_or_null(summary.ci95)},
          {"mean", summary.mean},
          {"min", summary.min},
          {"max", summary.max},
          {"p95", summary.p95},
          {"p99", summary.p99},
          {"samples", summary.samples},
          {"effective_samples", json_or_null(summary.effective_samples)},
          {"outliers", summary.outliers}};
}

Json piece_to_json(const CostPiece& piece) {
  const double beta = piece.model.beta_s_per_byte;
  return {{"from_bytes", piece.from_bytes},
          {"to_bytes", piece.to_bytes},
          {"points", piece.points},
          {"alpha_s", piece.model.alpha_s},
          {"beta_s_per_byte", beta},
          {"bandwidth_gb_per_s", beta > 0 ? Json(1e-9 / beta) : Json(nullptr)},
          {"median_deviation", piece.model.median_deviation},
          {"max_deviation", piece.model.max_deviation}};
}

}  // namespace

void fit_path(ProbedPath& path) {
  path.pieces.clear();
  path.cut = CutRule::search;
  if (path.points.empty()) return;
  std::vector<TimedSize> medians;
  for (const ProbePoint& point : path.points) medians.push_back({point.bytes, point.time_s.median});
  if (path.operation == ProbeOperation::ping_pong && path.eager_limit_bytes) {
    LimitedFit fit = fit_at_limit(medians, *path.eager_limit_bytes, kMostPiecesEachSide);
    path.pieces = std::move(fit.pieces);
    path.cut = fit.limit_used ? CutRule::eager_limit : CutRule::search;
  } else {
    path.pieces = fit_by_search(medians, kMostPieces);
  }
}

Json probed_path_to_json(const ProbedPath& path) {
  Json points = Json::array(), pieces = Json::array();
  for (const ProbePoint& point : path.points) {
    points.push_back({{"bytes", point.bytes},
                      {"calls_per_sample", point.calls_per_sample},
                      {"time_s", summary_to_json(point.time_s)}});
  }
  for (const CostPiece& piece : path.pieces) pieces.push_back(piece_to_json(piece));
  return {{"path", name_of(path.kind)},
          {"operation", name_of(path.operation)},
          {"hosts", path.hosts},
          {"ranks", path.ranks},
          {"problem", json_or_null(path.problem)},
          {"clock_error_s", json_or_null(path.clock_error_s)},
          {"eager_limit_bytes", json_or_null(path.eager_limit_bytes)},
          {"cut", path.pieces.empty() ? Json(nullptr) : Json(name_of(path.cut))},
          {"pieces", pieces},
          {"points", points},
          {"transport", path.transport}};
}

}  // namespace tpbench
