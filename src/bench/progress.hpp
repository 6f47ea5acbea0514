#pragma once

#include <cstddef>
#include <string>

#include "measure/clock.hpp"

namespace tpbench {

/// Says on stderr which case of how many that are tried runs and how long the rest will take: a line that is
/// rewritten on a terminal, plain lines where there is none. Written between cases only, never while
/// something is timed.
class Progress {
 public:
  Progress(bool enabled, std::size_t cases);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void start(const std::string& case_id);
  /// A case that is not tried, and is none of those that are counted.
  void skip(const std::string& case_id, const std::string& reason);
  /// So many of the cases to come are not tried after all.
  void drop(std::size_t cases) { cases_ -= cases; }
  /// `outcome` in a few words: "1.23 ms", "failed: ..."
  void finish(const std::string& case_id, const std::string& outcome);

 private:
  bool enabled_;
  bool terminal_;
  std::size_t cases_;
  std::size_t done_ = 0;
  Stopwatch stopwatch_;
};

}  // namespace tpbench
