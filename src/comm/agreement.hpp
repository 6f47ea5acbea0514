#pragma once

#include <exception>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "comm/control.hpp"

// Work that may fail on some ranks, of which all ranks hear: nobody is left alone in the next collective.
namespace tpbench {

/// Runs `work` on every rank of `ranks`. When it throws on any, every rank throws an `Error` with the words of the
/// lowest rank that failed. CommError passes through: after that nobody can be asked.
template <typename Error, typename Work>
void together(const Control& ranks, Work&& work) {
  std::optional<std::string> problem;
  try {
    work();
  } catch (const CommError&) {
    throw;
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (const auto agreed = ranks.agree(problem)) throw Error(*agreed);
}

/// Runs `work` on rank 0 of `ranks`. What it throws is thrown on every rank: a UsageError as one, anything else as
/// an EnvironmentError.
template <typename Work>
void on_first_rank(const Control& ranks, Work&& work) {
  std::optional<std::string> usage;
  together<EnvironmentError>(ranks, [&] {
    if (ranks.rank() != 0) return;
    try {
      work();
    } catch (const UsageError& error) {
      usage = error.what();
    }
  });
  if (const auto agreed = ranks.agree(usage)) throw UsageError(*agreed);
}

}  // namespace tpbench
