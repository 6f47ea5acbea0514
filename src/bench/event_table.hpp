#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/common_clock.hpp"
#include "comm/control.hpp"
#include "measure/event.hpp"

namespace tpbench {

/// The events that any rank of a group has in a step, in one order on all ranks: the columns of what is
/// reduced.
class EventTable {
 public:
  /// The ranks among which some collectives of the group take place, as this rank sees them.
  struct Scope {
    Control ranks;
    std::vector<std::size_t> columns;  ///< of those collectives
    bool spans_clocks = false;  ///< in some part of the group, this or another, ranks read several clocks
    bool is_whole = true;       ///< the group; else its parts of so many neighbours
  };

  /// `own`: the events of this rank's steps, in order. Collective over `group`.
  EventTable(std::span<const EventKey> own, const Control& group, const CommonClock& clock);

  [[nodiscard]] std::span<const EventKey> keys() const { return keys_; }  ///< by column
  /// The column of this rank's event i.
  [[nodiscard]] std::size_t column_of(std::size_t i) const { return column_of_[i]; }
  [[nodiscard]] std::span<const std::size_t> compute_columns() const { return compute_; }
  [[nodiscard]] std::span<const Scope> scopes() const { return scopes_; }
  /// All ranks of the group read one clock.
  [[nodiscard]] bool has_one_clock() const { return has_one_clock_; }

 private:
  void match(std::span<const EventKey> own, const Control& group);
  void find_scopes(const Control& group, const CommonClock& clock);

  std::vector<EventKey> keys_;
  std::vector<std::size_t> column_of_;
  std::vector<std::size_t> compute_;
  std::vector<Scope> scopes_;
  bool has_one_clock_ = true;
};

}  // namespace tpbench
