#pragma once

#include "bench/case_runner.hpp"
#include "world.hpp"

namespace tpbench::test {

/// Settings of a case that shall end soon.
inline CaseSettings quick_settings() {
  CaseSettings settings;
  settings.measure.warmup_steps = 1;
  settings.measure.min_samples = 3;
  settings.measure.max_samples = 8;
  settings.measure.max_seconds = 0.2;
  settings.verify = VerifyMode::full;
  return settings;
}

/// Runs `point` on its team; all members of the team call it.
inline CaseOutcome run(const Case& point, const Parts& parts,
                       const CaseSettings& settings = quick_settings()) {
  return run_case(point, settings, team_for(point), parts, session().heartbeat(), {world().size(), 0});
}

}  // namespace tpbench::test
