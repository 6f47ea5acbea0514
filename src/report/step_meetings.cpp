#include "report/step_meetings.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace tpbench {
namespace {

using EventName = std::tuple<std::string, Direction, std::int64_t, std::int64_t, std::int64_t, std::int64_t>;

bool is_message(const TraceEvent& event) { return event.kind == "send" || event.kind == "receive"; }

// Both ends of a message have one name.
EventName name_of_event(const TraceEvent& event) {
  return {is_message(event) ? "message" : event.kind,
          event.direction,
          event.bytes,
          event.group,
          event.stage,
          event.microbatch};
}

// The group, its part, the event, and the how many'th it is on its rank.
using MeetingName = std::tuple<std::int64_t, std::int64_t, EventName, std::size_t>;

struct Ends {
  std::vector<StepMeeting::Part> senders, receivers;
};

}  // namespace

const StepMeeting::Part& StepMeeting::last() const {
  if (is_message) return parts.front();
  return *std::max_element(parts.begin(), parts.end(),
                           [](const Part& a, const Part& b) { return a.event->start_s < b.event->start_s; });
}

double StepMeeting::ready_s() const { return last().event->start_s; }

std::vector<StepMeeting> meetings_of(const StepTrace& trace) {
  std::map<MeetingName, StepMeeting> collectives;
  std::map<MeetingName, Ends> messages;
  std::map<std::int64_t, std::int64_t> places;  // of ranks in their group
  for (const TraceRank& rank : trace.ranks) {
    const std::int64_t place = places[rank.group]++;
    std::map<std::pair<std::string, EventName>, std::size_t> seen;
    for (const TraceEvent& event : rank.events) {
      if (is_compute(event)) continue;
      const std::size_t number = seen[{event.kind, name_of_event(event)}]++;
      const std::int64_t part = event.group == 0 ? 0 : place / event.group;
      const MeetingName name = {rank.group, part, name_of_event(event), number};
      if (!is_message(event))
        collectives[name].parts.push_back({&rank, &event});
      else
        (event.kind == "send" ? messages[name].senders : messages[name].receivers).push_back({&rank, &event});
    }
  }
  std::vector<StepMeeting> meetings;
  for (auto& [name, meeting] : collectives) meetings.push_back(std::move(meeting));
  // Ranks that share a layer each send to the rank of the same place.
  for (const auto& [name, ends] : messages) {
    for (std::size_t i = 0; i < std::min(ends.senders.size(), ends.receivers.size()); ++i)
      meetings.push_back({{ends.senders[i], ends.receivers[i]}, true});
  }
  return meetings;
}

}  // namespace tpbench
