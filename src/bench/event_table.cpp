#include "bench/event_table.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "comm/merge_rows.hpp"

namespace tpbench {
namespace {

// An event as a row of numbers: its key, and the how many'th it is of this key in a step.
constexpr std::size_t kWidth = 9;
using EncodedKey = std::array<std::int64_t, kWidth>;

EncodedKey row_of(const EventKey& key, std::int64_t number) {
  return {static_cast<std::int64_t>(key.kind),
          static_cast<std::int64_t>(key.direction),
          key.bytes,
          key.group,
          key.stage,
          key.microbatch,
          std::int64_t{key.deferred},
          std::int64_t{key.in_layers},
          number};
}

EventKey key_of(const EncodedKey& row) {
  return {static_cast<Activity>(row[0]),
          static_cast<Direction>(row[1]),
          row[2],
          row[3],
          row[4],
          row[5],
          row[6] != 0,
          row[7] != 0};
}

std::vector<EncodedKey> rows_of(std::span<const EventKey> events) {
  std::map<EventKey, std::int64_t> seen;
  std::vector<EncodedKey> rows;
  for (const EventKey& key : events) rows.push_back(row_of(key, seen[key]++));
  return rows;
}

std::vector<std::int64_t> flat(const std::vector<EncodedKey>& rows) {
  std::vector<std::int64_t> numbers;
  for (const EncodedKey& row : rows) numbers.insert(numbers.end(), row.begin(), row.end());
  return numbers;
}

bool is_equal_everywhere(std::int64_t value, const Control& ranks) {
  std::array<std::int64_t, 2> ends = {value, -value};
  ranks.reduce_max(ends);
  return ends[0] == -ends[1];
}

bool are_equal_everywhere(const std::vector<std::int64_t>& numbers, const Control& group) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a, by words
  for (const std::int64_t number : numbers)
    hash = (hash ^ static_cast<std::uint64_t>(number)) * 0x100000001b3U;
  return is_equal_everywhere(static_cast<std::int64_t>(hash >> 1), group);
}

bool read_one_clock(const Control& ranks, const CommonClock& clock) {
  return is_equal_everywhere(clock.domain(), ranks);
}

}  // namespace

EventTable::EventTable(std::span<const EventKey> own, const Control& group, const CommonClock& clock) {
  match(own, group);
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (keys_[i].is_compute()) compute_.push_back(i);
  }
  find_scopes(group, clock);
  has_one_clock_ = read_one_clock(group, clock);
}

void EventTable::match(std::span<const EventKey> own, const Control& group) {
  const std::vector<EncodedKey> rows = rows_of(own);
  if (are_equal_everywhere(flat(rows), group)) {
    keys_.assign(own.begin(), own.end());
    for (std::size_t i = 0; i < own.size(); ++i) column_of_.push_back(i);
    return;
  }
  const std::vector<std::int64_t> all = merge_rows(group, flat(rows), kWidth);
  std::vector<EncodedKey> sorted(all.size() / kWidth);
  for (std::size_t i = 0; i < all.size(); ++i) sorted[i / kWidth][i % kWidth] = all[i];
  for (const EncodedKey& row : sorted) keys_.push_back(key_of(row));
  for (const EncodedKey& row : rows) {
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), row);
    column_of_.push_back(static_cast<std::size_t>(place - sorted.begin()));
  }
}

void EventTable::find_scopes(const Control& group, const CommonClock& clock) {
  std::map<std::int64_t, std::vector<std::size_t>> columns_of;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (!keys_[i].is_compute()) columns_of[keys_[i].group >= group.size() ? 0 : keys_[i].group].push_back(i);
  }
  for (const auto& [neighbours, columns] : columns_of) {
    const bool is_whole = neighbours == 0;
    const Control ranks = is_whole ? group : group.split(group.rank() / static_cast<int>(neighbours));
    const bool spans_clocks = group.max(std::int64_t{read_one_clock(ranks, clock) ? 0 : 1}) != 0;
    scopes_.push_back({ranks, columns, spans_clocks, is_whole});
  }
}

}  // namespace tpbench
