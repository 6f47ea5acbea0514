#include "bench/case_machine.hpp"

#include "bench/agreeing_communicator.hpp"
#include "bench/case_cost.hpp"

namespace tpbench {

CaseMachine::CaseMachine(const Case& point, const Team& team, const Parts& parts, Heartbeat& heartbeat)
    : point_(point), team_(team), parts_(parts), heartbeat_(heartbeat), shape_(shape_of(point)) {
  backend_ = make_checked_backend(
      parts.make_backend(backend_needs(point, point.threads_per_rank.value_or(1))), operations_, heartbeat);
}

void CaseMachine::make_layer() {
  team_.settle({});  // making a communicator may take all ranks
  communicator_ = make_communicator(*team_.shards);
  if (communicator_->size() != shape_.layout.tp)
    throw std::logic_error("a layer wants a communicator over the ranks of its tp_degree");
  layer_ = tpbench::make_layer(point_.workload,
                               {.shape = shape_,
                                .seed = point_.seed,
                                .backend = *backend_,
                                .communicator = *communicator_,
                                .split =
                                    [this](int colour) {
                                      team_.settle({});  // splitting is a collective too
                                      return make_communicator(team_.shards->split(colour));
                                    },
                                .form = &form_,
                                .connect =
                                    [this](const PointToPointNeeds& needs) {
                                      team_.settle({});
                                      auto messages = parts_.make_point_to_point(algorithm(), *team_.stages,
                                                                                 needs, backend_->device());
                                      messages_path_ = {messages->data_path(), messages->network_progress()};
                                      // From here on stages do not do the same: the first
                                      // and the last have more to make.
                                      asks_ = false;
                                      return messages;
                                    },
                                .pp_rank = team_.pp_rank()});
}

std::unique_ptr<Communicator> CaseMachine::make_communicator(const Control& ranks) {
  auto agreeing = std::make_unique<AgreeingCommunicator>(
      parts_.make_communicator(algorithm(), ranks, backend_->device()), team_, asks_);
  return make_checked_communicator(std::move(agreeing), ranks, *backend_, operations_, heartbeat_);
}

}  // namespace tpbench
