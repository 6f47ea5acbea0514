#include "result/student.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace tpbench {
namespace {

// Continued fraction of the incomplete beta function, by Lentz's method (Abramowitz and Stegun, 26.5.8).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away_from_0 = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away_from_0(1 - (a + b) * x / (a + 1)), value = d;
  for (int i = 1; i <= 500; ++i) {
    const double m = i;
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double change = 1;
    for (const double term : {even, odd}) {
      d = 1 / away_from_0(1 + term * d);
      c = away_from_0(1 + term / c);
      change = c * d;
      value *= change;
    }
    if (std::abs(change - 1) < 1e-14) break;
  }
  return value;
}

double incomplete_beta(double a, double b, double x) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(1 - x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

}  // namespace

double student_p_value(double t, double freedom) {
  return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
}

double student_quantile(double miss, double freedom) {
  double low = 0, high = 1e6;
  for (int i = 0; i < 64; ++i) {  // by halving
    const double middle = (low + high) / 2;
    (student_p_value(middle, freedom) > miss ? low : high) = middle;
  }
  return high;
}

// The mean, over the law of the estimated deviation s, of what the normal law says once s is known (Simpson's
// rule). freedom x s^2 is chi-squared.
double moved_student_p_value(double t, double freedom, double shift) {
  // Few degrees have a wide law, and a large t looks at its beginning.
  const int steps = freedom < 5 ? 1024 : 128;
  const double reach = 9 / std::sqrt(2 * freedom), first = std::max(0.0, 1 - reach);
  const double width = (1 + reach - first) / steps;
  const double scale = std::log(2.0) + freedom / 2 * std::log(freedom / 2) - std::lgamma(freedom / 2);
  const auto above = [](double x) { return std::erfc(x / std::sqrt(2.0)) / 2; };
  double sum = 0;
  for (int i = 0; i <= steps; ++i) {
    const double s = first + i * width;
    const double power = freedom > 1 ? (freedom - 1) * std::log(s) : 0;  // of s; log(0) makes the density 0
    const double density = std::exp(scale + power - freedom * s * s / 2);
    const double weight = i == 0 || i == steps ? 1 : i % 2 == 1 ? 4 : 2;
    sum += weight * density * (above(t * s - shift) + above(t * s + shift));
  }
  return sum * width / 3;
}

}  // namespace tpbench
