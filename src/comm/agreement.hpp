#pragma once

#include <exception>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
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

/// Runs `work` on rank 0 of `ranks`. What it throws ends all of them: rank 0 says it at once, as a launcher may
/// end all ranks as soon as one has left; then every rank throws without words: a UsageError for one, an
/// EnvironmentError for anything else.
template <typename Work>
void on_first_rank(const Control& ranks, Work&& work) {
  ExitStatus status = ExitStatus::ok;
  const auto fails = [&](ExitStatus with, const std::string& words) {
    status = with;
    for (const std::string& line : split(words, '\n')) log::error(line);
  };
  if (ranks.rank() == 0) {
    try {
      work();
    } catch (const CommError&) {
      throw;
    } catch (const UsageError& error) {
      fails(ExitStatus::bad_usage, error.what());
    } catch (const std::exception& error) {
      fails(ExitStatus::environment, error.what());
    }
  }
  status = static_cast<ExitStatus>(ranks.broadcast(static_cast<std::int64_t>(status)));
  if (status == ExitStatus::bad_usage) throw UsageError("");
  if (status == ExitStatus::environment) throw EnvironmentError("");
}

}  // namespace tpbench
