#include "bench/compute_warnings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/dtype.hpp"
#include "compute/core_rate.hpp"
#include "environment/environment.hpp"

namespace tpbench {
namespace {

// Kernels and rates that are told are OpenBLAS's.
bool is_by_openblas(const WarningInputs& in) { return in.point.library.value_or("openblas") == "openblas"; }

// The active ranks that `is_one` says yes to, as words: "rank 3 (n2)", "ranks 3 (n2) and 12 more".
template <typename Predicate>
std::optional<std::string> ranks_that(const WarningInputs& in, const Predicate& is_one) {
  std::optional<std::size_t> first;
  std::size_t count = 0;
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    for (const std::size_t rank : ranks) {
      if (rank >= in.facts.compute_of.size() || !is_one(in.facts.compute_of[rank])) continue;
      first = std::min(first.value_or(rank), rank);
      ++count;
    }
  }
  if (!first) return std::nullopt;
  const std::string name = fmt::format("{} ({})", *first, in.facts.ranks[*first].host);
  return count == 1 ? "rank " + name : fmt::format("ranks {} and {} more", name, count - 1);
}

}  // namespace

std::optional<std::string> emulated_dtype(const WarningInputs& in) {
  for (const KernelUse& kernel : in.outcome.products.kernels) {
    if (!kernel.emulates || kernel.flop <= 0) continue;
    if (kernel.capped_by) {
      return fmt::format(
          "{} keeps library {} from this CPU's instructions for products in {}: kernel {} takes several "
          "times "
          "as long as one that uses them; unset that variable",
          *kernel.capped_by, in.point.library.value_or(""), name_of(in.point.dtype), kernel.name);
    }
    return fmt::format(
        "this CPU has no instructions for products in {}: kernel {} of library {} takes several times as "
        "long "
        "as one that has; a CPU with avx512_bf16 or AMX multiplies it at full speed, and this one f32",
        name_of(in.point.dtype), kernel.name, in.point.library.value_or(""));
  }
  return std::nullopt;
}

// Products on a device are none of BLAS's.
std::optional<std::string> slow_blas(const WarningInputs& in) {
  if (!in.device_of.empty() || !is_by_openblas(in)) return std::nullopt;
  std::string advice;
  const auto who = ranks_that(in, [&](const RankCompute& compute) {
    if (compute.advice && advice.empty()) advice = *compute.advice;
    return compute.advice.has_value();
  });
  if (!who) return std::nullopt;
  return fmt::format("{}: {}", *who, advice);
}

std::optional<std::string> slow_compute(const WarningInputs& in) {
  if (!in.device_of.empty()) return std::nullopt;
  if (const auto& measured = in.outcome.library_rate) {
    const auto why =
        why_slow(in.point.dtype, measured->rate, fmt::format("library {}", in.point.library.value_or("")));
    const auto rank = static_cast<std::size_t>(measured->world_rank);
    if (!why) return std::nullopt;
    return fmt::format("rank {} ({}): {}", rank, in.facts.ranks.at(rank).host, *why);
  }
  if (!is_by_openblas(in)) return std::nullopt;
  std::optional<std::string> worst;
  double least = kSlowCompute;
  const auto who = ranks_that(in, [&](const RankCompute& compute) {
    const auto rate = compute.rates ? compute.rates->of(in.point.dtype) : std::nullopt;
    if (!rate || rate->share() >= kSlowCompute) return false;
    if (rate->share() < least) worst = why_slow(in.point.dtype, *rate);
    least = std::min(least, rate->share());
    return true;
  });
  if (!who) return std::nullopt;
  return fmt::format("{}: {}", *who, worst.value_or(""));
}

std::optional<std::string> mixed_kernels(const WarningInputs& in) {
  if (!in.device_of.empty() || !is_by_openblas(in)) return std::nullopt;
  std::map<std::string, std::string> host_of_core;
  for (const auto& [machine, ranks] : active_by_machine(in)) {
    for (const std::size_t rank : ranks) {
      if (rank < in.facts.compute_of.size())
        host_of_core.emplace(in.facts.compute_of[rank].core, in.facts.ranks[rank].host);
    }
  }
  if (host_of_core.size() < 2) return std::nullopt;
  return mixed_kernels_problem(host_of_core);
}

}  // namespace tpbench
