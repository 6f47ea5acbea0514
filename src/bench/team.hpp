#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.hpp"
#include "comm/common_clock.hpp"
#include "comm/control.hpp"
#include "comm/core_latency.hpp"
#include "comm/session.hpp"
#include "comm/step_start.hpp"
#include "sweep/case.hpp"

namespace tpbench {

/// What failed on one rank and was heard by all: not to be agreed on a second time.
class AgreedError : public CaseError {
 public:
  using CaseError::CaseError;
};

/// The ranks that work on a case, as this rank sees them.
struct Team {
  std::vector<std::vector<int>> groups;  ///< world ranks; all groups that run at the same time
  std::optional<Control> group;          ///< this rank's group; empty when it has none
  std::optional<Control> shards;         ///< those of the group that share this rank's layers
  std::optional<Control> stages;  ///< those of it that hold the same shard of other stages; empty with one
  std::optional<Control> active;  ///< the ranks of all groups; empty when this rank is not among them
  std::shared_ptr<CommonClock> clock;  ///< of the active ranks
  std::shared_ptr<StepStart> start;    ///< of the active ranks
  std::shared_ptr<CoreLatency> cores;  ///< of the active ranks; nullptr: not looked at

  [[nodiscard]] bool member() const { return group.has_value(); }

  /// Makes clock and start, for the active ranks that are there. Collective over these.
  void share_a_clock(const std::string& domain = clock_domain());

  /// Cuts shards and stages out of the group. Collective over it.
  void share_layers(const Layout& layout);
  /// This rank's place among the stages.
  [[nodiscard]] int pp_rank() const { return stages ? stages->rank() : 0; }
  [[nodiscard]] int pp_ranks() const { return stages ? stages->size() : 1; }

  /// Runs `work`, which communicates only through ranks that agree (AgreeingCommunicator), and has all active
  /// ranks hear of an exception on any of them: then every rank throws AgreedError with the first failing
  /// rank's words. CommError passes through: after that nobody can be asked.
  template <typename Work>
  void together(Work&& work) const {
    std::optional<std::string> problem;
    try {
      work();
    } catch (const AgreedError&) {
      throw;
    } catch (const CommError&) {
      throw;
    } catch (const std::exception& error) {
      problem = error.what();
    }
    settle(problem);
  }

  /// Collective over the active ranks: throws AgreedError on all when any has a problem.
  void settle(const std::optional<std::string>& problem) const;
};

/// World ranks of the groups that run `point` at the same time; host_of[r] is the host of world rank r.
std::vector<std::vector<int>> groups_of(const Case& point, std::span<const int> host_of);

/// The ranks of a group that share layers, stage by stage.
std::vector<std::vector<int>> shards_of(const std::vector<int>& group, const Layout& layout);

/// How many ranks work on the case, in all groups together.
std::size_t active_ranks(const Team& team);

/// All ranks of the launch as one group. Collective over the world.
Team whole_world(const Session& session);

/// Makes teams and keeps them: the cases of a sweep need few different ones.
class TeamCache {
 public:
  explicit TeamCache(const Session& session) : session_(session) {}

  /// Called by all ranks of the world with the same case, whose degree the world can hold.
  const Team& team_for(const Case& point);

 private:
  const Session& session_;
  std::map<std::tuple<Layout, Placement, Groups>, std::unique_ptr<Team>> teams_;
};

}  // namespace tpbench
