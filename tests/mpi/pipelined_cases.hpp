#pragma once

#include <cstdint>
#include <string>

#include "base/json.hpp"
#include "run_case.hpp"
#include "sweep/case.hpp"
#include "world.hpp"

namespace tpbench::test {

// A block of eight weight sets on a pipeline.
inline Case piped(std::int64_t tp, std::int64_t pp, Schedule schedule, std::int64_t microbatches,
                  Pass pass = Pass::forward_backward) {
  Case point;
  point.workload = "block";
  point.pass = pass;
  point.hidden_size = 32;
  point.ffn_hidden_size = 48;
  point.num_heads = 8;
  point.num_kv_heads = 2;
  point.num_layers = 8;
  point.batch_size = 8;
  point.sequence_length = 4;
  point.layout = {.tp = tp, .pp = pp};
  point.microbatches = microbatches;
  point.schedule = schedule;
  point.virtual_stages = schedule == Schedule::interleaved ? 2 : 1;
  point.threads_per_rank = 1;
  normalise_case(point);
  return point;
}

// A model of eight layers; rows of its vocabulary are padded on four ranks and on two.
inline Case piped_model(std::int64_t tp, std::int64_t pp, Schedule schedule, std::int64_t microbatches,
                        Pass pass = Pass::forward_backward) {
  Case point = piped(tp, pp, schedule, microbatches, pass);
  point.workload = "model";
  point.vocab_size = 37;
  point.logits = Logits::last;
  point.tie_embeddings = false;
  normalise_case(point);
  return point;
}

inline constexpr Schedule kSchedules[] = {Schedule::gpipe, Schedule::one_f_one_b, Schedule::interleaved,
                                          Schedule::zb_h1};

// What half of the ranks can run is run on fewer.
inline bool fits(const Case& point) {
  return point.layout.ranks() <= world().size() && 2 * point.layout.ranks() > world().size();
}
inline bool has_schedule(const Case& point) {
  return !why_impossible(point.workload_row(), point.shape()) &&
         !why_not_divisible(point.workload_row(), point.shape());
}

inline std::string said_of(const Case& point) { return case_to_json(point).dump(); }

}  // namespace tpbench::test
