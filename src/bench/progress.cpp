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

Progress::Progress(bool enabled, std::size_t cases)
    : enabled_(enabled), terminal_(isatty(STDERR_FILENO) != 0), cases_(cases) {}

Progress::~Progress() {
  if (enabled_ && terminal_) fmt::print(stderr, "{}", kClearLine);
}

void Progress::start(const std::string& case_id) {
  if (!enabled_ || !terminal_) return;
  const double each_s = done_ == 0 ? 0 : stopwatch_.elapsed_s() / static_cast<double>(done_);
  const std::string left =
      done_ == 0 ? "" : " (about " + format_duration(each_s * static_cast<double>(cases_ - done_)) + " left)";
  fmt::print(stderr, "{}case {} of {}{}: {}", kClearLine, done_ + 1, cases_, left, case_id);
  std::fflush(stderr);
}

void Progress::skip(const std::string& case_id, const std::string& reason) {
  if (enabled_ && !terminal_) log::info(fmt::format("case {}: skipped: {}", case_id, reason));
}

void Progress::finish(const std::string& case_id, const std::string& outcome) {
  ++done_;
  if (!enabled_ || terminal_) return;
  const double left_s =
      stopwatch_.elapsed_s() / static_cast<double>(done_) * static_cast<double>(cases_ - done_);
  log::info(fmt::format("case {} of {}{}: {}: {}", done_, cases_,
                        done_ == cases_ ? "" : " (about " + format_duration(left_s) + " left)", case_id,
                        outcome));
}

}  // namespace tpbench
