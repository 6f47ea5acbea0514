#include "report/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/json.hpp"
#include "report/step_meetings.hpp"

namespace tpbench {
namespace {

constexpr double kMicroseconds = 1e6;
// Processes of one case have the thousand of their case.
constexpr std::int64_t kProcessesOfACase = 1000;

struct Place {
  std::int64_t process = 0, thread = 0;
};

class TraceWriter {
 public:
  void add(const StepTrace& trace) {
    trace_ = &trace;
    processes_.clear();
    places_.clear();
    ++case_;
    for (const TraceRank& rank : trace.ranks) add_rank(rank);
    if (trace.is_aligned) add_arrows();
  }

  [[nodiscard]] std::string text() const {
    // One event a line: a diff of two traces says something.
    std::string text = "{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n";
    for (std::size_t i = 0; i < events_.size(); ++i) {
      text += events_[i].dump(-1, ' ', false, Json::error_handler_t::replace);
      text += i + 1 < events_.size() ? ",\n" : "\n";
    }
    return text + "]}\n";
  }

 private:
  void name(const char* what, std::int64_t process, std::int64_t thread, const std::string& name) {
    events_.push_back(
        {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", name}}}});
  }

  std::int64_t process_of(const std::string& host) {
    const auto [found, is_new] = processes_.try_emplace(
        host, case_ * kProcessesOfACase + static_cast<std::int64_t>(processes_.size()));
    if (is_new) {
      name("process_name", found->second, 0, fmt::format("{}: {}", host, trace_->id));
      events_.push_back({{"ph", "M"},
                         {"name", "process_sort_index"},
                         {"pid", found->second},
                         {"tid", 0},
                         {"args", {{"sort_index", found->second}}}});
    }
    return found->second;
  }

  void add_rank(const TraceRank& rank) {
    const std::int64_t process = process_of(rank.host), computing = 2 * rank.rank,
                       communicating = computing + 1;
    name("thread_name", process, computing, fmt::format("rank {}", rank.rank));
    name("thread_name", process, communicating, fmt::format("rank {} communication", rank.rank));
    for (const TraceEvent& event : rank.events) {
      places_[&event] = {process, is_compute(event) ? computing : communicating};
      add_slice(event, process, is_compute(event) ? computing : communicating);
    }
  }

  void add_slice(const TraceEvent& event, std::int64_t process, std::int64_t thread) {
    Json args = {{"direction", name_of(event.direction)}};
    if (event.bytes > 0) args["bytes"] = event.bytes;
    if (event.group > 0) args["ranks"] = event.group;
    if (event.stage > 0) args["stage"] = event.stage;
    if (event.microbatch > 0) args["microbatch"] = event.microbatch;
    if (trace_->clock_error_s > 0) args["clock_error_us"] = trace_->clock_error_s * kMicroseconds;
    events_.push_back({{"ph", "X"},
                       {"name", event.kind},
                       {"cat", is_compute(event) ? "compute" : "communication"},
                       {"ts", event.start_s * kMicroseconds},
                       {"dur", std::max(0.0, event.end_s - event.start_s) * kMicroseconds},
                       {"pid", process},
                       {"tid", thread},
                       {"args", std::move(args)}});
  }

  void add_arrows() {
    for (const StepMeeting& meeting : meetings_of(*trace_)) {
      const TraceEvent* last = meeting.last().event;
      for (const StepMeeting::Part& part : meeting.parts) {
        if (part.event == last) continue;
        const char* what = meeting.is_message ? "message" : "last to come";
        ++arrows_;
        events_.push_back(arrow("s", what, places_.at(last), last->start_s));
        Json end = arrow("f", what, places_.at(part.event), part.event->end_s);
        end["bp"] = "e";  // it ends in the slice around it, not at the next one
        events_.push_back(std::move(end));
      }
    }
  }

  [[nodiscard]] Json arrow(const char* phase, const char* what, const Place& place, double at_s) const {
    return {{"ph", phase},
            {"id", arrows_},
            {"name", what},
            {"cat", "communication"},
            {"ts", at_s * kMicroseconds},
            {"pid", place.process},
            {"tid", place.thread}};
  }

  const StepTrace* trace_ = nullptr;
  std::int64_t case_ = 0, arrows_ = 0;
  std::map<std::string, std::int64_t> processes_;
  std::map<const TraceEvent*, Place> places_;
  std::vector<Json> events_;
};

}  // namespace

std::string chrome_trace(std::span<const StepTrace> traces) {
  TraceWriter writer;
  for (const StepTrace& trace : traces) writer.add(trace);
  return writer.text();
}

}  // namespace tpbench
