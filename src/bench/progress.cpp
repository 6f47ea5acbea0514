#include "bench/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/log.hpp"
#include "base/units.hpp"

namespace tpbench {
namespace {

constexpr const char* kClearLine = "\r\033[K";

}  // namespace

Progress::Progress(bool enabled, std::size_t runs)
    : enabled_(enabled), terminal_(isatty(STDERR_FILENO) != 0), runs_(runs) {}

Progress::~Progress() {
  if (enabled_ && terminal_) fmt::print(stderr, "{}", kClearLine);
}

void Progress::begin_epoch(std::int64_t epoch, std::int64_t epochs, std::size_t cases) {
  epoch_ = epoch;
  epochs_ = epochs;
  cases_ = cases;
  at_ = 0;
}

std::string Progress::place(std::size_t number) const {
  const std::string epoch = epochs_ > 1 ? fmt::format("epoch {} of {}, ", epoch_, epochs_) : "";
  const std::string place = fmt::format("{}case {} of {}", epoch, number, cases_);
  if (done_ == 0 || done_ == runs_) return place;
  const double each_s = stopwatch_.elapsed_s() / static_cast<double>(done_);
  return fmt::format("{} (about {} left)", place,
                     format_duration(each_s * static_cast<double>(runs_ - done_)));
}

void Progress::start(const std::string& case_id) {
  if (!enabled_ || !terminal_) return;
  fmt::print(stderr, "{}{}: {}", kClearLine, place(at_ + 1), case_id);
  std::fflush(stderr);
}

void Progress::skip(const std::string& case_id, const std::string& reason) {
  if (enabled_ && !terminal_) log::info(fmt::format("case {}: skipped: {}", case_id, reason));
}

void Progress::finish(const std::string& case_id, const std::string& outcome) {
  ++done_;
  ++at_;
  if (enabled_ && !terminal_) log::info(fmt::format("{}: {}: {}", place(at_), case_id, outcome));
}

}  // namespace tpbench
