#pragma once

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "workload/schedule.hpp"

// The drawings of docs/pipeline.md, by the program's own replay; `cmake --build BUILD --target
// regenerate_docs` writes them, and a test holds them equal.
namespace tpbench::pipeline_docs {

// A forward is the digit of its microbatch, a backward its letter, gradients of weights alone its capital.
inline char sign_of(const PipelineStep& step) {
  const auto number = static_cast<char>(step.microbatch % 10);
  switch (step.work) {
    case StageWork::forward:
      return static_cast<char>('0' + number);
    case StageWork::weight_gradient:
      return static_cast<char>('A' + number);
    case StageWork::backward:
    case StageWork::input_gradient:
      break;
  }
  return static_cast<char>('a' + number);
}

/// One line for each rank, one character for `unit_s` of time.
inline std::string drawing(const PipelineShape& shape, const StageTimes& of_stage, double boundary_s,
                           double unit_s) {
  const std::vector<StageTimes> times(static_cast<std::size_t>(shape.stages()), of_stage);
  const Replay replay = replay_pipeline(shape, times, boundary_s);
  std::string text;
  for (std::size_t rank = 0; rank < replay.ranks.size(); ++rank) {
    std::string line(static_cast<std::size_t>(std::lround(replay.step_s / unit_s)), '.');
    for (const ReplayedStep& step : replay.ranks[rank]) {
      const auto from = std::lround(step.start_s / unit_s), to = std::lround(step.end_s / unit_s);
      for (auto at = from; at < to; ++at) line[static_cast<std::size_t>(at)] = sign_of(step.step);
    }
    text += fmt::format("rank {}  {}\n", rank, line);
  }
  return text + fmt::format("step {:.4g}, bubble {:.3f}\n", replay.step_s, replay.bubble());
}

inline std::string drawings() {
  struct Drawn {
    const char* title;
    Schedule schedule;
    std::int64_t virtual_stages;
    StageTimes times;
    double boundary_s;
  };
  constexpr Drawn kDrawn[] = {
      {"`gpipe`: all forward, then all backward", Schedule::gpipe, 1, {1, 1, 1}, 0},
      {"`1f1b`: after a warm-up one forward and one backward in turn; as long, and keeps p microbatches and "
       "not m",
       Schedule::one_f_one_b,
       1,
       {1, 1, 1},
       0},
      {"`interleaved` with v = 2: each rank holds two stages, each half as long",
       Schedule::interleaved,
       2,
       {0.5, 0.5, 0.5},
       0},
      {"`zb_h1`: a backward in two, and gradients of weights where ranks would wait",
       Schedule::zb_h1,
       1,
       {1, 1, 1},
       0},
      {"`gpipe` where a message takes c = F/2", Schedule::gpipe, 1, {1, 1, 1}, 0.5},
      {"`1f1b` there: each pair of it waits for a message both ways",
       Schedule::one_f_one_b,
       1,
       {1, 1, 1},
       0.5},
  };
  std::string text;
  for (const Drawn& drawn : kDrawn) {
    const PipelineShape shape = {
        .ranks = 4, .virtual_stages = drawn.virtual_stages, .microbatches = 8, .schedule = drawn.schedule};
    text +=
        fmt::format("{}\n\n```\n{}```\n\n", drawn.title, drawing(shape, drawn.times, drawn.boundary_s, 0.5));
  }
  return text;
}

/// `text` of the page with the drawings between its marks.
inline std::string page(const std::string& text) {
  const std::string begin = "<!-- drawings, generated -->\n\n", end = "<!-- end of drawings -->";
  const std::size_t from = text.find(begin), to = text.find(end);
  if (from == std::string::npos || to == std::string::npos)
    throw std::runtime_error("docs/pipeline.md has no place for its drawings");
  return text.substr(0, from + begin.size()) + drawings() + text.substr(to);
}

}  // namespace tpbench::pipeline_docs
