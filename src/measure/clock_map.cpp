#include "measure/clock_map.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

namespace tpbench {
namespace {

double as_double(std::int64_t value) { return static_cast<double>(value); }

double slope(const ClockAnchor& from, const ClockAnchor& to) {
  return to.at_ns == from.at_ns ? 0
                                : as_double(to.offset_ns - from.offset_ns) / as_double(to.at_ns - from.at_ns);
}

std::int64_t on_line(const ClockAnchor& from, double slope, std::int64_t at_ns) {
  return from.offset_ns + std::llround(slope * as_double(at_ns - from.at_ns));
}

std::int64_t duration(const RoundTrip& trip) { return trip.received_ns - trip.sent_ns; }
std::int64_t middle(const RoundTrip& trip) { return trip.sent_ns + duration(trip) / 2; }

// A straight line by its height in the middle of its points: least squares. Clocks drift while they are
// compared.
struct Line {
  double middle = 0;
  double height = 0;
  double slope = 0;
};

Line fit(const std::vector<double>& at, const std::vector<double>& values) {
  const auto count = static_cast<double>(at.size());
  Line line = {std::reduce(at.begin(), at.end()) / count, std::reduce(values.begin(), values.end()) / count,
               0};
  double squares = 0, products = 0;
  for (std::size_t i = 0; i < at.size(); ++i) {
    squares += (at[i] - line.middle) * (at[i] - line.middle);
    products += (at[i] - line.middle) * (values[i] - line.height);
  }
  if (squares > 0) line.slope = products / squares;
  return line;
}

double spread_around(const Line& line, const std::vector<double>& at, const std::vector<double>& values) {
  double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double beside = values[i] - line.height - line.slope * (at[i] - line.middle);
    lowest = std::min(lowest, beside);
    highest = std::max(highest, beside);
  }
  return highest - lowest;
}

}  // namespace

ClockAnchor estimate_offset(std::span<const RoundTrip> trips) {
  constexpr std::size_t kFewest = 5;
  std::vector<RoundTrip> fastest(trips.begin(), trips.end());
  const std::size_t count = std::min(fastest.size(), std::max(kFewest, fastest.size() / 10));
  const auto end = fastest.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(fastest.begin(), end, fastest.end(),
                    [](const RoundTrip& a, const RoundTrip& b) { return duration(a) < duration(b); });
  fastest.erase(end, fastest.end());

  // Relative to the fastest, as whole times do not fit a double.
  const std::int64_t at_ns = middle(fastest.front()), offset_ns = at_ns - fastest.front().answered_ns;
  std::vector<double> at, offset;
  for (const RoundTrip& trip : fastest) {
    at.push_back(as_double(middle(trip) - at_ns));
    offset.push_back(as_double(middle(trip) - trip.answered_ns - offset_ns));
  }
  const Line line = fit(at, offset);
  // No clock is read more closely than this, and no two ways are quite alike.
  constexpr double kReading_ns = 50, kUnlike = 1.0 / 32;
  const double half_ns = as_double(duration(fastest.front())) / 2;
  return {at_ns + std::llround(line.middle), offset_ns + std::llround(line.height),
          spread_around(line, at, offset) + kUnlike * half_ns + kReading_ns, half_ns};
}

std::int64_t ClockMap::offset_ns(std::int64_t own_ns) const {
  if (anchors_.empty()) return 0;
  if (own_ns >= anchors_.back().at_ns) return on_line(anchors_.back(), slope_behind(), own_ns);
  if (own_ns <= anchors_.front().at_ns) return on_line(anchors_.front(), slope_behind(), own_ns);
  const auto next = std::find_if(anchors_.begin(), anchors_.end(),
                                 [&](const ClockAnchor& anchor) { return anchor.at_ns > own_ns; });
  return on_line(*(next - 1), slope(*(next - 1), *next), own_ns);
}

std::int64_t ClockMap::own_ns(std::int64_t other_ns) const {
  std::int64_t own = other_ns;
  if (anchors_.empty()) return own;
  // The offset changes by less than a thousandth of the time between two looks.
  own = other_ns + anchors_.back().offset_ns;
  for (int look = 0; look < 4; ++look) own = other_ns + offset_ns(own);
  return own;
}

double ClockMap::drift_ppm() const {
  return anchors_.size() < 2 ? 0 : 1e6 * slope(anchors_.front(), anchors_.back());
}

double ClockMap::slope_behind() const {
  if (anchors_.size() < 2) return 0;
  const ClockAnchor &first = anchors_.front(), &last = anchors_.back();
  if (as_double(std::abs(last.offset_ns - first.offset_ns)) <= first.error_ns + last.error_ns) return 0;
  return slope(first, last);
}

double ClockMap::error_ns() const {
  double largest = 0, bend = 0;
  for (const ClockAnchor& anchor : anchors_) largest = std::max(largest, anchor.error_ns);
  for (std::size_t i = 1; i + 1 < anchors_.size(); ++i) {
    const ClockAnchor &before = anchors_[i - 1], &here = anchors_[i], &after = anchors_[i + 1];
    const std::int64_t line = on_line(before, slope(before, after), here.at_ns);
    bend = std::max(bend, as_double(std::abs(here.offset_ns - line)) - 2 * largest);
  }
  return largest + bend;
}

double ClockMap::worst_case_ns() const {
  double largest = 0;
  for (const ClockAnchor& anchor : anchors_) largest = std::max(largest, anchor.worst_case_ns);
  return largest;
}

ClockMap ClockMap::then(const ClockMap& next) const {
  ClockMap map;
  for (const ClockAnchor& anchor : anchors_) {
    const std::int64_t beyond_ns = next.offset_ns(anchor.at_ns - anchor.offset_ns);
    map.add({anchor.at_ns, anchor.offset_ns + beyond_ns, anchor.error_ns + next.error_ns(),
             anchor.worst_case_ns + next.worst_case_ns()});
  }
  return map;
}

}  // namespace tpbench
