#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "measure/clock.hpp"

namespace tpbench {

/// Says on stderr which case of how many that are tried runs, in which epoch, and how long the rest will
/// take: a line that is rewritten on a terminal, plain lines where there is none. Written between cases only,
/// never while something is timed.
class Progress {
 public:
  /// `runs`: cases that will be tried, each as often as it has epochs to come.
  Progress(bool enabled, std::size_t runs);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// From here on cases are counted anew: `cases` of them are tried in this epoch, from 1 on, of `epochs`.
  void begin_epoch(std::int64_t epoch, std::int64_t epochs, std::size_t cases);
  void start(const std::string& case_id);
  /// A case that is not tried, and is none of those that are counted.
  void skip(const std::string& case_id, const std::string& reason);
  /// So many of the runs to come are not tried after all.
  void drop(std::size_t runs) { runs_ -= runs; }
  /// `outcome` in a few words: "1.23 ms", "failed: ..."
  void finish(const std::string& case_id, const std::string& outcome);

 private:
  [[nodiscard]] std::string place(std::size_t number) const;  // "epoch 4 of 4, case 7 of 8 (about 3 s left)"

  bool enabled_;
  bool terminal_;
  std::size_t runs_, done_ = 0;     // over all epochs
  std::size_t cases_ = 0, at_ = 0;  // of this epoch
  std::int64_t epoch_ = 1, epochs_ = 1;
  Stopwatch stopwatch_;
};

}  // namespace tpbench
