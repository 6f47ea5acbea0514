#include "report/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "base/json.hpp"

namespace tpbench {
namespace {

constexpr double kMicroseconds = 1e6;
// Processes of one case have the thousand of their case.
constexpr std::int64_t kProcessesOfACase = 1000;

bool is_compute(const TraceEvent& event) { return event.kind == "compute"; }

// What makes parts of several ranks one message: the group and its part, the key, and the how many'th it is.
using MessageKey = std::tuple<std::int64_t, std::int64_t, std::string, Direction, std::int64_t, std::int64_t,
                              std::int64_t, std::int64_t, std::size_t>;

struct Part {
  const TraceEvent* event = nullptr;
  std::int64_t process = 0, thread = 0;
};

class TraceWriter {
 public:
  void add(const StepTrace& trace) {
    trace_ = &trace;
    processes_.clear();
    messages_.clear();
    ++case_;
    std::map<std::int64_t, std::int64_t> ranks_of_group;
    for (const TraceRank& rank : trace.ranks) add_rank(rank, ranks_of_group[rank.group]++);
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

  void add_rank(const TraceRank& rank, std::int64_t place) {
    const std::int64_t process = process_of(rank.host), computing = 2 * rank.rank,
                       communicating = computing + 1;
    name("thread_name", process, computing, fmt::format("rank {}", rank.rank));
    name("thread_name", process, communicating, fmt::format("rank {} communication", rank.rank));
    std::map<std::tuple<std::string, Direction, std::int64_t, std::int64_t, std::int64_t, std::int64_t>,
             std::size_t>
        seen;
    for (const TraceEvent& event : rank.events) {
      const std::int64_t thread = is_compute(event) ? computing : communicating;
      add_slice(event, process, thread);
      if (is_compute(event)) continue;
      const std::size_t number =
          seen[{event.kind, event.direction, event.bytes, event.group, event.stage, event.microbatch}]++;
      const std::int64_t part = event.group == 0 ? 0 : place / event.group;
      messages_[{rank.group, part, event.kind, event.direction, event.bytes, event.group, event.stage,
                 event.microbatch, number}]
          .push_back({&event, process, thread});
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
    for (const auto& [key, parts] : messages_) {
      if (parts.size() < 2) continue;
      const auto last = std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
        return a.event->start_s < b.event->start_s;
      });
      for (const Part& part : parts) {
        if (&part == &*last) continue;
        ++arrows_;
        events_.push_back(arrow("s", *last, last->event->start_s));
        Json end = arrow("f", part, part.event->end_s);
        end["bp"] = "e";  // it ends in the slice around it, not at the next one
        events_.push_back(std::move(end));
      }
    }
  }

  [[nodiscard]] Json arrow(const char* phase, const Part& part, double at_s) const {
    return {{"ph", phase},
            {"id", arrows_},
            {"name", "last to come"},
            {"cat", "communication"},
            {"ts", at_s * kMicroseconds},
            {"pid", part.process},
            {"tid", part.thread}};
  }

  const StepTrace* trace_ = nullptr;
  std::int64_t case_ = 0, arrows_ = 0;
  std::map<std::string, std::int64_t> processes_;
  std::map<MessageKey, std::vector<Part>> messages_;
  std::vector<Json> events_;
};

}  // namespace

std::string chrome_trace(std::span<const StepTrace> traces) {
  TraceWriter writer;
  for (const StepTrace& trace : traces) writer.add(trace);
  return writer.text();
}

}  // namespace tpbench
